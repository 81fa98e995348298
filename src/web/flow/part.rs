//! The page of one part of the pipeline: its counters, the last 15 minutes, its keys of the config.

use axum::body::Body;
use axum::extract::{Path, State};
use http::{Response, StatusCode, Uri};
use maud::{Markup, html};

use super::super::history::Line;
use super::super::layout::{Page, View};
use super::super::params::Params;
use super::super::status::{SignalStatus, Status};
use super::super::text::{bytes, number, rate, whole};
use super::super::{Site, chart, health, routes};
use super::pipeline::{RECEIVERS, state_of};

/// The page of `/flow/KIND/NAME`.
pub async fn page(State(site): State<Site>, Path((kind, name)): Path<(String, String)>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let status = site.view.status().await;
    let found = match kind.as_str() {
        "receiver" => receiver(&site, &status, &name),
        "log" => log(&site, &status, &name),
        "destination" => destination(&site, &status, &name, &params),
        _ => None,
    };
    match found {
        Some((title, content)) => super::render(&params, title, content),
        None => missing(&params),
    }
}

/// The page of a part that is not there, or not any more.
fn missing(params: &Params) -> Response<Body> {
    let content = html! {
        h1 { "No such part" }
        p { "The pipeline has none of this name; a destination may have been taken out of the config. "
            a href=(params.kept().link("/")) { "What there is" } }
    };
    Page::of(View::Flow, params).titled("No such part").answer(StatusCode::NOT_FOUND, content)
}

fn receiver(site: &Site, status: &Status, name: &str) -> Option<(String, Markup)> {
    let title = RECEIVERS.iter().find(|receiver| receiver.name == name)?.title;
    let address = status.addresses.get(name)?;
    let history = site.view.history();
    let values = history.receivers.get(name).cloned().unwrap_or_default();
    let refused: Vec<_> =
        status.refusals.as_array().into_iter().flatten().filter(|one| one["receiver"] == name).collect();
    let content = html! {
        h1 { (title) }
        p { "Listens on " code { (address) } "." }
        (chart("Acknowledged items a second", &values, history.step_seconds, rate))
        h2 { "Refused requests" }
        @if refused.is_empty() { p.muted { "None since the start." } }
        ul.plain { @for one in refused { li {
            (one["requests"].as_u64().unwrap_or(0)) " × " (one["reason"].as_str().unwrap_or("?")) ": "
            (crate::web::text::foreign(one["last"].as_str().unwrap_or("?"), 500))
        } } }
        (health::settings("Its keys of the config", &settings(site, &format!("receivers.{name}."))))
    };
    Some((title.to_owned(), content))
}

fn log(site: &Site, status: &Status, name: &str) -> Option<(String, Markup)> {
    let (n, signal) = status.signals.iter().enumerate().find(|(_, signal)| signal.signal == name)?;
    let history = site.view.history();
    let title = format!("Log of {name}");
    let content = html! {
        h1 { (title) }
        @if let Some(problem) = signal.log.problem() { p.problem { "It " (problem) } }
        dl.facts {
            div { dt { "Size" } dd { (bytes(signal.log.size_bytes)) } }
            div { dt { "A sync" } dd { (format!("{:.1} ms", signal.log.sync_milliseconds)) } }
            div { dt { "Acknowledged" } dd { (count(signal.acknowledged_items)) } }
            div { dt { "Corrupt records" } dd { (count(signal.log.corrupt_records)) } }
            div { dt { "Missing records" } dd { (count(signal.log.missing_records)) } }
        }
        (chart("Acknowledged items a second", &history.signals[n.min(3)], history.step_seconds, rate))
        (chart("Size of the log", &history.log_bytes[n.min(3)], history.step_seconds, |value| bytes(value as u64)))
        h2 { "Who reads it" }
        (destinations(&[signal], None))
        (health::settings("Its keys of the config", &settings(site, "wal.")))
    };
    Some((title, content))
}

