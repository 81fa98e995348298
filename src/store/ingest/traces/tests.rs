use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use crate::signal::{Compression, Format, Signal};
use crate::store::ingest::testing::{TestStore, record, some};
use crate::store::schema::Table;

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.to_owned()))
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", "shop"), text("host.name", "box")],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "http".to_owned(),
                    version: "1.2".to_owned(),
                    ..InstrumentationScope::default()
                }),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn full_span() -> Span {
    Span {
        trace_id: (0..16).collect(),
        span_id: (16..24).collect(),
        parent_span_id: (24..32).collect(),
        trace_state: "a=b".to_owned(),
        name: "GET /items".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_767_225_600_000_000_001,
        end_time_unix_nano: 1_767_225_600_000_001_002,
        attributes: vec![
            text("http.route", "/items/{id}"),
            attribute("http.status_code", Any::IntValue(200)),
            attribute("ratio", Any::DoubleValue(0.5)),
            attribute("nan", Any::DoubleValue(f64::NAN)),
            attribute("ok", Any::BoolValue(true)),
            attribute("raw", Any::BytesValue(vec![0, 0xff])),
            attribute(
                "tags",
                Any::ArrayValue(ArrayValue { values: vec![any(Any::IntValue(1)), any(Any::BoolValue(false))] }),
            ),
            attribute(
                "map",
                Any::KvlistValue(KeyValueList { values: vec![text("inner", "x"), text("http.route", "y")] }),
            ),
            KeyValue { key: "none".to_owned(), ..KeyValue::default() },
        ],
        events: vec![Event {
            time_unix_nano: 1_767_225_600_000_000_500,
            name: "exception".to_owned(),
            attributes: vec![text("exception.type", "E")],
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            trace_state: "l".to_owned(),
            attributes: vec![text("k", "v")],
            ..Link::default()
        }],
        status: Some(Status { message: "boom".to_owned(), code: 2 }),
        ..Span::default()
    }
}

#[test]
fn every_field_of_a_span_comes_back() {
    let mut store = TestStore::new();
    store.otlp(Signal::Traces, &request(vec![full_span()])).expect("decode");
    let row = store.row("SELECT * EXCLUDE (attributes, events, links, resource) FROM spans");
    assert_eq!(
        row,
        some(&[
            "000102030405060708090a0b0c0d0e0f",
            "1011121314151617",
            "18191a1b1c1d1e1f",
            "a=b",
            "GET /items",
            "server",
            "2026-01-01 00:00:00.000000001",
            "2026-01-01 00:00:00.000001002",
            "1001",
            "error",
            "boom",
            "shop",
            "http",
            "1.2",
        ])
    );
    let attributes = store.row(
        r#"SELECT attributes."http.route", attributes."http.status_code", typeof(attributes."http.status_code"),
           attributes.ratio, isnan(attributes.nan::DOUBLE), attributes.ok, hex(attributes.raw::BLOB), attributes.tags[1], attributes.tags[2],
           attributes."map"."inner", attributes."map"."http.route", attributes."none", variant_exists(attributes, 'none'),
           len(variant_keys(attributes)) FROM spans"#,
    );
    assert_eq!(
        attributes,
        some(&[
            "/items/{id}",
            "200",
            "VARIANT",
            "0.5",
            "true",
            "true",
            "00FF",
            "1",
            "false",
            "x",
            "y",
            "NULL",
            "true",
            "9",
        ])
    );
    let rest = store.row(
        r#"SELECT resource."service.name", resource."host.name", len(variant_keys(resource)),
           events[1]."time"::TIMESTAMP_NS, events[1].name, events[1].attributes."exception.type", variant_array_length(events),
           links[1].trace_id, links[1].span_id, links[1].trace_state, links[1].attributes.k FROM spans"#,
    );
    assert_eq!(
        rest,
        some(&[
            "shop",
            "box",
            "2",
            "2026-01-01 00:00:00.0000005",
            "exception",
            "E",
            "1",
            "abababababababababababababababab",
            "cdcdcdcdcdcdcdcd",
            "l",
            "v",
        ])
    );
    assert_eq!(store.seal(Table::Spans), 1);
    assert_eq!(store.seal(Table::Resources), 1);
}

#[test]
fn fields_that_are_not_set_are_null() {
    let mut store = TestStore::new();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans: vec![Span::default()], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    store.otlp(Signal::Traces, &request).expect("decode");
    assert_eq!(
        store.row("SELECT * FROM spans"),
        some(&[
            "NULL",
            "NULL",
            "NULL",
            "NULL",
            "",
            "unspecified",
            "NULL",
            "NULL",
            "NULL",
            "unset",
            "NULL",
            "NULL",
            "{}",
            "NULL",
            "NULL",
            "{}",
            "NULL",
            "NULL",
        ])
    );
}

