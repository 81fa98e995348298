//! Traces in files that somebody looks at: they are kept in memory for a while, and never stored.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request, State};
use bytes::Bytes;
use http::{Response, StatusCode};
use maud::{Markup, html};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;
use rand::Rng;
use serde_json::{Map, Value, json};

use super::question::Question;
use crate::signal::Signal;
use crate::web::params::Params;
use crate::web::range::rfc3339;
use crate::web::sql::{Column, Rows};
use crate::web::{Site, routes};

/// Bytes of a file.
pub const MAX_FILE: usize = 16 << 20;

/// Bytes of all files that are kept: the oldest go first.
const MAX_KEPT: usize = 32 << 20;

/// What the ids of such traces begin with; those of others are hex.
const PREFIX: &str = "uploaded-";

/// Whether an id is of a file.
pub fn is_id(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// Why there is nothing to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It was there, or never was.
    #[error("this file is not kept any more: upload it again")]
    Gone,
    /// It cannot be read.
    #[error("the file is no trace in OTLP JSON: {0}")]
    Unreadable(String),
}

/// The files that are kept.
#[derive(Debug, Clone)]
pub struct Uploads {
    files: Arc<Mutex<VecDeque<(String, Bytes)>>>,
    /// One file is read at a time: so much memory it takes, however many are sent.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Uploads {
    /// With none.
    pub fn new() -> Self {
        Uploads { files: Arc::default(), turn: Arc::default() }
    }

