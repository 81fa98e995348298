//! The view Profiles: where time and memory went, as a flame graph of a time range, of a trace or of a span.
//!
//! | module | what |
//! |---|---|
//! | [`statement`] | the samples of a page, in SQL |
//! | [`tree`] | what called what, and how much of it |
//! | [`graph`] | the picture: what is too narrow to be seen is not sent |
//! | [`table`] | functions by what they took themselves and in total |

pub mod graph;
mod statement;
mod table;
pub mod tree;

use maud::{Markup, html};

use super::Site;
use super::empty::{PROFILES, why};
use super::layout::{Content, choice, empty, failed, warnings};
use super::params::{Params, segment};
use super::range::Range;
use super::sql::Rows;
use super::text::{count, foreign, time, time_of, whole};
use statement::{BASE_FROM, BASE_TO, BETWEEN, Of, Selection};
use tree::Tree;

/// Where the view is.
pub const PATH: &str = "/profiles";

/// Services and types to choose from.
const TYPES: usize = 200;

/// What is on the page.
pub async fn content(site: Site, params: Params, range: Range) -> Content {
    let mut selection = Selection::read(&params, &range);
    let mut statements = vec![selection.types_sql(&range)];
    let types = site.rows(&statements[0], TYPES).await;
    let content = match types {
        Err(error) => html! { h1 { "Profiles" } (failed(&error)) },
        Ok(types) if types.is_empty() => html! {
            h1 { "Profiles" }
            (origin(&selection, &params))
            (nothing(&site, &selection, &range, &params).await)
        },
        Ok(types) => {
            selection.choose(&types);
            let drawn = draw(&site, &selection, &range, &params, &mut statements).await;
            html! {
                h1 { "Profiles" }
                (warnings(&types.warnings))
                (origin(&selection, &params))
                (form(&selection, &types, &params))
                (drawn)
                (list(&types, &selection, &params))
            }
        }
    };
    Content { main: content, statements }
}

/// Asks for the samples and draws them.
async fn draw(
    site: &Site,
    selection: &Selection,
    range: &Range,
    params: &Params,
    statements: &mut Vec<String>,
) -> Markup {
    let now = selection.sql(range);
    let base = selection.base.as_ref().map(|base| selection.sql(base));
    let (rows, base_rows) = tokio::join!(site.rows(&now, statement::MAX), async {
        match &base {
            Some(base) => Some(site.rows(base, statement::MAX).await),
            None => None,
        }
    });
    statements.push(now);
    statements.extend(base);
    let both = rows.and_then(|rows| Ok((rows, base_rows.transpose()?)));
    match both {
        Err(error) => failed(&error),
        Ok((rows, base)) => {
            let lacking = html! { (warnings(&rows.warnings)) @if rows.truncated { p.warning role="status" { "There are more stacks than a page looks at: take a shorter time." } } };
            let mut tree = Tree::new();
            statement::read(&rows, &mut tree, 0);
            if let Some(base) = &base {
                statement::read(base, &mut tree, 1);
            }
            html! {
                (lacking)
                @if tree.total(0) == 0 && tree.total(1) == 0 { (nothing(site, selection, range, params).await) }
                @else { (show(&tree, selection, params)) }
            }
        }
    }
}

/// What stands in the place of samples.
async fn nothing(site: &Site, selection: &Selection, range: &Range, params: &Params) -> Markup {
    match selection.of {
        Of::Range => why(site, &PROFILES, range, params, PATH).await,
        Of::Trace(_) | Of::Span(_) => empty(
            "No sample of a profile is linked to it.",
            html! { p { "Profilers link their samples to spans where they know of them: OpenTelemetry's by links of OTLP, Pyroscope's by \
            the label " code { "span_id" } ". Samples that retention has removed are gone." } },
        ),
    }
}

/// The pictures and the table of a tree.
fn show(tree: &Tree, selection: &Selection, params: &Params) -> Markup {
    let unit = selection.unit();
    let is_compared = selection.base.is_some();
    let find = params.get("find");
    let view = graph::Graph { unit, is_compared, find, params, path: PATH };
    html! {
        p role="status" {
            strong { (table::amount(tree.total(0), unit)) } " in all"
            @if let Some(base) = &selection.base { ", compared with " strong { (table::amount(tree.total(1), unit)) }
                " of " (time(base.from)) " to " (time(base.to)) }
            @if let Some(find) = find { ", of which " (table::percent(tree.share_of(find))) " is in functions with " bdi { (super::text::cut(find, 60)) } }
        }
        @if is_compared { p.muted { "Widths are shares of both times. " span.more { "■" } " more than before, " span.less { "■" } " less." } }
        @match params.get("function") {
            Some(function) => (sandwich(tree, function, &view)),
            None => {
                @let frame = params.get("frame").and_then(|frame| u64::from_str_radix(frame, 16).ok());
                @if frame.is_some() { p { a href=(params.without(&["frame"]).link(PATH)) { "Show all" } } }
                (view.draw(tree, frame, "Flame graph: what is below was called by what is above"))
            }
        }
        (table::draw(tree, unit, is_compared, params))
    }
}

