//! One request to one of the receivers, with an account of what is in it.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

use crate::wire::prompb;
use crate::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};

use super::logs_json;
use super::metrics::points;
use super::pprof::{gzip, multipart};
use super::report::Counts;

/// The receiver of an HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// OTLP over HTTP.
    OtlpHttp,
    /// Remote write.
    RemoteWrite,
    /// Pyroscope.
    Pyroscope,
}

/// An HTTP request.
#[derive(Debug, Clone)]
pub struct HttpMessage {
    /// Where to.
    pub receiver: Receiver,
    /// Path and query.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// A request.
#[derive(Debug, Clone)]
pub enum Message {
    /// OTLP over gRPC.
    Traces(ExportTraceServiceRequest),
    /// OTLP over gRPC.
    Metrics(ExportMetricsServiceRequest),
    /// OTLP over gRPC.
    Logs(ExportLogsServiceRequest),
    /// OTLP over gRPC.
    Profiles(ExportProfilesServiceRequest),
    /// Everything else.
    Http(HttpMessage),
}

impl Message {
    /// Its size before the transport compresses it.
    pub fn size(&self) -> u64 {
        let size = match self {
            Message::Traces(request) => request.encoded_len(),
            Message::Metrics(request) => request.encoded_len(),
            Message::Logs(request) => request.encoded_len(),
            Message::Profiles(request) => request.encoded_len(),
            Message::Http(message) => message.body.len(),
        };
        size as u64
    }
}

/// A request and what is in it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The name under which its requests are counted.
    pub kind: &'static str,
    /// The request.
    pub message: Message,
    /// Its items.
    pub counts: Counts,
}

