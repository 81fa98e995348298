//! The view Logs: a histogram by level above the list of records, a search, and the surroundings of a record.
//!
//! | module | what |
//! |---|---|
//! | [`filter`] | what a page's parameters ask for, as conditions in SQL |
//! | [`columns`] | columns that somebody chose |
//! | [`record`] | one moment: its records whole, and those around them |

mod columns;
mod filter;
mod record;

use maud::{Markup, html};

use super::Site;
use super::chart::{self, Bar};
use super::empty::{LOGS, why};
use super::filter::{attribute_fields, form, problems};
use super::layout::{Content, failed, warnings};
use super::params::{Params, segment};
use super::range::{self, Nanos, Range};
use super::sql::{AskError, Rows};
use super::text::{count, foreign, nanos_of, time};
use columns::Columns;
use filter::{Filter, LEVELS};

pub use filter::{LEVEL, level_of};
pub use record::page as record_page;

/// Records of a page.
const SHOWN: usize = 100;

/// Columns of the histogram.
const COLUMNS: i64 = 80;

/// Services to choose from.
const SERVICES: usize = 200;

/// Characters of a body that the list reads, and that it shows.
const BODY: usize = 500;

/// What is on the page.
pub async fn content(site: Site, params: Params, range: Range) -> Content {
    let filter = Filter::read(&params);
    let columns = Columns::read(&params);
    let statements = [histogram_sql(&filter, &range), list_sql(&filter, &columns, &range), services_sql(&range)];
    let (histogram, list, services) = tokio::join!(
        site.rows(&statements[0], 4 * COLUMNS as usize * LEVELS.len()),
        site.rows(&statements[1], SHOWN + 1),
        site.rows(&statements[2], SERVICES),
    );
    let content = html! {
        h1 { "Logs" }
        (filters(&params, &filter, services.as_ref().ok()))
        @match histogram {
            Ok(rows) => (draw(&rows, &range, &params)),
            Err(error) => (failed(&error)),
        }
        @match list {
            Ok(rows) => {
                (warnings(&rows.warnings))
                @if rows.is_empty() { (why(&site, &LOGS, &range, &params, "/logs").await) }
                @else { (records(&rows, &columns, &params, &filter)) }
            }
            // The histogram has said the same.
            Err(AskError::NoStore | AskError::Away(_)) => {}
            Err(error) => (failed(&error)),
        }
    };
    Content { main: content, statements: statements.into() }
}

fn histogram_sql(filter: &Filter, range: &Range) -> String {
    format!(
        "SELECT (epoch_ns(time) - {}) // {} AS bucket, {} AS level, count(*) AS records\nFROM logs\nWHERE {}\nGROUP BY ALL",
        range.from,
        range.bucket(COLUMNS),
        LEVEL,
        filter.conditions(range, None),
    )
}

fn list_sql(filter: &Filter, columns: &Columns, range: &Range) -> String {
    format!(
        "SELECT time, {} AS level, severity_text, service_name, left(body, {BODY}) AS body, length(body) AS length,\n  \
         trace_id, span_id, event_name{}\nFROM logs\nWHERE {}\nORDER BY time DESC\nLIMIT {} OFFSET {}",
        LEVEL,
        columns.sql(),
        filter.conditions(range, filter.before),
        SHOWN + 1,
        filter.skip,
    )
}

fn services_sql(range: &Range) -> String {
    format!(
        "SELECT service_name, count(*) AS records\nFROM logs\nWHERE {}\nGROUP BY ALL\nORDER BY records DESC, service_name\nLIMIT {SERVICES}",
        range.condition("time")
    )
}

fn filters(params: &Params, filter: &Filter, services: Option<&Rows>) -> Markup {
    let rest = params.without(&["service", "level", "q", "where", "trace", "before", "skip", "columns"]);
    let known: Vec<&str> = services.map_or_else(Vec::new, |rows| {
        (0..rows.len()).map(|row| rows.text(row, "service_name")).filter(|name| !name.is_empty()).collect()
    });
    let fields = html! {
        label { span { "Text" } input type="search" name="q" value=[filter.text.as_deref()] data-search; }
        label { span { "Service" } (super::layout::choice("service", filter.common.service.as_deref(), &known, "all services")) }
        label { span { "Level" } select name="level" {
            option value="" { "all levels" }
            @for (name, _, title) in LEVELS { option value=(name) selected[filter.level == Some(name)] { (title) } }
        } }
        (attribute_fields("Attribute", &filter.common.attributes, false))
        label { span { "Trace" } input name="trace" value=[filter.trace.as_deref()]; }
        (columns::field(params))
    };
    html! {
        (form("/logs", "Log records", &rest, &params.kept(), &fields))
        (problems(&filter.common.problems))
    }
}

