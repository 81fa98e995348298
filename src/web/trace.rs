//! The view of one trace: its waterfall, of which only the rows that are seen are asked for and sent.
//!
//! The tree of all spans is made from ids and times alone. Names come for the rows of one page, and attributes
//! for the span that is opened.
//!
//! | module | what |
//! |---|---|
//! | [`tree`] | the order of the spans, folding, the critical path |
//! | [`waterfall`] | the rows and the map of all of them |
//! | [`span`] | one span with all that it has |

mod span;
mod tree;
mod waterfall;

use std::collections::{HashMap, HashSet};

use axum::body::Body;
use axum::extract::{Path, State};
use http::{Response, StatusCode, Uri};
use maud::{Markup, html};

use super::layout::{Page, View, empty, failed, warnings};
use super::params::{Params, segment};
use super::range::{Nanos, SECOND};
use super::sql::{AskError, Rows, quoted};
use super::text::{count, duration, foreign, nanos_of, time};
use super::{Site, routes};
use tree::{Row, Span, Tree};

/// Spans of a trace that are looked at.
const MAX_SPANS: usize = 100_000;

/// Rows of a page.
const SHOWN: usize = 200;

/// Spans that a search inside a trace finds.
const FOUND: usize = 10_000;

/// Groups of the statistics.
const GROUPS: usize = 200;

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

