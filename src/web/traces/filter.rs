//! What is searched for among spans.

use crate::web::filter::Common;
use crate::web::params::Params;
use crate::web::range::{Nanos, Range};
use crate::web::sql::quoted;

/// The order of traces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// By their newest span.
    #[default]
    Newest,
    /// By their longest span.
    Slowest,
}

/// The conditions of a page: a trace is found if one of its spans meets all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What all searches have.
    pub common: Common,
    /// Of this name.
    pub name: Option<String>,
    /// Failed ones.
    pub only_errors: bool,
    /// That took so long, in nanoseconds.
    pub min: Option<Nanos>,
    /// That took less than this, in nanoseconds.
    pub max: Option<Nanos>,
    /// The order.
    pub order: Order,
    /// How many traces the pages before have shown.
    pub skip: usize,
}

impl Filter {
    /// What a page's parameters ask for.
    pub fn read(params: &Params) -> Self {
        let mut common = Common::read(params);
        let mut length = |name: &str| {
            let text = params.get(name)?;
            let parsed =
                humantime::parse_duration(text).ok().and_then(|length| Nanos::try_from(length.as_nanos()).ok());
            if parsed.is_none() {
                common.problems.push(format!("{text:?} is no duration, expected such as 100ms"));
            }
            parsed
        };
        let (min, max) = (length("min"), length("max"));
        Filter {
            common,
            name: params.get("name").map(str::to_owned),
            only_errors: params.get("status") == Some("error"),
            min,
            max,
            order: if params.get("order") == Some("slowest") { Order::Slowest } else { Order::Newest },
            skip: params.get("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0),
        }
    }

    /// All conditions in SQL.
    pub fn conditions(&self, range: &Range) -> String {
        let mut all = self.common.conditions(range, "start_time");
        all.extend(self.name.as_ref().map(|name| format!("name = {}", quoted(name))));
        all.extend(self.only_errors.then(|| "status_code = 'error'".to_owned()));
        all.extend(self.min.map(|min| format!("duration_ns >= {min}")));
        all.extend(self.max.map(|max| format!("duration_ns < {max}")));
        all.join("\n    AND ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_what_was_asked_for_and_nothing_more() {
        let params = Params::parse("service=it%27s&name=GET&status=error&where=a.b+%3D+1&min=1ms&max=x&order=slowest");
        let filter = Filter::read(&params);
        let sql = filter.conditions(&Range { from: 0, to: 1, last: None, problem: None });
        for condition in [
            "service_name = 'it''s'",
            "name = 'GET'",
            "status_code = 'error'",
            "duration_ns >= 1000000",
            "attributes.\"a.b\" = '1'",
        ] {
            assert!(sql.contains(condition), "{condition} in {sql}");
        }
        assert!(!sql.contains("duration_ns <"), "{sql}");
        assert_eq!((filter.order, filter.common.problems.len()), (Order::Slowest, 1));
    }
}
