//! The samples of a page, in SQL.

use super::tree::Tree;
use crate::web::params::Params;
use crate::web::range::{self, Nanos, Range};
use crate::web::sql::{Rows, quoted};

/// Rows of an answer: functions in their stacks.
pub const MAX: usize = 100_000;

/// Characters of a function's name.
const NAME: usize = 300;

/// The choice of a time to compare with that is chosen freely.
pub const BETWEEN: &str = "between";
/// Its begin.
pub const BASE_FROM: &str = "base_from";
/// Its end.
pub const BASE_TO: &str = "base_to";

/// The times to compare with.
pub const BASES: [(&str, &str); 6] = [
    ("", "nothing"),
    ("before", "the time before"),
    ("1h", "an hour before"),
    ("1d", "a day before"),
    ("7d", "a week before"),
    (BETWEEN, "from … to"),
];

/// What is left out as too narrow to be seen: less than such a share of everything, and of everything where a part
/// of the picture is enlarged.
const SHARE: u32 = 5_000;
const SHARE_ENLARGED: u32 = 1_000_000;

/// What samples are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A service in a time range.
    Range,
    /// A trace.
    Trace(String),
    /// A span.
    Span(String),
}

/// A page's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What samples are of.
    pub of: Of,
    /// The service.
    pub service: Option<String>,
    /// The type, as Pyroscope names it: `name:sample_type:sample_unit:period_type:period_unit`.
    pub profile_type: Option<String>,
    /// The time to compare with.
    pub base: Option<Range>,
    /// Whether a part is looked at closely.
    is_enlarged: bool,
    /// What of it makes no sense.
    pub problems: Vec<String>,
}

impl Selection {
    /// What a page's parameters ask for.
    pub fn read(params: &Params, range: &Range) -> Self {
        let of = match (params.get("span"), params.get("trace")) {
            (Some(span), _) => Of::Span(span.to_lowercase()),
            (None, Some(trace)) => Of::Trace(trace.to_lowercase()),
            (None, None) => Of::Range,
        };
        let (base, problems) = match of {
            Of::Range => match base(params, range) {
                Ok(base) => (base, Vec::new()),
                Err(problem) => (None, vec![problem]),
            },
            _ => (None, Vec::new()),
        };
        Selection {
            service: params.get("service").map(str::to_owned),
            profile_type: params.get("type").map(str::to_owned),
            base,
            is_enlarged: params.get("frame").is_some() || params.get("function").is_some() || of != Of::Range,
            of,
            problems,
        }
    }

    /// What it was asked for decides; else the type of processor time with the most samples, or that with the most.
    pub fn choose(&mut self, types: &Rows) {
        let fits = |row: &usize| {
            let is =
                |wanted: &Option<String>, name| wanted.as_ref().is_none_or(|wanted| types.text(*row, name) == wanted);
            is(&self.service, "service_name") && is(&self.profile_type, "profile_type")
        };
        let rank = |row: &usize| match types.text(*row, "profile_type") {
            kind if kind.contains(":cpu:nanoseconds:") => 2,
            kind => u8::from(kind.contains(":nanoseconds:")),
        };
        let Some(row) = (0..types.len())
            .filter(fits)
            .max_by_key(|row| (rank(row), types.whole(*row, "samples"), std::cmp::Reverse(*row)))
        else {
            return;
        };
        self.profile_type.get_or_insert_with(|| types.text(row, "profile_type").to_owned());
        if self.of == Of::Range {
            self.service.get_or_insert_with(|| types.text(row, "service_name").to_owned());
        }
    }

    /// The unit of the values.
    pub fn unit(&self) -> &str {
        self.profile_type.as_deref().and_then(|kind| kind.split(':').nth(2)).unwrap_or_default()
    }

    /// Services and types that there are.
    pub fn types_sql(&self, range: &Range) -> String {
        let (samples, rows, condition) = match &self.of {
            Of::Range => ("sum(sample_count)::BIGINT", "profiles", range.condition("time")),
            _ => ("count(*)", "profile_samples", self.condition(range)),
        };
        format!(
            "SELECT service_name, profile_type, {samples} AS samples, max(time) AS last\nFROM {rows}\nWHERE {condition}\n\
             GROUP BY ALL\nORDER BY service_name, profile_type\nLIMIT 201"
        )
    }

    fn condition(&self, range: &Range) -> String {
        match &self.of {
            Of::Range => range.condition("time"),
            // Profilers that know of spans alone leave the trace out.
            Of::Trace(trace) => {
                let trace = quoted(trace);
                format!("(trace_id = {trace} OR span_id IN (SELECT span_id FROM spans WHERE trace_id = {trace}))")
            }
            Of::Span(span) => format!("span_id = {}", quoted(span)),
        }
    }

