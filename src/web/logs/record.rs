//! One moment of the logs: its records with all that they have, and the lines around them.

use axum::body::Body;
use axum::extract::{Path, State};
use http::{Response, StatusCode, Uri};
use maud::{Markup, html};

use super::columns::Columns;
use super::{BODY, LEVEL, level_of, record_row};
use crate::web::layout::{Content, Page, View, empty, failed, fields, warnings};
use crate::web::params::{Params, segment};
use crate::web::range::{Nanos, SECOND, sql_time};
use crate::web::sql::{Rows, quoted};
use crate::web::text::{foreign, time, whole};
use crate::web::{Site, routes};

/// Records of one moment that are shown whole.
const WHOLE: usize = 20;

/// Lines before and after.
const AROUND: usize = 20;

/// How far away lines are looked for.
const NEAR: Nanos = 3600 * SECOND;

/// Characters of a body that is shown whole.
const MAX_BODY: usize = 65_536;

/// The page of `/logs/at/NANOSECONDS`.
pub async fn page(State(site): State<Site>, Path(at): Path<String>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let Some(at) = at.parse::<Nanos>().ok().filter(|at| *at >= 0) else {
        return render(&params, StatusCode::NOT_FOUND, Vec::new(), html! { h1 { "No such record" } });
    };
    let service = params.get("service");
    let statements = [whole_sql(at), around_sql(at, service, true), around_sql(at, service, false)];
    let (records, before, after) = tokio::join!(
        site.rows(&statements[0], WHOLE),
        site.rows(&statements[1], AROUND),
        site.rows(&statements[2], AROUND),
    );
    let path = format!("/logs/at/{at}");
    let content = html! {
        h1 { "Log records at " (time(at)) }
        @match &records {
            Ok(rows) if rows.is_empty() => (empty("There is no record of this moment.", html! {
                @if let Some(since) = site.view.status().await.kept_since("logs") {
                    p { "Records are kept since " (time(since)) "; older ones have been removed by retention." }
                }
                p { a href=(params.kept().link("/logs")) { "Search for records" } }
            })),
            Ok(rows) => { (warnings(&rows.warnings)) @for row in 0..rows.len() { (one(rows, row, &params)) }
                @if rows.truncated { p.muted { "There are more of this moment, or larger ones than a page can show." } } }
            Err(error) => (failed(error)),
        }
        @if let (Ok(before), Ok(after)) = (&before, &after) {
            h2 { "Around it" }
            p { @match service {
                Some(service) => { "Of " (foreign(service, 60)) " alone · " a href=(params.without(&["service"]).link(&path)) { "of all services" } }
                None => @if let Ok(rows) = &records {
                    @let service = rows.text(0, "service_name");
                    @if !service.is_empty() { "Of all services · " a href=(params.with("service", service).link(&path)) { "of " (foreign(service, 60)) " alone" } } }
            } }
            div.scroll tabindex="0" role="region" aria-label="Records around it" { table.records {
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "Service" }
                    th scope="col" { "Message" } th scope="col" { "Trace" }
                } }
                tbody {
                    @for row in (0..after.len()).rev() { (record_row(after, row, &Columns::default(), &params)) }
                    tr.here { td colspan="5" { "the records above, at " (time(at)) } }
                    @for row in 0..before.len() { (record_row(before, row, &Columns::default(), &params)) }
                }
            } }
        }
    };
    let status = match &records {
        Ok(rows) if rows.is_empty() => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    render(&params, status, statements.into(), content)
}

fn render(params: &Params, status: StatusCode, statements: Vec<String>, main: Markup) -> Response<Body> {
    Page::of(View::Logs, params).titled("Log record").answer(status, Content { main, statements })
}

fn whole_sql(at: Nanos) -> String {
    format!(
        "SELECT time, observed_time, {LEVEL} AS level, severity_number, severity_text, service_name,\n  \
         left(body, {MAX_BODY}) AS body, length(body) AS length, event_name, scope_name, trace_id, span_id, attributes, resource\n\
         FROM logs\nWHERE time = {}\nLIMIT {}",
        sql_time(at),
        WHOLE + 1,
    )
}

fn around_sql(at: Nanos, service: Option<&str>, is_before: bool) -> String {
    let (from, to, order) =
        if is_before { (at.saturating_sub(NEAR).max(0), at, "DESC") } else { (at + 1, at.saturating_add(NEAR), "ASC") };
    format!(
        "SELECT time, {LEVEL} AS level, severity_text, service_name, left(body, {BODY}) AS body, length(body) AS length,\n  \
         trace_id, span_id, event_name\nFROM logs\nWHERE time >= {} AND time < {}{}\nORDER BY time {order}\nLIMIT {AROUND}",
        sql_time(from),
        sql_time(to),
        service.map(|service| format!(" AND service_name = {}", quoted(service))).unwrap_or_default(),
    )
}

fn one(rows: &Rows, row: usize, params: &Params) -> Markup {
    let (class, title) = level_of(rows.text(row, "level"));
    let (trace, length) = (rows.text(row, "trace_id"), rows.whole(row, "length").unwrap_or(0));
    html! {
        article class={ "record " (class) } {
            p {
                span.level { (title) } " " strong { (foreign(rows.text(row, "service_name"), 200)) } " "
                (foreign(rows.text(row, "event_name"), 200))
            }
            pre.content tabindex="0" { (foreign(rows.text(row, "body"), MAX_BODY)) }
            @if length > MAX_BODY as i64 {
                p.muted { "The first " (whole(MAX_BODY as i64)) " of " (whole(length)) " characters; SQL gives all of them." }
            }
            dl.facts {
                @for name in ["severity_text", "severity_number", "observed_time", "scope_name", "span_id"] {
                    @if let Some(value) = crate::web::text::cell(rows.cell(row, name)) {
                        div { dt { (name.replace('_', " ")) } dd { (foreign(&value, 200)) } }
                    }
                }
                @if !trace.is_empty() { div { dt { "trace" } dd {
                    a href=(params.kept().and("span", rows.text(row, "span_id")).link(&format!("/trace/{}", segment(trace)))) {
                        code { (foreign(trace, 64)) } }
                    " "
                    a href=(params.kept().with("trace", trace).link("/logs")) { "its records" }
                } } }
            }
            (fields("Attributes", rows.cell(row, "attributes")))
            (fields("Resource", rows.cell(row, "resource")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_around_a_record_is_not_the_record() {
        let at = 1_780_000_000 * SECOND;
        assert!(around_sql(at, None, true).contains(&format!("time < {}", sql_time(at))));
        let after = around_sql(at, Some("it's"), false);
        assert!(
            after.contains(&format!("time >= {}", sql_time(at + 1))) && after.contains("service_name = 'it''s'"),
            "{after}"
        );
    }
}