/// The page of `/trace/ID`.
pub async fn page(State(site): State<Site>, Path(id): Path<String>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let id = id.to_lowercase();
    let skeleton = skeleton_sql(&id);
    let opened = params.get("span").map(|opened| span::sql(&id, opened));
    let search = params.get("find").map(|find| search_sql(&id, find));
    let statistics = params.get("show").filter(|show| *show == "statistics").map(|_| statistics_sql(&id));
    let ask = async |statement: &Option<String>, most| match statement {
        Some(statement) => Some(site.rows(statement, most).await),
        None => None,
    };
    let (spans, opened_rows, found, groups) = tokio::join!(
        site.rows(&skeleton, MAX_SPANS),
        ask(&opened, span::MAX),
        ask(&search, FOUND),
        ask(&statistics, GROUPS),
    );
    let mut statements: Vec<String> = [Some(skeleton), opened, search, statistics].into_iter().flatten().collect();
    let (status, content) = match spans {
        Err(error) => (StatusCode::OK, html! { h1 { "Trace" } (failed(&error)) }),
        Ok(rows) if rows.is_empty() => (StatusCode::NOT_FOUND, missing(&site, &id, &params).await),
        Ok(rows) => {
            let lacking = warnings(&rows.warnings);
            let trace = read(id, &rows);
            let wanted = wanted(&trace, &params, found.as_ref());
            let first = params.get("row").and_then(|row| row.parse::<usize>().ok()).unwrap_or(0);
            let first = first.min(wanted.len().saturating_sub(1));
            let window = &wanted[first..wanted.len().min(first + SHOWN)];
            let names_sql = names_sql(&trace, window);
            let names = site.rows(&names_sql, 4 * SHOWN).await;
            statements.push(names_sql);
            let content = html! {
                (head(&trace, &params))
                (lacking)
                @if trace.truncated { p.warning { "Only the first " (trace.spans.len()) " spans are looked at." } }
                (tools(&trace, &params, found.as_ref(), wanted.len()))
                @if let Some(opened) = &opened_rows { (span::show(&trace, opened, &params)) }
                @match &names {
                    Ok(names) => (waterfall::draw(&trace, &wanted, first, names, &params)),
                    Err(error) => (failed(error)),
                }
                @if let Some(groups) = &groups { (show_statistics(groups)) }
            };
            (StatusCode::OK, content)
        }
    };
    let title = "Trace".to_owned();
    let page = Page { title, view: View::Traces, params: &params, range: None, statements, live: false, content };
    routes::html(status, page.render())
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

fn statistics_sql(id: &str) -> String {
    format!(
        "SELECT service_name, name, count(*) AS spans, count(*) FILTER (WHERE status_code = 'error') AS errors,\n  \
         sum(duration_ns)::BIGINT AS total_ns, max(duration_ns) AS longest_ns\nFROM spans\nWHERE trace_id = {}\n\
         GROUP BY ALL\nORDER BY total_ns DESC NULLS LAST, service_name, name\nLIMIT {GROUPS}",
        quoted(id)
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
fn wanted(trace: &Trace, params: &Params, found: Option<&Result<Rows, AskError>>) -> Vec<Row> {
    if let Some(Ok(found)) = found {
        let ids: HashSet<&str> = (0..found.len()).map(|row| found.text(row, "span_id")).collect();
        let has = |(_, span): &(usize, &Span)| ids.contains(span.id.as_str());
        return trace.tree.only(&trace.spans.iter().enumerate().filter(has).map(|(n, _)| n).collect());
    }
    if params.get("only") == Some("errors") {
        let failed = trace.spans.iter().enumerate().filter(|(_, span)| span.is_error);
        return trace.tree.only(&failed.map(|(n, _)| n).collect());
    }
    if params.get("only") == Some("critical") {
        return trace.tree.only(&trace.tree.critical);
    }
    let folded: HashSet<&str> = params.all("fold").collect();
    let folded = trace.spans.iter().enumerate().filter(|(_, span)| folded.contains(span.id.as_str()));
    trace.tree.unfolded(&folded.map(|(n, _)| n).collect())
}

fn head(trace: &Trace, params: &Params) -> Markup {
    let errors = trace.spans.iter().filter(|span| span.is_error).count();
    let depth = trace.tree.rows.iter().map(|row| row.depth).max().unwrap_or(0) + 1;
    // Clocks differ, and log records may be of a moment before or after.
    let logs = Params::default()
        .and("from", trace.start.saturating_sub(60 * SECOND).max(0).to_string())
        .and("to", trace.end.saturating_add(60 * SECOND).to_string())
        .and("trace", trace.id.as_str());
    let zone = params.only(&["zone"]);
    let logs = zone.pairs().iter().fold(logs, |link, (name, value)| link.and(name, value.as_str()));
    html! {
        h1 { "Trace " code { (foreign(&trace.id, 64)) } }
        dl.facts {
            div { dt { "Start" } dd { (time(trace.start)) } }
            div { dt { "Duration" } dd { (duration((trace.end - trace.start) as f64)) } }
            div { dt { "Spans" } dd { (super::text::whole(trace.spans.len() as i64)) } }
            div { dt { "Errors" } dd { @if errors > 0 { span.level.bad { (errors) } } @else { "0" } } }
            div { dt { "Depth" } dd { (depth) } }
            div { dt { "Log records" } dd { a href=(logs.link("/logs")) { "in order of time" } } }
        }
        ul.services aria-label="Services" {
            @for (n, service) in trace.services.iter().enumerate() {
                li { span class={ "dot c" (n % 20) } {} " "
                    @if service.is_empty() { em { "no name" } } @else { (foreign(service, 60)) } }
            }
        }
    }
}

fn tools(trace: &Trace, params: &Params, found: Option<&Result<Rows, AskError>>, rows: usize) -> Markup {
    let path = format!("/trace/{}", segment(&trace.id));
    let base = params.without(&["row", "only", "find"]);
    let link = |name: &str, value: &str, text: &str, chosen: bool| {
        html! { @if chosen { strong { (text) } } @else { a href=(base.with(name, value).link(&path)) { (text) } } }
    };
    let only = params.get("only").unwrap_or_default();
    let is_searched = found.is_some();
    html! {
        form.filters method="get" action=(path) role="search" aria-label="Spans of this trace" {
            @for (name, value) in base.pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Find in this trace" } input type="search" name="find" value=[params.get("find")] data-search; }
            button { "Find" }
            span { "Show " (link("only", "", "all spans", only.is_empty() && !is_searched)) " · "
                (link("only", "errors", "errors", only == "errors")) " · "
                (link("only", "critical", "critical path", only == "critical")) " · "
                (link("show", if params.get("show").is_some() { "" } else { "statistics" },
                    if params.get("show").is_some() { "no statistics" } else { "statistics" }, false)) }
        }
        @match found {
            Some(Ok(found)) => p role="status" { (count(found.len() as u64, "span is", "spans are")) " like that; shown with those above: "
                (super::text::whole(rows as i64)) },
            Some(Err(error)) => (failed(error)),
            None => {}
        }
    }
}

fn show_statistics(groups: &Result<Rows, AskError>) -> Markup {
    let rows = match groups {
        Ok(rows) => rows,
        Err(error) => return failed(error),
    };
    let time = |row, name| rows.whole(row, name).map_or_else(|| "–".to_owned(), |nanos| duration(nanos as f64));
    html! {
        section aria-labelledby="statistics" {
            h2 #statistics { "Statistics" }
            div.scroll tabindex="0" role="region" aria-label="Spans by service and name" { table {
                thead { tr { th scope="col" { "Service" } th scope="col" { "Span" } th.n scope="col" { "Spans" }
                    th.n scope="col" { "Errors" } th.n scope="col" { "Total" } th.n scope="col" { "Longest" } } }
                tbody { @for row in 0..rows.len() { tr {
                    td { (foreign(rows.text(row, "service_name"), 60)) } td { (foreign(rows.text(row, "name"), 100)) }
                    td.n { (rows.whole(row, "spans").unwrap_or(0)) } td.n { (rows.whole(row, "errors").unwrap_or(0)) }
                    td.n { (time(row, "total_ns")) } td.n { (time(row, "longest_ns")) }
                } } }
            } }
        }
    }
}

/// What stands in the place of a trace that is not there: retention may have taken it.
async fn missing(site: &Site, id: &str, params: &Params) -> Markup {
    let status = site.view.status().await;
    let kept = status.store["kept"]["signals"].as_array().into_iter().flatten();
    let since =
        kept.into_iter().find(|signal| signal["signal"] == "traces").and_then(|signal| signal["since"].as_i64());
    html! {
        h1 { "Trace " code { (foreign(id, 64)) } }
        (empty("There is no such trace.", html! {
            @if let Some(since) = since { p { "Spans are kept since " (time(since)) "; an older trace has been removed by retention." } }
            p { "A trace that is just arriving is here a moment later. " a href=(params.kept().link("/traces")) { "Search for traces" } }
        }))
    }
}