impl Payload {
    /// Metrics over gRPC, counted by type.
    pub fn metrics(kind: &'static str, request: ExportMetricsServiceRequest) -> Payload {
        let mut counts = Counts::new();
        let mut count = |item: &'static str, n: usize| match counts.iter_mut().find(|(known, _)| *known == item) {
            Some((_, total)) => *total += n as u64,
            None => counts.push((item, n as u64)),
        };
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let (item, exemplars) = match &metric.data {
                Some(Data::Gauge(_)) => ("gauge_points", 0),
                Some(Data::Sum(_)) => ("sum_points", 0),
                Some(Data::Histogram(data)) => {
                    ("histogram_points", data.data_points.iter().map(|point| point.exemplars.len()).sum())
                }
                Some(Data::ExponentialHistogram(data)) => {
                    ("exponential_histogram_points", data.data_points.iter().map(|point| point.exemplars.len()).sum())
                }
                Some(Data::Summary(_)) => ("summary_points", 0),
                None => continue,
            };
            count(item, points(metric));
            count("exemplars", exemplars);
        }
        Payload { kind, message: Message::Metrics(request), counts }
    }

    /// Logs over HTTP as JSON.
    pub fn logs_json(request: &ExportLogsServiceRequest, count: u64) -> Payload {
        let body = logs_json::encode(request).into();
        Payload::logs_http("logs, OTLP HTTP JSON", vec![("content-type", "application/json".into())], body, count)
    }

    /// Logs over HTTP as gzipped protobuf.
    pub fn logs_protobuf(request: &ExportLogsServiceRequest, count: u64) -> Payload {
        let headers = vec![("content-type", "application/x-protobuf".into()), ("content-encoding", "gzip".into())];
        Payload::logs_http("logs, OTLP HTTP protobuf", headers, gzip(&request.encode_to_vec()).into(), count)
    }

    fn logs_http(kind: &'static str, headers: Vec<(&'static str, String)>, body: Bytes, count: u64) -> Payload {
        let message = HttpMessage { receiver: Receiver::OtlpHttp, path: "/v1/logs".into(), headers, body };
        Payload { kind, message: Message::Http(message), counts: vec![("log_records", count)] }
    }

    /// Remote write 1.0, to the path that the Vispyr agent uses.
    pub fn remote_write_1(request: &prompb::v1::WriteRequest) -> Payload {
        let samples = request.timeseries.iter().map(|series| series.samples.len() as u64).sum();
        let counts = vec![("remote_write_samples", samples), ("remote_write_metadata", request.metadata.len() as u64)];
        let headers = vec![
            ("content-type", "application/x-protobuf".into()),
            ("x-prometheus-remote-write-version", "0.1.0".into()),
            ("x-agent-id", "vispyr-demo".into()),
        ];
        let path = "/api/v1/metrics/write";
        Payload::remote_write("host metrics, remote write 1.0", path, headers, &request.encode_to_vec(), counts)
    }

    /// Remote write 2.0, to Prometheus' own path.
    pub fn remote_write_2(request: &prompb::v2::Request) -> Payload {
        let sum =
            |count: fn(&prompb::v2::TimeSeries) -> usize| request.timeseries.iter().map(count).sum::<usize>() as u64;
        let counts = vec![
            ("remote_write_samples", sum(|series| series.samples.len())),
            ("native_histograms", sum(|series| series.histograms.len())),
            ("remote_write_exemplars", sum(|series| series.exemplars.len())),
        ];
        let headers = vec![
            ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request".into()),
            ("x-prometheus-remote-write-version", "2.0.0".into()),
        ];
        Payload::remote_write(
            "database metrics, remote write 2.0",
            "/api/v1/write",
            headers,
            &request.encode_to_vec(),
            counts,
        )
    }

    fn remote_write(
        kind: &'static str,
        path: &str,
        mut headers: Vec<(&'static str, String)>,
        body: &[u8],
        counts: Counts,
    ) -> Payload {
        headers.push(("content-encoding", "snappy".into()));
        // Only bodies over 4 GiB do not fit the format.
        let body = snap::raw::Encoder::new().compress_vec(body).unwrap_or_default().into();
        let message = HttpMessage { receiver: Receiver::RemoteWrite, path: path.into(), headers, body };
        Payload { kind, message: Message::Http(message), counts }
    }

    /// `/ingest` as @pyroscope/nodejs calls it: no format, unix seconds, one multipart field.
    pub fn ingest_node(app: &str, pprof: &[u8], samples: u64, from: u64, to: u64, sample_rate: Option<u32>) -> Payload {
        let (from, to) = (from / 1_000_000_000, to / 1_000_000_000);
        let mut path = format!("/ingest?from={from}&name={app}%7B%7D&spyName=nodespy&until={to}");
        if let Some(rate) = sample_rate {
            path.push_str(&format!("&sampleRate={rate}"));
        }
        Payload::ingest("profiles, /ingest as Node.js", path, &[("profile", pprof)], samples)
    }

    /// `/ingest` as the Go client calls it: unix nanoseconds, sample types described in JSON.
    pub fn ingest_go(app: &str, pprof: &[u8], samples: u64, from: u64, to: u64) -> Payload {
        let path = format!(
            "/ingest?aggregationType=sum&from={from}&name={app}%7Bhostname%3Ddemo-host%7D\
             &sampleRate=100&spyName=gospy&units=samples&until={to}"
        );
        let config = br#"{"samples":{"units":"samples","display-name":"cpu_samples"},"cpu":{"units":"nanoseconds"}}"#;
        let fields: [(&str, &[u8]); 2] = [("profile", pprof), ("sample_type_config", config)];
        Payload::ingest("profiles, /ingest as Go", path, &fields, samples)
    }

    fn ingest(kind: &'static str, path: String, fields: &[(&str, &[u8])], samples: u64) -> Payload {
        let (content_type, body) = multipart(fields);
        let headers = vec![("content-type", content_type)];
        let message = HttpMessage { receiver: Receiver::Pyroscope, path, headers, body: body.into() };
        Payload { kind, message: Message::Http(message), counts: pprof_counts(samples) }
    }

    /// `push.v1.PusherService/Push` as the Python client calls it.
    pub fn push(app: &str, id: String, pprof: Vec<u8>, samples: u64) -> Payload {
        let label = |(name, value): (&str, &str)| LabelPair { name: name.into(), value: value.into() };
        let labels =
            [("__name__", "process_cpu"), ("service_name", app), ("hostname", "demo-host")].map(label).to_vec();
        let samples_sent = vec![RawSample { raw_profile: pprof.into(), id }];
        let request = PushRequest { series: vec![RawProfileSeries { labels, samples: samples_sent }] };
        let message = HttpMessage {
            receiver: Receiver::Pyroscope,
            path: "/push.v1.PusherService/Push".into(),
            headers: vec![("content-type", "application/proto".into()), ("content-encoding", "gzip".into())],
            body: gzip(&request.encode_to_vec()).into(),
        };
        Payload { kind: "profiles, push.v1 as Python", message: Message::Http(message), counts: pprof_counts(samples) }
    }
}

/// A pprof document of two sample types is two profiles to the store, and each of its samples
/// two samples.
fn pprof_counts(samples: u64) -> Counts {
    vec![("profiles", 2), ("profile_samples", 2 * samples), ("pprof_documents", 1)]
}
