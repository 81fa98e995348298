//! Many attribute keys: sealing ends all the same, and everything that was acknowledged is there before
//! and after.

use std::time::Instant;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rustix::process::Signal;
use serde_json::{Value, json};
use vispyr::signal::now_nanos;

use super::store::rig::{EngineProcess, LOG, MEMORY_LIMIT, Sender, traces};
use crate::harness::{Options, Vispyr, get, level0_rows, post, signal};

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Attributes `from..to`, each with its own key.
fn keys(from: u32, to: u32) -> Vec<Value> {
    (from..to).map(|n| text(&format!("key.{n}"), &format!("value {n}"))).collect()
}

fn span(n: u32, attributes: &[Value], events: &[Value]) -> Value {
    let now = now_nanos().to_string();
    json!({"traceId": format!("{:032x}", n + 1), "spanId": format!("{:016x}", n + 1), "name": "s",
           "startTimeUnixNano": now, "endTimeUnixNano": now, "attributes": attributes, "events": events})
}

fn spans(resource: &[Value], spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]}]})
}

async fn send(vispyr: &Vispyr, path: &str, body: &Value) {
    let answer = post(&vispyr.url("otlp_http", path), "application/json", body.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Has everything sealed that is there now.
async fn seal(vispyr: &Vispyr) {
    let store = || async { get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json()["store"].clone() };
    let before = store().await["seals"]["count"].as_u64().unwrap();
    signal(vispyr.engine_pid().unwrap(), Signal::USR1);
    let sealed = || async {
        let store = store().await;
        assert!(store["seal_error"].is_null(), "{store}");
        (store["seals"]["count"].as_u64() > Some(before) && level0_rows(&store) == 0).then_some(())
    };
    vispyr.wait("it is sealed", sealed).await;
    assert_eq!(store().await["unsealable_rows"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_keys_anywhere_do_not_keep_anything_from_being_sealed() {
    let vispyr = Vispyr::serve().await;
    send(&vispyr, "/v1/traces", &spans(&[], &[span(0, &keys(0, 1300), &[])])).await;
    let of_600 =
        |n: u32| (0..10).map(|i| (n * 7 + i * 61) % 600).flat_map(|key| keys(key, key + 1)).collect::<Vec<_>>();
    for request in 0..4 {
        let many: Vec<Value> = (1..5001).map(|n| span(request * 5000 + n, &of_600(n), &[])).collect();
        send(&vispyr, "/v1/traces", &spans(&[text("service.name", "many")], &many)).await;
    }
    let map = json!({"key": "map", "value": {"kvlistValue": {"values": keys(0, 5000)}}});
    send(&vispyr, "/v1/traces", &spans(&[], &[span(30_000, &[map], &[])])).await;
    let event = json!({"timeUnixNano": now_nanos().to_string(), "name": "e", "attributes": keys(0, 5000)});
    send(&vispyr, "/v1/traces", &spans(&[], &[span(30_001, &[], &[event])])).await;
    send(&vispyr, "/v1/traces", &spans(&keys(0, 5000), &[span(30_002, &[], &[])])).await;
    let log =
        json!({"timeUnixNano": now_nanos().to_string(), "body": {"stringValue": "x"}, "attributes": keys(0, 5000)});
    send(&vispyr, "/v1/logs", &json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]})).await;
    let point = json!({"timeUnixNano": now_nanos().to_string(), "asDouble": 1.0, "attributes": keys(0, 5000)});
    let metric = json!({"name": "m", "gauge": {"dataPoints": [point]}});
    send(&vispyr, "/v1/metrics", &json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})).await;

    let questions = [
        ("SELECT count(*) FROM spans", 20_004),
        ("SELECT count(*) FROM spans WHERE attributes.\"key.1299\"::VARCHAR = 'value 1299'", 1),
        ("SELECT count(*) FROM spans WHERE attributes.map.\"key.4999\"::VARCHAR = 'value 4999'", 1),
        ("SELECT count(*) FROM spans WHERE events[1].attributes.\"key.4999\"::VARCHAR = 'value 4999'", 1),
        ("SELECT count(*) FROM spans WHERE resource.\"key.4999\"::VARCHAR = 'value 4999'", 1),
        ("SELECT count(*) FROM logs WHERE attributes.\"key.4999\"::VARCHAR = 'value 4999'", 1),
        ("SELECT count(*) FROM series WHERE labels.\"key.4999\"::VARCHAR = 'value 4999'", 1),
    ];
    for (question, rows) in questions {
        vispyr.wait_count(question, rows).await;
    }
    let of_one = vispyr.count("SELECT count(*) FROM spans WHERE attributes.\"key.7\"::VARCHAR = 'value 7'").await;
    assert!(of_one > 300, "{of_one}");
    let started = Instant::now();
    seal(&vispyr).await;
    println!("sealed in {:?}", started.elapsed());
    for (question, rows) in questions {
        assert_eq!(vispyr.count(question).await, rows, "{question}");
    }
    let sealed = "SELECT count(*) FROM spans WHERE attributes.\"key.7\"::VARCHAR = 'value 7'";
    assert_eq!(vispyr.count(sealed).await, of_one);
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn log_of_5000_keys(n: u32) -> LogRecord {
    let attributes = (n * 5000..(n + 1) * 5000).map(|key| attribute(&format!("key.{key}"), &format!("value {key}")));
    let attributes = attributes.collect();
    LogRecord { time_unix_nano: now_nanos(), attributes, ..LogRecord::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_different_keys_are_sealed() {
    let vispyr = Vispyr::start(Options::config("[sql]\ntime_limit = \"120s\"")).await;
    for request in 0..20 {
        let log_records = (request * 10..request * 10 + 10).map(log_of_5000_keys).collect();
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let body = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
        let answer = post(&vispyr.url("otlp_http", "/v1/logs"), "application/x-protobuf", body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    vispyr.wait_count("SELECT count(*) FROM logs", 200).await;
    let started = Instant::now();
    seal(&vispyr).await;
    println!("sealed in {:?}", started.elapsed());
    vispyr.wait_count("SELECT count(*) FROM logs WHERE attributes.\"key.999999\"::VARCHAR = 'value 999999'", 1).await;
}

#[test]
fn rows_that_duckdb_has_no_memory_for_are_sealed() {
    const ROWS: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[(MEMORY_LIMIT, "40MiB")]);
    let mut sender = Sender::connect(&engine, LOG, ROWS);
    // All of one hour.
    let start_time_unix_nano = now_nanos();
    for position in 0..ROWS {
        // Half a megabyte: DuckDB, which converts 2,048 rows at once, has no room for all of these.
        let keys = (0..10_000).map(|n| attribute(&format!("key.{position}.{n}"), "some value or other")).collect();
        let span = Span { trace_id: vec![1; 16], start_time_unix_nano, attributes: keys, ..Span::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let payload = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        assert!(position < 4 || sender.wait(|h| h.visible + 4 > position));
        assert!(sender.send(traces(position, 1, payload.into())));
    }
    assert!(sender.wait(|h| h.visible == ROWS));
    assert_eq!(engine.ask(".flush"), "flushed");
    let stats = engine.stats();
    let spans = stats.tables.iter().find(|t| t.table == "spans").unwrap();
    assert_eq!((spans.sealed_rows, spans.sealed_files), (ROWS, 1), "{spans:?}");
    assert_eq!((stats.unsealable_rows, stats.seal_failures), (0, 0));
    assert!(sender.wait(|h| h.sealed == ROWS));
    drop(engine);
    // Nobody can be expected to ask for all of them with so little memory.
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.count("SELECT sum(len(variant_keys(attributes)))::BIGINT FROM spans"), ROWS * 10_000);
}
