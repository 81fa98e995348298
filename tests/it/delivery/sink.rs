//! A destination that misbehaves at will: it notes every request and answers as the test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic_types::pb;

use crate::harness::DEADLINE;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Call {
    pub path: String,
    pub headers: HeaderMap,
    /// Without the prefix of gRPC, compressed as it came.
    pub body: Bytes,
    pub grpc: bool,
    pub at: Instant,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body without its compression.
    pub fn plain(&self) -> Vec<u8> {
        let encoding = self.header("grpc-encoding").or(self.header("content-encoding"));
        let mut plain = Vec::new();
        use std::io::Read;
        match encoding {
            None => return self.body.to_vec(),
            Some("gzip") => flate2::read::MultiGzDecoder::new(&self.body[..]).read_to_end(&mut plain).unwrap(),
            Some("zstd") => return zstd::decode_all(&self.body[..]).unwrap(),
            Some("snappy") if self.grpc => {
                snap::read::FrameDecoder::new(&self.body[..]).read_to_end(&mut plain).unwrap()
            }
            Some("snappy") => return snap::raw::Decoder::new().decompress_vec(&self.body).unwrap(),
            Some(other) => panic!("encoding {other}"),
        };
        plain
    }

    /// The numbers of its spans, as [`super::spans`] gave them.
    pub fn spans(&self) -> Vec<u64> {
        let request = ExportTraceServiceRequest::decode(&self.plain()[..]).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.start_time_unix_nano).collect()
    }

    /// The values of its data points.
    pub fn points(&self) -> Vec<u64> {
        let request = ExportMetricsServiceRequest::decode(&self.plain()[..]).unwrap();
        let scopes = request.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        let points = scopes.flat_map(|scope| scope.metrics).flat_map(|metric| match metric.data {
            Some(Data::Gauge(gauge)) => gauge.data_points,
            _ => Vec::new(),
        });
        points.map(|point| if let Some(Value::AsDouble(value)) = point.value { value as u64 } else { 0 }).collect()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Success, with nothing in it.
    Accept,
    /// Success, with this message in it.
    AcceptWith(Vec<u8>),
    /// An HTTP status with headers and text.
    Http(u16, Vec<(&'static str, String)>, String),
    /// A gRPC status.
    Grpc(tonic::Code, &'static str, Option<Duration>),
    /// Nothing, ever.
    Hang,
    /// The connection is closed without an answer.
    Drop,
}

/// HTTP with a status and a text.
pub fn http(status: u16, text: &str) -> Answer {
    Answer::Http(status, Vec::new(), text.to_owned())
}

type Script = Box<dyn FnMut(&Call) -> Answer + Send>;

/// The server.
pub struct Sink {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<(Call, Answer)>>>,
    script: Arc<Mutex<Script>>,
    stop: CancellationToken,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sink {
    /// Listens on a port of its own and accepts everything.
    pub async fn start() -> Self {
        Self::with(|_| Answer::Accept).await
    }

    /// Answers as `script` says.
    pub async fn with(script: impl FnMut(&Call) -> Answer + Send + 'static) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), None, script).await
    }

    /// On this port, with TLS.
    pub async fn at(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        script: impl FnMut(&Call) -> Answer + Send + 'static,
    ) -> Self {
        let deadline = Instant::now() + DEADLINE;
        let listener = loop {
            // The port may not be free at once after another sink has gone.
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let sink = Sink {
            address: listener.local_addr().unwrap(),
            calls: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(script))),
            stop: CancellationToken::new(),
        };
        let (calls, script, stop) = (sink.calls.clone(), sink.script.clone(), sink.stop.clone());
        tokio::spawn(sink.stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (calls, script, tls) = (calls.clone(), script.clone(), tls.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
                    match tls {
                        None => serve(stream, calls, script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, calls, script).await;
                            }
                        }
                    }
                }));
            }
        }));
        sink
    }

    /// From now on it answers as `script` says.
    pub fn now(&self, script: impl FnMut(&Call) -> Answer + Send + 'static) {
        *self.script.lock() = Box::new(script);
    }

    /// What was accepted, in order.
    pub fn accepted(&self) -> Vec<Call> {
        let accepted = |answer: &Answer| matches!(answer, Answer::Accept | Answer::AcceptWith(_));
        self.calls.lock().iter().filter(|(_, answer)| accepted(answer)).map(|(call, _)| call.clone()).collect()
    }

    /// All requests.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().iter().map(|(call, _)| call.clone()).collect()
    }

    /// Waits until so many requests came.
    pub async fn wait_calls(&self, count: usize) -> Vec<Call> {
        self.wait("requests came", || Some(self.calls()).filter(|calls| calls.len() >= count)).await
    }

    /// Waits until so many spans were accepted; their numbers in order.
    pub async fn wait_spans(&self, count: usize) -> Vec<u64> {
        let spans = || self.accepted().iter().flat_map(Call::spans).collect::<Vec<_>>();
        self.wait("spans were accepted", || Some(spans()).filter(|spans| spans.len() >= count)).await
    }

    /// Waits until so many data points were accepted; their values in order.
    pub async fn wait_points(&self, count: usize) -> Vec<u64> {
        let points = || self.accepted().iter().flat_map(Call::points).collect::<Vec<_>>();
        self.wait("points were accepted", || Some(points()).filter(|points| points.len() >= count)).await
    }

    async fn wait<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}: {:?}", self.calls.lock());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    calls: Arc<Mutex<Vec<(Call, Answer)>>>,
    script: Arc<Mutex<Script>>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (calls, script) = (calls.clone(), script.clone());
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else { return Err("cut") };
            let mut body = body.to_bytes();
            let grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
            if grpc {
                assert_eq!(body[0] == 1, head.headers.contains_key("grpc-encoding"), "the flag of the prefix");
                assert_eq!(u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize, body.len() - 5);
                assert_eq!(head.headers["te"], "trailers");
                body = body.slice(5..);
            }
            let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
            let v2 = head.headers.get("x-prometheus-remote-write-version").is_some_and(|version| version == "2.0.0");
            let call = Call { path, headers: head.headers, body, grpc, at: Instant::now() };
            let answer = script.lock()(&call);
            calls.lock().push((call, answer.clone()));
            match answer {
                Answer::Hang => std::future::pending().await,
                Answer::Drop => Err("dropped"),
                answer => Ok(respond(answer, grpc, v2)),
            }
        }
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

