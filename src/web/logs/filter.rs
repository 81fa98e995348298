//! What is searched for among log records.

use crate::web::filter::Common;
use crate::web::params::Params;
use crate::web::range::{Nanos, Range, sql_time};
use crate::web::sql::quoted;

/// The levels of OpenTelemetry's severity numbers, with their classes in the style sheet.
pub const LEVELS: [(&str, &str, &str); 7] = [
    ("unset", "level-unset", "unset"),
    ("trace", "level-trace", "trace"),
    ("debug", "level-debug", "debug"),
    ("info", "level-info", "info"),
    ("warn", "level-warn", "warn"),
    ("error", "level-error", "error"),
    ("fatal", "level-fatal", "fatal"),
];

/// The level of a record in SQL (OpenTelemetry log data model, "Field: `SeverityNumber`").
pub const LEVEL: &str = "CASE WHEN severity_number BETWEEN 1 AND 4 THEN 'trace' WHEN severity_number BETWEEN 5 AND 8 THEN 'debug' \
     WHEN severity_number BETWEEN 9 AND 12 THEN 'info' WHEN severity_number BETWEEN 13 AND 16 THEN 'warn' \
     WHEN severity_number BETWEEN 17 AND 20 THEN 'error' WHEN severity_number BETWEEN 21 AND 24 THEN 'fatal' ELSE 'unset' END";

/// Class and title of a level.
pub fn level_of(name: &str) -> (&'static str, &'static str) {
    let found = LEVELS.into_iter().find(|(of, _, _)| *of == name);
    found.map_or((LEVELS[0].1, LEVELS[0].2), |(_, class, title)| (class, title))
}

/// The conditions of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// In the body, whatever its case.
    pub text: Option<String>,
    /// What all searches have.
    pub common: Common,
    /// Of this level.
    pub level: Option<&'static str>,
    /// Of this trace.
    pub trace: Option<String>,
    /// Of this time or earlier, for the next page.
    pub before: Option<Nanos>,
    /// How many of that time the pages before have shown.
    pub skip: usize,
}

impl Filter {
    /// What a page's parameters ask for.
    pub fn read(params: &Params) -> Self {
        let mut filter = Filter {
            text: params.get("q").map(str::to_owned),
            common: Common::read(params),
            trace: params.get("trace").map(str::to_lowercase),
            before: params.get("before").and_then(|before| before.parse().ok()),
            skip: params.get("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0),
            ..Filter::default()
        };
        if let Some(wanted) = params.get("level") {
            filter.level = LEVELS.iter().map(|(name, _, _)| *name).find(|name| *name == wanted);
            if filter.level.is_none() {
                filter.common.problems.push(format!("there is no level {wanted:?}"));
            }
        }
        filter
    }

    /// All conditions in SQL.
    pub fn conditions(&self, range: &Range, before: Option<Nanos>) -> String {
        let mut all = self.common.conditions(range, "time");
        all.extend(before.map(|before| format!("time <= {}", sql_time(before))));
        all.extend(self.level.map(|level| format!("{LEVEL} = {}", quoted(level))));
        all.extend(self.text.as_ref().map(|text| format!("contains(lower(body), lower({}))", quoted(text))));
        all.extend(self.trace.as_ref().map(|trace| format!("trace_id = {}", quoted(trace))));
        all.join("\n  AND ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_what_was_asked_for_and_nothing_more() {
        let params = Params::parse(
            "q=it%27s&service=a&level=warn&where=http.route+%3D+%2Fcart%3Fa%3D1&where=x&trace=AB&before=5&skip=2",
        );
        let filter = Filter::read(&params);
        let range = Range { from: 0, to: 10, last: None, problem: None };
        let sql = filter.conditions(&range, filter.before);
        for condition in [
            "contains(lower(body), lower('it''s'))",
            "service_name = 'a'",
            "END = 'warn'",
            "attributes.\"http.route\" = '/cart?a=1'",
            "trace_id = 'ab'",
            "time <= TIMESTAMP_NS '1970-01-01 00:00:00.000000005'",
        ] {
            assert!(sql.contains(condition), "{condition} in {sql}");
        }
        assert_eq!((filter.skip, filter.common.problems.len()), (2, 1), "{filter:?}");
        assert_eq!(Filter::read(&Params::parse("level=loud")).common.problems, ["there is no level \"loud\""]);
    }
}
