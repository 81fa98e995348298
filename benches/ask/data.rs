//! Telemetry of realistic cardinality.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use vispyr::wire::prompb::v1;

/// Spans of one trace.
pub const TRACE: u64 = 8;
pub const SERVICES: u64 = 30;
const ROUTES: u64 = 400;
const SERIES: u64 = 20_000;

/// Makes requests of one signal.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Port, as the addresses name it.
    pub port: &'static str,
    pub path: &'static str,
    /// Where they are asked for.
    pub table: &'static str,
    /// Items of one request.
    pub batch: u64,
    /// The items from `first`, of which the `n`th has the time `from + n * step`.
    pub body: fn(first: u64, from: u64, step: u64) -> Vec<u8>,
}

pub const SPANS: Kind = Kind { port: "otlp_http", path: "/v1/traces", table: "spans", batch: 2048, body: spans };
pub const LOGS: Kind = Kind { port: "otlp_http", path: "/v1/logs", table: "logs", batch: 2000, body: logs };
pub const SAMPLES: Kind =
    Kind { port: "remote_write", path: "/api/v1/write", table: "metric_points", batch: 2000, body: samples };

/// A number that looks like chance, the same for the same `n`.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The id of the `n`th trace.
pub fn trace_id(n: u64) -> u128 {
    u128::from(mix(n)) << 64 | u128::from(mix(!n))
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Any::StringValue(value.into()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Any::IntValue(value.cast_signed()))
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn resource(batch: u64) -> Option<Resource> {
    let attributes = vec![
        text("service.name", format!("service-{}", batch % SERVICES)),
        text("service.version", "1.4.2"),
        text("host.name", format!("host-{}", batch % 7)),
        text("telemetry.sdk.language", "nodejs"),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

fn spans(first: u64, from: u64, step: u64) -> Vec<u8> {
    let batch = first / SPANS.batch;
    let spans = (first..first + SPANS.batch).map(|n| {
        let start = from + n * step;
        let (root, chance) = (n / TRACE * TRACE, mix(n ^ 0xabcd));
        let route = chance % ROUTES;
        let failed = chance.is_multiple_of(50);
        let mut attributes = vec![
            text("http.request.method", if route.is_multiple_of(3) { "POST" } else { "GET" }),
            text("http.route", format!("/api/route{route}/{{id}}")),
            text("url.path", format!("/api/route{route}/{}", chance % 10_000)),
            text("url.scheme", "http"),
            number("http.response.status_code", if failed { 500 } else { 200 }),
            text("server.address", "shop.internal"),
            number("server.port", 8080),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            text("client.address", format!("10.0.{}.{}", chance % 4, chance % 250)),
        ];
        if n % 2 == 1 {
            attributes.push(text("peer.service", format!("service-{}", chance % SERVICES)));
        }
        Span {
            trace_id: trace_id(n / TRACE).to_be_bytes().to_vec(),
            span_id: mix(n).to_be_bytes().to_vec(),
            parent_span_id: if n == root { Vec::new() } else { mix(root).to_be_bytes().to_vec() },
            name: format!("GET /api/route{route}/{{id}}"),
            kind: if n.is_multiple_of(2) { 2 } else { 3 },
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1_000_000 + chance % 100_000_000,
            status: failed.then(|| Status { code: 2, ..Status::default() }),
            attributes,
            ..Span::default()
        }
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(batch), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn logs(first: u64, from: u64, step: u64) -> Vec<u8> {
    let batch = first / LOGS.batch;
    let records = (first..first + LOGS.batch).map(|n| {
        let chance = mix(n ^ 0x1234);
        let severity = if chance.is_multiple_of(100) { 17 } else { 9 };
        let body = format!("request {} of customer {} took {} ms", chance % ROUTES, chance % 5000, chance % 300);
        LogRecord {
            time_unix_nano: from + n * step,
            severity_number: severity,
            severity_text: if severity == 17 { "ERROR" } else { "INFO" }.to_owned(),
            body: Some(AnyValue { value: Some(Any::StringValue(body)) }),
            attributes: vec![
                text("code.function", format!("handler{}", chance % 50)),
                number("thread.id", chance % 16),
                text("customer.id", format!("c-{}", chance % 5000)),
            ],
            trace_id: if n.is_multiple_of(2) { trace_id(n / TRACE).to_be_bytes().to_vec() } else { Vec::new() },
            span_id: if n.is_multiple_of(2) { mix(n).to_be_bytes().to_vec() } else { Vec::new() },
            ..LogRecord::default()
        }
    });
    let scope_logs = vec![ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(batch), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Scrapes of all series, one after the other; a third of them never change, a third count up, a third are
/// gauges of two decimals.
fn samples(first: u64, from: u64, step: u64) -> Vec<u8> {
    let timeseries = (first..first + SAMPLES.batch).map(|n| {
        let (series, scrape) = (n % SERIES, n / SERIES);
        let label = |name: &str, value: String| v1::Label { name: name.to_owned(), value };
        let value = match series % 3 {
            0 => 1.0,
            1 => (scrape * 15 + mix(n) % 15) as f64,
            _ => (mix(n) % 10_000) as f64 / 100.0,
        };
        v1::TimeSeries {
            labels: vec![
                label("__name__", format!("metric_{}", series % 100)),
                label("instance", format!("host-{}:9100", series / 100)),
                label("job", "node".to_owned()),
            ],
            samples: vec![v1::Sample { value, timestamp: ((from + scrape * SERIES * step) / 1_000_000).cast_signed() }],
            ..v1::TimeSeries::default()
        }
    });
    let request = v1::WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}
