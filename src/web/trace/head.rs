//! What is above the spans of a trace: its facts, and what is shown of it.

use maud::{Markup, html};

use super::Trace;
use crate::web::layout::failed;
use crate::web::params::{Params, segment};
use crate::web::sql::{AskError, Rows};
use crate::web::text::{count, duration, foreign, time, whole};

/// What of a trace can be shown, by the value of the parameter `show`.
const SHOWN: [(&str, &str); 6] = [
    ("", "waterfall"),
    ("flame", "flame graph"),
    ("logs", "log records"),
    ("exemplars", "exemplars"),
    ("statistics", "statistics"),
    ("compare", "compare"),
];

/// Levels to which the spans can be folded.
const LEVELS: [usize; 4] = [1, 2, 3, 5];

/// The facts.
pub fn facts(trace: &Trace, params: &Params) -> Markup {
    let errors = trace.spans.iter().filter(|span| span.is_error).count();
    let samples = params.kept().and("trace", trace.id.as_str());
    let path = format!("/trace/{}", segment(&trace.id));
    html! {
        h1 { "Trace " code { (foreign(&trace.id, 64)) } }
        dl.facts {
            div { dt { "Start" } dd { (time(trace.start)) } }
            div { dt { "Duration" } dd { (duration((trace.end - trace.start) as f64)) } }
            div { dt { "Spans" } dd { (whole(trace.spans.len() as i64)) } }
            div { dt { "Errors" } dd { @if errors > 0 { span.level.bad { (errors) } } @else { "0" } } }
            div { dt { "Depth" } dd { (trace.depth()) } }
            div { dt { "Profile" } dd { a href=(samples.link("/profiles")) { "samples" } } }
            div { dt { "Download" } dd { a href=(format!("{path}/otlp.json")) download { "OTLP JSON" } } }
        }
        ul.services aria-label="Services" {
            @for (n, service) in trace.services.iter().enumerate() {
                li { span class={ "dot c" (n % 20) } {} " "
                    @if service.is_empty() { em { "no name" } } @else { (foreign(service, 60)) } }
            }
        }
    }
}

/// The ways to look at it.
pub fn tabs(trace: &Trace, params: &Params) -> Markup {
    let path = format!("/trace/{}", segment(&trace.id));
    let chosen = params.get("show").unwrap_or_default();
    html! {
        p.tabs { @for (n, (value, name)) in SHOWN.into_iter().enumerate() {
            @if n > 0 { " · " }
            @if value == chosen { strong aria-current="true" { (name) } }
            @else { a href=(params.without(&["row", "frame"]).with("show", value).link(&path)) { (name) } }
        } }
    }
}

/// The search inside the trace, and what of its spans is shown.
pub fn tools(trace: &Trace, params: &Params, found: Option<&Result<Rows, AskError>>, rows: usize) -> Markup {
    let path = format!("/trace/{}", segment(&trace.id));
    let base = params.without(&["row", "only", "find", "depth"]);
    let link = |name: &str, value: &str, text: &str, chosen: bool| {
        html! { @if chosen { strong { (text) } } @else { a href=(base.with(name, value).link(&path)) { (text) } } }
    };
    let only = params.get("only").unwrap_or_default();
    let depth = params.get("depth").unwrap_or_default();
    let is_all = only.is_empty() && depth.is_empty() && found.is_none();
    html! {
        form.filters method="get" action=(path) role="search" aria-label="Spans of this trace" {
            @for (name, value) in base.pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Find in this trace" } input type="search" name="find" value=[params.get("find")] data-search; }
            button { "Find" }
            span { "Show " (link("only", "", "all spans", is_all)) " · "
                (link("only", "errors", "errors", only == "errors")) " · "
                (link("only", "critical", "critical path", only == "critical")) }
            @if trace.depth() > 1 { span { "Levels "
                @for level in LEVELS.into_iter().filter(|level| *level < trace.depth()) {
                    (link("depth", &level.to_string(), &level.to_string(), depth == level.to_string())) " " } } }
        }
        @match found {
            Some(Ok(found)) => p role="status" { (count(found.len() as u64, "span is", "spans are")) " like that; shown with those above: "
                (whole(rows as i64)) },
            Some(Err(error)) => (failed(error)),
            None => {}
        }
    }
}
