//! Whatever the receivers may have acknowledged goes in, or is counted; nothing breaks DuckDB.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::signal::{Compression, Format, Signal};
use crate::store::ingest::testing::{TestStore, record};
use crate::store::ingest::variant::EMPTY_KEY;
use crate::store::schema::{TIME_MAX, Table};

fn of(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: impl Into<String>, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: Some(of(value)), ..KeyValue::default() }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

fn span(attributes: Vec<KeyValue>) -> Span {
    Span { attributes, ..Span::default() }
}

/// Keys that clash, or that SQL has plans for, and any others.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "a", "A", "b", "http.route", "HTTP.route", "\"", "'", "[0]", "$", ".", " ", "é", "\u{1}"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue { value: None }),
        any::<String>().prop_map(|text| of(Any::StringValue(text))),
        "[a-z]{0,200}".prop_map(|text| of(Any::StringValue(text))),
        any::<bool>().prop_map(|value| of(Any::BoolValue(value))),
        any::<i64>().prop_map(|value| of(Any::IntValue(value))),
        any::<f64>().prop_map(|value| of(Any::DoubleValue(value))),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, -0.0]).prop_map(|value| of(Any::DoubleValue(value))),
        vec(any::<u8>(), 0..80).prop_map(|bytes| of(Any::BytesValue(bytes))),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        let pair =
            (key(), inner.clone()).prop_map(|(key, value)| KeyValue { key, value: Some(value), ..KeyValue::default() });
        prop_oneof![
            vec(inner, 0..8).prop_map(|values| of(Any::ArrayValue(ArrayValue { values }))),
            vec(pair, 0..8).prop_map(|values| of(Any::KvlistValue(KeyValueList { values }))),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair =
        (key(), prop::option::of(value())).prop_map(|(key, value)| KeyValue { key, value, ..KeyValue::default() });
    vec(pair, 0..12)
}

/// What DuckDB is to show of a value, `None` for what has no one text.
fn shown(value: &Option<AnyValue>) -> Option<Option<String>> {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        None => Some(None),
        Some(Any::StringValue(text)) => Some(Some(text.clone())),
        Some(Any::IntValue(value)) => Some(Some(value.to_string())),
        Some(Any::BoolValue(value)) => Some(Some(value.to_string())),
        Some(_) => None,
    }
}

