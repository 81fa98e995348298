//! The view Services: what each was asked, how often it failed and how long it took; who calls whom; errors in
//! groups.
//!
//! | module | what |
//! |---|---|
//! | [`map`] | the picture of who calls whom |
//! | [`layers`] | where its nodes are |

mod layers;
mod map;

use std::collections::HashMap;

use maud::{Markup, html};

use super::Site;
use super::chart;
use super::empty::{SPANS, why};
use super::layout::{Content, failed, warnings};
use super::params::Params;
use super::range::{Range, sql_time};
use super::sql::{Rows, SAME_SPAN};
use super::text::{duration, foreign, number, rate, whole};

/// Services that are shown.
const SHOWN: usize = 200;

/// Columns of a sparkline.
const COLUMNS: i64 = 40;

/// Groups of errors that are shown.
const GROUPS: usize = 30;

/// What is on the page.
pub async fn content(site: Site, params: Params, range: Range) -> Content {
    let statements = [list_sql(&range), map::sql(&range), errors_sql(&range)];
    let (list, calls, errors) = tokio::join!(
        site.rows(&statements[0], SHOWN * (COLUMNS as usize + 3)),
        site.rows(&statements[1], map::MAX),
        site.rows(&statements[2], GROUPS),
    );
    let content = match list {
        Err(error) => html! { h1 { "Services" } (failed(&error)) },
        Ok(rows) => html! {
            h1 { "Services" }
            (warnings(&rows.warnings))
            @if rows.is_empty() {
                p { "No service was asked anything in this time: services are those that sent spans of the kind server or consumer." }
                (why(&site, &SPANS, &range, &params, "/services").await)
            } @else { (table(&rows, &range, &params)) }
            @match &calls { Ok(calls) => (map::draw(calls, &range, &params)), Err(error) => (failed(error)) }
            @match &errors { Ok(errors) => (groups(errors, &params)), Err(error) => (failed(error)) }
        },
    };
    Content { main: content, statements: statements.into() }
}

/// What services were asked: their server and consumer spans, each once. First there is a row for each service, without
/// a column of the sparkline, and then one for each of its columns.
fn list_sql(range: &Range) -> String {
    format!(
        "WITH asked AS (\n  \
         SELECT {SAME_SPAN} AS id, any_value(service_name) AS service_name, any_value((epoch_ns(start_time) - {}) // {}) AS bucket,\n    \
         any_value(status_code) AS status_code, any_value(duration_ns) AS duration_ns\n  \
         FROM spans\n  WHERE kind IN ('server', 'consumer') AND {}\n  GROUP BY id\n)\n\
         SELECT service_name, bucket, requests, errors, q[1] AS p50, q[2] AS p95, q[3] AS p99\nFROM (\n  \
         SELECT service_name, bucket, count(*) AS requests, count(*) FILTER (WHERE status_code = 'error') AS errors,\n    \
         quantile_cont(duration_ns, [0.5, 0.95, 0.99]) AS q\n  FROM asked\n  GROUP BY GROUPING SETS ((service_name), (service_name, bucket))\n)\n\
         ORDER BY bucket IS NOT NULL, requests DESC, service_name",
        range.from,
        range.bucket(COLUMNS),
        range.condition("start_time"),
    )
}

/// Exceptions that spans have recorded, and failed spans that say why, by service, type and message.
fn errors_sql(range: &Range) -> String {
    format!(
        "SELECT service_name, type, message, count(DISTINCT (id, e::VARCHAR)) AS errors, max(start_time) AS last, arg_max(trace_id, start_time) AS trace_id\nFROM (\n  \
         SELECT service_name, start_time, trace_id, id, e,\n    \
         CASE WHEN e IS NULL THEN 'failed: ' || left(name, 150) ELSE left(e ->> '$.attributes.\"exception.type\"', 200) END AS type,\n    \
         CASE WHEN e IS NULL THEN left(status_message, 300) ELSE left(e ->> '$.attributes.\"exception.message\"', 300) END AS message\n  FROM (\n    \
         SELECT service_name, name, status_message, start_time, trace_id, {SAME_SPAN} AS id,\n      \
         unnest(CASE WHEN events IS NULL THEN [NULL] ELSE json_extract(events::JSON, '$[*]') END) AS e\n    \
         FROM spans\n    WHERE (events IS NOT NULL OR status_code = 'error') AND {}\n  )\n  WHERE e IS NULL OR e ->> '$.name' = 'exception'\n)\n\
         GROUP BY service_name, type, message\nORDER BY errors DESC, service_name, type\nLIMIT {GROUPS}",
        range.condition("start_time"),
    )
}