#[test]
fn ids_are_kept_as_they_are_and_times_are_clamped() {
    let mut store = TestStore::new();
    let span = |id: Vec<u8>, start, end| Span {
        trace_id: id.clone(),
        span_id: id,
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        kind: 77,
        ..Span::default()
    };
    let spans = vec![
        span(vec![0; 16], 5, 3),
        span(vec![1], u64::MAX, u64::MAX),
        span(vec![2; 40], 0, 7),
        span(vec![3], 1, u64::MAX),
        span(vec![4], 9, 0),
    ];
    store.otlp(Signal::Traces, &request(spans)).expect("decode");
    let rows = store.rows("SELECT trace_id, kind, epoch_ns(start_time), epoch_ns(end_time), duration_ns FROM spans");
    let max = "9223372036854775806";
    assert_eq!(rows[0], some(&[&"00".repeat(16), "77", "5", "3", "-2"]));
    assert_eq!(rows[1], some(&["01", "77", max, max, "0"]));
    assert_eq!(rows[2], some(&[&"02".repeat(40), "77", "7", "7", "0"]));
    assert_eq!(rows[3], some(&["03", "77", "1", max, "9223372036854775805"]));
    assert_eq!(rows[4], some(&["04", "77", "9", "NULL", "NULL"]));
    assert_eq!(store.seal(Table::Spans), 5);
}

#[test]
fn a_parent_of_zeros_is_no_parent() {
    let mut store = TestStore::new();
    store.otlp(Signal::Traces, &request(vec![Span { parent_span_id: vec![0; 8], ..Span::default() }])).expect("decode");
    assert_eq!(store.value("SELECT parent_span_id FROM spans"), None);
}

#[test]
fn a_malformed_record_leaves_nothing_behind() {
    let mut store = TestStore::new();
    let mut bytes = request(vec![full_span(), full_span()]).encode_to_vec();
    bytes.extend_from_slice(&[0x0a, 0x7f, 0x00]);
    let error = store.push(&record(Signal::Traces, Format::Otlp, bytes)).expect_err("malformed");
    assert_eq!(error.to_string(), "cannot decode otlp: the message ends within a field");
    assert_eq!((store.count("spans"), store.count("resources")), (0, 0));
    assert_eq!(store.decoder.counts().undecodable_records, 1);
    // Its resource counts as new again.
    store.otlp(Signal::Traces, &request(vec![full_span()])).expect("decode");
    assert_eq!((store.count("spans"), store.count("resources")), (1, 1));
}

#[test]
fn resources_are_given_out_once_a_day_until_they_are_forgotten() {
    let mut store = TestStore::new();
    let day = 86_400_000_000_000;
    let on = |day_number: u64| Span { start_time_unix_nano: day * day_number + 1, ..full_span() };
    store.otlp(Signal::Traces, &request(vec![on(20_000), on(20_001), on(20_000)])).expect("decode");
    store.otlp(Signal::Traces, &request(vec![on(20_000)])).expect("decode");
    assert_eq!((store.count("decoded.resources"), store.count("resources")), (2, 1));
    store.decoder.forget_dictionaries();
    store.otlp(Signal::Traces, &request(vec![on(20_000)])).expect("decode");
    assert_eq!((store.count("decoded.resources"), store.count("resources")), (3, 1));
    assert_eq!(store.count("spans WHERE resource.\"host.name\" = 'box'"), 5);
}

#[test]
fn all_compressions_are_read_and_all_members() {
    use std::io::Write as _;
    let plain = request(vec![full_span()]).encode_to_vec();
    let gzip = || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).expect("gzip");
        encoder.finish().expect("gzip")
    };
    let zstd = || zstd::encode_all(&plain[..], 1).expect("zstd");
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&plain).expect("zlib");
    let mut framed = snap::write::FrameEncoder::new(Vec::new());
    framed.write_all(&plain).expect("snappy");
    let payloads = [
        (Compression::Gzip, [gzip(), gzip()].concat(), 2),
        (Compression::Zstd, [zstd(), zstd()].concat(), 2),
        (Compression::Zlib, zlib.finish().expect("zlib"), 1),
        (Compression::SnappyFramed, framed.into_inner().expect("snappy"), 1),
        (Compression::SnappyBlock, snap::raw::Encoder::new().compress_vec(&plain).expect("snappy"), 1),
    ];
    for (compression, payload, spans) in payloads {
        let mut store = TestStore::new();
        let mut record = record(Signal::Traces, Format::Otlp, payload);
        record.batch.compression = compression;
        store.push(&record).expect("decode");
        assert_eq!(store.count("spans"), spans, "{compression:?}");
    }
}
