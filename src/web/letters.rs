//! Dead letters: what destinations have refused for good, to be looked at, sent again or dropped.
//!
//! Only these pages change anything. Their forms carry the token of this process, and the browser has to say
//! that one of our pages sent them.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use http::{Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use maud::{Markup, html};
use serde_json::Value;

use super::layout::{Page, View, empty};
use super::params::{Params, segment};
use super::text::{bytes, count, foreign, time_of};
use super::{DeadLetterApi, Problem, Site, routes};

/// Letters that the list shows.
const SHOWN: usize = 200;

/// Characters of a letter's content that its page shows.
const CONTENT: usize = 200_000;

/// Bytes of a form.
const MAX_FORM: usize = 16 << 10;

/// The list.
pub async fn list_page(State(site): State<Site>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let content = match site.view.letters() {
        Some(api) => list(api.as_ref(), &site, &params),
        None => starting(),
    };
    render(StatusCode::OK, &params, "Dead letters".to_owned(), content)
}

/// One of them.
pub async fn letter_page(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let (status, content) = match site.view.letters() {
        None => (StatusCode::SERVICE_UNAVAILABLE, starting()),
        Some(api) => match api.show(&id).await {
            Ok(letter) => (StatusCode::OK, letter_content(&site, &id, &letter, &params)),
            Err(problem) => (problem.status, outcome(Err(problem), &params)),
        },
    };
    render(status, &params, "Dead letter".to_owned(), content)
}

/// A form of one of these pages.
pub async fn handle(State(site): State<Site>, request: Request) -> Response<Body> {
    let params = routes::params(request.uri());
    let is_ours = site.hosts.is_same_origin(&request);
    let form = read(request.into_body()).await.unwrap_or_default();
    if !is_ours || !site.token.is(form.get("token")) {
        let why = "This form is not of this page, or of an earlier start of the program: open the page again.";
        let content = html! { h1 { "Not taken" } p.problem role="alert" { (why) } (back(&params)) };
        return render(StatusCode::FORBIDDEN, &params, "Not taken".to_owned(), content);
    }
    let Some(api) = site.view.letters() else {
        return render(StatusCode::SERVICE_UNAVAILABLE, &params, "Dead letters".to_owned(), starting());
    };
    let done = match (form.get("action"), form.get("id"), form.get("destination")) {
        (Some("retry"), Some(id), _) => api.retry(id).await,
        (Some("drop"), Some(id), _) => api.drop_letter(id).await.map(|_| Value::from("It is dropped.")),
        (Some("retry"), None, Some(destination)) => api.retry_all(destination).await,
        (Some("drop"), None, Some(destination)) => api.drop_all(destination).await,
        _ => Err(Problem { status: StatusCode::BAD_REQUEST, message: "the form says not what to do".to_owned() }),
    };
    let status = done.as_ref().map_or_else(|problem| problem.status, |_| StatusCode::OK);
    render(status, &params, "Dead letters".to_owned(), outcome(done, &params))
}

async fn read(body: Body) -> Option<Params> {
    let read: Bytes = Limited::new(body, MAX_FORM).collect().await.ok()?.to_bytes();
    Some(Params::parse(std::str::from_utf8(&read).ok()?))
}

fn render(status: StatusCode, params: &Params, title: String, content: Markup) -> Response<Body> {
    Page::of(View::Flow, params).titled(title).answer(status, content)
}

fn starting() -> Markup {
    html! { h1 { "Dead letters" } p.problem { "The collector is still starting." } }
}

fn back(params: &Params) -> Markup {
    html! { p { a href=(params.kept().link("/dead-letters")) { "All dead letters" } } }
}

/// What came of a form.
fn outcome(done: Result<Value, Problem>, params: &Params) -> Markup {
    html! {
        @match done {
            Ok(Value::String(text)) => { h1 { "Done" } p.state.ok role="status" { (text) } }
            Ok(value) => {
                h1 { "Done" }
                dl.facts { @for (name, value) in value.as_object().into_iter().flatten() {
                    @if !value.is_null() { div {
                        dt { (name.replace('_', " ")) }
                        dd { (foreign(&super::text::cell(value).unwrap_or_default(), 1000)) }
                    } }
                } }
            }
            Err(problem) => { h1 { "Not done" } p.problem role="alert" { (foreign(&problem.message, 2000)) } }
        }
        (back(params))
    }
}

