//! The spans of a file, which answer questions as the store does.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Map, Value, json};

use super::Problem;
use crate::signal::Signal;
use crate::web::range::rfc3339;
use crate::web::sql::{Column, Rows};
use crate::web::trace::MAX_SPANS;
use crate::web::trace::question::Question;

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
            for span in of_scope.spans.iter().take((MAX_SPANS + 1).saturating_sub(rows.len())) {
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
}
