//! The exemplars that point at a trace: values of metrics that were measured in it.

use maud::{Markup, html};

use super::Trace;
use crate::web::layout::{empty, failed};
use crate::web::metrics::{PATH, unit};
use crate::web::params::{Params, segment};
use crate::web::range::{SECOND, sql_time};
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::{foreign, nanos_of, time_of};

/// Exemplars at most.
pub const MAX: usize = 200;

/// How much time of a metric is shown before and after an exemplar.
const AROUND: i64 = 900 * SECOND;

/// The statement. Clocks differ, and what was measured may be told a little later.
pub fn sql(trace: &Trace) -> String {
    format!(
        "SELECT time, value, span_id, left(metric, 1000) AS metric, service_name, left(labels::VARCHAR, 300) AS labels, unit\n\
         FROM exemplars\nJOIN (SELECT series_id, metric, service_name, labels FROM series) AS s USING (series_id)\n\
         LEFT JOIN (SELECT metric, unit FROM metric_metadata) AS m USING (metric)\n\
         WHERE trace_id = {} AND time >= {} AND time < {}\nORDER BY time, metric\nLIMIT {}",
        quoted(&trace.id),
        sql_time(trace.start.saturating_sub(60 * SECOND).max(0)),
        sql_time(trace.end.saturating_add(600 * SECOND)),
        MAX + 1,
    )
}

/// The list; each exemplar leads to its metric around its time, and to its span.
pub fn show(trace: &Trace, exemplars: &Result<Rows, AskError>, params: &Params) -> Markup {
    let rows = match exemplars {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    html! {
        section aria-labelledby="exemplars" {
            h2 #exemplars { "Exemplars" }
            @if rows.is_empty() {
                (empty("No exemplar points at this trace.", html! { p { "Metrics have exemplars where an application records them within \
                    a span that is sampled: OpenTelemetry's SDKs do by default." } }))
            } @else {
                p.muted { "Values of metrics that were measured in this trace." }
                div.scroll tabindex="0" role="region" aria-label="Exemplars that point at this trace" { table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "Metric" } th.n scope="col" { "Value" }
                        th scope="col" { "Service" } th scope="col" { "Labels" } th scope="col" { "Span" } } }
                    tbody { @for row in 0..rows.len() { (exemplar(trace, rows, row, params)) } }
                } }
            }
            @if rows.truncated { p.muted { "The first " (MAX) " are shown." } }
        }
    }
}

fn exemplar(trace: &Trace, rows: &Rows, row: usize, params: &Params) -> Markup {
    let (metric, span) = (rows.text(row, "metric"), rows.text(row, "span_id"));
    let at = nanos_of(rows.text(row, "time")).unwrap_or(trace.start);
    let around = params
        .only(&["zone"])
        .and("from", at.saturating_sub(AROUND).max(0).to_string())
        .and("to", at.saturating_add(AROUND).to_string())
        .and("metric", metric);
    html! { tr data-row {
        td { (time_of(rows.text(row, "time"))) }
        td { a href=(around.link(PATH)) { (foreign(metric, 200)) } }
        td.n { (rows.number(row, "value").map_or_else(|| "–".to_owned(), |value| unit::text(value, rows.text(row, "unit"), false))) }
        td { (foreign(rows.text(row, "service_name"), 60)) }
        td { (foreign(rows.text(row, "labels"), 300)) }
        td { @if !span.is_empty() {
            a href=(params.without(&["show"]).with("span", span).link(&format!("/trace/{}", segment(&trace.id)))) { code { (foreign(span, 8)) } } } }
    } }
}
