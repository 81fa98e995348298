//! Delivery to destinations that misbehave at will: every row of the table in the architecture,
//! with the real program between a sender and a server of the test's own.

pub mod sink;

mod encodings;
mod locks;
mod misbehaviour;
mod protocols;
mod rows;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use crate::harness::{Options, Vispyr, post};

/// The collector alone, with this destination named `out`.
async fn collector(destination: &str) -> Vispyr {
    Vispyr::start(options(destination)).await
}

fn options(destination: &str) -> Options {
    Options {
        command: "collector",
        config: format!("[store]\nenabled = false\n[exporters.out]\n{destination}\n"),
        ..Options::default()
    }
}

/// Spans with these numbers, encoded.
pub fn spans(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let span = |n: u64| Span {
        trace_id: vec![1; 16],
        span_id: (n + 1).to_be_bytes().to_vec(),
        name: format!("span {n}"),
        start_time_unix_nano: n,
        ..Default::default()
    };
    let spans = numbers.into_iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource = Some(Resource { dropped_attributes_count: 7, ..Default::default() });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }] }
        .encode_to_vec()
}

/// Data points with these values, encoded.
fn points(values: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let point =
        |n: u64| NumberDataPoint { time_unix_nano: n, value: Some(Value::AsDouble(n as f64)), ..Default::default() };
    let data_points = values.into_iter().map(point).collect();
    let metric =
        Metric { name: "load".to_owned(), data: Some(Data::Gauge(Gauge { data_points })), ..Default::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
        .encode_to_vec()
}

/// Sends one request and expects it to be acknowledged.
async fn send(vispyr: &Vispyr, path: &str, body: Vec<u8>) {
    let answer = post(&vispyr.url("otlp_http", path), "application/x-protobuf", body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

pub async fn send_spans(vispyr: &Vispyr, numbers: impl IntoIterator<Item = u64>) {
    send(vispyr, "/v1/traces", spans(numbers)).await;
}

async fn send_points(vispyr: &Vispyr, values: impl IntoIterator<Item = u64>) {
    send(vispyr, "/v1/metrics", points(values)).await;
}

/// Waits until nothing waits any more, and checks that the ledger adds up to `items`.
async fn settled(vispyr: &Vispyr, signal: &str, items: u64) -> Ledger {
    let labels = ["destination=\"out\"", &format!("signal=\"{signal}\"")].map(str::to_owned);
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let read = async || {
        let text = vispyr.metrics().await;
        let of = |name: &str| crate::harness::sum_of(&text, &format!("vispyr_{name}"), &labels) as u64;
        let ledger = Ledger {
            forwarded: of("forwarded_items_total"),
            rejected: of("rejected_items_total"),
            skipped: of("skipped_items_total"),
            set_aside: of("set_aside_items_total"),
            dropped: of("dropped_items_total"),
        };
        (ledger, of("waiting_items"))
    };
    vispyr
        .wait("everything is delivered", async || {
            let (ledger, waiting) = read().await;
            (waiting == 0 && ledger.sum() == items).then_some(ledger)
        })
        .await
}

/// What became of the items of one signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ledger {
    forwarded: u64,
    rejected: u64,
    skipped: u64,
    set_aside: u64,
    dropped: u64,
}

impl Ledger {
    fn forwarded(items: u64) -> Self {
        Ledger { forwarded: items, ..Ledger::default() }
    }

    fn sum(&self) -> u64 {
        self.forwarded + self.rejected + self.skipped + self.set_aside + self.dropped
    }
}

/// The numbers from `from` to before `to`.
pub fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..to).collect()
}

pub fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}
