//! A request of spans as an instrumented service sends them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// Spans of a request.
pub const SPANS: u64 = 512;

/// The request, its spans each a little different.
pub fn payload() -> Vec<u8> {
    let text = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..Default::default()
    };
    let number = |key: &str, value: i64| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::IntValue(value)) }),
        ..Default::default()
    };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let spans = (0..SPANS).map(|n| Span {
        trace_id: [random().to_be_bytes(), random().to_be_bytes()].concat(),
        span_id: random().to_be_bytes().to_vec(),
        parent_span_id: random().to_be_bytes().to_vec(),
        name: "GET /api/products/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_790_000_000_000_000_000 + n * 1_000_003,
        end_time_unix_nano: 1_790_000_000_000_000_000 + n * 1_000_003 + random() % 100_000_000,
        attributes: vec![
            text("http.request.method", "GET".to_owned()),
            text("http.route", "/api/products/{id}".to_owned()),
            text("url.path", format!("/api/products/{}", random() % 10_000)),
            number("http.response.status_code", 200),
            text("server.address", "shop.internal".to_owned()),
            number("server.port", 8080),
        ],
        ..Default::default()
    });
    let resource = Resource {
        attributes: vec![text("service.name", "shop".to_owned()), text("service.version", "1.2.3".to_owned())],
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..Default::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }],
    }
    .encode_to_vec()
}