fn named(key: String) -> String {
    if key.is_empty() { EMPTY_KEY.to_owned() } else { key }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn arbitrary_attributes_come_back() {
    let store = RefCell::new(TestStore::new());
    let number = Cell::new(0u64);
    proptest!(ProptestConfig::with_cases(60), |(attributes in attributes())| {
        let mut store = store.borrow_mut();
        number.set(number.get() + 1);
        let number = number.get();
        let span = Span { trace_id: number.to_be_bytes().to_vec(), ..span(attributes.clone()) };
        store.otlp(Signal::Traces, &request(vec![span])).expect("decode");
        // The last one of equal keys wins.
        let expected: BTreeMap<String, Option<AnyValue>> =
            attributes.into_iter().map(|attribute| (named(attribute.key), attribute.value)).collect();
        let from = format!("FROM spans WHERE trace_id = '{number:016x}'");
        let keys = store.row(&format!("SELECT len(variant_keys(attributes)), variant_typeof(attributes) {from}"));
        prop_assert_eq!(keys[0].clone(), Some(expected.len().to_string()));
        // No NUL fits in the text of a statement.
        for (key, value) in expected.iter().filter(|(key, _)| !key.contains('\0')) {
            if let Some(shown) = shown(value) {
                let sql = format!("SELECT variant_extract(attributes, {}) {from}", quoted(key));
                prop_assert_eq!(store.value(&sql), shown, "{}", key);
            }
        }
    });
    let store = store.into_inner();
    assert_eq!(store.seal(Table::Spans), store.count("spans"));
}

#[test]
fn arbitrary_spans_come_back() {
    let store = RefCell::new(TestStore::new());
    let span = (
        (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..10), any::<String>(), any::<String>()),
        (any::<i32>(), any::<u64>(), any::<u64>(), any::<i32>(), any::<String>()),
    )
        .prop_map(|((trace_id, span_id, name, trace_state), (kind, start, end, code, message))| Span {
            trace_id,
            span_id,
            name,
            trace_state,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            status: Some(Status { message, code }),
            ..Span::default()
        });
    let before = Cell::new(0);
    proptest!(ProptestConfig::with_cases(30), |(spans in vec(span, 0..20))| {
        let mut store = store.borrow_mut();
        store.otlp(Signal::Traces, &request(spans.clone())).expect("decode");
        let sql = "SELECT trace_id, span_id, name, trace_state, epoch_ns(start_time), epoch_ns(end_time), status_message FROM spans";
        let rows = store.rows(&format!("{sql} OFFSET {}", before.get()));
        prop_assert_eq!(rows.len(), spans.len());
        before.set(before.get() + spans.len());
        let set = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let hex = |id: &[u8]| set(&id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let time = |time: u64| (time != 0).then(|| time.min(TIME_MAX as u64).to_string());
        for (row, span) in rows.iter().zip(&spans) {
            let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
            let expected = vec![
                hex(&span.trace_id),
                hex(&span.span_id),
                Some(span.name.clone()),
                set(&span.trace_state),
                time(if start == 0 { end } else { start }),
                time(end),
                set(&span.status.as_ref().expect("set").message),
            ];
            prop_assert_eq!(row, &expected);
        }
    });
}

#[test]
fn arbitrary_and_damaged_payloads_never_panic() {
    let valid = request(vec![span(vec![attribute("k", Any::IntValue(1)), attribute("l", Any::BoolValue(true))])])
        .encode_to_vec();
    let store = RefCell::new(TestStore::new());
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..200),
        (0..valid.len(), any::<u8>()).prop_map(move |(at, byte)| {
            let mut bytes = valid.clone();
            bytes[at] = byte;
            bytes
        }),
    ];
    proptest!(ProptestConfig::with_cases(120), |(bytes in bytes, format in 1u8..=5, compression in 0u8..=5, signal in 0usize..4)| {
        let mut record = record(Signal::ALL[signal], Format::from_u8(format).expect("format"), bytes);
        record.batch.compression = Compression::from_u8(compression).expect("compression");
        record.batch.meta.query = "name=app&format=pprof".to_owned();
        let mut store = store.borrow_mut();
        let before: Vec<i64> = Table::ALL.iter().map(|table| store.count(&format!("decoded.{}", table.name()))).collect();
        if store.push(&record).is_err() {
            let after: Vec<i64> = Table::ALL.iter().map(|table| store.count(&format!("decoded.{}", table.name()))).collect();
            prop_assert_eq!(before, after);
        }
    });
}

/// DuckDB 2.0.0 loses such values when it shreds them, fails, or takes the instance down.
#[test]
fn empty_keys_can_be_sealed() {
    let map = |key: &str| of(Any::KvlistValue(KeyValueList { values: vec![attribute(key, Any::IntValue(1))] }));
    let list = of(Any::ArrayValue(ArrayValue { values: vec![map("")] }));
    let sets = [
        vec![attribute("", Any::IntValue(1))],
        vec![attribute("", Any::IntValue(1)), attribute("b", Any::IntValue(2))],
        vec![KeyValue { key: "m".to_owned(), value: Some(map("")), ..KeyValue::default() }],
        vec![KeyValue { key: "m".to_owned(), value: Some(list), ..KeyValue::default() }],
    ];
    for set in sets {
        let mut store = TestStore::new();
        store.otlp(Signal::Traces, &request(vec![span(set); 50])).expect("decode");
        assert_eq!(store.seal(Table::Spans), 50);
    }
}

