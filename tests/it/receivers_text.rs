//! Text that is broken is taken and repaired; bodies that hold nothing known are refused.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use tonic::Code;
use vispyr::signal::{Compression, Signal};
use vispyr::wire::prompb::{v1, v2};

use crate::receivers::rig::{Rig, call_raw, compress, export, framed, payload, post};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const V2: (&str, &str) = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

/// The encoding of a request in which `text` stands, with a byte of it broken.
fn broken(mut body: Vec<u8>, text: &str) -> Vec<u8> {
    let at = body.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    body[at + text.len() - 1] = 0xff;
    body
}

fn named(name: &str) -> Vec<u8> {
    let mut span = payload::span(1);
    span.name = name.to_owned();
    payload::spans(vec![span, payload::span(2)]).encode_to_vec()
}

fn write_v1(value: &str) -> v1::WriteRequest {
    let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
    let series = v1::TimeSeries {
        labels: vec![label("__name__", "up"), label("path", value)],
        samples: vec![v1::Sample { value: 1.0, timestamp: 1 }],
        ..v1::TimeSeries::default()
    };
    v1::WriteRequest { timeseries: vec![series], metadata: Vec::new() }
}

fn write_v2() -> v2::Request {
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![v2::Sample { value: 1.0, timestamp: 1, start_timestamp: 0 }],
        ..v2::TimeSeries::default()
    };
    v2::Request { symbols: ["", "__name__", "up"].map(str::to_owned).to_vec(), timeseries: vec![series] }
}

#[tokio::test]
async fn strings_that_are_no_utf8_cost_nothing_and_are_logged_repaired() {
    let rig = Rig::start().await;
    let body = broken(named("a name that is cut"), "a name that is cut");
    assert!(ExportTraceServiceRequest::decode(&body[..]).is_err(), "no decoder takes it as it came");
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &body)).await;
    assert_eq!(answer.grpc().code(), Code::Ok);
    let gzip = compress(Compression::Gzip, &body);
    let answer = post(rig.http, "/v1/traces", &[PROTOBUF, ("content-encoding", "gzip")], gzip).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    for batch in rig.logged(Signal::Traces).await {
        assert_eq!((batch.items, batch.compression), (2, Compression::Identity));
        let request = ExportTraceServiceRequest::decode(&batch.payload[..]).unwrap();
        assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, "a name that is cu\u{fffd}");
    }
    let body = broken(write_v1("/caf").encode_to_vec(), "/caf");
    let body = compress(Compression::SnappyBlock, &body);
    assert_eq!(post(rig.remote_write, "/api/v1/write", &[], body).await.status.as_u16(), 204);
    let batch = rig.only(Signal::Metrics).await;
    let request = v1::WriteRequest::decode(&batch.payload[..]).unwrap();
    assert_eq!(request.timeseries[0].labels[1].value, "/ca\u{fffd}");
    assert_eq!(rig.ledger("vispyr_strings_repaired_total", &[]), 3);
    rig.assert_ledger(3);
}

#[tokio::test]
async fn lone_surrogates_in_json_cost_nothing() {
    let rig = Rig::start().await;
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"fine"}},
        {"body":{"stringValue":"cut \ud83d"}}]}]}]}"#;
    let answer = post(rig.http, "/v1/logs", &[JSON], body.to_vec()).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let batch = rig.only(Signal::Logs).await;
    assert_eq!(batch.items, 2);
    assert!(batch.payload.windows(7).any(|window| window == "cut \u{fffd}".as_bytes()));
    assert_eq!(rig.ledger("vispyr_strings_repaired_total", &["signal=\"logs\""]), 1);
    rig.assert_ledger(1);
}

