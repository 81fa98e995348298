//! The receivers over real logs in a folder of their own, on ports of their own, and small clients
//! that can say anything.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vispyr::receivers::{Admission, Config, Pipeline, admission, otlp_grpc, otlp_http, pyroscope, remote_write};
use vispyr::signal::{Batch, Compression, Signal};
use vispyr::telemetry::Telemetry;
use vispyr::wal::{self, Destination, Log, Logs};

/// How long a condition may take before a test fails: the machine may be busy.
pub use crate::harness::DEADLINE;

/// The name of the one destination of the logs.
const READER: &str = "test";

/// The four receivers.
pub struct Rig {
    _folder: tempfile::TempDir,
    pub pipeline: Pipeline,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub remote_write: SocketAddr,
    pub pyroscope: SocketAddr,
    pub shutdown: CancellationToken,
    pub servers: Vec<JoinHandle<()>>,
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(|_, _| ()).await
    }

    /// With settings changed by `change`.
    pub async fn with(change: impl FnOnce(&mut admission::Config, &mut Config)) -> Self {
        let (mut limits, mut config) = (admission::Config::default(), Config::default());
        change(&mut limits, &mut config);
        let folder = tempfile::tempdir().unwrap();
        let open = |signal: Signal| {
            let destinations = [Destination::new(READER, wal::Start::Oldest)];
            Log::open(folder.path().join(signal.name()), signal, &wal::Config::default(), &destinations).unwrap()
        };
        let logs = Logs::new(Signal::ALL.map(open));
        let telemetry = Telemetry::new();
        let pipeline = {
            let (acceptor, authenticator) = (vispyr::net::Acceptor::plain(), vispyr::net::Authenticator::none());
            Pipeline {
                logs,
                admission: Arc::new(Admission::new(limits)),
                telemetry,
                tap: vispyr::tail::Tap::default(),
                acceptor,
                authenticator,
            }
        };
        let shutdown = CancellationToken::new();
        let mut servers = Vec::new();
        let mut addresses = Vec::new();
        let mut listeners = Vec::new();
        for _ in 0..4 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            listeners.push(listener);
        }
        let mut next = listeners.into_iter();
        let mut next = || next.next().unwrap();
        let (p, s) = (&pipeline, &shutdown);
        servers.push(tokio::spawn(otlp_grpc::serve(next(), p.clone(), s.clone())));
        servers.push(tokio::spawn(otlp_http::serve(next(), config.otlp_http, p.clone(), s.clone())));
        servers.push(tokio::spawn(remote_write::serve(next(), p.clone(), s.clone())));
        servers.push(tokio::spawn(pyroscope::serve(next(), p.clone(), s.clone())));
        Rig {
            _folder: folder,
            pipeline,
            grpc: addresses[0],
            http: addresses[1],
            remote_write: addresses[2],
            pyroscope: addresses[3],
            shutdown,
            servers,
        }
    }

    /// Everything in a log, in order. What was acknowledged is there already.
    pub async fn logged(&self, signal: Signal) -> Vec<Batch> {
        let log = self.pipeline.logs.of(signal);
        let count = log.stats().next.0;
        let mut reader = log.reader(READER).unwrap();
        let mut batches = Vec::new();
        while (batches.len() as u64) < count {
            let records = tokio::time::timeout(DEADLINE, reader.next(1 << 20)).await.unwrap().unwrap();
            batches.extend(records.into_iter().map(|record| record.batch));
        }
        batches
    }

    /// The only batch of a log.
    pub async fn only(&self, signal: Signal) -> Batch {
        let mut batches = self.logged(signal).await;
        assert_eq!(batches.len(), 1, "batches in the {signal} log");
        batches.remove(0)
    }

    /// A metric of the ledger, summed over its labels but those given.
    pub fn ledger(&self, metric: &str, labels: &[&str]) -> u64 {
        let text = self.pipeline.telemetry.encode();
        let lines = text.lines().filter(|line| {
            line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|l| line.contains(l))
        });
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// The ledger adds up: every request, item and byte received was acknowledged or refused.
    pub fn assert_ledger(&self, requests: u64) {
        assert_eq!(self.ledger("vispyr_received_requests_total", &[]), requests);
        for unit in ["requests", "items", "bytes"] {
            let sum = |what: &str| self.ledger(&format!("vispyr_{what}_{unit}_total"), &[]);
            assert_eq!(sum("received"), sum("acknowledged") + sum("refused"), "{unit}");
        }
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A whole HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).or_else(|| self.trailers.get(name)).map(|value| value.to_str().unwrap())
    }

    /// grpc-status, from the trailers or (trailers-only) the headers.
    pub fn grpc(&self) -> tonic::Status {
        let from = if self.trailers.contains_key("grpc-status") { &self.trailers } else { &self.headers };
        tonic::Status::from_header_map(from).unwrap_or_else(|| panic!("no grpc-status: {self:?}"))
    }
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer { status: head.status, headers: head.headers, trailers, body: body.to_bytes() }
}

