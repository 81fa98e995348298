//! The live tail: what is acknowledged at this moment, as a page, as Server-Sent Events for its script, and as
//! lines of JSON for programs.
//!
//! The page is a form and an empty table; the script fills it. Answers of [`PATH`] go on until the reader leaves
//! or the program stops. A reader that is silent for long is found out by an empty line now and then.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use maud::{Markup, html};
use serde_json::json;

use super::guard::Admitted;
use super::layout::{Page, View, choice};
use super::params::Params;
use super::{Site, reply, routes};
use crate::signal::Signal;
use crate::tail::tap::MAX_RATE;
use crate::tail::{Event, Filter, FilterError, Subscription, Wanted};

/// Where the answers are that go on.
pub const PATH: &str = "/api/v1/tail";

/// Lines a second that the page asks for: more than anybody reads.
const PAGE_RATE: u32 = 50;

/// Something is sent at least this often, so that a reader who is gone is found out.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often it is looked whether who watches still may.
const CHECK: Duration = Duration::from_secs(2);

/// What is wrong with the parameters of a tail.
#[derive(Debug, thiserror::Error)]
enum BadTail {
    #[error("signal: {0:?} is none of traces, metrics, logs, profiles")]
    Signal(String),
    #[error("where: {error} ({text})")]
    Filter { error: FilterError, text: String },
    #[error("rate: {0:?} is no number of lines a second from 1 to {MAX_RATE}")]
    Rate(String),
}

fn wanted(params: &Params) -> Result<Wanted, BadTail> {
    let signal = match params.get("signal") {
        None => None,
        Some(name) => {
            Some(Signal::ALL.into_iter().find(|of| of.name() == name).ok_or_else(|| BadTail::Signal(name.to_owned()))?)
        }
    };
    let mut filter = Filter::default();
    for text in params.all("where") {
        let one = Filter::parse(text).map_err(|error| BadTail::Filter { error, text: text.to_owned() })?;
        filter = filter.and(one);
    }
    let rate = match params.get("rate") {
        None => MAX_RATE,
        Some(text) => {
            let rate = text.parse().ok().filter(|rate| (1..=MAX_RATE).contains(rate));
            rate.ok_or_else(|| BadTail::Rate(text.to_owned()))?
        }
    };
    Ok(Wanted { signal, filter, rate })
}