/// The histogram; a column leads to its time.
fn draw(rows: &Rows, range: &Range, params: &Params) -> Markup {
    let step = range.bucket(COLUMNS);
    let columns = usize::try_from(range.length() / step + 1).unwrap_or(0);
    let mut counts = vec![[0.0; LEVELS.len()]; columns];
    let mut total = 0;
    for row in 0..rows.len() {
        let place = rows.whole(row, "bucket").and_then(|bucket| usize::try_from(bucket).ok());
        let level = LEVELS.iter().position(|(name, _, _)| *name == rows.text(row, "level"));
        let Some((place, level)) = place.zip(level).filter(|(place, _)| *place < columns) else { continue };
        let records = rows.whole(row, "records").unwrap_or(0);
        counts[place][level] += records as f64;
        total += records;
    }
    let params = params.without(&["before", "skip", "range"]);
    let bar = |(n, counts): (usize, &[f64; LEVELS.len()])| {
        let from = range.from + n as i64 * step;
        let sum: f64 = counts.iter().sum();
        Bar {
            label: format!("{}: {} records", &range::rfc3339(from)[..19], sum),
            parts: LEVELS.iter().zip(counts).map(|((_, class, _), count)| (*class, *count)).collect(),
            href: Some(params.with("from", from.to_string()).with("to", (from + step).to_string()).link("/logs")),
        }
    };
    let bars: Vec<Bar> = counts.iter().enumerate().map(bar).collect();
    html! {
        p { strong { (count(u64::try_from(total).unwrap_or(0), "record", "records")) } " in this time" }
        (chart::histogram(&bars, 80, "Records over time, by level", (range.from, range.from + columns as i64 * step)))
        ul.legend aria-label="Levels" { @for (_, class, title) in LEVELS { li class=(class) { (title) } } }
    }
}

fn records(rows: &Rows, columns: &Columns, params: &Params, filter: &Filter) -> Markup {
    let shown = rows.len().min(SHOWN);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Log records" { table.records {
            thead { tr {
                th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "Service" }
                (columns.head()) th scope="col" { "Message" } th scope="col" { "Trace" }
            } }
            tbody { @for row in 0..shown { (record_row(rows, row, columns, params)) } }
        } }
        @if rows.len() > SHOWN {
            @if let Some((before, skip)) = older(rows, filter) {
                p { a rel="next" href=(params.with("before", before.to_string()).with("skip", skip.to_string()).link("/logs")) {
                    "Older records" } }
            }
        } @else { p.muted { "These are all of them." } }
    }
}

/// A record of the list.
fn record_row(rows: &Rows, row: usize, columns: &Columns, params: &Params) -> Markup {
    let nanos = nanos_of(rows.text(row, "time"));
    let (level, trace) = (rows.text(row, "level"), rows.text(row, "trace_id"));
    let (class, title) = level_of(level);
    let body = rows.text(row, "body");
    let length = rows.whole(row, "length").unwrap_or(0);
    let kept = params.kept();
    let in_trace = format!("/trace/{}", segment(trace));
    html! { tr data-row class={ "record " (class) } {
        td { @if let Some(nanos) = nanos {
            a href=(kept.link(&format!("/logs/at/{nanos}"))) { (time(nanos)) }
        } }
        td { span.level { @if rows.text(row, "severity_text").is_empty() { (title) } @else {
            (foreign(rows.text(row, "severity_text"), 12)) } } }
        td { (foreign(rows.text(row, "service_name"), 60)) }
        (columns.cells(rows, row))
        td.message {
            @if body.is_empty() { (foreign(rows.text(row, "event_name"), 100)) }
            (foreign(body, BODY))
            @if length > BODY as i64 { span.muted { " … " (super::text::whole(length)) " characters" } }
        }
        td { @if !trace.is_empty() {
            a href=(kept.clone().and("span", rows.text(row, "span_id")).link(&in_trace)) { code { (foreign(trace, 8)) } }
        } }
    } }
}

/// Where the next page begins: at the time of the last record that is shown, after those of that time.
fn older(rows: &Rows, filter: &Filter) -> Option<(Nanos, usize)> {
    let last = rows.text(SHOWN - 1, "time");
    let same = (0..SHOWN).filter(|row| rows.text(*row, "time") == last).count();
    let before = nanos_of(last)?;
    // A page that is of one moment alone goes on where it began.
    let skip = if filter.before == Some(before) { filter.skip + same } else { same };
    Some((before, skip))
}
