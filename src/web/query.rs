//! The view SQL: a statement, its rows as a table or a file, its plan, and the schema beside it.
//!
//! | module | what |
//! |---|---|
//! | [`examples`] | statements that answer real questions |
//! | [`schema`] | the views and their columns |
//! | [`words`] | what the editor completes |
//! | [`chart`], [`parquet`] | rows as a picture, and as a file |

mod chart;
mod examples;
mod parquet;
mod schema;
mod words;

use axum::body::Body;
use axum::extract::State;
use http::{HeaderValue, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use maud::{Markup, html};

use super::layout::{Content, failed, warnings};
use super::params::Params;
use super::range::Range;
use super::sql::{AskError, Rows, refusal};
use super::text::{cell, count, cut, foreign};
use super::{Site, plain, routes};

/// Rows that the table shows; a file has all of them.
const SHOWN: usize = 500;

/// Characters of a cell before it is folded, and of one that is unfolded.
const CELL: usize = 200;
const UNFOLDED: usize = 20_000;

/// Bytes of what the store says instead of rows.
const MAX_REFUSAL: usize = 64 << 10;

/// What is on the page.
pub async fn content(site: Site, params: Params, _: Range) -> Content {
    let statement = params.get("q").map(|statement| match params.get("explain") {
        Some(_) => format!("EXPLAIN {statement}"),
        None => statement.to_owned(),
    });
    let is_chart = params.get("as") == Some("chart");
    let answer = async {
        match &statement {
            Some(statement) => Some(site.rows_at_once(statement, if is_chart { chart::MAX } else { SHOWN }).await),
            None => None,
        }
    };
    let (answer, columns, keys) =
        tokio::join!(answer, site.rows(schema::STATEMENT, schema::MAX), site.rows(words::STATEMENT, words::MAX));
    let content = html! {
        h1 { "SQL" }
        div.beside {
            div {
                (editor(&params))
                (words::list(columns.as_ref().ok(), keys.as_ref().ok()))
                @match &answer {
                    Some(Ok(rows)) => (result(rows, &params)),
                    Some(Err(error)) => (problem(error, statement.as_deref().unwrap_or_default())),
                    None => {}
                }
            }
            aside aria-label="Schema and examples" {
                h2 { "Examples" }
                (examples::list(&params))
                h2 { "Views" }
                @match &columns { Ok(rows) => (schema::list(rows)), Err(error) => (failed(error)) }
            }
        }
    };
    content.into()
}

/// The whole answer as a file: `/sql/download?q=...&format=csv`. It is sent on as it comes.
pub async fn download(State(site): State<Site>, uri: Uri) -> Response<Body> {
    let params = routes::params(&uri);
    let (accept, name) = match params.get("format") {
        None | Some("csv") => ("text/csv", "answer.csv"),
        Some("json") => ("application/json", "answer.json"),
        Some("arrow") => ("application/vnd.apache.arrow.stream", "answer.arrows"),
        Some("parquet") => ("application/vnd.apache.arrow.stream", "answer.parquet"),
        Some(_) => return plain(StatusCode::BAD_REQUEST, "the format is csv, json, arrow or parquet\n").map(Body::new),
    };
    let Some(statement) = params.get("q") else {
        return plain(StatusCode::BAD_REQUEST, "q is the statement\n").map(Body::new);
    };
    let Some(service) = site.view.sql() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", AskError::NoStore)).map(Body::new);
    };
    match service.ask(statement.to_owned(), accept).await {
        Ok(answer) if answer.status().is_success() => {
            let (parts, body) = answer.into_parts();
            let is_parquet = params.get("format") == Some("parquet");
            let mut response = Response::new(if is_parquet { parquet::of_arrow(body) } else { body });
            let kind = match parts.headers.get(header::CONTENT_TYPE) {
                _ if is_parquet => Some(HeaderValue::from_static("application/vnd.apache.parquet")),
                kind => kind.cloned(),
            };
            if let Some(kind) = kind {
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
                response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
            }
            response
        }
        Ok(answer) => {
            let status = answer.status();
            let said = Limited::new(answer.into_body(), MAX_REFUSAL).collect().await;
            let said = said.map(|body| body.to_bytes()).unwrap_or_default();
            plain(status, format!("{}\n", refusal(status, &said))).map(Body::new)
        }
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", AskError::Away(why))).map(Body::new),
    }
}

