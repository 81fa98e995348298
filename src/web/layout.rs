//! What all pages have: head, navigation, the picker of the time range, and the statements behind them.

use axum::body::Body;
use http::{Response, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::params::Params;
use super::range::{self, Range};
use super::sql::AskError;
use super::text::{cut, foreign};
use super::{assets, guard, routes};

/// The views, in the order of the navigation, with their keys.
const VIEWS: [(View, &str, &str, &str); 9] = [
    (View::Flow, "/", "Flow", "f"),
    (View::Services, "/services", "Services", "s"),
    (View::Traces, "/traces", "Traces", "t"),
    (View::Metrics, "/explore", "Metrics", "m"),
    (View::Profiles, "/profiles", "Profiles", "p"),
    (View::Logs, "/logs", "Logs", "l"),
    (View::Tail, "/tail", "Live", "v"),
    (View::Sql, "/sql", "SQL", "q"),
    (View::Health, "/health", "Health", "h"),
];

/// A part of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The pipeline.
    Flow,
    /// Rate, errors and durations.
    Services,
    /// Traces.
    Traces,
    /// Metrics.
    Metrics,
    /// Profiles.
    Profiles,
    /// Log records.
    Logs,
    /// What comes in now.
    Tail,
    /// Statements.
    Sql,
    /// Status and config.
    Health,
}

impl View {
    fn path(self) -> &'static str {
        VIEWS.into_iter().find(|(view, ..)| *view == self).map_or("/", |(_, path, ..)| path)
    }

    fn name(self) -> &'static str {
        VIEWS.into_iter().find(|(view, ..)| *view == self).map_or("", |(_, _, name, _)| name)
    }
}

/// What is on a page, and the statements behind it.
#[derive(Debug, Clone)]
pub struct Content {
    /// The main part.
    pub main: Markup,
    /// In the order in which they are shown.
    pub statements: Vec<String>,
}

impl From<Markup> for Content {
    fn from(main: Markup) -> Self {
        Content { main, statements: Vec::new() }
    }
}

/// The frame of a page.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    view: View,
    params: Params,
    range: Option<Range>,
    is_live: bool,
    is_of_session: bool,
}

/// Where the content goes. Text is escaped, and has no such thing.
const PLACE: &str = "<!---->";

impl Page {
    /// A page of a view, asked for with these parameters.
    pub fn of(view: View, params: &Params) -> Self {
        Page {
            title: view.name().to_owned(),
            view,
            params: params.clone(),
            range: None,
            is_live: false,
            is_of_session: guard::is_of_session(),
        }
    }

    /// With another title than that of its view.
    pub fn titled(self, title: impl Into<String>) -> Self {
        Page { title: title.into(), ..self }
    }

    /// Of a time range, which can be changed on it.
    pub fn over(self, range: &Range) -> Self {
        Page { range: Some(range.clone()), ..self }
    }

    /// The script is to bring it up to date every few seconds.
    pub fn live(self) -> Self {
        Page { is_live: true, ..self }
    }

    /// The whole page as an answer.
    pub fn answer(&self, status: StatusCode, content: impl Into<Content>) -> Response<Body> {
        routes::html(status, self.render(&content.into()))
    }

    /// The page up to its content, and that it is waited for.
    pub fn start(&self) -> String {
        let page = self.render(&html! { (PreEscaped(PLACE)) }.into()).into_string();
        let start = page.split_once(PLACE).map_or("", |(start, _)| start);
        start.to_owned() + &html! { p.waiting role="status" { "The store is asked …" } }.into_string()
    }

    /// The rest of it.
    pub fn rest(&self, content: &Content) -> String {
        let frame = Content { main: html! { (PreEscaped(PLACE)) }, statements: content.statements.clone() };
        let page = self.render(&frame).into_string();
        let end = page.split_once(PLACE).map_or("", |(_, end)| end);
        content.main.0.clone() + end
    }

