//! The view of one trace: its waterfall, of which only the rows that are seen are asked for and sent.
//!
//! The tree of all spans is made from ids and times alone. Names come for the rows of one page, and attributes
//! for the span that is opened.
//!
//! | module | what |
//! |---|---|
//! | [`tree`] | the order of the spans, folding, the critical path |
//! | [`head`] | what is above them: facts, and what can be shown |
//! | [`waterfall`] | the rows and the map of all of them |
//! | [`span`] | one span with all that it has |
//! | [`flame`], [`logs`], [`statistics`], [`compare`] | other ways to look at a trace |

mod compare;
mod flame;
mod head;
mod logs;
mod span;
mod statistics;
mod tree;
mod waterfall;

use std::collections::{HashMap, HashSet};

use axum::body::Body;
use axum::extract::{Path, State};
use http::{Response, StatusCode, Uri};
use maud::{Markup, html};

use super::layout::{Page, View, empty, failed, warnings};
use super::params::Params;
use super::range::Nanos;
use super::sql::{AskError, Rows, quoted};
use super::text::{foreign, nanos_of, time};
use super::{Site, routes};
use tree::{Row, Span, Tree};

/// Spans of a trace that are looked at.
const MAX_SPANS: usize = 100_000;

/// Rows of a page.
const SHOWN: usize = 200;

/// Spans that a search inside a trace finds.
const FOUND: usize = 10_000;

/// A trace as its page needs it.
struct Trace {
    id: String,
    start: Nanos,
    end: Nanos,
    spans: Vec<Span>,
    services: Vec<String>,
    tree: Tree,
    truncated: bool,
}

impl Trace {
    /// How many levels of spans it has.
    fn depth(&self) -> usize {
        self.tree.rows.iter().map(|row| row.depth + 1).max().unwrap_or(0)
    }
}

/// The page of `/trace/ID`.
pub async fn page(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let id = id.to_lowercase();
    let skeleton = skeleton_sql(&id);
    let opened = params.get("span").map(|opened| span::sql(&id, opened));
    let (spans, opened_rows) = tokio::join!(site.rows(&skeleton, MAX_SPANS), ask(&site, opened.as_deref(), span::MAX));
    let mut statements: Vec<String> = std::iter::once(skeleton).chain(opened).collect();
    let (status, content) = match spans {
        Err(error) => (StatusCode::OK, html! { h1 { "Trace" } (failed(&error)) }),
        Ok(rows) if rows.is_empty() => (StatusCode::NOT_FOUND, missing(&site, &id, &params).await),
        Ok(rows) => {
            let trace = read(id, &rows);
            let content = html! {
                (head::facts(&trace, &params))
                (warnings(&rows.warnings))
                @if trace.truncated { p.warning { "Only the first " (trace.spans.len()) " spans are looked at." } }
                (head::tabs(&trace, &params))
                @if let Some(opened) = &opened_rows { (span::show(&trace, opened, &params)) }
                (shown(&site, &trace, &params, &mut statements).await)
            };
            (StatusCode::OK, content)
        }
    };
    let title = "Trace".to_owned();
    let page = Page { title, view: View::Traces, params: &params, range: None, statements, live: false, content };
    routes::html(status, page.render())
}

/// The answer to a statement, if there is one.
async fn ask(site: &Site, statement: Option<&str>, most: usize) -> Option<Result<Rows, AskError>> {
    match statement {
        Some(statement) => Some(site.rows(statement, most).await),
        None => None,
    }
}

/// What the page was asked to show of a trace.
async fn shown(site: &Site, trace: &Trace, params: &Params, statements: &mut Vec<String>) -> Markup {
    let (statement, most) = match params.get("show") {
        Some("flame") => (flame::sql(&trace.id), MAX_SPANS),
        Some("logs") => (logs::sql(trace), logs::MAX + 1),
        Some("statistics") => (statistics::sql(&trace.id), statistics::MAX),
        Some("compare") => return compare::show(site, trace, params, statements).await,
        _ => return spans(site, trace, params, statements).await,
    };
    let rows = site.rows(&statement, most).await;
    statements.push(statement);
    match params.get("show") {
        Some("flame") => flame::show(trace, &rows, params),
        Some("logs") => logs::show(trace, &rows, params),
        _ => statistics::show(&rows),
    }
}

/// The waterfall.
async fn spans(site: &Site, trace: &Trace, params: &Params, statements: &mut Vec<String>) -> Markup {
    let search = params.get("find").map(|find| search_sql(&trace.id, find));
    let found = ask(site, search.as_deref(), FOUND).await;
    statements.extend(search);
    let ids = match &found {
        Some(Ok(found)) => Some((0..found.len()).map(|row| found.text(row, "span_id")).collect::<HashSet<&str>>()),
        _ => None,
    };
    let wanted = wanted(trace, params, ids.as_ref());
    let first = params.get("row").and_then(|row| row.parse::<usize>().ok()).unwrap_or(0);
    let first = first.min(wanted.len().saturating_sub(1));
    let names_sql = names_sql(trace, &wanted[first..wanted.len().min(first + SHOWN)]);
    let names = site.rows(&names_sql, 4 * SHOWN).await;
    statements.push(names_sql);
    html! {
        (head::tools(trace, params, found.as_ref(), wanted.len()))
        @match &names {
            Ok(names) => (waterfall::draw(trace, (&wanted, first), names, ids.as_ref(), params)),
            Err(error) => (failed(error)),
        }
    }
}

