//! A trace as OTLP JSON: what the store has of it, in the words of the protocol.

use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::upload;
use crate::web::sql::{AskError, quoted};
use crate::web::text::nanos_of;
use crate::web::{Site, plain};

/// The columns of a span.
const COLUMNS: &str = "span_id, parent_span_id, trace_state, name, kind, start_time, duration_ns, status_code, status_message, \
                       resource, scope_name, scope_version, attributes, events, links";

/// Bytes of a line of an answer: a span with all that it has.
const MAX_LINE: usize = 64 << 20;

/// The file of `/trace/ID/otlp.json`. It is sent on as it comes.
pub async fn download(State(site): State<Site>, Path(id): Path<String>) -> Response<Body> {
    let id = id.to_lowercase();
    if upload::is_id(&id) {
        return match site.uploads.get(&id) {
            Some(file) => attachment(Body::from(file), "trace.json"),
            None => plain(StatusCode::NOT_FOUND, "this file is not kept any more\n").map(Body::new),
        };
    }
    let Some(service) = site.view.sql() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", AskError::NoStore)).map(Body::new);
    };
    match service.ask(sql(&id), "application/json").await {
        Ok(answer) if answer.status().is_success() => {
            let name =
                format!("trace-{}.json", id.chars().filter(char::is_ascii_hexdigit).take(32).collect::<String>());
            let rows = answer.into_body().into_data_stream().map_err(std::io::Error::other);
            attachment(Body::from_stream(written(rows, Writer::new(id))), &name)
        }
        Ok(answer) => plain(answer.status(), "the store does not answer that\n").map(Body::new),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", AskError::Away(why))).map(Body::new),
    }
}

/// Spans of one resource and scope follow each other; what came twice is there once.
fn sql(id: &str) -> String {
    format!(
        "SELECT DISTINCT ON (coalesce(span_id, uuid()::VARCHAR), kind, start_time) {COLUMNS}\nFROM spans\nWHERE trace_id = {}\n\
         ORDER BY resource::VARCHAR, scope_name, scope_version, start_time",
        quoted(id)
    )
}

fn attachment(body: Body, name: &str) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// An answer's pieces as those of the file. An answer that breaks off breaks the file off.
fn written(
    rows: impl stream::Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    writer: Writer,
) -> impl stream::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    stream::unfold(Some((Box::pin(rows), writer)), async |state| {
        let (mut rows, mut writer) = state?;
        let piece = match rows.next().await {
            Some(piece) => piece.and_then(|piece| writer.feed(&piece)),
            None => return writer.end().transpose().map(|end| (end, None)),
        };
        let state = piece.is_ok().then_some((rows, writer));
        Some((piece.map(Bytes::from), state))
    })
}

/// Makes OTLP of the lines of an answer: its first has the columns, each other one a row, the last the end.
struct Writer {
    trace: String,
    line: Vec<u8>,
    columns: Vec<String>,
    group: Option<[Value; 3]>,
    is_first: bool,
    is_whole: bool,
}

impl Writer {
    fn new(trace: String) -> Self {
        Writer { trace, line: Vec::new(), columns: Vec::new(), group: None, is_first: true, is_whole: false }
    }

    fn feed(&mut self, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.line(&line, &mut out)?;
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > MAX_LINE {
            return Err(std::io::Error::other("a span is too large"));
        }
        Ok(out)
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) -> std::io::Result<()> {
        #[derive(serde::Deserialize)]
        struct Head {
            columns: Vec<crate::web::sql::Column>,
        }
        if self.columns.is_empty() {
            let head: Head = serde_json::from_slice(&[line, b"]}"].concat())?;
            self.columns = head.columns.into_iter().map(|column| column.name).collect();
            out.extend_from_slice(b"{\"resourceSpans\":[");
        } else if line.starts_with(b"[") {
            let row: Vec<Value> = serde_json::from_slice(line.strip_suffix(b",").unwrap_or(line))?;
            self.row(self.columns.iter().cloned().zip(row).collect(), out)?;
        } else if line.starts_with(b"],\"row_count\"") {
            out.extend_from_slice(if self.group.is_some() { b"]}]}]}\n" } else { b"]}\n" });
            self.is_whole = true;
        }
        Ok(())
    }

    fn row(&mut self, mut row: Map<String, Value>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let group = ["resource", "scope_name", "scope_version"].map(|name| row.remove(name).unwrap_or_default());
        if self.group.as_ref() != Some(&group) {
            let [resource, name, version] = &group;
            let resource = json!({ "attributes": attributes(resource) });
            let scope = without_null(json!({ "name": name, "version": version }));
            out.extend_from_slice(match self.group {
                Some(_) => b"]}]},",
                None => b"",
            });
            out.extend_from_slice(b"{\"resource\":");
            serde_json::to_writer(&mut *out, &resource)?;
            out.extend_from_slice(b",\"scopeSpans\":[{\"scope\":");
            serde_json::to_writer(&mut *out, &scope)?;
            out.extend_from_slice(b",\"spans\":[");
            self.group = Some(group);
            self.is_first = true;
        }
        if !std::mem::take(&mut self.is_first) {
            out.push(b',');
        }
        serde_json::to_writer(out, &span(&self.trace, &row))?;
        Ok(())
    }

    /// What is left to write; an error if the answer has not come to its end.
    fn end(self) -> std::io::Result<Option<Bytes>> {
        if self.is_whole { Ok(None) } else { Err(std::io::Error::other("the answer broke off")) }
    }
}