type Frames = Vec<Result<Frame<Bytes>, Infallible>>;
type Reply = Response<StreamBody<futures_util::stream::Iter<<Frames as IntoIterator>::IntoIter>>>;

fn respond(answer: Answer, grpc: bool, v2: bool) -> Reply {
    let mut frames: Frames = Vec::new();
    let mut response = Response::builder();
    match answer {
        Answer::Accept | Answer::AcceptWith(_) => {
            let message = if let Answer::AcceptWith(message) = answer { message } else { Vec::new() };
            if grpc {
                response = response.header("content-type", "application/grpc");
                let mut framed = BytesMut::new();
                framed.put_u8(0);
                framed.put_u32(message.len() as u32);
                framed.put_slice(&message);
                frames.push(Ok(Frame::data(framed.freeze())));
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                frames.push(Ok(Frame::trailers(trailers)));
            } else {
                if v2 {
                    // What a server says that knows remote write 2.0.
                    response = response.header("x-prometheus-remote-write-samples-written", "1");
                }
                frames.push(Ok(Frame::data(message.into())));
            }
        }
        Answer::Http(status, headers, text) => {
            response = response.status(StatusCode::from_u16(status).unwrap());
            for (name, value) in headers {
                response = response.header(HeaderName::from_static(name), value);
            }
            frames.push(Ok(Frame::data(text.into())));
        }
        Answer::Grpc(code, message, retry) => {
            response = response.header("content-type", "application/grpc");
            response = response.header("grpc-status", (code as i32).to_string()).header("grpc-message", message);
            if let Some(retry) = retry {
                let info = pb::RetryInfo { retry_delay: prost_types::Duration::try_from(retry).ok() };
                let any = prost_types::Any {
                    type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                    value: info.encode_to_vec(),
                };
                let status = pb::Status { code: code as i32, message: message.to_owned(), details: vec![any] };
                let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(status.encode_to_vec());
                response = response.header("grpc-status-details-bin", text);
            }
        }
        Answer::Hang | Answer::Drop => {}
    }
    response.body(StreamBody::new(futures_util::stream::iter(frames))).unwrap()
}