/// What called a function, and what it called.
fn sandwich(tree: &Tree, function: &str, view: &graph::Graph<'_>) -> Markup {
    let (callers, callees) = (tree.callers(function), tree.callees(function));
    html! {
        h2 { "Function " code { (foreign(function, 200)) } }
        p { a href=(view.params.without(&["function", "frame"]).link(PATH)) { "Back to the flame graph" } }
        @if callees.total(0) + callees.total(1) == 0 { p { "It is in no stack of this time." } } @else {
            h3 { "Callers" }
            (view.draw(&callers, None, "Callers: what is below called what is above"))
            h3 { "Callees" }
            (view.draw(&callees, None, "Callees: what is below was called by what is above"))
        }
    }
}

/// The trace or the span that the samples are of.
fn origin(selection: &Selection, params: &Params) -> Markup {
    html! { @match &selection.of {
        Of::Range => {}
        Of::Trace(id) => p { "Samples of the trace " a href=(params.kept().link(&format!("/trace/{}", segment(id)))) { code { (foreign(id, 64)) } } ", whenever they were taken. "
            a href=(params.without(&["trace"]).link(PATH)) { "All of this time" } },
        Of::Span(id) => p { "Samples of the span " code { (foreign(id, 32)) } ", whenever they were taken. "
            a href=(params.without(&["span"]).link(PATH)) { "All of this time" } },
    } }
}

fn form(selection: &Selection, types: &Rows, params: &Params) -> Markup {
    let rest = params.only(&["range", "from", "to", "zone", "trace", "span", "function"]);
    let column = |name: &str, of: Option<(&str, &str)>| {
        let is = |row: &usize| of.is_none_or(|(name, value)| types.text(*row, name) == value);
        let mut all: Vec<&str> = (0..types.len()).filter(is).map(|row| types.text(row, name)).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|value| !value.is_empty());
        all
    };
    let services = column("service_name", None);
    let kinds = column("profile_type", selection.service.as_deref().map(|service| ("service_name", service)));
    html! {
        form.filters method="get" action=(PATH) role="search" aria-label="Profiles" {
            @for (name, value) in rest.pairs() { input type="hidden" name=(name) value=(value); }
            @if selection.of == Of::Range {
                label { span { "Service" } (choice("service", selection.service.as_deref(), &services, "choose")) }
            }
            label { span { "Type" } (choice("type", selection.profile_type.as_deref(), &kinds, "choose")) }
            @if selection.of == Of::Range { (base_fields(params)) }
            label { span { "Function" } input type="search" name="find" value=[params.get("find")] data-search; }
            button { "Show" }
            a href=(params.kept().link(PATH)) { "Clear" }
        }
        @for problem in &selection.problems { p.problem role="alert" { (problem) } }
    }
}

/// The time to compare with: of a list, or between two moments.
fn base_fields(params: &Params) -> Markup {
    let (from, to) = (params.get(BASE_FROM), params.get(BASE_TO));
    let is_free = from.is_some() || to.is_some();
    let base = if is_free { BETWEEN } else { params.get("base").unwrap_or_default() };
    html! {
        label { span { "Compare with" } select name="base" data-instead={ (BASE_FROM) " " (BASE_TO) } {
            @for (value, name) in statement::BASES { option value=(value) selected[value == base] data-moments[value == BETWEEN] { (name) } }
            @if !statement::BASES.iter().any(|(value, _)| *value == base) { option value=(base) selected { (base) " before" } }
        } }
        details.moments open[base == BETWEEN] {
            summary { "from … to" }
            label { span { "Compare from" } input name=(BASE_FROM) placeholder="2026-11-29 07:00 or now-2h" value=[from]; }
            label { span { "Compare to" } input name=(BASE_TO) placeholder="now" value=[to]; }
        }
    }
}

/// Services and types with their samples.
fn list(types: &Rows, selection: &Selection, params: &Params) -> Markup {
    html! {
        section aria-labelledby="types" {
            h2 #types { "Services and types" }
            div.scroll tabindex="0" role="region" aria-label="Table of services and types" { table {
                thead { tr { th scope="col" { "Service" } th scope="col" { "Type" } th.n scope="col" { "Samples" } th scope="col" { "Last" } } }
                tbody { @for row in 0..types.len() {
                    @let (service, kind) = (types.text(row, "service_name"), types.text(row, "profile_type"));
                    @let is_chosen = selection.service.as_deref().is_none_or(|of| of == service) && selection.profile_type.as_deref() == Some(kind);
                    tr aria-current=[is_chosen.then_some("true")] {
                        td { (foreign(service, 80)) }
                        td { a href=(params.without(&["frame", "function"]).with("service", service).with("type", kind).link(PATH)) { (foreign(kind, 120)) } }
                        td.n { (whole(types.whole(row, "samples").unwrap_or(0))) }
                        td { (time_of(types.text(row, "last"))) }
                    }
                } }
            } }
            @if types.truncated { p.muted { "The first " (count(types.len() as u64, "one", "ones")) " are shown." } }
        }
    }
}
