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
//! | [`flame`], [`logs`], [`exemplars`], [`statistics`], [`compare`] | other ways to look at a trace |
//! | [`question`] | what is asked, of the store or of a file |
//! | [`otlp`], [`upload`] | a trace as a file, to take away and to look at |

mod compare;
mod exemplars;
mod flame;
mod head;
mod logs;
pub mod otlp;
mod question;
mod span;
mod statistics;
mod tree;
pub mod upload;
mod waterfall;

use std::collections::{HashMap, HashSet};

use axum::body::Body;
use axum::extract::{Path, State};
use http::{Response, StatusCode, Uri};
use maud::{Markup, html};

use super::layout::{Content, Page, View, empty, failed, warnings};
use super::params::Params;
use super::range::Nanos;
use super::sql::{AskError, Rows};
use super::text::{foreign, nanos_of, time};
use super::{Site, routes};
use question::{Question, Source};
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
    let source = match Source::of(&site, &id).await {
        Ok(source) => source,
        Err(problem) => {
            let content = html! {
                h1 { "Trace of a file" }
                p.problem role="alert" { (problem) }
                p { a href=(params.kept().link("/traces")) { "Traces" } }
            };
            return render(StatusCode::NOT_FOUND, &params, Vec::new(), content);
        }
    };
    let shows_spans = matches!(params.get("show"), None | Some("waterfall"));
    let opened = params.get("span").filter(|_| shows_spans).map(Question::Span);
    let (spans, opened_rows) = tokio::join!(source.ask(&id, Question::Skeleton), ask(&source, &id, opened));
    let asked = std::iter::once(Question::Skeleton).chain(opened);
    let mut statements: Vec<String> = asked.filter_map(|question| source.statement(&id, question)).collect();
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
                (shown(&source, &trace, opened_rows.as_ref(), &params, &mut statements).await)
            };
            (StatusCode::OK, content)
        }
    };
    render(status, &params, statements, content)
}

fn render(status: StatusCode, params: &Params, statements: Vec<String>, main: Markup) -> Response<Body> {
    Page::of(View::Traces, params).titled("Trace").answer(status, Content { main, statements })
}

/// The answer to a question, if there is one.
async fn ask(source: &Source<'_>, id: &str, question: Option<Question<'_>>) -> Option<Result<Rows, AskError>> {
    match question {
        Some(question) => Some(source.ask(id, question).await),
        None => None,
    }
}

/// What the page was asked to show of a trace.
async fn shown(
    source: &Source<'_>,
    trace: &Trace,
    opened: Option<&Result<Rows, AskError>>,
    params: &Params,
    statements: &mut Vec<String>,
) -> Markup {
    let question = match params.get("show") {
        Some("flame") => Question::AllNames,
        Some("statistics") => Question::Statistics,
        Some("compare") => return compare::show(source, trace, params, statements).await,
        Some("exemplars") => {
            let show = |rows: &_| exemplars::show(trace, rows, params);
            return of_store(source, "exemplars", exemplars::sql(trace), exemplars::MAX, statements, show).await;
        }
        Some("logs") => {
            let show = |rows: &_| logs::show(trace, rows, params);
            return of_store(source, "log records", logs::sql(trace), logs::MAX, statements, show).await;
        }
        _ => return spans(source, trace, opened, params, statements).await,
    };
    let rows = source.ask(&trace.id, question).await;
    statements.extend(source.statement(&trace.id, question));
    match question {
        Question::AllNames => flame::show(trace, &rows, params),
        _ => statistics::show(&rows),
    }
}

/// What the store has of a trace beside its spans; a file has nothing of it.
async fn of_store(
    source: &Source<'_>,
    what: &str,
    statement: String,
    max: usize,
    statements: &mut Vec<String>,
    show: impl FnOnce(&Result<Rows, AskError>) -> Markup,
) -> Markup {
    let Some(site) = source.store() else {
        let hint = html! { p { "Those of a trace in the store are shown here." } };
        return empty(&format!("A file of spans has no {what}."), hint);
    };
    let rows = site.rows(&statement, max).await;
    statements.push(statement);
    show(&rows)
}

/// The waterfall.
async fn spans(
    source: &Source<'_>,
    trace: &Trace,
    opened: Option<&Result<Rows, AskError>>,
    params: &Params,
    statements: &mut Vec<String>,
) -> Markup {
    let search = params.get("find").map(Question::Find);
    let found = ask(source, &trace.id, search).await;
    let ids = match &found {
        Some(Ok(found)) => Some((0..found.len()).map(|row| found.text(row, "span_id")).collect::<HashSet<&str>>()),
        _ => None,
    };
    let wanted = wanted(trace, params, ids.as_ref());
    let first = params.get("row").and_then(|row| row.parse::<usize>().ok()).unwrap_or(0);
    let first = first.min(wanted.len().saturating_sub(1));
    let window = &wanted[first..wanted.len().min(first + SHOWN)];
    let shown: Vec<&str> = window.iter().map(|row| trace.spans[row.span].id.as_str()).collect();
    let names = source.ask(&trace.id, Question::Names(&shown)).await;
    let asked = search.into_iter().chain([Question::Names(&shown)]);
    statements.extend(asked.filter_map(|question| source.statement(&trace.id, question)));
    html! {
        (head::tools(trace, params, found.as_ref(), wanted.len()))
        @match &names {
            Ok(names) => (waterfall::draw(trace, (&wanted, first), names, (ids.as_ref(), opened), params)),
            Err(error) => (failed(error)),
        }
    }
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
