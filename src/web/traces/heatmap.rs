//! Durations of spans over time: each cell leads to the traces that are in it.

use maud::{Markup, html};

use super::filter::Filter;
use crate::web::params::Params;
use crate::web::range::{Range, rfc3339};
use crate::web::sql::{Rows, SAME_SPAN};
use crate::web::text::{count, duration, number, time};

/// Columns at most.
const COLUMNS: i64 = 60;

/// Rows in a power of ten.
const STEPS: f64 = 3.0;

/// Rows at most: from a nanosecond to 10^6 seconds, and those beyond in the last.
const ROWS: i64 = 45;

/// Cells at most.
pub const MAX_CELLS: usize = (2 * COLUMNS * ROWS) as usize;

/// The statement. Spans that came twice count once.
pub fn sql(filter: &Filter, range: &Range) -> String {
    format!(
        "SELECT bucket, step, count(*) AS spans, count(*) FILTER (WHERE failed) AS errors\nFROM (\n  \
         SELECT DISTINCT {SAME_SPAN} AS id, (epoch_ns(start_time) - {}) // {} AS bucket,\n    \
         least(floor(log10(greatest(duration_ns, 1)) * {STEPS}), {ROWS})::INTEGER AS step,\n    \
         status_code = 'error' AS failed\n  FROM spans\n  WHERE {}\n    AND duration_ns IS NOT NULL\n) AS s\nGROUP BY bucket, step",
        range.from,
        range.bucket(COLUMNS),
        filter.conditions(range),
    )
}

/// Where a row begins, in nanoseconds.
fn start_of(step: i64) -> f64 {
    10_f64.powf(step as f64 / STEPS)
}

/// The picture.
pub fn draw(rows: &Rows, range: &Range, params: &Params) -> Markup {
    let width = range.bucket(COLUMNS);
    let columns = range.length() / width + 1;
    let cell = |row: usize| {
        let (bucket, step) = (rows.whole(row, "bucket")?, rows.whole(row, "step")?);
        let (spans, errors) = (rows.whole(row, "spans")?, rows.whole(row, "errors")?);
        (0..columns).contains(&bucket).then_some((bucket, step, spans, errors))
    };
    let cells: Vec<_> = (0..rows.len()).filter_map(cell).collect();
    let most = cells.iter().map(|cell| cell.2).max().unwrap_or(0);
    let total: i64 = cells.iter().map(|cell| cell.2).sum();
    let (Some(low), Some(high)) = (cells.iter().map(|cell| cell.1).min(), cells.iter().map(|cell| cell.1).max()) else {
        return html! {};
    };
    let height = high - low + 1;
    let params = params.without(&["range", "skip", "id"]);
    html! {
        p { strong { (count(u64::try_from(total).unwrap_or(0), "span", "spans")) } " like that, by duration; a cell leads to its traces" }
        figure.heatmap {
            div.scale { span { (duration(start_of(high + 1))) } span { (duration(start_of(low))) } }
            svg viewBox={ "0 0 " (columns) " " (height) } preserveAspectRatio="none" role="group" aria-label="Spans by time and duration"
                data-from=(range.from) data-to=(range.from + columns * width) data-low=(start_of(low)) data-high=(start_of(high + 1)) {
                @for (bucket, step, spans, errors) in &cells {
                    @let from = range.from + bucket * width;
                    @let link = params.with("from", from.to_string()).with("to", (from + width).to_string())
                        .with("min", whole_nanos(start_of(*step))).with("max", whole_nanos(start_of(step + 1)));
                    @let label = format!("{}, {} to {}: {}, {} failed", &rfc3339(from)[..19], duration(start_of(*step)),
                        duration(start_of(step + 1)), count(*spans as u64, "span", "spans"), errors);
                    a href=(link.link("/traces")) tabindex="-1" aria-label=(label) {
                        title { (label) }
                        rect class={ "heat h" (heat(*spans, most)) } x=(bucket) y=(high - step) width="0.94" height="0.94" {}
                        @if *errors > 0 { rect.failed x=(bucket) y=(format!("{:.2}", (high - step) as f64 + 0.7)) width="0.94" height="0.24" {} }
                    }
                }
            }
            figcaption { (time(range.from)) span { "at most " (number(most as f64)) " in a cell; red: some failed" } (time(range.from + columns * width)) }
        }
    }
}

/// One of eight shades; a power of two is one, so that rare ones are seen beside many.
fn heat(spans: i64, most: i64) -> u32 {
    let share = (spans.max(1) as f64).ln_1p() / (most.max(1) as f64).ln_1p();
    ((share * 8.0).ceil() as u32).clamp(1, 8)
}

/// A duration as the fields take it.
fn whole_nanos(nanos: f64) -> String {
    format!("{}ns", nanos.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_no_gaps_and_shades_a_range() {
        assert_eq!((whole_nanos(start_of(0)), whole_nanos(start_of(3))), ("1ns".to_owned(), "10ns".to_owned()));
        assert_eq!((heat(1, 1_000_000), heat(1_000_000, 1_000_000), heat(1, 1)), (1, 8, 8));
    }
}
