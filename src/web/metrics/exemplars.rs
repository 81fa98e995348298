//! Exemplars of a metric as dots that lead to their traces.

use super::selection::Selection;
use crate::web::chart::lines::Dot;
use crate::web::params::{Params, segment};
use crate::web::range::{Range, rfc3339};
use crate::web::sql::Rows;
use crate::web::text::nanos_of;

/// Dots at most.
pub const MAX: usize = 200;

/// The greatest of each column of the picture, so that those of peaks are there.
pub fn sql(selection: &Selection, range: &Range) -> String {
    format!(
        "SELECT time, value, trace_id, span_id\nFROM exemplars\nWHERE {} AND trace_id IS NOT NULL AND isfinite(value)\n  \
         AND series_id IN (SELECT series_id FROM series WHERE {})\n\
         QUALIFY row_number() OVER (PARTITION BY (epoch_ns(time) - {}) // {} ORDER BY value DESC, time) = 1\nORDER BY time\nLIMIT {MAX}",
        range.condition("time"),
        selection.series_conditions(),
        range.from,
        (range.length() / 100).max(1),
    )
}

/// The dots of an answer.
pub fn dots(rows: &Rows, params: &Params) -> Vec<Dot> {
    let dot = |row| {
        let (at, value) = (nanos_of(rows.text(row, "time"))?, rows.number(row, "value")?);
        let trace = rows.text(row, "trace_id");
        let href = params.kept().and("span", rows.text(row, "span_id")).link(&format!("/trace/{}", segment(trace)));
        Some(Dot { at, value, href, label: format!("{}: {value}, trace {trace}", &rfc3339(at)[..19]) })
    };
    (0..rows.len()).filter_map(dot).collect()
}