    /// Waits until no other file is read.
    async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Keeps a file; its id is a random one, which nobody else can guess.
    pub fn keep(&self, file: Bytes) -> String {
        let random: [u8; 8] = rand::rng().random();
        let id = format!("{PREFIX}{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let mut files = self.files.lock();
        files.push_back((id.clone(), file));
        while files.iter().map(|(_, file)| file.len()).sum::<usize>() > MAX_KEPT {
            files.pop_front();
        }
        id
    }

    /// The file of an id.
    pub fn get(&self, id: &str) -> Option<Bytes> {
        self.files.lock().iter().find(|(of, _)| of == id).map(|(_, file)| file.clone())
    }
}

/// The form for a file.
pub fn form(token: &str, params: &Params) -> Markup {
    html! {
        form.filters method="post" action=(params.kept().link("/trace")) enctype="multipart/form-data" aria-label="A trace in a file" {
            input type="hidden" name="token" value=(token);
            label { span { "Trace in a file (OTLP JSON)" } input type="file" name="file" accept=".json,application/json" required; }
            button { "Look at it" }
            span.muted { "It is shown and not stored." }
        }
    }
}

/// Takes a file and leads to its page.
pub async fn upload(State(site): State<Site>, request: Request) -> Response<Body> {
    let params = routes::params(request.uri());
    match take(&site, request).await {
        Ok(id) => routes::see_other(&params.kept().link(&format!("/trace/{id}"))),
        Err(refused) => {
            let content = html! {
                h1 { "Not taken" }
                p.problem role="alert" { (refused) }
                p { a href=(params.kept().link("/traces")) { "Back to the traces" } }
            };
            super::render(refused.status(), &params, Vec::new(), content)
        }
    }
}

/// Why a form is not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("This form is not of this page, or of an earlier start of the program: open the page again.")]
    Foreign,
    #[error("{0}")]
    Form(#[from] MultipartRejection),
    #[error("{}", .0.body_text())]
    Field(#[from] MultipartError),
    #[error("{0}")]
    File(#[from] Problem),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Refused::Foreign => StatusCode::FORBIDDEN,
            Refused::Form(error) => error.status(),
            Refused::Field(error) => error.status(),
            Refused::File(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Keeps the file of a form; the answer is its id. Nothing of a file is read before it is known that the form is ours:
/// the token comes first.
async fn take(site: &Site, request: Request) -> Result<String, Refused> {
    if !site.hosts.is_same_origin(&request) {
        return Err(Refused::Foreign);
    }
    let mut form = Multipart::from_request(request, &()).await?;
    let mut is_ours = false;
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("token") => is_ours = site.token.is(Some(&field.text().await?)),
            Some("file") if is_ours => {
                let file = field.bytes().await?;
                let _turn = site.uploads.turn().await;
                read(file.clone()).await?;
                return Ok(site.uploads.keep(file));
            }
            _ => break,
        }
    }
    Err(if is_ours {
        Refused::File(Problem::Unreadable("there is no file in the form".to_owned()))
    } else {
        Refused::Foreign
    })
}

/// The spans of a file, read as a receiver reads them.
///
/// # Errors
/// If it is no OTLP JSON, or has no span.
pub async fn read(file: Bytes) -> Result<Spans, Problem> {
    let read = tokio::task::spawn_blocking(move || spans(&file)).await;
    read.unwrap_or_else(|error| Err(Problem::Unreadable(error.to_string())))
}

/// The spans of a file, as rows of the view `spans`.
#[derive(Debug, Clone, Default)]
pub struct Spans(Vec<Map<String, Value>>);

fn spans(file: &[u8]) -> Result<Spans, Problem> {
    let unreadable = |error: String| Problem::Unreadable(error);
    let translated =
        crate::wire::json::translate(Signal::Traces, file).map_err(|error| unreadable(error.to_string()))?;
    let request = ExportTraceServiceRequest::decode(translated.payload.as_slice())
        .map_err(|error| unreadable(error.to_string()))?;
    let mut rows = Vec::new();
    for of_resource in &request.resource_spans {
        let resource =
            of_resource.resource.as_ref().map(|resource| attributes(&resource.attributes)).unwrap_or_default();
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.clone().unwrap_or_default();
            for span in of_scope.spans.iter().take((super::MAX_SPANS + 1).saturating_sub(rows.len())) {
                let mut row = row(span);
                row.insert("service_name".to_owned(), resource.get("service.name").cloned().unwrap_or_default());
                row.insert("resource".to_owned(), Value::Object(resource.clone()));
                row.insert("scope_name".to_owned(), json!(scope.name));
                row.insert("scope_version".to_owned(), json!(scope.version));
                rows.push(row);
            }
        }
    }
    if rows.is_empty() {
        return Err(unreadable("it has no span".to_owned()));
    }
    let time = |row: &Map<String, Value>| row["start_time"].as_str().map(str::to_owned);
    rows.sort_by_cached_key(time);
    Ok(Spans(rows))
}

fn hex(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        Value::Null
    } else {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
    }
}

fn moment(nanos: u64) -> Value {
    i64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map_or(Value::Null, |nanos| rfc3339(nanos).into())
}

fn row(span: &Span) -> Map<String, Value> {
    let status = span.status.clone().unwrap_or_default();
    let kind = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    let took = span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).filter(|_| span.end_time_unix_nano > 0);
    let events = span.events.iter().map(|event| {
        json!({ "time": moment(event.time_unix_nano), "name": event.name, "attributes": attributes(&event.attributes) })
    });
    let links = span.links.iter().map(|link| {
        json!({ "trace_id": hex(&link.trace_id), "span_id": hex(&link.span_id), "attributes": attributes(&link.attributes) })
    });
    let row = json!({
        "span_id": hex(&span.span_id),
        "parent_span_id": hex(&span.parent_span_id),
        "name": span.name,
        "kind": usize::try_from(span.kind).ok().and_then(|number| kind.get(number)).map_or_else(|| span.kind.to_string(), |kind| (*kind).to_owned()),
        "server": matches!(span.kind, 2 | 5),
        "start_time": moment(span.start_time_unix_nano),
        "duration_ns": took,
        "status_code": match status.code { 0 => "unset".to_owned(), 1 => "ok".to_owned(), 2 => "error".to_owned(), other => other.to_string() },
        "status_message": status.message,
        "failed": status.code == 2,
        "attributes": attributes(&span.attributes),
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

fn attributes(attributes: &[KeyValue]) -> Map<String, Value> {
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute.value.as_ref()))).collect()
}

fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        None => Value::Null,
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(value)) => json!(value),
        Some(Any::IntValue(value)) => json!(value),
        Some(Any::DoubleValue(value)) => json!(value),
        Some(Any::BytesValue(bytes)) => hex(bytes),
        Some(Any::ArrayValue(values)) => values.values.iter().map(|any| value(Some(any))).collect(),
        Some(Any::KvlistValue(values)) => Value::Object(attributes(&values.values)),
        Some(other) => json!(format!("{other:?}")),
    }
}

