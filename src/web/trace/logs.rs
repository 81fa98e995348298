//! The log records of a trace, in the order of time.

use maud::{Markup, html};

use super::Trace;
use crate::web::layout::{empty, failed};
use crate::web::logs::{LEVEL, level_of};
use crate::web::params::{Params, segment};
use crate::web::range::{SECOND, sql_time};
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::{duration, foreign, nanos_of};

/// Records at most; the view Logs has all of them.
pub const MAX: usize = 500;

/// Characters of a body.
const BODY: usize = 500;

/// The statement. Clocks differ, and records may be of a moment before or after.
pub fn sql(trace: &Trace) -> String {
    format!(
        "SELECT time, {LEVEL} AS level, service_name, left(body, {BODY}) AS body, event_name, span_id\nFROM logs\n\
         WHERE trace_id = {} AND time >= {} AND time < {}\nORDER BY time\nLIMIT {}",
        quoted(&trace.id),
        sql_time(trace.start.saturating_sub(60 * SECOND).max(0)),
        sql_time(trace.end.saturating_add(60 * SECOND)),
        MAX + 1,
    )
}

/// The view Logs with the records of this trace.
fn link(trace: &Trace, params: &Params) -> String {
    let mut logs = params
        .only(&["zone"])
        .and("from", trace.start.saturating_sub(60 * SECOND).max(0).to_string())
        .and("to", trace.end.saturating_add(60 * SECOND).to_string());
    logs = logs.and("trace", trace.id.as_str());
    logs.link("/logs")
}

/// The list; each record leads to its span.
pub fn show(trace: &Trace, records: &Result<Rows, AskError>, params: &Params) -> Markup {
    let rows = match records {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    let path = format!("/trace/{}", segment(&trace.id));
    html! {
        section aria-labelledby="logs" {
            h2 #logs { "Log records" }
            @if rows.is_empty() {
                (empty("No log record has the id of this trace.", html! { p { "Applications set it where their logging is connected \
                    with tracing: OpenTelemetry's bridges for loggers do." } }))
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Log records of this trace" { table.records {
                    thead { tr { th.n scope="col" { "After the start" } th scope="col" { "Level" } th scope="col" { "Service" }
                        th scope="col" { "Message" } th scope="col" { "Span" } } }
                    tbody { @for row in 0..rows.len() { (record(trace, rows, row, &path, params)) } }
                } }
            }
            @if rows.truncated { p.muted { "The first " (MAX) " are shown." } }
            p { a href=(link(trace, params)) { "Open in the view Logs" } }
        }
    }
}

fn record(trace: &Trace, rows: &Rows, row: usize, path: &str, params: &Params) -> Markup {
    let (class, title) = level_of(rows.text(row, "level"));
    let at = nanos_of(rows.text(row, "time"));
    let after = at.map_or_else(|| "–".to_owned(), |at| duration((at - trace.start) as f64));
    let span = rows.text(row, "span_id");
    html! { tr data-row class={ "record " (class) } data-error[matches!(title, "error" | "fatal")] {
        td.n { @if let Some(at) = at { a href=(params.kept().link(&format!("/logs/at/{at}"))) { (after) } } }
        td { span.level { (title) } }
        td { (foreign(rows.text(row, "service_name"), 60)) }
        td.message { @if rows.text(row, "body").is_empty() { (foreign(rows.text(row, "event_name"), 100)) } (foreign(rows.text(row, "body"), BODY)) }
        td { @if !span.is_empty() { a href=(params.without(&["show"]).with("span", span).link(path)) { code { (foreign(span, 8)) } } } }
    } }
}
