//! Traces grouped by their root span: how many there are, how often they fail, how long they take.

use maud::{Markup, html};

use super::AROUND;
use super::filter::Filter;
use crate::web::params::{Params, segment};
use crate::web::range::Range;
use crate::web::sql::{Rows, SAME_SPAN};
use crate::web::text::{duration, foreign, number, whole};

/// Groups at most.
pub const MAX: usize = 100;

/// The statement: the roots of the traces that have a span as is asked for.
pub fn sql(filter: &Filter, range: &Range) -> String {
    let near =
        Range { from: range.from.saturating_sub(AROUND).max(0), to: range.to.saturating_add(AROUND), ..range.clone() };
    format!(
        "WITH found AS (\n  SELECT DISTINCT trace_id\n  FROM spans\n  WHERE {}\n),\n\
         roots AS (\n  SELECT any_value(service_name) AS service_name, left(any_value(name), 200) AS name, any_value(trace_id) AS trace_id,\n    \
         max(duration_ns) AS duration_ns, any_value(status_code) AS status_code\n  FROM spans\n  \
         WHERE parent_span_id IS NULL AND {} AND trace_id IN (FROM found)\n  GROUP BY {SAME_SPAN}\n)\n\
         SELECT service_name, name, count(DISTINCT trace_id) AS traces, count(*) FILTER (WHERE status_code = 'error') AS errors,\n  \
         quantile_cont(duration_ns, 0.5) AS p50, quantile_cont(duration_ns, 0.95) AS p95, max(duration_ns) AS longest,\n  \
         arg_max(trace_id, duration_ns) AS slowest\nFROM roots\nGROUP BY service_name, name\nORDER BY traces DESC, service_name, name\nLIMIT {MAX}",
        filter.conditions(range),
        near.condition("start_time"),
    )
}

/// The table.
pub fn show(rows: &Rows, params: &Params) -> Markup {
    let time = |row, name| rows.number(row, name).map_or_else(|| "–".to_owned(), duration);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Traces by root span" { table {
            thead { tr { th scope="col" { "Root" } th.n scope="col" { "Traces" } th.n scope="col" { "Failed" }
                th.n scope="col" { "p50" } th.n scope="col" { "p95" } th.n scope="col" { "Longest" } } }
            tbody { @for row in 0..rows.len() {
                @let (service, name) = (rows.text(row, "service_name"), rows.text(row, "name"));
                @let (traces, errors) = (rows.number(row, "traces").unwrap_or(0.0), rows.number(row, "errors").unwrap_or(0.0));
                @let slowest = format!("/trace/{}", segment(rows.text(row, "slowest")));
                tr data-row data-error[errors > 0.0] {
                    td { a href=(params.without(&["group"]).with("service", service).with("name", name).link("/traces")) {
                        (foreign(service, 60)) " " strong { (foreign(name, 100)) } } }
                    td.n { (whole(traces as i64)) }
                    td.n { @if errors > 0.0 { span.level.bad { (number(errors / traces.max(1.0) * 100.0)) " %" } } @else { "0 %" } }
                    td.n { (time(row, "p50")) } td.n { (time(row, "p95")) }
                    td.n { a href=(params.kept().link(&slowest)) { (time(row, "longest")) } }
                }
            } }
        } }
    }
}
