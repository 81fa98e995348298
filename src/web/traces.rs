//! The view Traces: a search, a heatmap of durations in which a cell is a filter, and the list of traces.
//!
//! | module | what |
//! |---|---|
//! | [`filter`] | what a page's parameters ask for, as conditions in SQL |
//! | [`heatmap`] | durations over time |
//! | [`facets`] | how many spans are of which service, name, status, and with which attributes |
//! | [`roots`] | traces grouped by their root span |

mod facets;
mod filter;
mod heatmap;
mod roots;

use maud::{Markup, html};

use super::Site;
use super::empty::{SPANS, why};
use super::filter::{attribute_fields, form, problems};
use super::layout::{Content, choice, failed, warnings};
use super::params::{Params, segment};
use super::range::{self, Range, SECOND};
use super::sql::{AskError, Rows, SAME_SPAN, quoted};
use super::text::{count, duration, foreign, nanos_of, time_of, whole};
use filter::{Filter, Order};

/// Traces of a page.
const SHOWN: usize = 50;

/// Services and names of spans to choose from.
const CHOICES: usize = 300;

/// Services of a trace that the list shows.
const SERVICES: usize = 6;

/// How far spans of a trace may be outside the time range.
const AROUND: range::Nanos = 3600 * SECOND;

/// Where a page leads instead: an id to its trace.
pub fn elsewhere(params: &Params) -> Option<String> {
    params.get("id").map(|id| params.kept().link(&format!("/trace/{}", segment(&id.to_lowercase()))))
}

/// What is on the page.
pub async fn content(site: Site, params: Params, range: Range) -> Content {
    let filter = Filter::read(&params);
    let is_grouped = params.get("group") == Some("root");
    let statements = [
        heatmap::sql(&filter, &range),
        if is_grouped { roots::sql(&filter, &range) } else { hits_sql(&filter, &range) },
        choices_sql(&filter, &range),
        facets::sql(&filter, &range),
        facets::attributes::sql(&filter, &range),
    ];
    let found = async {
        let hits = site.rows(&statements[1], roots::MAX.max(SHOWN + 1)).await;
        if is_grouped { (hits, None) } else { of_hits(&site, hits, &filter).await }
    };
    let (cells, (list, spans_sql), choices, facets, attributes) = tokio::join!(
        site.rows(&statements[0], heatmap::MAX_CELLS),
        found,
        site.rows(&statements[2], CHOICES),
        site.rows(&statements[3], facets::MAX),
        site.rows(&statements[4], facets::attributes::MAX),
    );
    let mut statements = Vec::from(statements);
    if let Some(spans_sql) = spans_sql {
        statements.insert(2, spans_sql);
    }
    let group = |value: &str, name: &str| {
        html! {
            @if (value == "root") == is_grouped { strong { (name) } }
            @else { a href=(params.without(&["skip"]).with("group", value).link("/traces")) { (name) } }
        }
    };
    let content = html! {
        h1 { "Traces" }
        (filters(&params, &filter, choices.as_ref().ok()))
        @match cells {
            Ok(rows) => (heatmap::draw(&rows, &range, &params)),
            Err(error) => (failed(&error)),
        }
        @if let Ok(rows) = &facets { (facets::show(rows, &params)) }
        @if let Ok(rows) = &attributes { (facets::attributes::show(rows, &params)) }
        @match list {
            Ok(rows) => {
                (warnings(&rows.warnings))
                p { (group("", "Traces")) " · " (group("root", "grouped by root span")) }
                @if rows.is_empty() { (why(&site, &SPANS, &range, &params, "/traces").await) }
                @else if is_grouped { (roots::show(&rows, &params)) } @else { (traces(&rows, &params, &filter)) }
            }
            // The heatmap has said the same.
            Err(AskError::NoStore | AskError::Away(_)) => {}
            Err(error) => (failed(&error)),
        }
        (super::trace::upload::form(site.token.as_str(), &params))
    };
    Content { main: content, statements }
}

/// The traces that have a span as is asked for.
fn hits_sql(filter: &Filter, range: &Range) -> String {
    let order = match filter.order {
        Order::Newest => "newest DESC",
        Order::Slowest => "longest DESC NULLS LAST",
    };
    format!(
        "SELECT trace_id, max(start_time) AS newest, max(duration_ns) AS longest\nFROM spans\nWHERE {}\n\
         GROUP BY trace_id\nORDER BY {order}, trace_id\nLIMIT {} OFFSET {}",
        filter.conditions(range),
        SHOWN + 1,
        filter.skip,
    )
}

/// All spans of these traces, a row for each trace. They are looked for by their ids, which reads less than a join.
async fn of_hits(
    site: &Site,
    hits: Result<Rows, AskError>,
    filter: &Filter,
) -> (Result<Rows, AskError>, Option<String>) {
    let Ok(found) = &hits else { return (hits, None) };
    let Some(statement) = list_sql(found, filter) else { return (hits, None) };
    let mut list = site.rows(&statement, SHOWN + 1).await;
    if let Ok(list) = &mut list {
        list.warnings.extend(
            found.warnings.iter().filter(|warning| !list.warnings.contains(warning)).cloned().collect::<Vec<_>>(),
        );
    }
    (list, Some(statement))
}