/// A span in OTLP JSON.
fn span(trace: &str, row: &Map<String, Value>) -> Value {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let whole = |name: &str| match row.get(name) {
        Some(Value::String(text)) => text.parse().ok(),
        value => value.and_then(Value::as_i64),
    };
    let start = text("start_time").and_then(nanos_of);
    let end = start.zip(whole("duration_ns")).map(|(start, took)| start.saturating_add(took));
    let kind = number_of(text("kind"), &["unspecified", "internal", "server", "client", "producer", "consumer"]);
    let code = number_of(text("status_code"), &["unset", "ok", "error"]);
    without_null(json!({
        "traceId": trace,
        "spanId": row.get("span_id"),
        "parentSpanId": row.get("parent_span_id"),
        "traceState": row.get("trace_state"),
        "name": row.get("name"),
        "kind": kind,
        "startTimeUnixNano": start.map(|nanos| nanos.to_string()),
        "endTimeUnixNano": end.map(|nanos| nanos.to_string()),
        "status": without_null(json!({ "code": code, "message": row.get("status_message") })),
        "attributes": attributes(row.get("attributes").unwrap_or(&Value::Null)),
        "events": list(row.get("events"), |event| without_null(json!({
            "timeUnixNano": event["time"].as_str().and_then(nanos_of).map(|nanos| nanos.to_string()),
            "name": event["name"],
            "attributes": attributes(&event["attributes"]),
        }))),
        "links": list(row.get("links"), |link| without_null(json!({
            "traceId": link["trace_id"],
            "spanId": link["span_id"],
            "traceState": link["trace_state"],
            "attributes": attributes(&link["attributes"]),
        }))),
    }))
}

fn list(values: Option<&Value>, one: impl Fn(&Value) -> Value) -> Value {
    let values = values.and_then(Value::as_array).filter(|values| !values.is_empty());
    values.map_or(Value::Null, |values| values.iter().map(one).collect())
}

/// The number of an enumeration's name; others are stored as their number.
fn number_of(text: Option<&str>, names: &[&str]) -> Option<usize> {
    let text = text?;
    names.iter().position(|name| *name == text).or_else(|| text.parse().ok())
}

fn without_null(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}

/// Attributes as OTLP has them.
fn attributes(value: &Value) -> Value {
    let fields = value.as_object().filter(|fields| !fields.is_empty());
    fields.map_or(Value::Null, |fields| {
        fields.iter().map(|(key, value)| json!({ "key": key, "value": any_value(value) })).collect()
    })
}

/// `AnyValue`.
fn any_value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(number) if number.is_f64() => json!({ "doubleValue": number }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(values) => json!({ "arrayValue": { "values": values.iter().map(any_value).collect::<Vec<_>>() } }),
        Value::Object(_) => json!({ "kvlistValue": { "values": attributes(value) } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = concat!(
        r#"{"columns":[{"name":"span_id","type":"VARCHAR"},{"name":"name","type":"VARCHAR"},{"name":"kind","type":"VARCHAR"},"#,
        r#"{"name":"start_time","type":"TIMESTAMP_NS"},{"name":"duration_ns","type":"BIGINT"},{"name":"resource","type":"VARIANT"},"#,
        r#"{"name":"scope_name","type":"VARCHAR"},{"name":"attributes","type":"VARIANT"}],"rows":["#,
        "\n",
        r#"["01","a\nb","server","2026-11-29T10:00:00.000000001Z",5,{"service.name":"x"},"s",{"n":1,"f":1.5,"b":true,"l":[1],"o":{"k":"v"}}],"#,
        "\n",
        r#"["02","c",null,null,null,{"service.name":"x"},"s",null],"#,
        "\n",
        r#"["03","d","9",null,null,{"service.name":"y"},null,null]"#,
        "\n",
        r#"],"row_count":3,"elapsed_ms":1,"truncated":false}"#,
        "\n"
    );

    #[test]
    fn rows_become_otlp_however_they_are_cut() {
        let mut whole = Writer::new("ab".to_owned());
        let expected = whole.feed(ANSWER.as_bytes()).unwrap();
        for size in [1, 7, 64] {
            let mut writer = Writer::new("ab".to_owned());
            let pieces: Vec<u8> =
                ANSWER.as_bytes().chunks(size).flat_map(|piece| writer.feed(piece).unwrap()).collect();
            assert_eq!(pieces, expected);
            assert!(writer.end().unwrap().is_none());
        }
        let trace: Value = serde_json::from_slice(&expected).unwrap();
        let spans = trace["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        assert_eq!((trace["resourceSpans"].as_array().unwrap().len(), spans.len()), (2, 2), "{trace}");
        assert_eq!((&spans[0]["traceId"], &spans[0]["kind"]), (&json!("ab"), &json!(2)));
        assert_eq!(spans[0]["endTimeUnixNano"], "1795946400000000006");
        let value = |n: usize| &spans[0]["attributes"][n];
        assert_eq!(value(0), &json!({ "key": "b", "value": { "boolValue": true } }));
        assert_eq!(value(1), &json!({ "key": "f", "value": { "doubleValue": 1.5 } }));
        assert_eq!(spans[1], json!({ "traceId": "ab", "spanId": "02", "name": "c", "status": {} }));
        assert_eq!(trace["resourceSpans"][1]["scopeSpans"][0]["spans"][0]["kind"], 9);
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_file() {
        let mut writer = Writer::new("ab".to_owned());
        writer.feed(&ANSWER.as_bytes()[..ANSWER.len() - 60]).unwrap();
        assert!(writer.end().is_err());
        let mut empty = Writer::new("ab".to_owned());
        let out = empty
            .feed(b"{\"columns\":[{\"name\":\"a\",\"type\":\"VARCHAR\"}],\"rows\":[\n],\"row_count\":0}\n")
            .unwrap();
        assert_eq!(out, b"{\"resourceSpans\":[]}\n");
    }
}
