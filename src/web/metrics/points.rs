//! Lines of numbers, reduced in SQL to what a screen can show: of each pixel column of a line its first, last, least
//! and greatest point (M4, Jugel et al., VLDB 2014). So no peak is lost, and a picture of any time has a bounded size.

use serde_json::Value;

use super::facts::{Facts, Kind};
use super::selection::{Aggregation, Selection};
use crate::web::chart::lines::Line;
use crate::web::range::{Nanos, Range, SECOND, sql_time};
use crate::web::sql::{Rows, quoted};
use crate::web::text::cut;

/// Lines at most.
pub const MAX: usize = 12;

/// Pixel columns of a line of one series.
const PIXELS: i64 = 500;

/// Columns in which series are put together.
const COLUMNS: i64 = 200;

/// How far before the range the point is that the first growth is counted from.
const LOOK_BACK: Nanos = 300 * SECOND;

/// A line with the extremes of its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The line.
    pub line: Line,
    /// Its least value.
    pub low: f64,
    /// Its greatest value.
    pub high: f64,
}

/// The statement.
pub fn sql(selection: &Selection, facts: &Facts, range: &Range) -> String {
    let aggregation = selection.aggregation(facts);
    let group = selection.group().unwrap_or_else(|| "''".to_owned());
    let pixel = (range.length() / PIXELS).max(1);
    let lines = match aggregation {
        Aggregation::Each => {
            "lines AS (\n  SELECT hash(series_id, part) AS line, series_id, part, x, y FROM points\n)".to_owned()
        }
        _ => together(aggregation, facts.column(range, COLUMNS)),
    };
    let names = match aggregation {
        Aggregation::Each => "any_value(s.service_name) AS service, any_value(s.labels) AS labels, '' AS name",
        _ => "NULL AS service, NULL AS labels, any_value(s.name) AS name",
    };
    format!(
        "WITH s AS (\n  SELECT series_id, service_name, labels, {group} AS name\n  FROM series\n  WHERE {}\n),\n\
         {},\n{lines},\n\
         cells AS (\n  SELECT line, any_value(series_id) AS series_id, any_value(part) AS part, min(y) AS low, max(y) AS high,\n    \
         unnest(list_distinct([\n      {{'x': min(x), 'y': arg_min(y, x)}}, {{'x': arg_min(x, y), 'y': min(y)}},\n      \
         {{'x': arg_max(x, y), 'y': max(y)}}, {{'x': max(x), 'y': arg_max(y, x)}}\n    ])) AS point\n  \
         FROM lines\n  GROUP BY line, x // {pixel}\n),\n\
         drawn AS (\n  SELECT line, any_value(series_id) AS series_id, any_value(part) AS part, min(low) AS low, max(high) AS high,\n    \
         list([point.x::DOUBLE, point.y] ORDER BY point.x) AS points, count(*) OVER () AS lines\n  FROM cells\n  GROUP BY line\n  \
         ORDER BY high DESC\n  LIMIT {MAX}\n)\n\
         SELECT {names}, any_value(part) AS part, any_value(low) AS low, any_value(high) AS high,\n  \
         any_value(points) AS points, any_value(lines) AS lines, {} AS \"from\"\n\
         FROM drawn JOIN s USING (series_id)\nGROUP BY line\nORDER BY high DESC, line",
        selection.series_conditions(),
        points(selection, facts, range),
        range.from,
    )
}

/// The points of the series: moment after the begin of the range, value, and the seconds that it stands for.
fn points(selection: &Selection, facts: &Facts, range: &Range) -> String {
    let metric = quoted(&selection.metric);
    let recorded = "(flags IS NULL OR flags & 1 = 0)";
    if facts.kind == Some(Kind::Summary) {
        return format!(
            "points AS (\n  SELECT series_id, 'p' || round(100 * q, 3) AS part, x, y, 1 AS weight\n  FROM (\n    \
             SELECT series_id, epoch_ns(time) - {} AS x, unnest(quantiles) AS q, unnest(quantile_values) AS y\n    \
             FROM metric_points\n    WHERE metric = {metric} AND {} AND {recorded}\n  )\n  WHERE isfinite(y)\n)",
            range.from,
            range.condition("time"),
        );
    }
    if !selection.is_rate(facts) {
        return format!(
            "points AS (\n  SELECT series_id, NULL AS part, epoch_ns(time) - {} AS x, value AS y, 1 AS weight\n  \
             FROM metric_points\n  WHERE metric = {metric} AND {} AND {recorded} AND isfinite(value)\n)",
            range.from,
            range.condition("time"),
        );
    }
    // A counter that is less than before, or of a later start, has begun again at zero.
    let (growth, since) = match facts.kind {
        Some(Kind::Number { is_delta: true, .. }) => (
            "value",
            "CASE WHEN epoch_ns(start_time) BETWEEN 1 AND epoch_ns(time) - 1 THEN epoch_ns(start_time) ELSE prev_time END",
        ),
        _ => {
            ("CASE WHEN value < prev OR epoch_ns(start_time) > prev_time THEN value ELSE value - prev END", "prev_time")
        }
    };
    let (from, to) =
        (sql_time(range.from.saturating_sub(LOOK_BACK.max(2 * facts.interval)).max(0)), sql_time(range.to));
    format!(
        "points AS (\n  SELECT series_id, NULL AS part, x, growth / seconds AS y, seconds AS weight\n  FROM (\n    \
         SELECT series_id, epoch_ns(time) - {} AS x, {growth} AS growth, (epoch_ns(time) - {since}) / 1e9 AS seconds\n    FROM (\n      \
         SELECT series_id, time, start_time, value, lag(value) OVER w AS prev, epoch_ns(lag(time) OVER w) AS prev_time\n      \
         FROM metric_points\n      WHERE metric = {metric} AND time >= {from} AND time < {to} AND {recorded} AND isfinite(value)\n      \
         WINDOW w AS (PARTITION BY series_id ORDER BY time)\n    )\n  )\n  WHERE x >= 0 AND seconds > 0\n)",
        range.from,
    )
}