    /// The samples of a time as the nodes of a tree, depth first; those below the narrowest that could be seen are left
    /// out. It is what the macro `flame` does, which has no place for conditions.
    pub fn sql(&self, range: &Range) -> String {
        let mut conditions = vec![self.condition(range)];
        conditions.extend(self.profile_type.iter().map(|kind| format!("profile_type = {}", quoted(kind))));
        conditions.extend(self.service.iter().map(|service| format!("service_name = {}", quoted(service))));
        let share = if self.is_enlarged { SHARE_ENLARGED } else { SHARE };
        format!(
            "WITH sampled AS (\n  SELECT stack_id, sum(value)::BIGINT AS value\n  FROM profile_samples\n  WHERE {}\n  GROUP BY stack_id\n),\n\
             framed AS (\n  SELECT stack_id, unnest(frame_ids) AS frame_id, generate_subscripts(frame_ids, 1) AS place\n  \
             FROM stacks\n  WHERE stack_id IN (SELECT stack_id FROM sampled)\n),\n\
             paths AS (\n  SELECT stack_id, list(left(coalesce(function, '?'), {NAME}) ORDER BY place) AS path\n  \
             FROM framed LEFT JOIN frames USING (frame_id)\n  GROUP BY stack_id\n),\n\
             nodes AS (\n  SELECT whole[1:level] AS path, level, sum(value)::BIGINT AS value,\n    \
             coalesce(sum(value) FILTER (WHERE level = len(whole)), 0)::BIGINT AS self\n  FROM (\n    \
             SELECT path AS whole, value, unnest(range(0, len(path) + 1)) AS level\n    FROM sampled JOIN paths USING (stack_id)\n  )\n  GROUP BY ALL\n)\n\
             SELECT level, CASE WHEN level = 0 THEN 'total' ELSE path[-1] END AS label, value, self\nFROM nodes\n\
             WHERE value * {share} >= (SELECT sum(value) FROM sampled)\nORDER BY path",
            conditions.join("\n    AND "),
        )
    }
}

/// The time to compare with: between two moments of its own, or the page's time so long before.
fn base(params: &Params, range: &Range) -> Result<Option<Range>, String> {
    if let Some(between) = Range::between(params.get(BASE_FROM), params.get(BASE_TO), range::now()) {
        return between.map(Some);
    }
    let Some(base) = params.get("base") else { return Ok(None) };
    if base == BETWEEN {
        return Err("a time to compare with needs a moment from which it is, or up to which".to_owned());
    }
    let length = if base == "before" { Some(range.length()) } else { length(base) };
    let length = length
        .ok_or_else(|| format!("{base:?} is no time to compare with, expected before, or a length such as 1d"))?;
    let back = |nanos: Nanos| nanos.saturating_sub(length).max(0);
    Ok(Some(Range { from: back(range.from), to: back(range.to), last: None, problem: None }))
}

fn length(text: &str) -> Option<Nanos> {
    let length = Nanos::try_from(humantime::parse_duration(text).ok()?.as_nanos()).ok()?;
    Some(length).filter(|length| *length > 0)
}

/// Adds an answer to a tree, now (0) or as the time to compare with (1).
pub fn read(rows: &Rows, tree: &mut Tree, side: usize) {
    // The nodes on the way to the row before: rows of a flame graph come depth first.
    let mut way: Vec<usize> = Vec::new();
    for row in 0..rows.len() {
        let value = rows.whole(row, "value").unwrap_or(0);
        let own = rows.whole(row, "self").unwrap_or(0);
        match rows.whole(row, "level").and_then(|level| usize::try_from(level).ok()) {
            Some(0) => {
                way = vec![0];
                tree.add(0, side, (value, own));
            }
            Some(level) if level <= way.len() => {
                way.truncate(level);
                let node = tree.child(way[level - 1], rows.text(row, "label"));
                tree.add(node, side, (value, own));
                way.push(node);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_compare_with_is_as_long() {
        let range = Range { from: 7_200_000_000_000, to: 9_000_000_000_000, last: None, problem: None };
        let base = |query: &str| Selection::read(&Params::parse(query), &range).base.map(|base| (base.from, base.to));
        assert_eq!(base("base=before"), Some((5_400_000_000_000, 7_200_000_000_000)));
        assert_eq!(base("base=1h"), Some((3_600_000_000_000, 5_400_000_000_000)));
        assert_eq!((base(""), base("base=x"), base("base=1h&span=00")), (None, None, None));
        let problems = |query: &str| Selection::read(&Params::parse(query), &range).problems.len();
        assert_eq!(problems("base=0s"), 1);
        // One that is chosen freely may be of another length, and later.
        assert_eq!(
            base("base=1h&base_from=1970-01-02&base_to=1970-01-02+06:00"),
            Some((86_400_000_000_000, 108_000_000_000_000))
        );
        assert_eq!(base("base_to=7200000000000"), Some((3_600_000_000_000, 7_200_000_000_000)));
        assert_eq!((base("base_from=x"), problems("base_from=x"), problems("base_from=5&base_to=5")), (None, 1, 1));
        assert_eq!((base("base=between"), problems("base=between")), (None, 1));
    }

    #[test]
    fn rows_are_read_depth_first() {
        let rows: Rows = serde_json::from_str(
            r#"{"columns":[{"name":"level"},{"name":"label"},{"name":"value"},{"name":"self"}],
                "rows":[[0,"total",9,0],[1,"a",7,1],[2,"b",6,6],[1,"c",2,2],[9,"lost",1,1]]}"#,
        )
        .unwrap();
        let mut tree = Tree::new();
        read(&rows, &mut tree, 0);
        assert_eq!(tree.total(0), 9);
        assert_eq!(tree.functions()["b"].own, [6, 0]);
        assert_eq!(tree.above(tree.node(tree.node(0).children[0]).children[0]).len(), 2);
        assert!(!tree.functions().contains_key("lost"));
    }
}