fn table(rows: &Rows, range: &Range, params: &Params) -> Markup {
    let seconds = (range.length() as f64 / 1e9).max(1e-9);
    let trends = trends(rows, range);
    let services = (0..rows.len()).take_while(|row| rows.cell(*row, "bucket").is_null()).count();
    let kept = params.kept();
    let time = |row, name| rows.number(row, name).map_or_else(|| "–".to_owned(), duration);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Services" { table {
            thead { tr {
                th scope="col" { "Service" } th.n scope="col" { "Rate" } th scope="col" { "Requests over time" }
                th.n scope="col" { "Errors" } th.n scope="col" { "p50" } th.n scope="col" { "p95" } th.n scope="col" { "p99" }
                th scope="col" { "Look into" }
            } }
            tbody { @for row in 0..services.min(SHOWN) {
                @let name = rows.text(row, "service_name");
                @let (requests, errors) = (rows.number(row, "requests").unwrap_or(0.0), rows.number(row, "errors").unwrap_or(0.0));
                @let of = kept.with("service", name);
                tr data-row {
                    th scope="row" { a href=(of.link("/traces")) { @if name.is_empty() { em { "no name" } } @else { (foreign(name, 80)) } } }
                    td.n { (rate(requests / seconds)) }
                    td { (chart::sparkline(trends.get(name).map(Vec::as_slice).unwrap_or_default(), (160, 24), "Requests over time")) }
                    td.n { @if errors > 0.0 {
                        a.level.bad href=(of.with("status", "error").link("/traces")) { (number(errors / requests.max(1.0) * 100.0)) " %" }
                    } @else { "0 %" } }
                    td.n { (time(row, "p50")) } td.n { (time(row, "p95")) } td.n { (time(row, "p99")) }
                    td { a href=(of.with("order", "slowest").link("/traces")) { "slowest" } " · " a href=(of.link("/logs")) { "logs" } }
                }
            } }
        } }
        @if services > SHOWN { p.muted { "The " (SHOWN) " services with the most requests are shown." } }
    }
}

/// Requests of each service, by column.
fn trends<'a>(rows: &'a Rows, range: &Range) -> HashMap<&'a str, Vec<f64>> {
    let columns = usize::try_from(range.length() / range.bucket(COLUMNS) + 1).unwrap_or(1);
    let mut trends: HashMap<&str, Vec<f64>> = HashMap::new();
    for row in 0..rows.len() {
        let bucket = rows.whole(row, "bucket").and_then(|bucket| usize::try_from(bucket).ok());
        let Some(bucket) = bucket.filter(|bucket| *bucket < columns) else { continue };
        let line = trends.entry(rows.text(row, "service_name")).or_insert_with(|| vec![0.0; columns]);
        line[bucket] += rows.number(row, "requests").unwrap_or(0.0);
    }
    trends
}

fn groups(rows: &Rows, params: &Params) -> Markup {
    html! {
        section aria-labelledby="errors" {
            h2 #errors { "Errors" }
            @if rows.is_empty() { p.muted { "No span has failed or recorded an exception in this time." } } @else {
                div.scroll tabindex="0" role="region" aria-label="Errors by service, type and message" { table {
                    thead { tr { th.n scope="col" { "Errors" } th scope="col" { "Service" } th scope="col" { "Type" }
                        th scope="col" { "Message" } th scope="col" { "Last" } } }
                    tbody { @for row in 0..rows.len() { tr {
                        td.n { (whole(rows.whole(row, "errors").unwrap_or(0))) }
                        td { (foreign(rows.text(row, "service_name"), 60)) } td { (foreign(rows.text(row, "type"), 100)) }
                        td { (foreign(rows.text(row, "message"), 300)) }
                        td { a href=(params.kept().link(&format!("/trace/{}", super::params::segment(rows.text(row, "trace_id"))))) {
                            (super::text::time_of(rows.text(row, "last"))) } }
                    } } }
                } }
            }
        }
    }
}

/// The bounds of a range, as the store's macros take them.
fn bounds(range: &Range) -> String {
    format!("{}, {}", sql_time(range.from), sql_time(range.to))
}
