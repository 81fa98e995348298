//! What is known of one metric.

use maud::{Markup, html};

use super::selection::Selection;
use super::{PATH, unit};
use crate::web::params::Params;
use crate::web::range::{Nanos, Range};
use crate::web::sql::{Rows, quoted};
use crate::web::text::{count, duration, foreign, whole};

/// Types that senders give to one metric, at most.
pub const MAX: usize = 10;

/// Labels and values that are listed.
pub const MAX_LABELS: usize = 300;

/// Values of a label that are listed.
const VALUES: usize = 10;

/// How a metric is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Number {
        /// Whether they only grow.
        is_counter: bool,
        /// Whether each is what came since the one before.
        is_delta: bool,
    },
    /// Distributions with buckets.
    Histogram,
    /// The buckets of a distribution as series of their own, as Prometheus has them: label `le`.
    Buckets,
    /// Quantiles that the sender has computed.
    Summary,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// How it is drawn; nothing if there is no point.
    pub kind: Option<Kind>,
    /// Its unit; empty if unknown.
    pub unit: String,
    /// Series that have points in the range.
    pub series: u64,
    /// How often a point of a series comes, in nanoseconds.
    pub interval: Nanos,
    /// Its type in the sender's words; empty if unknown.
    pub metric_type: String,
    /// What the sender says of it.
    pub description: String,
    /// Cumulative or delta, where that applies.
    pub temporality: String,
    /// Points in the range.
    pub points: u64,
    /// Other types and units that senders give to it.
    pub odd: Vec<String>,
}

/// Types, and how many series and points have them.
pub fn sql(selection: &Selection, range: &Range) -> String {
    format!(
        "SELECT type, temporality, monotonic, unit, bool_or(has_buckets) AS has_buckets, count(*) AS series, sum(points)::BIGINT AS points,\n  \
         median(distance)::BIGINT AS distance\nFROM (\n  \
         SELECT series_id, type, temporality, monotonic, unit, count(*) AS points,\n    \
         (max(epoch_ns(time)) - min(epoch_ns(time))) / nullif(count(*) - 1, 0) AS distance\n  \
         FROM metric_points\n  WHERE metric = {} AND {}\n  GROUP BY ALL\n) AS p\n\
         JOIN (\n  SELECT series_id, metric LIKE '%\\_bucket' ESCAPE '\\' AND labels.le IS NOT NULL AS has_buckets\n  FROM series\n  WHERE {}\n) AS s USING (series_id)\n\
         GROUP BY ALL\nORDER BY points DESC\nLIMIT {MAX}",
        quoted(&selection.metric),
        range.condition("time"),
        selection.series_conditions(),
    )
}

/// Unit and description.
pub fn metadata_sql(selection: &Selection) -> String {
    format!("FROM metric_metadata\nWHERE metric = {}", quoted(&selection.metric))
}

/// The labels of the series that are asked for, with their most frequent values.
pub fn labels_sql(selection: &Selection) -> String {
    format!(
        "SELECT key, value, count(*) AS series, count(*) OVER (PARTITION BY key) AS values\nFROM (\n  \
         SELECT unnest(map_entries(labels::JSON::MAP(VARCHAR, VARCHAR)), recursive := true)\n  FROM series\n  WHERE {}\n  \
         UNION ALL\n  SELECT 'service', service_name FROM series WHERE {}\n) AS l\n\
         GROUP BY key, value\nQUALIFY row_number() OVER (PARTITION BY key ORDER BY count(*) DESC, value) <= {VALUES}\n\
         ORDER BY key = 'service' DESC, key, series DESC, value\nLIMIT {MAX_LABELS}",
        selection.series_conditions(),
        selection.series_conditions(),
    )
}

impl Facts {
    /// From the answers.
    pub fn read(metric: &str, kinds: &Rows, metadata: Option<&Rows>) -> Self {
        let text = |row, name| kinds.text(row, name).to_owned();
        let told = |name| metadata.map(|rows| rows.text(0, name)).unwrap_or_default().to_owned();
        let metric_type = if kinds.is_empty() { told("type") } else { text(0, "type") };
        let temporality = text(0, "temporality");
        let kind = match metric_type.as_str() {
            _ if kinds.is_empty() => None,
            _ if kinds.is_true(0, "has_buckets") => Some(Kind::Buckets),
            "histogram" | "exponential_histogram" => Some(Kind::Histogram),
            "summary" => Some(Kind::Summary),
            _ => Some(Kind::Number { is_counter: kinds.is_true(0, "monotonic"), is_delta: temporality == "delta" }),
        };
        let unit = [text(0, "unit"), told("unit")].into_iter().find(|unit| !unit.is_empty());
        let others = (1..kinds.len()).map(|row| {
            let series = kinds.whole(row, "series").unwrap_or(0);
            let parts = ["type", "temporality", "unit"].map(|name| kinds.text(row, name));
            format!("{} of {}", count(u64::try_from(series).unwrap_or(0), "series", "series"), parts.join(" ").trim())
        });
        let number = |name| kinds.whole(0, name).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
        Facts {
            kind,
            unit: unit.unwrap_or_else(|| unit::of_name(metric).to_owned()),
            series: number("series"),
            interval: kinds.whole(0, "distance").unwrap_or(0),
            metric_type,
            description: told("description"),
            temporality,
            points: number("points"),
            odd: others.collect(),
        }
    }