fn skeleton_sql(id: &str) -> String {
    format!(
        "SELECT span_id, parent_span_id, kind IN ('server', 'consumer') AS server, start_time, duration_ns,\n  \
         status_code = 'error' AS failed, service_name\nFROM spans\nWHERE trace_id = {}\nORDER BY start_time\nLIMIT {}",
        quoted(id),
        MAX_SPANS + 1,
    )
}

fn search_sql(id: &str, find: &str) -> String {
    let has = |of: &str| format!("contains(lower({of}), lower({}))", quoted(find));
    format!(
        "SELECT DISTINCT span_id\nFROM spans\nWHERE trace_id = {}\n  AND ({} OR {} OR {})\nLIMIT {FOUND}",
        quoted(id),
        has("name"),
        has("service_name"),
        has("attributes::VARCHAR"),
    )
}

fn names_sql(trace: &Trace, window: &[Row]) -> String {
    let ids: HashSet<&str> = window.iter().map(|row| trace.spans[row.span].id.as_str()).collect();
    let mut ids: Vec<String> = ids.into_iter().filter(|id| !id.is_empty()).map(quoted).collect();
    ids.sort();
    let ids = if ids.is_empty() { "NULL".to_owned() } else { ids.join(", ") };
    format!(
        "SELECT span_id, kind IN ('server', 'consumer') AS server, left(name, 200) AS name, kind\nFROM spans\nWHERE trace_id = {}\n  \
         AND (span_id IS NULL OR span_id IN ({ids}))",
        quoted(&trace.id)
    )
}

/// The trace in the rows of its skeleton. A span that came twice is there once.
fn read(id: String, rows: &Rows) -> Trace {
    let mut services: Vec<String> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut seen = HashSet::new();
    let starts: Vec<Option<Nanos>> = (0..rows.len()).map(|row| nanos_of(rows.text(row, "start_time"))).collect();
    let start = starts.iter().flatten().min().copied().unwrap_or(0);
    let mut spans = Vec::new();
    for (row, at) in starts.iter().enumerate() {
        let (id, is_server) = (rows.text(row, "span_id"), rows.is_true(row, "server"));
        if !id.is_empty() && !seen.insert((id, is_server, *at)) {
            continue;
        }
        let name = rows.text(row, "service_name");
        let service = *known.entry(name.to_owned()).or_insert_with(|| {
            services.push(name.to_owned());
            services.len() - 1
        });
        spans.push(Span {
            id: id.to_owned(),
            parent: rows.text(row, "parent_span_id").to_owned(),
            is_server,
            offset: at.map(|at| at - start),
            duration: rows.whole(row, "duration_ns"),
            is_error: rows.is_true(row, "failed"),
            service,
        });
    }
    let end = spans.iter().filter_map(|span| span.offset?.checked_add(span.duration?)).max().unwrap_or(0);
    let tree = Tree::new(&spans);
    Trace { id, start, end: start.saturating_add(end), spans, services, tree, truncated: rows.truncated }
}

/// The rows that a page's parameters ask for.
fn wanted(trace: &Trace, params: &Params, found: Option<&HashSet<&str>>) -> Vec<Row> {
    let those = |is: &dyn Fn(&Span) -> bool| {
        trace.tree.only(&trace.spans.iter().enumerate().filter(|(_, span)| is(span)).map(|(n, _)| n).collect())
    };
    if let Some(found) = found {
        return those(&|span| found.contains(span.id.as_str()));
    }
    match params.get("only") {
        Some("errors") => return those(&|span| span.is_error),
        Some("critical") => return trace.tree.only(&trace.tree.critical),
        _ => {}
    }
    let folded: HashSet<&str> = params.all("fold").collect();
    let depth = params.get("depth").and_then(|depth| depth.parse::<usize>().ok()).unwrap_or(usize::MAX);
    trace.tree.unfolded(|row| row.depth + 1 >= depth || folded.contains(trace.spans[row.span].id.as_str()))
}

/// What stands in the place of a trace that is not there: retention may have taken it.
async fn missing(site: &Site, id: &str, params: &Params) -> Markup {
    let since = site.view.status().await.kept_since("traces");
    html! {
        h1 { "Trace " code { (foreign(id, 64)) } }
        (empty("There is no such trace.", html! {
            @if let Some(since) = since { p { "Spans are kept since " (time(since)) "; an older trace has been removed by retention." } }
            p { "A trace that is just arriving is here a moment later. " a href=(params.kept().link("/traces")) { "Search for traces" } }
        }))
    }
}