fn list(api: &dyn DeadLetterApi, site: &Site, params: &Params) -> Markup {
    let destination = params.get("destination");
    let found = api.list(destination);
    let letters = found["letters"].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        h1 { "Dead letters" @if let Some(destination) = destination { " of " (destination) } }
        p.muted { "What a destination has refused for good is set aside here, so that it holds back nothing else." }
        @if letters.is_empty() {
            (empty("There are none.", html! { p { "Nothing was refused for good, or it was sent again or dropped." } }))
        } @else {
            p { (count(letters.len() as u64, "letter", "letters"))
                @if letters.len() > SHOWN { "; the first " (SHOWN) " are shown" } }
            @if let Some(destination) = destination {
                (forms(site, params, &[("destination", destination)], "all of them"))
            }
            div.scroll tabindex="0" role="region" aria-label="Dead letters" { table {
                thead { tr {
                    th scope="col" { "Set aside" } th scope="col" { "Destination" } th scope="col" { "Signal" }
                    th.n scope="col" { "Items" } th.n scope="col" { "Size" } th.n scope="col" { "Retries" } th scope="col" { "Reason" }
                } }
                tbody { @for letter in letters.iter().take(SHOWN) { (row(letter, params)) } }
            } }
        }
    }
}

fn row(letter: &Value, params: &Params) -> Markup {
    let word = |name: &str| letter[name].as_str().unwrap_or_default();
    html! { tr data-row {
        td { a href=(params.kept().link(&format!("/dead-letters/{}", segment(word("id"))))) {
            @match letter["set_aside"].as_str() { Some(at) => (time_of(at)), None => "damaged" } } }
        td { (foreign(word("destination"), 100)) } td { (word("signal")) }
        td.n { (letter["items"].as_u64().unwrap_or(0)) } td.n { (bytes(letter["bytes"].as_u64().unwrap_or(0))) }
        td.n { (letter["retries"].as_u64().unwrap_or(0)) }
        td { (foreign(letter["reason"].as_str().or(letter["damaged"].as_str()).unwrap_or_default(), 300)) }
    } }
}

fn letter_content(site: &Site, id: &str, letter: &Value, params: &Params) -> Markup {
    let facts = ["destination", "signal", "format", "items", "received", "set_aside", "retries", "last_retry", "query"];
    let content = serde_json::to_string_pretty(&letter["content"]).unwrap_or_default();
    let raw = format!("{}/{}?raw", super::DEAD_LETTERS, segment(id));
    html! {
        h1 { "Dead letter" }
        p.problem { (foreign(letter["reason"].as_str().unwrap_or("?"), 2000)) }
        dl.facts { @for name in facts { @if let Some(value) = super::text::cell(&letter[name]) { div {
            dt { (name.replace('_', " ")) } dd { (foreign(&value, 500)) }
        } } } }
        (forms(site, params, &[("id", id)], "it"))
        p { a href=(raw) download { "Its payload as it came" } " (" (bytes(letter["bytes"].as_u64().unwrap_or(0))) ")" }
        h2 { "What is in it" }
        @match letter["content_error"].as_str() {
            Some(why) => p.muted { (foreign(why, 500)) },
            None => pre.content tabindex="0" { (foreign(&content, CONTENT)) },
        }
        (back(params))
    }
}

/// The buttons.
fn forms(site: &Site, params: &Params, fields: &[(&str, &str)], what: &str) -> Markup {
    let form = |action: &str, button: &str, class: &str| {
        html! {
            form method="post" action=(params.kept().link("/dead-letters/handle")) {
                input type="hidden" name="token" value=(site.token.as_str());
                @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
                button class=(class) name="action" value=(action) { (button) }
            }
        }
    };
    html! {
        div.actions {
            (form("retry", &format!("Send {what} again"), ""))
            details {
                summary { "Drop " (what) " …" }
                p { "What is dropped is gone." }
                (form("drop", &format!("Drop {what} for good"), "danger"))
            }
        }
    }
}