/// The items, as they are acknowledged.
pub async fn api(State(site): State<Site>, request: Request) -> Response<Body> {
    let refuse = |status, error: String| {
        reply(status, "application/json", format!("{}\n", json!({ "error": error }))).map(Body::new)
    };
    // A foreign page could not read it, but could take the places of others.
    if !site.hosts.is_same_origin(&request) {
        return refuse(StatusCode::FORBIDDEN, "a page of another site asks".to_owned());
    }
    let wanted = match wanted(&routes::params(request.uri())) {
        Ok(wanted) => wanted,
        Err(bad) => return refuse(StatusCode::BAD_REQUEST, bad.to_string()),
    };
    let subscription = match site.view.tap().open(wanted) {
        Ok(subscription) => subscription,
        Err(busy) => return refuse(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()),
    };
    let admitted = request.extensions().get::<Admitted>().cloned();
    let events = stream::unfold(subscription, async |mut subscription: Subscription| {
        subscription.next().await.map(|event| (event, subscription))
    });
    let events = events.take_until(Box::pin(not_admitted(admitted)));
    if accepts_events(request.headers()) {
        let events = events.map(|event| Ok::<_, Infallible>(server_sent(&event)));
        Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
    } else {
        let mut response = Response::new(Body::from_stream(lines(events)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        response
    }
}

/// Waits until who watches would not be let in any more.
async fn not_admitted(admitted: Option<Admitted>) {
    loop {
        tokio::time::sleep(CHECK).await;
        if admitted.as_ref().is_some_and(|admitted| !admitted.still_holds()) {
            return;
        }
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

fn server_sent(event: &Event) -> sse::Event {
    match event {
        Event::Line(line) => sse::Event::default().data(line),
        Event::Lost(lost) => sse::Event::default().event("lost").data(json!(lost).to_string()),
    }
}

/// Lines of JSON; an empty one where nothing else is sent for a while.
fn lines(events: impl Stream<Item = Event> + Send + 'static) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(Box::pin(events), async |mut events| {
        let text = match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
            Ok(Some(Event::Line(line))) => format!("{line}\n"),
            Ok(Some(Event::Lost(lost))) => format!("{}\n", json!({ "lost": lost })),
            Ok(None) => return None,
            Err(_) => "\n".to_owned(),
        };
        Some((Ok(Bytes::from(text)), events))
    })
}

/// The page.
pub async fn page(uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let wanted = wanted(&asked(&params));
    let content = html! {
        h1 { "Live tail" }
        (form(&params))
        @match &wanted {
            Err(bad) => p.problem role="alert" { (bad.to_string()) },
            Ok(_) => (table(&asked(&params).and("rate", PAGE_RATE.to_string()).link(PATH))),
        }
        (help())
    };
    Page::of(View::Tail, &params).titled("Live tail").answer(StatusCode::OK, content)
}

/// The parameters of the page as those of the answer.
fn asked(params: &Params) -> Params {
    let mut asked = params.only(&["signal", "where"]);
    for (field, key) in [("service", "service"), ("severity", "severity")] {
        if let Some(value) = params.get(field) {
            let sign = if key == "severity" { ">=" } else { "=" };
            asked = asked.and("where", format!("{key}{sign}\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        }
    }
    if params.get("errors").is_some() {
        asked = asked.and("where", "error=true");
    }
    asked
}

fn form(params: &Params) -> Markup {
    let text = |name: &str| params.get(name).unwrap_or_default().to_owned();
    html! {
        form.filters method="get" action="/tail" aria-label="Filter" {
            @for (name, value) in params.kept().pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Signal" }
                (choice("signal", params.get("signal"), &Signal::ALL.map(Signal::name), "all signals")) }
            label { span { "Service" } input name="service" value=(text("service")); }
            label { span { "Severity at least" }
                (choice("severity", params.get("severity"), &["debug", "info", "warn", "error", "fatal"], "any")) }
            label.wide { span { "Filter" }
                input name="where" data-search value=(text("where")) placeholder="http.route=/cart duration>100ms" spellcheck="false"; }
            label.check { input type="checkbox" name="errors" value="1" checked[params.get("errors").is_some()]; span { "errors only" } }
            button { "Watch" }
            a href=(params.kept().link("/tail")) { "Clear" }
        }
    }
}

/// What the script fills.
fn table(address: &str) -> Markup {
    html! {
        div #tail data-tail=(address) {
            p.actions {
                button type="button" data-pause disabled { "Pause" }
                button type="button" data-clear disabled { "Clear the list" }
                span role="status" data-state { "Needs the page's script; " code { "vispyr tail" } " does the same in a terminal." }
            }
            p.warning hidden data-lost {}
            div.scroll tabindex="0" role="region" aria-label="Items as they come in" {
                table.records {
                    thead { tr {
                        th scope="col" { "Time" } th scope="col" { "Signal" } th scope="col" { "Service" }
                        th scope="col" { "What" } th.n scope="col" { "Value" } th scope="col" { "Attributes" }
                    } }
                    tbody {}
                }
            }
        }
    }
}

fn help() -> Markup {
    let terms = [
        ("service=checkout", "the value; != for another one or none"),
        ("name~cart", "a value in which the text is, in any case; !~ in which it is not"),
        ("severity>=warn", "also >, <, <= and =; trace, debug, info, warn, error, fatal"),
        ("duration>100ms", "spans and profiles; ns, us, ms, s, m, h"),
        ("http.route=/cart", "an attribute of the item or its resource, by its name"),
        ("error=true", "spans whose status is an error, log records of severity error or more"),
        ("\"timed out\"", "in the name or the text, in any case"),
    ];
    html! {
        details {
            summary { "How to filter" }
            p { "All terms must hold. Other keys: status, kind, trace, span, body, value." }
            dl.fields { @for (term, about) in terms { div { dt { code { (term) } } dd { (about) } } } }
            p { "For scripts, as lines of JSON: " code { "vispyr tail --signal logs --where 'severity>=warn'" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_parameters_are_told() {
        for (query, problem) in [
            ("signal=spans", "signal: \"spans\" is none of"),
            ("where=a%3Db&where=severity%3Ewrn", "where: character 10 of the filter: \"wrn\" is no severity"),
            ("rate=0", "rate: \"0\" is no number"),
            ("rate=1001", "from 1 to 1000"),
        ] {
            let error = wanted(&Params::parse(query)).expect_err(query).to_string();
            assert!(error.contains(problem), "{error}");
        }
        let good = wanted(&Params::parse("signal=logs&where=a%3Db&where=c&rate=5")).unwrap();
        assert_eq!((good.signal, good.rate), (Some(Signal::Logs), 5));
    }

    #[test]
    fn what_the_form_says_is_asked_for() {
        let params = Params::parse("service=a+%22b%22%5C&severity=warn&errors=1&where=x&signal=logs&range=1h");
        let expected = r#"signal=logs&where=x&where=service="a \"b\"\\"&where=severity>="warn"&where=error=true"#;
        let asked = asked(&params);
        let said: Vec<_> = asked.pairs().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut said = said;
        said.sort_by_key(|pair| pair.starts_with("where"));
        assert_eq!(said.join("&"), expected);
        assert!(wanted(&asked).is_ok());
    }
}