impl Spans {
    /// The answer that the store would give.
    pub fn answer(&self, question: Question<'_>) -> Rows {
        let most = question.most();
        let text =
            |row: &Map<String, Value>, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_it = |row: &&Map<String, Value>| match question {
            Question::Span(id) => text(row, "span_id") == id.to_lowercase(),
            Question::Names(ids) => ids.contains(&text(row, "span_id").as_str()),
            Question::Find(find) => {
                let find = find.to_lowercase();
                let has = |text: String| text.to_lowercase().contains(&find);
                has(text(row, "name")) || has(text(row, "service_name")) || has(row["attributes"].to_string())
            }
            _ => true,
        };
        let found = self.0.iter().filter(is_it);
        let columns: &[&str] = match question {
            Question::Skeleton => {
                &["span_id", "parent_span_id", "server", "start_time", "duration_ns", "failed", "service_name"]
            }
            Question::Find(_) => &["span_id"],
            Question::Names(_) | Question::AllNames => &["span_id", "server", "name", "kind"],
            Question::Span(_) => &[
                "name",
                "kind",
                "start_time",
                "duration_ns",
                "status_code",
                "status_message",
                "service_name",
                "scope_name",
                "scope_version",
                "span_id",
                "parent_span_id",
                "attributes",
                "events",
                "links",
                "resource",
            ],
            Question::Statistics => return self.statistics(),
        };
        let cells =
            |row: &Map<String, Value>| columns.iter().map(|name| row.get(*name).cloned().unwrap_or_default()).collect();
        let rows: Vec<Vec<Value>> = found.take(most + 1).map(cells).collect();
        table(columns, rows, most)
    }

    fn statistics(&self) -> Rows {
        let mut groups: Vec<(Value, Value, [u64; 4])> = Vec::new();
        let mut known = std::collections::HashMap::new();
        for row in &self.0 {
            let key = (row["service_name"].to_string(), row["name"].to_string());
            let place = *known.entry(key).or_insert_with(|| {
                groups.push((row["service_name"].clone(), row["name"].clone(), [0; 4]));
                groups.len() - 1
            });
            let took = row["duration_ns"].as_u64().unwrap_or(0);
            let [spans, errors, total, longest] = &mut groups[place].2;
            *spans += 1;
            *errors += u64::from(row["failed"] == true);
            *total = total.saturating_add(took);
            *longest = took.max(*longest);
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.2[2]));
        let rows = groups
            .into_iter()
            .map(|(service, name, numbers)| [service, name].into_iter().chain(numbers.map(Value::from)).collect());
        let columns = ["service_name", "name", "spans", "errors", "total_ns", "longest_ns"];
        table(&columns, rows.collect(), Question::Statistics.most())
    }
}

fn table(columns: &[&str], mut rows: Vec<Vec<Value>>, most: usize) -> Rows {
    let columns = columns.iter().map(|name| Column { name: (*name).to_owned(), kind: String::new() }).collect();
    let truncated = rows.len() > most;
    rows.truncate(most);
    Rows { columns, rows, truncated, ..Rows::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"spans":[
            {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0000000000000002","parentSpanId":"0000000000000001","name":"SELECT",
             "kind":3,"startTimeUnixNano":"1780000000000000005","endTimeUnixNano":"1780000000000000009","status":{"code":2}},
            {"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0000000000000001","name":"GET /","kind":2,
             "startTimeUnixNano":"1780000000000000001","attributes":[{"key":"n","value":{"intValue":"7"}}]}]}]}]}"#;

    #[test]
    fn a_file_answers_as_the_store_does() {
        let spans = spans(FILE.as_bytes()).unwrap();
        let skeleton = spans.answer(Question::Skeleton);
        assert_eq!(
            (skeleton.len(), skeleton.text(0, "span_id"), skeleton.text(1, "parent_span_id")),
            (2, "0000000000000001", "0000000000000001")
        );
        assert_eq!((skeleton.whole(1, "duration_ns"), skeleton.whole(0, "duration_ns")), (Some(4), None));
        assert!(skeleton.is_true(0, "server") && skeleton.is_true(1, "failed") && !skeleton.truncated);
        let span = spans.answer(Question::Span("0000000000000001"));
        assert_eq!((span.len(), &span.cell(0, "attributes")["n"], span.text(0, "kind")), (1, &json!(7), "server"));
        assert_eq!(spans.answer(Question::Find("select")).len(), 1);
        assert_eq!(spans.answer(Question::Names(&["0000000000000002"])).text(0, "name"), "SELECT");
        assert_eq!(spans.answer(Question::Statistics).whole(0, "total_ns"), Some(4));
        for (file, why) in [("{", "line 1"), ("{}", "no span"), ("[1]", ""), ("{\"resourceSpans\":5}", "resourceSpans")]
        {
            let problem = super::spans(file.as_bytes()).unwrap_err().to_string();
            assert!(problem.contains(why), "{file}: {problem}");
        }
    }

    #[test]
    fn files_are_kept_within_bounds() {
        let uploads = Uploads::new();
        let ids: Vec<String> = (0..5).map(|_| uploads.keep(Bytes::from(vec![b' '; 10 << 20]))).collect();
        assert_eq!(ids.iter().filter(|id| uploads.get(id).is_some()).count(), 3);
        assert!(uploads.get(&ids[0]).is_none() && uploads.get(&ids[4]).is_some() && is_id(&ids[4]));
    }
}