    fn render(&self, content: &Content) -> Markup {
        let kept = self.params.kept();
        html! {
            (DOCTYPE)
            html lang="en" {
                head { (head(&self.title)) script src=(assets::script()) defer {} }
                body data-zone=[self.params.get("zone")] {
                    a.skip href="#content" { "Skip to content" }
                    header.top {
                        a.brand href=(kept.link("/")) { "Vispyr" }
                        nav aria-label="Views" {
                            ul {
                                @for (view, path, name, key) in VIEWS {
                                    li {
                                        a href=(kept.link(path)) aria-current=[(view == self.view).then_some("page")]
                                            data-key=(key) { (name) }
                                    }
                                }
                            }
                        }
                    }
                    @if let Some(range) = &self.range { (self.picker(range)) }
                    main #content tabindex="-1" data-live=[self.is_live.then_some("5")] { (content.main) }
                    footer {
                        @if !content.statements.is_empty() { (shown(&content.statements, &kept)) }
                        p.muted {
                            "Vispyr " (env!("CARGO_PKG_VERSION")) " · times in "
                            (self.zone_link("", "the browser's zone")) " or " (self.zone_link("utc", "UTC"))
                            " · press " kbd { "?" } " for the keys"
                            @if self.is_of_session { " · " a href="/logout" { "Log out" } }
                        }
                    }
                }
            }
        }
    }

    fn zone_link(&self, zone: &str, name: &str) -> Markup {
        let chosen = self.params.get("zone").unwrap_or_default() == zone;
        let query = self.params.with("zone", zone).link("");
        html! {
            @if chosen { strong { (name) } }
            @else { a href=(if query.is_empty() { "?" } else { &query }) data-replace { (name) } }
        }
    }

    fn picker(&self, range: &Range) -> Markup {
        let path = self.view.path();
        let rest = self.params.without(&["range", "from", "to", "before", "skip"]);
        let is_absolute = range.last.is_none();
        html! {
            form.picker method="get" action=(path) aria-label="Time range" {
                @for (name, value) in rest.pairs() { input type="hidden" name=(name) value=(value); }
                label {
                    span { "Time range" }
                    select name="range" data-instead="from to" {
                        @let chosen = range.last.as_deref();
                        @if let Some(other) = chosen.filter(|last| !range::CHOICES.iter().any(|(of, _)| of == last)) {
                            option value=(other) selected { "last " (other) }
                        }
                        @for (value, name) in range::CHOICES {
                            option value=(value) selected[chosen == Some(value)] { (name) }
                        }
                        option value="" selected[is_absolute] data-moments { "from … to" }
                    }
                }
                details.moments open[is_absolute] {
                    summary { "from … to" }
                    label { span { "From" } input name="from" placeholder="2026-11-29 07:00 or now-2h"
                        value=[is_absolute.then(|| short(range.from))]; }
                    label { span { "To" } input name="to" placeholder="now" value=[is_absolute.then(|| short(range.to))]; }
                    small { "UTC; instead of the choice if one is given" }
                }
                button { "Show" }
                @if let Some(problem) = &range.problem { p.problem role="alert" { (problem) "; shown is the last hour" } }
            }
        }
    }
}

/// What the heads of all pages have.
pub fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) " · Vispyr" }
        link rel="icon" href=(assets::icon()) type="image/svg+xml";
        link rel="stylesheet" href=(assets::style());
    }
}

/// A moment as the picker takes it.
fn short(nanos: range::Nanos) -> String {
    let text = range::rfc3339(nanos);
    let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{}Z", text)
}

/// The statements behind a page.
fn shown(statements: &[String], kept: &Params) -> Markup {
    html! {
        details.statements {
            summary { "Show SQL" }
            @for statement in statements {
                pre tabindex="0" { code { (statement) } }
                p { a href=(kept.clone().and("q", statement).link("/sql")) { "Open in the SQL view" } }
            }
        }
    }
}