/// The statement; nothing if nothing was found.
fn list_sql(hits: &Rows, filter: &Filter) -> Option<String> {
    let newest = || (0..hits.len()).filter_map(|row| nanos_of(hits.text(row, "newest")));
    let (first, last) = (newest().min()?, newest().max()?);
    let near =
        Range { from: first.saturating_sub(AROUND).max(0), to: last.saturating_add(AROUND), last: None, problem: None };
    let ids: Vec<String> = (0..hits.len()).map(|row| quoted(hits.text(row, "trace_id"))).collect();
    let ids = ids.join(", ");
    let order = match filter.order {
        Order::Newest => "start_time DESC".to_owned(),
        Order::Slowest => format!("list_position([{ids}], trace_id)"),
    };
    Some(format!(
        "SELECT trace_id, min(start_time) AS start_time,\n  \
         max(epoch_ns(start_time) + coalesce(duration_ns, 0)) - min(epoch_ns(start_time)) AS duration_ns,\n  \
         arg_min(service_name, (parent_span_id IS NOT NULL, start_time)) AS root_service,\n  \
         left(arg_min(name, (parent_span_id IS NOT NULL, start_time)), 200) AS root_name,\n  \
         count(DISTINCT {SAME_SPAN}) AS spans,\n  \
         count(DISTINCT {SAME_SPAN}) FILTER (WHERE status_code = 'error') AS errors,\n  \
         list_sort(list(DISTINCT service_name)) AS services\n\
         FROM spans\nWHERE trace_id IN ({ids})\n  AND {}\nGROUP BY trace_id\nORDER BY {order}, trace_id",
        near.condition("start_time"),
    ))
}

fn choices_sql(filter: &Filter, range: &Range) -> String {
    let of_service = filter.common.service.as_ref().map(|service| format!("service_name = {}", quoted(service)));
    format!(
        "SELECT service_name, left(name, 200) AS name, count(*) AS spans,\n  {} AS is_chosen\nFROM spans\nWHERE {}\nGROUP BY ALL\n\
         ORDER BY is_chosen DESC, spans DESC, service_name, name\nLIMIT {CHOICES}",
        of_service.unwrap_or_else(|| "true".to_owned()),
        range.condition("start_time"),
    )
}

fn filters(params: &Params, filter: &Filter, choices: Option<&Rows>) -> Markup {
    let rest = params.only(&["range", "from", "to", "zone", "group"]);
    let (mut services, mut names): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    if let Some(rows) = choices {
        for row in 0..rows.len() {
            let (service, name) = (rows.text(row, "service_name"), rows.text(row, "name"));
            if !service.is_empty() && !services.contains(&service) {
                services.push(service);
            }
            if rows.is_true(row, "is_chosen") && !names.contains(&name) {
                names.push(name);
            }
        }
        services.sort_unstable();
        names.sort_unstable();
    }
    let fields = html! {
        label { span { "Service" } (choice("service", filter.common.service.as_deref(), &services, "all services")) }
        label { span { "Span" } (choice("name", filter.name.as_deref(), &names, "all spans")) }
        label { span { "Status" } select name="status" {
            option value="" { "any" }
            option value="error" selected[filter.only_errors] { "errors" }
        } }
        (attribute_fields("Attribute", &filter.common.attributes, true))
        label { span { "At least" } input name="min" placeholder="100ms" size="7" value=[params.get("min")]; }
        label { span { "Less than" } input name="max" placeholder="2s" size="7" value=[params.get("max")]; }
        label { span { "Order" } select name="order" {
            option value="" { "newest first" }
            option value="slowest" selected[filter.order == Order::Slowest] { "slowest first" }
        } }
    };
    html! {
        (form("/traces", "Traces", &rest, &params.kept(), &fields))
        form.filters method="get" action="/traces" aria-label="One trace" {
            @for (name, value) in params.kept().pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Trace id" } input name="id" size="34"; }
            button { "Open" }
        }
        (problems(&filter.common.problems))
    }
}

fn traces(rows: &Rows, params: &Params, filter: &Filter) -> Markup {
    let longest = (0..rows.len()).filter_map(|row| rows.whole(row, "duration_ns")).max().unwrap_or(1).max(1);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Traces that were found" { table {
            thead { tr {
                th scope="col" { "Start" } th scope="col" { "Root" } th.n scope="col" { "Duration" } th scope="col" { "Compared" }
                th.n scope="col" { "Spans" } th.n scope="col" { "Errors" } th scope="col" { "Services" }
            } }
            tbody { @for row in 0..rows.len().min(SHOWN) { (trace_row(rows, row, longest, params)) } }
        } }
        @if rows.len() > SHOWN {
            p { a rel="next" href=(params.with("skip", (filter.skip + SHOWN).to_string()).link("/traces")) { "More traces" } }
        } @else { p.muted { "These are all of them." } }
    }
}

fn trace_row(rows: &Rows, row: usize, longest: i64, params: &Params) -> Markup {
    let took = rows.whole(row, "duration_ns").unwrap_or(0);
    let errors = rows.whole(row, "errors").unwrap_or(0);
    let services = rows.cell(row, "services").as_array().map(Vec::as_slice).unwrap_or_default();
    let id = rows.text(row, "trace_id");
    html! { tr data-row data-error[errors > 0] {
        td { (time_of(rows.text(row, "start_time"))) }
        td { a href=(params.kept().link(&format!("/trace/{}", segment(id)))) {
            (foreign(rows.text(row, "root_service"), 60)) " " strong { (foreign(rows.text(row, "root_name"), 100)) } } }
        td.n { (duration(took as f64)) }
        td { svg.bar.short viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.bar x="0" y="2" height="6" width=(format!("{:.1}", (took as f64 / longest as f64 * 100.0).max(0.5))) {} } }
        td.n { (whole(rows.whole(row, "spans").unwrap_or(0))) }
        td.n { @if errors > 0 { span.level.bad { (whole(errors)) } } @else { "0" } }
        td { @for (n, service) in services.iter().take(SERVICES).enumerate() {
            @if n > 0 { ", " } (foreign(service.as_str().unwrap_or("no name"), 40)) }
            @if services.len() > SERVICES { span.muted { " and " (count((services.len() - SERVICES) as u64, "other", "others")) } } }
    } }
}