fn editor(params: &Params) -> Markup {
    let statement = params.get("q").unwrap_or_default();
    let lines = statement.lines().count().clamp(6, 24);
    html! {
        form.editor method="get" action="/sql" data-slow {
            @for (name, value) in params.kept().pairs() { input type="hidden" name=(name) value=(value); }
            label { span { "Statement" }
                textarea name="q" rows=(lines) data-words="words" spellcheck="false" autocomplete="off" data-search data-submit required { (statement) } }
            p.actions {
                button { "Run" }
                button name="explain" value="1" { "Explain" }
                span.muted { "Ctrl-Enter runs it. Only reading is allowed; a browser that leaves, or stops loading, ends it." }
            }
        }
    }
}

fn result(rows: &Rows, params: &Params) -> Markup {
    let is_chart = params.get("as") == Some("chart");
    let file = |format: &str| params.only(&["q"]).and("format", format).link("/sql/download");
    html! {
        (warnings(&rows.warnings))
        p role="status" {
            (count(rows.len() as u64, "row", "rows"))
            @if rows.truncated { ", the first of more" }
            @match rows.elapsed_ms { Some(ms) => { " in " (ms) " ms" }, None => {} }
            @if params.get("explain").is_none() {
                " · as a file of up to " code { "sql.max_rows" } " rows: " a href=(file("csv")) download { "CSV" } ", " a href=(file("json")) download { "JSON" } ", "
                a href=(file("arrow")) download { "Arrow" } ", " a href=(file("parquet")) download { "Parquet" }
                " · as " @if is_chart { a href=(params.without(&["as"]).link("/sql")) { "table" } ", " strong { "chart" } }
                @else { strong { "table" } ", " a href=(params.with("as", "chart").link("/sql")) { "chart" } }
            }
        }
        @if is_chart { (chart::draw(rows)) } @else { (table(rows)) }
    }
}

fn table(rows: &Rows) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rows" { table.rows {
            thead { tr { @for column in &rows.columns {
                th scope="col" { (foreign(&column.name, CELL)) " " small { (foreign(&column.kind, 30)) } }
            } } }
            tbody { @for row in &rows.rows { tr data-row { @for value in row { (table_cell(value)) } } } }
        } }
    }
}

fn table_cell(value: &serde_json::Value) -> Markup {
    let Some(text) = cell(value) else { return html! { td { span.muted { "NULL" } } } };
    let is_long = text.chars().nth(CELL).is_some();
    html! {
        td.n[value.is_number()] {
            @if is_long { details { summary { (foreign(&text, CELL)) } pre tabindex="0" { (foreign(&text, UNFOLDED)) } } }
            @else if text.contains('\n') { pre tabindex="0" { (foreign(&text, CELL)) } }
            @else { (foreign(&text, CELL)) }
        }
    }
}

/// What the store says, and the place in the statement that it is about.
fn problem(error: &AskError, statement: &str) -> Markup {
    let place = match error {
        AskError::Refused { position: Some(position), .. } => {
            statement.get(..position.offset).zip(statement.get(position.offset..)).map(|parts| (position, parts))
        }
        _ => None,
    };
    html! {
        (failed(error))
        @if let Some((position, (before, after))) = place {
            p { "Line " (position.line) ", character " (position.column) ":" }
            pre tabindex="0" { (before.rsplit('\n').next().unwrap_or_default()) mark { "▸" } (cut(after, 200)) }
        }
    }
}
