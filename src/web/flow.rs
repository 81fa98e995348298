//! The view Flow: the pipeline as a picture with its rates, and a page for each of its parts.
//!
//! | module | what |
//! |---|---|
//! | [`pipeline`] | the picture |
//! | [`part`] | the page of a receiver, a log or a destination |

mod part;
mod pipeline;

use axum::body::Body;
use axum::extract::State;
use http::{Response, StatusCode, Uri};
use maud::html;

use super::layout::{Page, View};
use super::params::Params;
use super::text::count;
use super::{Site, health, routes};

pub use part::page as part_page;

/// The page.
pub async fn page(State(site): State<Site>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let status = site.view.status().await;
    let history = site.view.history();
    let received: u64 = status.signals.iter().map(|signal| signal.received_items).sum();
    let content = html! {
        h1 { "Flow" }
        (health::state(&status))
        div.picture tabindex="0" role="region" aria-label="The pipeline" {
            (pipeline::draw(&status, &history, &params.kept()))
        }
        ul.legend aria-label="Colours" {
            li.ok { "data flows" } li.idle { "nothing to do" } li.warn { "is behind or full, or has dropped or set aside items" }
            li.bad { "takes nothing" }
        }
        @if received == 0 {
            (super::layout::empty("Nothing has come in since the start.", html! {
                p { "Send telemetry to one of the ports in " a href=(params.kept().link("/health")) { "Health" }
                    ", or let " code { "vispyr demo" } " send that of a small make-believe shop." }
            }))
        }
        (letters(&site, &params))
    };
    render(&params, "Flow".to_owned(), content)
}

/// How many dead letters there are.
fn letters(site: &Site, params: &Params) -> maud::Markup {
    let Some(api) = site.view.letters() else { return html! {} };
    let list = api.list(None);
    let number = list["letters"].as_array().map_or(0, Vec::len);
    html! {
        @if number > 0 {
            p.warning {
                a href=(params.kept().link("/dead-letters")) { (count(number as u64, "dead letter", "dead letters")) }
                ": what destinations have refused for good."
            }
        } @else { p.muted { "No dead letters." } }
    }
}

/// A page of this view: it is brought up to date while it is looked at.
fn render(params: &Params, title: String, content: maud::Markup) -> Response<Body> {
    Page::of(View::Flow, params).titled(title).live().answer(StatusCode::OK, content)
}