fn destination(site: &Site, status: &Status, name: &str, params: &Params) -> Option<(String, Markup)> {
    let signals: Vec<&SignalStatus> = status.signals.iter().collect();
    let of = || signals.iter().flat_map(|signal| &signal.log.destinations).filter(|to| to.name == name);
    let first = of().next()?;
    let history = site.view.history();
    let letters: u64 = of().map(|to| to.dead_letters).sum();
    let line = |lines: &std::collections::BTreeMap<String, Line>| lines.get(name).cloned().unwrap_or_default();
    let content = html! {
        h1 { (name) }
        @if !first.kind.is_empty() { p { "A destination of the type " code { (first.kind) } "." } }
        @for to in of() {
            @let error = to.last_error_time.as_deref().zip(to.last_error.as_deref());
            (health::condition(to.failing_since.as_deref(), error))
        }
        (chart("Items a second that it has taken or refused", &line(&history.destinations), history.step_seconds, rate))
        (chart("Items that wait for it", &line(&history.waiting), history.step_seconds, number))
        @if first.store {
            p.muted { "What waits for a store is visible in its answers already; it waits to be sealed into files." }
        }
        (destinations(&signals, Some(name)))
        p {
            @if letters == 0 { "No dead letters." } @else {
                a href=(params.kept().with("destination", name).link("/dead-letters")) { (count(letters)) " dead letters" }
                ": what it has refused for good."
            }
        }
        (health::settings("Its keys of the config", &settings(site, &format!("exporters.{name}."))))
    };
    Some((name.to_owned(), content))
}

/// What waits for destinations, by signal.
fn destinations(signals: &[&SignalStatus], only: Option<&str>) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Destinations by signal" { table {
            thead { tr {
                th scope="col" { "Signal" } th scope="col" { "Destination" } th scope="col" { "State" }
                th.n scope="col" { "Waiting items" } th.n scope="col" { "Waiting bytes" } th.n scope="col" { "Behind" }
                th.n scope="col" { "Dropped" } th.n scope="col" { "Dead letters" }
            } }
            tbody { @for signal in signals {
                @for to in signal.log.destinations.iter().filter(|to| only.is_none_or(|name| to.name == name)) {
                    @let state = state_of(to, signal.rate.last_minute);
                    tr {
                        th scope="row" { (signal.signal) } td { (to.name) }
                        td { span class={ "level " (state.class()) } { (word(state.class())) } }
                        td.n { (count(to.waiting_items)) } td.n { (bytes(to.waiting_bytes)) }
                        td.n { @if to.store || to.waiting_records == 0 { "–" } @else {
                            (crate::web::text::duration(to.lag_seconds * 1e9)) } }
                        td.n { (count(to.dropped_items)) } td.n { (count(to.dead_letters)) }
                    }
                }
            } }
        } }
    }
}

/// A state in a word, for those who do not see its colour.
fn word(class: &str) -> &'static str {
    match class {
        "ok" => "works",
        "warn" => "behind or lossy",
        "bad" => "takes nothing",
        _ => "idle",
    }
}

fn count(number: u64) -> String {
    whole(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The keys of the config that begin so.
fn settings(site: &Site, prefix: &str) -> Vec<super::super::Setting> {
    site.view.settings().into_iter().filter(|setting| setting.key.starts_with(prefix)).collect()
}

/// The last 15 minutes of a value.
fn chart(title: &str, values: &Line, step_seconds: u64, show: impl Fn(f64) -> String) -> Markup {
    let (last, most) = (values.0.last().copied(), values.0.iter().copied().fold(0.0, f64::max));
    let minutes = (values.0.len() as u64 * step_seconds).div_ceil(60);
    html! {
        figure.trend {
            figcaption {
                strong { (title) } " "
                @match last {
                    Some(last) => { (show(last)) span.muted { " now, at most " (show(most)) " in the last " (minutes) " min" } }
                    None => span.muted { "no values yet: there is one each " (step_seconds) " s" }
                }
            }
            (chart::sparkline(&values.0, (600, 60), title))
        }
    }
}
