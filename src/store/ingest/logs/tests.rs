use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::signal::Signal;
use crate::store::ingest::testing::{RECEIVED, TestStore, some};
use crate::store::schema::Table;

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(Any::StringValue(value.to_owned()))), ..KeyValue::default() }
}

fn request(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope { name: "logger".to_owned(), ..InstrumentationScope::default() }),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

#[test]
fn every_field_of_a_log_record_comes_back() {
    let mut store = TestStore::new();
    let log = LogRecord {
        time_unix_nano: RECEIVED + 1,
        observed_time_unix_nano: RECEIVED + 2,
        severity_number: 17,
        severity_text: "ERROR".to_owned(),
        body: Some(any(Any::StringValue("it \"broke\"\n".to_owned()))),
        attributes: vec![text("code.function", "f")],
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        event_name: "broken".to_owned(),
        ..LogRecord::default()
    };
    store.otlp(Signal::Logs, &request(vec![log])).expect("decode");
    let row = store.row(
        r#"SELECT * EXCLUDE (attributes, resource), attributes."code.function", resource."service.name" FROM logs"#,
    );
    assert_eq!(
        row,
        some(&[
            "2026-01-01 00:00:00.000000001",
            "2026-01-01 00:00:00.000000002",
            "17",
            "ERROR",
            "it \"broke\"\n",
            "shop",
            &"01".repeat(16),
            &"02".repeat(8),
            "logger",
            "broken",
            "string",
            "f",
            "shop",
        ])
    );
    assert_eq!(store.seal(Table::Logs), 1);
}

#[test]
fn times_that_are_missing_come_from_what_there_is() {
    let mut store = TestStore::new();
    let observed = LogRecord { observed_time_unix_nano: 5, ..LogRecord::default() };
    store.otlp(Signal::Logs, &request(vec![LogRecord::default(), observed])).expect("decode");
    let rows = store.rows("SELECT epoch_ns(time), epoch_ns(observed_time), body, severity_number FROM logs");
    let received = RECEIVED.to_string();
    assert_eq!(rows[0], some(&[&received, &received, "NULL", "NULL"]));
    assert_eq!(rows[1], some(&["5", "5", "NULL", "NULL"]));
}

#[test]
fn structured_bodies_become_json() {
    let mut store = TestStore::new();
    let list = ArrayValue {
        values: vec![
            any(Any::IntValue(1)),
            any(Any::DoubleValue(f64::NAN)),
            any(Any::BytesValue(vec![1, 2])),
            AnyValue::default(),
        ],
    };
    let map = KeyValueList {
        values: vec![
            KeyValue { key: "a\u{1}".to_owned(), value: Some(any(Any::ArrayValue(list))), ..KeyValue::default() },
            KeyValue {
                key: "e".to_owned(),
                value: Some(any(Any::KvlistValue(KeyValueList::default()))),
                ..KeyValue::default()
            },
            text("t", "x\"y"),
        ],
    };
    let same = Any::StringValue(r#"{"a\u0001":[1,"NaN","\\x01\\x02",null],"e":{},"t":"x\"y"}"#.to_owned());
    let logs =
        [Any::KvlistValue(map), Any::BoolValue(true), Any::DoubleValue(1.0), same, Any::BytesValue(vec![1, 255])]
            .map(|body| LogRecord { body: Some(any(body)), ..LogRecord::default() });
    store.otlp(Signal::Logs, &request(logs.to_vec())).expect("decode");
    let rows = store.rows("SELECT body, json_valid(body) FROM logs");
    assert_eq!(rows[0], some(&[r#"{"a\u0001":[1,"NaN","\\x01\\x02",null],"e":{},"t":"x\"y"}"#, "true"]));
    assert_eq!(rows[1], some(&["true", "true"]));
    assert_eq!(rows[2], some(&["1.0", "true"]));
    assert_eq!(rows[4][0].as_deref(), Some("\\x01\\xFF"));
    // A map is told from the text that looks like it.
    assert_eq!(rows[0], rows[3]);
    let types = store.rows("SELECT string_agg(body_type, ' ') FROM logs");
    assert_eq!(types[0], some(&["map bool double string bytes"]));
}
