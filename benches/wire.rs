//! What the wire walk costs beside the decode that it replaces: the same payloads, walked and
//! decoded with prost, one after the other in the same run. The ratio is what counts; the goal is
//! at least 4 on 512-span requests.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, Line, Location, Profile, ProfilesDictionary, ResourceProfiles, Sample, ScopeProfiles, Stack, ValueType,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use vispyr::signal::Signal;
use vispyr::wire;

fn main() {
    println!("{:<34}{:>9}{:>7}{:>12}{:>12}{:>9}", "request", "bytes", "items", "walk MB/s", "walk ns/item", "ratio");
    let traces = traces().encode_to_vec();
    measure("traces, 512 spans", Signal::Traces, &traces, |b| drop(ExportTraceServiceRequest::decode(b)));
    let metrics = metrics().encode_to_vec();
    measure("metrics, 1,000 points", Signal::Metrics, &metrics, |b| drop(ExportMetricsServiceRequest::decode(b)));
    let logs = logs().encode_to_vec();
    measure("logs, 512 records", Signal::Logs, &logs, |b| drop(ExportLogsServiceRequest::decode(b)));
    let profiles = profiles().encode_to_vec();
    measure("profiles, 1 of 2,000 samples", Signal::Profiles, &profiles, |b| {
        drop(ExportProfilesServiceRequest::decode(b));
    });
}

fn measure(name: &str, signal: Signal, payload: &[u8], decode: impl Fn(&[u8])) {
    let Ok(summary) = wire::check_otlp(signal, payload) else { panic!("{name} does not check") };
    // Alternating, so that other load on the machine hits both alike; the best round counts.
    let (mut walk, mut full) = (Duration::MAX, Duration::MAX);
    for _ in 0..30 {
        walk = walk.min(best_of(20, || drop(black_box(wire::check_otlp(signal, black_box(payload))))));
        full = full.min(best_of(5, || decode(black_box(payload))));
    }
    println!(
        "{name:<34}{:>9}{:>7}{:>12.0}{:>12.1}{:>9.1}",
        payload.len(),
        summary.items,
        payload.len() as f64 / walk.as_secs_f64() / 1e6,
        walk.as_nanos() as f64 / summary.items as f64,
        full.as_secs_f64() / walk.as_secs_f64(),
    );
}

fn best_of(times: u32, run: impl Fn()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..times {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn resource() -> Option<Resource> {
    Some(Resource {
        attributes: vec![
            text("service.name", "checkout"),
            text("service.version", "1.4.2"),
            text("host.name", "shop-1"),
            attribute("process.pid", Value::IntValue(4711)),
        ],
        ..Default::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "@opentelemetry/instrumentation-http".into(), ..Default::default() })
}

fn traces() -> ExportTraceServiceRequest {
    let span = |n: u64| Span {
        trace_id: (n as u128 * 0x9e37_79b9_7f4a_7c15_f39c).to_be_bytes().to_vec(),
        span_id: (n * 7919).to_be_bytes().to_vec(),
        parent_span_id: (n * 104_729).to_be_bytes().to_vec(),
        flags: 0x101,
        name: "GET /api/products/:id".into(),
        kind: 2,
        start_time_unix_nano: 1_790_000_000_000_000_000 + n * 1_000_003,
        end_time_unix_nano: 1_790_000_000_000_000_000 + n * 1_300_003,
        attributes: vec![
            text("http.request.method", "GET"),
            text("http.route", "/api/products/:id"),
            text("url.path", &format!("/api/products/{n}")),
            attribute("http.response.status_code", Value::IntValue(200)),
            text("network.peer.address", "10.0.3.17"),
            attribute("network.peer.port", Value::IntValue(53_312)),
        ],
        ..Default::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans: vec![ScopeSpans {
                scope: scope(),
                spans: (1..=512).map(span).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

fn metrics() -> ExportMetricsServiceRequest {
    let attributes = |n: u64| vec![text("http.route", "/api/cart"), attribute("shard", Value::IntValue(n as i64))];
    let sum = Sum {
        data_points: (0..800)
            .map(|n| NumberDataPoint {
                attributes: attributes(n),
                start_time_unix_nano: 1_790_000_000_000_000_000,
                time_unix_nano: 1_790_000_015_000_000_000,
                value: Some(number_data_point::Value::AsInt(n as i64)),
                ..Default::default()
            })
            .collect(),
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let histogram = Histogram {
        data_points: (0..200)
            .map(|n| HistogramDataPoint {
                attributes: attributes(n),
                start_time_unix_nano: 1_790_000_000_000_000_000,
                time_unix_nano: 1_790_000_015_000_000_000,
                count: 100,
                sum: Some(4711.5),
                bucket_counts: vec![10; 8],
                explicit_bounds: vec![50., 100., 250., 1000., 5000., 10000., 20000.],
                ..Default::default()
            })
            .collect(),
        aggregation_temporality: 2,
    };
    let metric =
        |name: &str, data| Metric { name: name.into(), unit: "ms".into(), data: Some(data), ..Default::default() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(),
            scope_metrics: vec![ScopeMetrics {
                scope: scope(),
                metrics: vec![
                    metric("http.server.requests", metric::Data::Sum(sum)),
                    metric("http.server.duration", metric::Data::Histogram(histogram)),
                ],
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

fn logs() -> ExportLogsServiceRequest {
    let record = |n: u64| LogRecord {
        time_unix_nano: 1_790_000_000_000_000_000 + n,
        observed_time_unix_nano: 1_790_000_000_000_000_000 + n,
        severity_number: 9,
        severity_text: "INFO".into(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(format!("order {n} accepted, payment by card, 3 items in the cart"))),
        }),
        attributes: vec![text("logger.name", "shop.checkout"), attribute("order.id", Value::IntValue(n as i64))],
        trace_id: vec![7; 16],
        span_id: vec![9; 8],
        ..Default::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs: vec![ScopeLogs {
                scope: scope(),
                log_records: (0..512).map(record).collect(),
                ..Default::default()
            }],
            ..Default::default()
        }],
    }
}

fn profiles() -> ExportProfilesServiceRequest {
    let dictionary = ProfilesDictionary {
        location_table: (0..500)
            .map(|n| Location {
                mapping_index: 0,
                address: 0x7f00_0000 + n as u64,
                lines: vec![Line { function_index: n, line: 17, column: 0 }],
                ..Default::default()
            })
            .collect(),
        function_table: (0..500)
            .map(|n| Function { name_strindex: n, filename_strindex: n / 10, ..Default::default() })
            .collect(),
        string_table: (0..500).map(|n| format!("shop::checkout::function_{n}")).collect(),
        stack_table: (0..800).map(|n| Stack { location_indices: (n % 470..n % 470 + 25).collect() }).collect(),
        ..Default::default()
    };
    let profile = Profile {
        sample_type: Some(ValueType { type_strindex: 1, unit_strindex: 2 }),
        samples: (0..2000)
            .map(|n| Sample {
                stack_index: n % 800,
                values: vec![10_000_000 + i64::from(n)],
                timestamps_unix_nano: vec![1_790_000_000_000_000_000],
                ..Default::default()
            })
            .collect(),
        time_unix_nano: 1_790_000_000_000_000_000,
        profile_id: vec![3; 16],
        ..Default::default()
    };
    ExportProfilesServiceRequest {
        resource_profiles: vec![ResourceProfiles {
            resource: resource(),
            scope_profiles: vec![ScopeProfiles { scope: scope(), profiles: vec![profile], ..Default::default() }],
            ..Default::default()
        }],
        dictionary: Some(dictionary),
    }
}