    /// Whether it is drawn as a distribution.
    pub fn is_distribution(&self) -> bool {
        matches!(self.kind, Some(Kind::Histogram | Kind::Buckets))
    }

    /// The width of a column that has at least one point of each series, in nanoseconds.
    pub fn column(&self, range: &Range, columns: i64) -> Nanos {
        range.bucket(columns).max(self.interval.saturating_mul(2)).max(1)
    }
}

/// The facts as a list.
pub fn show(facts: &Facts) -> Markup {
    html! {
        @if !facts.description.is_empty() { p { (foreign(&facts.description, 1000)) } }
        dl.facts {
            div { dt { "Type" } dd { (foreign(if facts.metric_type.is_empty() { "unknown" } else { &facts.metric_type }, 40)) " "
                (foreign(&facts.temporality, 40)) } }
            div { dt { "Unit" } dd { @if facts.unit.is_empty() { "none" } @else { (foreign(&facts.unit, 60)) } } }
            div { dt { "Series in this time" } dd { (whole(facts.series as i64)) } }
            div { dt { "Points" } dd { (whole(facts.points as i64)) } }
            @if facts.interval > 0 { div { dt { "A point every" } dd { (duration(facts.interval as f64)) } } }
        }
        @for odd in &facts.odd { p.warning role="status" { "Not drawn, as senders do not agree on what this metric is: " (foreign(odd, 200)) } }
    }
}

/// The labels, each value with a link that asks for it alone.
pub fn show_labels(rows: &Rows, selection: &Selection, params: &Params) -> Markup {
    let mut keys: Vec<(&str, Vec<usize>)> = Vec::new();
    for row in 0..rows.len() {
        let key = rows.text(row, "key");
        match keys.last_mut() {
            Some((last, values)) if *last == key => values.push(row),
            _ => keys.push((key, vec![row])),
        }
    }
    html! {
        h2 { "Labels" }
        div.scroll tabindex="0" role="region" aria-label="Labels of this metric" { table {
            thead { tr { th scope="col" { "Label" } th.n scope="col" { "Values" } th scope="col" { "The most frequent ones, with their series" } } }
            tbody { @for (key, values) in keys { tr data-row {
                th scope="row" { a href=(params.with("by", key).without(&["agg"]).link(PATH)) title="group by this label" { (foreign(key, 80)) } }
                td.n { (whole(rows.whole(values[0], "values").unwrap_or(0))) }
                td { ul.inline { @for row in values { li { (one_value(rows, row, key, selection, params)) } } } }
            } } }
        } }
    }
}

fn one_value(rows: &Rows, row: usize, key: &str, selection: &Selection, params: &Params) -> Markup {
    let value = rows.text(row, "value");
    let is_chosen = match key {
        "service" => selection.service.as_deref() == Some(value),
        key => selection.labels.iter().any(|(of, is)| of == key && is == value),
    };
    let link = match key {
        "service" => params.with("service", value),
        key => params.clone().and("where", format!("{key} = {value}")),
    };
    html! {
        @if is_chosen || value.chars().count() > 1000 { strong { (foreign(value, 80)) } }
        @else { a href=(link.link(PATH)) { @if value.is_empty() { em { "empty" } } @else { (foreign(value, 80)) } } }
        " " span.muted { (whole(rows.whole(row, "series").unwrap_or(0))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_two_points_of_each_series() {
        let range = Range { from: 0, to: 3_600_000_000_000, last: None, problem: None };
        let every = |seconds: i64| Facts { interval: seconds * 1_000_000_000, ..Facts::default() };
        assert_eq!(every(1).column(&range, 200), 30_000_000_000);
        assert_eq!(every(60).column(&range, 200), 120_000_000_000);
    }
}