/// The series of a group in columns.
fn together(aggregation: Aggregation, column: Nanos) -> String {
    let (inner, outer) = match aggregation {
        Aggregation::Sum => ("sum(y * weight) / sum(weight)", "sum"),
        Aggregation::Greatest => ("max(y)", "max"),
        Aggregation::Least => ("min(y)", "min"),
        Aggregation::Mean | Aggregation::Each => ("sum(y * weight) / sum(weight)", "avg"),
    };
    format!(
        "lines AS (\n  SELECT hash(name, part) AS line, any_value(series_id) AS series_id, part, bucket * {column} + {} AS x, {outer}(y) AS y\n  FROM (\n    \
         SELECT s.name, series_id, part, x // {column} AS bucket, {inner} AS y\n    FROM points JOIN s USING (series_id)\n    GROUP BY ALL\n  )\n  \
         GROUP BY name, part, bucket\n)",
        column / 2,
    )
}

/// The lines of an answer.
pub fn read(rows: &Rows) -> Vec<Found> {
    let names = names(rows);
    let line = |(row, name): (usize, String)| {
        let from = rows.whole(row, "from").unwrap_or(0);
        let point = |point: &Value| Some((from.saturating_add(point[0].as_f64()? as Nanos), point[1].as_f64()?));
        let points = rows.cell(row, "points").as_array().into_iter().flatten().filter_map(point).collect();
        let number = |name| rows.number(row, name).unwrap_or(f64::NAN);
        Found { line: Line { name, points }, low: number("low"), high: number("high") }
    };
    names.into_iter().enumerate().map(line).collect()
}

/// What tells the lines apart: what all have is left out, unless there is nothing else.
fn names(rows: &Rows) -> Vec<String> {
    let labels = |row: usize| {
        let mut all: Vec<(String, String)> = Vec::new();
        if let Some(service) = rows.cell(row, "service").as_str() {
            all.push(("service".to_owned(), service.to_owned()));
        }
        for (key, value) in rows.cell(row, "labels").as_object().into_iter().flatten() {
            all.push((key.clone(), crate::web::text::cell(value).unwrap_or_default()));
        }
        all
    };
    let all: Vec<Vec<(String, String)>> = (0..rows.len()).map(labels).collect();
    let is_common = |label: &(String, String)| all.len() > 1 && all.iter().all(|labels| labels.contains(label));
    let name = |(row, labels): (usize, &Vec<(String, String)>)| {
        let mut parts: Vec<String> = labels
            .iter()
            .filter(|label| !is_common(label))
            .map(|(key, value)| format!("{}={}", cut(key, 60), cut(value, 100)))
            .collect();
        parts.extend([rows.text(row, "name"), rows.text(row, "part")].iter().map(|text| cut(text, 200)));
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() { "all".to_owned() } else { parts.join(" ") }
    };
    all.iter().enumerate().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_what_tells_lines_apart() {
        let rows = |text: &str| -> Rows { serde_json::from_str(text).unwrap() };
        let columns = r#""columns":[{"name":"service"},{"name":"labels"},{"name":"name"},{"name":"points"},{"name":"from"},{"name":"low"}]"#;
        let two = rows(&format!(
            r#"{{{columns},"rows":[["a",{{"k":"1","same":2}},"",[[0.0,1.5],[10.0,2.5]],"1780000000000000000",1.5],["a",{{"k":"2","same":2}},"",[],0,null]]}}"#
        ));
        let found = read(&two);
        assert_eq!(found.iter().map(|found| found.line.name.as_str()).collect::<Vec<_>>(), ["k=1", "k=2"]);
        assert_eq!(found[0].line.points, [(1_780_000_000_000_000_000, 1.5), (1_780_000_000_000_000_010, 2.5)]);
        let one = rows(&format!(r#"{{{columns},"rows":[["a",{{"k":"1"}},"",[],0,1]]}}"#));
        assert_eq!(read(&one)[0].line.name, "service=a k=1");
        let all = rows(&format!(r#"{{{columns},"rows":[[null,null,"",[],0,1]]}}"#));
        assert_eq!(read(&all)[0].line.name, "all");
    }
}