/// Sends one HTTP/1 request.
pub async fn send(
    method: &str,
    to: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::builder().method(method).uri(format!("http://{to}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let response = tokio::time::timeout(DEADLINE, client.request(request)).await.expect("an answer").unwrap();
    answer(response).await
}

/// POSTs over HTTP/1.
pub async fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    send("POST", to, path, headers, body).await
}

/// Calls a gRPC method with this body, prefix included.
pub async fn call_raw(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let stream = TcpStream::connect(to).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://{to}{path}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let response = tokio::time::timeout(DEADLINE, sender.send_request(request)).await.expect("an answer").unwrap();
    answer(response).await
}

/// A message with its gRPC prefix.
pub fn framed(compressed: bool, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(message.len() + 5);
    bytes.put_u8(compressed.into());
    bytes.put_u32(u32::try_from(message.len()).unwrap());
    bytes.put_slice(message);
    bytes.freeze()
}

/// The method of a signal's export.
pub fn export(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}

/// Compresses as clients do.
pub fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match compression {
        Compression::Identity => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        Compression::SnappyBlock => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        Compression::SnappyFramed => {
            let mut encoder = snap::write::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.into_inner().unwrap()
        }
    }
}

/// Requests with a few items each.
pub mod payload {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, number_data_point,
    };
    use opentelemetry_proto::tonic::profiles::v1development::{
        Profile, ProfilesDictionary, ResourceProfiles, ScopeProfiles,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;
    use vispyr::signal::Signal;

    fn resource() -> Resource {
        let value = Some(AnyValue { value: Some(Value::StringValue("shop".to_owned())) });
        let attributes = vec![KeyValue { key: "service.name".to_owned(), value, ..Default::default() }];
        Resource { attributes, ..Default::default() }
    }

    pub fn spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        let resource = Some(resource());
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }],
        }
    }

    pub fn span(n: u64) -> Span {
        Span {
            trace_id: vec![7; 16],
            span_id: n.to_be_bytes().to_vec(),
            name: format!("GET /item/{n}"),
            start_time_unix_nano: 1_790_000_000_000_000_000 + n,
            end_time_unix_nano: 1_790_000_000_001_000_000 + n,
            ..Default::default()
        }
    }

    pub fn traces(n: u64) -> ExportTraceServiceRequest {
        spans((1..=n).map(span).collect())
    }

    pub fn metrics(values: &[f64]) -> ExportMetricsServiceRequest {
        let point = |&value: &f64| NumberDataPoint {
            time_unix_nano: 1_790_000_000_000_000_000,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..Default::default()
        };
        let data_points = values.iter().map(point).collect();
        let metric =
            Metric { name: "load".to_owned(), data: Some(Data::Gauge(Gauge { data_points })), ..Default::default() };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..Default::default() }];
        let resource = Some(resource());
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
        }
    }

    pub fn logs(n: usize) -> ExportLogsServiceRequest {
        let record = LogRecord {
            body: Some(AnyValue { value: Some(Value::StringValue("paid".to_owned())) }),
            time_unix_nano: 1_790_000_000_000_000_000,
            ..Default::default()
        };
        let scope_logs = vec![ScopeLogs { log_records: vec![record; n], ..Default::default() }];
        let resource = Some(resource());
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { resource, scope_logs, ..Default::default() }] }
    }

    pub fn profiles(n: usize) -> ExportProfilesServiceRequest {
        let scope_profiles = vec![ScopeProfiles { profiles: vec![Profile::default(); n], ..Default::default() }];
        let resource_profiles =
            vec![ResourceProfiles { resource: Some(resource()), scope_profiles, ..Default::default() }];
        let dictionary = Some(ProfilesDictionary { string_table: vec![String::new()], ..Default::default() });
        ExportProfilesServiceRequest { resource_profiles, dictionary }
    }

    /// Three items of a signal, encoded.
    pub fn three(signal: Signal) -> Vec<u8> {
        match signal {
            Signal::Traces => traces(3).encode_to_vec(),
            Signal::Metrics => metrics(&[1.0, 2.0, 3.0]).encode_to_vec(),
            Signal::Logs => logs(3).encode_to_vec(),
            Signal::Profiles => profiles(3).encode_to_vec(),
        }
    }

    /// A small CPU profile.
    pub fn pprof() -> vispyr::wire::pprof_proto::Profile {
        use vispyr::wire::pprof_proto::{Function, Line, Location, Profile, Sample, ValueType};
        Profile {
            sample_type: vec![ValueType { r#type: 1, unit: 2 }],
            sample: vec![Sample { location_id: vec![1], value: vec![10], ..Default::default() }],
            location: vec![Location {
                id: 1,
                line: vec![Line { function_id: 1, line: 3, ..Default::default() }],
                ..Default::default()
            }],
            function: vec![Function { id: 1, name: 3, ..Default::default() }],
            string_table: ["", "cpu", "nanoseconds", "main"].map(str::to_owned).to_vec(),
            time_nanos: 1_790_000_000_000_000_000,
            ..Default::default()
        }
    }
}