/// What stands in the place of rows that could not be had.
pub fn failed(error: &AskError) -> Markup {
    html! {
        div.problem role="alert" {
            p { strong { "No answer. " } (error.to_string()) }
            @if *error == AskError::NoStore {
                p { "Flow and Health show what this collector does; the store's own collector shows the rest." }
            }
        }
    }
}

/// What the answer behind a page lacks.
pub fn warnings(warnings: &[String]) -> Markup {
    html! { @for warning in warnings { p.warning role="status" { (warning) } } }
}

/// What stands in the place of rows that are not there: why, and how to have some.
pub fn empty(why: &str, how: Markup) -> Markup {
    html! { div.empty { p { strong { (why) } } (how) } }
}

/// A list to choose one of; what was chosen is in it, whether it is known or not.
pub fn choice(name: &str, chosen: Option<&str>, known: &[&str], none: &str) -> Markup {
    html! {
        select name=(name) {
            option value="" { (none) }
            @if let Some(chosen) = chosen.filter(|chosen| !known.contains(chosen)) {
                option value=(chosen) selected { (cut(chosen, 60)) }
            }
            @for value in known { option value=(value) selected[chosen == Some(value)] { (cut(value, 60)) } }
        }
    }
}

/// Fields of a value that is foreign, such as attributes, by their names. Long ones are folded. An empty title is none.
pub fn fields(title: &str, value: &Value) -> Markup {
    const FIELDS: usize = 500;
    const FOLDED: usize = 300;
    const LONGEST: usize = 65_536;
    let Some(found) = value.as_object().filter(|found| !found.is_empty()) else { return html! {} };
    html! {
        @if !title.is_empty() { h3 { (title) } }
        dl.fields {
            @for (name, value) in found.iter().take(FIELDS) {
                @let text = super::text::cell(value).unwrap_or_else(|| "null".to_owned());
                div {
                    dt { (foreign(name, 200)) }
                    dd {
                        @if text.chars().nth(FOLDED).is_some() {
                            details { summary { (foreign(&text, FOLDED)) } pre tabindex="0" { (foreign(&text, LONGEST)) } }
                        } @else { (foreign(&text, FOLDED)) }
                    }
                }
            }
        }
        @if found.len() > FIELDS { p.muted { "and " (found.len() - FIELDS) " more" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_its_range_and_shows_no_markup_of_others() {
        let params = Params::parse("range=15m&service=%3Cscript%3E&zone=utc");
        let range = Range::read(&params, 1_780_000_000 * range::SECOND);
        let page = Page::of(View::Logs, &params).titled("<b>").over(&range);
        let content = Content { main: html! { p { "<u>" } }, statements: vec!["SELECT '<i>'".to_owned()] };
        let whole = page.render(&content).into_string();
        let waiting = html! { p.waiting role="status" { "The store is asked …" } }.into_string();
        assert_eq!((page.start() + &page.rest(&content)).replace(&waiting, ""), whole, "in two parts it is the same");
        let page = whole;
        assert!(
            !page.contains("<b>") && !page.contains("<u>") && !page.contains("<i>") && !page.contains("<script>"),
            "{page}"
        );
        assert!(page.contains(r#"href="/health?range=15m&amp;zone=utc""#), "{page}");
        assert!(page.contains(r#"<input type="hidden" name="service" value="&lt;script&gt;">"#), "{page}");
        assert!(page.contains(r#"<option value="15m" selected>"#), "{page}");
        assert!(!page.contains("style=") && !page.contains("onclick"), "{page}");
        assert_eq!(page.matches("aria-current").count(), 1);
    }

    #[test]
    fn a_moment_is_read_as_it_is_shown() {
        for nanos in [1_780_000_000_000_000_000, 1_780_000_000_120_000_000] {
            let params = Params::default().with("from", short(nanos)).with("to", "now");
            assert_eq!(Range::read(&params, nanos + 1).from, nanos, "{}", short(nanos));
        }
    }
}