#[test]
fn what_is_nested_too_deeply_becomes_json() {
    let mut store = TestStore::new();
    let nested = |depth: usize, list: bool| {
        (0..depth).fold(of(Any::StringValue("x\"".to_owned())), |inner, _| match list {
            true => of(Any::ArrayValue(ArrayValue { values: vec![inner] })),
            false => of(Any::KvlistValue(KeyValueList {
                values: vec![KeyValue { key: "k".to_owned(), value: Some(inner), ..KeyValue::default() }],
            })),
        })
    };
    for list in [true, false] {
        for depth in [1, 63, 64, 65, 100, 200] {
            let attribute =
                KeyValue { key: "deep".to_owned(), value: Some(nested(depth, list)), ..KeyValue::default() };
            store.otlp(Signal::Traces, &request(vec![span(vec![attribute])])).expect("decode");
        }
    }
    // 63 levels below that of the attributes are kept as they are, the others are text.
    let step = |list: bool| if list { "[1]" } else { ".k" };
    for list in [true, false] {
        let path = step(list).repeat(63);
        let offset = if list { 0 } else { 6 };
        let at = |depth: usize| {
            format!("SELECT (attributes.deep{path})::VARCHAR FROM spans LIMIT 1 OFFSET {}", offset + depth)
        };
        assert_eq!(store.value(&at(1)).as_deref(), Some("x\""), "63");
        let text = store.value(&at(3)).expect("65 levels");
        assert_eq!(text, if list { r#"[["x\""]]"# } else { r#"{"k":{"k":"x\""}}"# });
    }
    assert_eq!(store.seal(Table::Spans), 12);
    let too_deep = KeyValue { key: "deep".to_owned(), value: Some(nested(2000, true)), ..KeyValue::default() };
    // Beyond what receivers let through: it costs itself alone.
    store.otlp(Signal::Traces, &request(vec![span(vec![too_deep]), span(Vec::new())])).expect("decode");
    assert_eq!((store.count("spans"), store.rejected.len()), (13, 1));
    let [rejected] = &store.rejected[..] else { unreachable!() };
    assert_eq!(
        (rejected.batch.items, &rejected.reason[..]),
        (1, "1 of 1 items cannot be stored: item 0: nested too deeply")
    );
}

#[test]
fn thousands_of_key_sets_fit_in_one_batch() {
    let mut store = TestStore::new();
    let spans = (0..5000)
        .map(|i| span(vec![attribute(format!("key.{i}"), Any::IntValue(i)), attribute("KEY.0", Any::BoolValue(true))]))
        .collect();
    store.otlp(Signal::Traces, &request(spans)).expect("decode");
    assert_eq!(store.count("spans WHERE attributes.\"key.4711\" = 4711"), 1);
    assert_eq!(store.count("spans WHERE attributes.\"KEY.0\" = true"), 5000);
    assert_eq!(store.seal(Table::Spans), 5000);
}

/// The name of a service is in a request once, and in each row.
#[test]
fn a_record_whose_rows_repeat_a_long_text_costs_itself_alone() {
    let mut store = TestStore::new();
    let named = |spans: usize| {
        let mut request = request(vec![Span::default(); spans]);
        let service = attribute("service.name", Any::StringValue("s".repeat(1 << 20)));
        request.resource_spans[0].resource = Some(Resource { attributes: vec![service], ..Resource::default() });
        request
    };
    store.otlp(Signal::Traces, &request(vec![Span::default()])).expect("decode");
    let error = store.otlp(Signal::Traces, &named(10_000)).unwrap_err().to_string();
    assert!(error.ends_with("its rows would repeat long texts, over 128 MiB beyond its size"), "{error}");
    store.otlp(Signal::Traces, &named(20)).expect("decode");
    assert_eq!((store.count("spans"), store.count("spans WHERE length(service_name) = 1048576")), (21, 20));
}

#[test]
fn large_objects_arrays_and_texts_fit() {
    let mut store = TestStore::new();
    let list = ArrayValue { values: (0..70_000).map(|i| of(Any::IntValue(i))).collect() };
    let mut attributes: Vec<KeyValue> = (0..3000).map(|i| attribute(format!("k{i}"), Any::IntValue(i))).collect();
    attributes.push(attribute("list", Any::ArrayValue(list)));
    attributes.push(attribute("text", Any::StringValue("ä".repeat(1 << 20))));
    let inner = (0..300).map(|i| attribute(format!("k{}", i * 20), Any::IntValue(-i))).collect();
    attributes.push(attribute("map", Any::KvlistValue(KeyValueList { values: inner })));
    store.otlp(Signal::Traces, &request(vec![span(attributes)])).expect("decode");
    let row = store.row(
        "SELECT len(variant_keys(attributes)), variant_array_length(attributes.list), attributes.list[70000], len(attributes.text::VARCHAR),
         attributes.k2999, attributes.map.k5980, len(variant_keys(attributes.map)) FROM spans",
    );
    let expected = ["3003", "70000", "69999", "1048576", "2999", "-299", "300"];
    assert_eq!(row, expected.map(|text| Some(text.to_owned())));
    assert_eq!(store.seal(Table::Spans), 1);
}