#[tokio::test]
async fn a_body_that_holds_nothing_known_is_refused_with_the_likely_mistake() {
    let rig = Rig::start().await;
    let logs = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]});
    for (path, body, says) in [
        ("/v1/traces", logs, "logs go to /v1/logs"),
        ("/v1/traces", json!({"resourcespans": [{"scopeSpans": []}]}), "\"resourceSpans\" is"),
        ("/v1/traces", json!({"resourceSpans": [{"scope_span": [{"spans": [{}]}]}]}), "resourceSpans[0].scope_span"),
        ("/v1/metrics", json!({"metrics": []}), "\"metrics\" is not a known field"),
    ] {
        let answer = post(rig.http, path, &[JSON], body.to_string()).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}");
        assert!(answer.text().replace('\\', "").contains(says), "{says}: {}", answer.text());
    }
    // Logs and metrics in protobuf, and a field that no request has.
    for (signal, says) in [(Signal::Logs, "logs, which go to /v1/logs"), (Signal::Metrics, "go to /v1/metrics")] {
        let answer = post(rig.http, "/v1/traces", &[PROTOBUF], payload::three(signal)).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
    }
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &[0x7a, 1, 0])).await;
    assert_eq!(answer.grpc().code(), Code::InvalidArgument);
    for (headers, body, says) in [
        (vec![], write_v2().encode_to_vec(), "io.prometheus.write.v2.Request"),
        (vec![V2], write_v1("x").encode_to_vec(), "prometheus.WriteRequest"),
    ] {
        let answer = post(rig.remote_write, "/api/v1/write", &headers, compress(Compression::SnappyBlock, &body)).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
    }
    for signal in Signal::ALL {
        assert!(rig.logged(signal).await.is_empty(), "{signal}");
    }
    rig.assert_ledger(9);
}

/// A log record with a body alone reads as a span with a name alone, and as a gauge without a name.
#[tokio::test]
async fn records_of_another_signal_that_read_as_items_are_refused() {
    let rig = Rig::start().await;
    let mut logs = payload::logs(2);
    for record in &mut logs.resource_logs[0].scope_logs[0].log_records {
        record.time_unix_nano = 0;
        record.body = Some(AnyValue { value: Some(Value::StringValue("hi".to_owned())) });
    }
    for (path, says) in [("/v1/traces", "no span has a valid trace id"), ("/v1/metrics", "no metric has a name")] {
        let answer = post(rig.http, path, &[PROTOBUF], logs.encode_to_vec()).await;
        assert_eq!(answer.status.as_u16(), 400, "{path}");
        let text = answer.text();
        assert!(text.contains(says) && text.contains("logs, which go to /v1/logs"), "{path}: {text}");
    }
    // The same items of which one is valid, and invalid ones that are nothing else.
    let mut traces = payload::traces(1);
    let spans = &mut traces.resource_spans[0].scope_spans[0].spans;
    spans.push(Span { name: "\n\u{2}hi".to_owned(), ..Span::default() });
    assert_eq!(post(rig.http, "/v1/traces", &[PROTOBUF], traces.encode_to_vec()).await.status.as_u16(), 200);
    let attribute = KeyValue { key: "a".to_owned(), value: Some(AnyValue::default()), ..KeyValue::default() };
    for span in [
        Span::default(),
        Span { name: "hi".to_owned(), ..Span::default() },
        Span { trace_id: b"abc".to_vec(), span_id: b"d".to_vec(), ..Span::default() },
        Span { attributes: vec![attribute], ..Span::default() },
    ] {
        let traces = payload::spans(vec![span]).encode_to_vec();
        assert_eq!(post(rig.http, "/v1/traces", &[PROTOBUF], traces).await.status.as_u16(), 200);
    }
    assert_eq!(rig.logged(Signal::Traces).await.len(), 5);
    assert!(rig.logged(Signal::Metrics).await.is_empty());
    rig.assert_ledger(7);
}

#[tokio::test]
async fn empty_requests_are_taken() {
    let rig = Rig::start().await;
    for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":[{"resource":{}}]}"#] {
        assert_eq!(post(rig.http, "/v1/traces", &[JSON], body).await.status.as_u16(), 200, "{body}");
    }
    assert_eq!(post(rig.http, "/v1/traces", &[PROTOBUF], vec![]).await.status.as_u16(), 200);
    assert_eq!(post(rig.http, "/v1/traces", &[PROTOBUF], vec![0x0a, 0]).await.status.as_u16(), 200);
    rig.assert_ledger(5);
}
