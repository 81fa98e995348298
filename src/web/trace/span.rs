//! One span of a trace, with all that it has.

use maud::{Markup, html};
use serde_json::Value;

use super::Trace;
use crate::web::layout::{failed, fields};
use crate::web::params::{Params, segment};
use crate::web::sql::{AskError, Rows, quoted};
use crate::web::text::{duration, foreign, time_of};

/// Spans with one id: the halves of a call, and those that came twice.
pub const MAX: usize = 4;

/// Events and links that are shown.
const LISTED: usize = 100;

/// The statement for the spans with this id.
pub fn sql(trace: &str, span: &str) -> String {
    format!(
        "SELECT name, kind, start_time, duration_ns, status_code, left(status_message, 65536) AS status_message, service_name,\n  \
         scope_name, scope_version, span_id, parent_span_id, attributes, events, links, resource\nFROM spans\n\
         WHERE trace_id = {} AND span_id = {}\nLIMIT {}",
        quoted(trace),
        quoted(span),
        MAX + 1,
    )
}

/// The spans that a page has opened.
pub fn show(trace: &Trace, opened: &Result<Rows, AskError>, params: &Params) -> Markup {
    let rows = match opened {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    let path = format!("/trace/{}", segment(&trace.id));
    html! {
        section.opened aria-label="The opened span" {
            p { a href=(params.without(&["span"]).link(&path)) { "Close the span" } }
            @if rows.is_empty() { p { "This trace has no such span." } }
            @for row in 0..rows.len() { (one(rows, row, &path, params)) }
            @if rows.truncated { p.muted { "There is more than a page can show; SQL gives all of it." } }
        }
    }
}

fn one(rows: &Rows, row: usize, path: &str, params: &Params) -> Markup {
    let parent = rows.text(row, "parent_span_id");
    let message = rows.text(row, "status_message");
    let is_error = rows.text(row, "status_code") == "error";
    html! {
        article {
            h2 { (foreign(rows.text(row, "service_name"), 100)) " " (foreign(rows.text(row, "name"), 500)) }
            @if is_error { p.problem { "Failed" @if !message.is_empty() { ": " (foreign(message, 2000)) } } }
            dl.facts {
                div { dt { "Kind" } dd { (foreign(rows.text(row, "kind"), 40)) } }
                div { dt { "Start" } dd { (time_of(rows.text(row, "start_time"))) } }
                div { dt { "Duration" } dd { @match rows.whole(row, "duration_ns") {
                    Some(nanos) => (duration(nanos as f64)), None => "unfinished" } } }
                div { dt { "Status" } dd { (foreign(rows.text(row, "status_code"), 40)) } }
                div { dt { "Span" } dd { code { (rows.text(row, "span_id")) } } }
                div { dt { "Profile" } dd { a href=(params.kept().and("span", rows.text(row, "span_id")).link("/profiles")) { "its samples" } } }
                @if !parent.is_empty() { div { dt { "Parent" } dd {
                    a href=(params.with("span", parent).link(path)) { code { (parent) } } } } }
                div { dt { "Scope" } dd { (foreign(rows.text(row, "scope_name"), 100)) " " (foreign(rows.text(row, "scope_version"), 40)) } }
            }
            (fields("Attributes", rows.cell(row, "attributes")))
            (events(rows.cell(row, "events")))
            (links(rows.cell(row, "links"), params))
            (fields("Resource", rows.cell(row, "resource")))
        }
    }
}

fn events(events: &Value) -> Markup {
    let Some(events) = events.as_array().filter(|events| !events.is_empty()) else { return html! {} };
    html! {
        h3 { "Events" }
        ol.plain { @for event in events.iter().take(LISTED) { li {
            (time_of(event["time"].as_str().unwrap_or_default())) " " strong { (foreign(event["name"].as_str().unwrap_or_default(), 300)) }
            (fields("", &event["attributes"]))
        } } }
        @if events.len() > LISTED { p.muted { "and " (events.len() - LISTED) " more" } }
    }
}

fn links(links: &Value, params: &Params) -> Markup {
    let Some(links) = links.as_array().filter(|links| !links.is_empty()) else { return html! {} };
    html! {
        h3 { "Links" }
        ul.plain { @for link in links.iter().take(LISTED) { li {
            @let (trace, span) = (link["trace_id"].as_str().unwrap_or_default(), link["span_id"].as_str().unwrap_or_default());
            a href=(params.kept().and("span", span).link(&format!("/trace/{}", segment(trace)))) { code { (foreign(trace, 64)) } }
            " span " code { (foreign(span, 32)) }
            (fields("", &link["attributes"]))
        } } }
        @if links.len() > LISTED { p.muted { "and " (links.len() - LISTED) " more" } }
    }
}
