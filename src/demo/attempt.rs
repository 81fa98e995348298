//! One attempt to hand over a request, and what its answer means: done, try again, or never
//! (OTLP specification, sections "Failures"; remote write specification; Pyroscope's clients).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::profiles::v1development::profiles_service_client::ProfilesServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::payload::{HttpMessage, Message, Payload, Receiver};
use super::{Endpoint, Endpoints, Error};
use crate::net::ClientCredentials;

/// A receiver that has not answered by then is asked again.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What an attempt came to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Accepted but for this many items.
    Accepted { rejected: u64 },
    /// Not now; perhaps with the wish for a pause.
    Again { why: String, after: Option<Duration> },
    /// Not ever.
    Refused { why: String },
}

/// Connections to the receivers.
#[derive(Debug, Clone)]
pub struct Clients {
    channel: Channel,
    grpc: ClientCredentials,
    otlp_http: Http,
    remote_write: Http,
    pyroscope: Http,
}

/// Connections to one of those that speak HTTP.
#[derive(Debug, Clone)]
struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    credentials: ClientCredentials,
}

impl Http {
    fn new(endpoint: &Endpoint) -> Result<Http, Error> {
        let base = base(endpoint);
        base.parse::<http::Uri>()?;
        let credentials = ClientCredentials::read(&endpoint.files, endpoint.tls)?;
        Ok(Http { client: Client::builder(TokioExecutor::new()).build(credentials.connector()), base, credentials })
    }
}

/// `http://HOST:PORT`.
fn base(endpoint: &Endpoint) -> String {
    format!("{}://{}", if endpoint.tls { "https" } else { "http" }, endpoint.address)
}

impl Clients {
    /// Connects when first used.
    ///
    /// # Errors
    /// When an endpoint is no `HOST:PORT`, or what is to be shown to it cannot be read.
    pub fn new(endpoints: &Endpoints) -> Result<Clients, Error> {
        let grpc = ClientCredentials::read(&endpoints.otlp_grpc.files, endpoints.otlp_grpc.tls)?;
        let uri: http::Uri = base(&endpoints.otlp_grpc).parse()?;
        let channel = Channel::builder(uri)
            .connect_timeout(Duration::from_secs(5))
            .timeout(TIMEOUT)
            .connect_with_connector_lazy(grpc.connector());
        Ok(Clients {
            channel,
            grpc,
            otlp_http: Http::new(&endpoints.otlp_http)?,
            remote_write: Http::new(&endpoints.remote_write)?,
            pyroscope: Http::new(&endpoints.pyroscope)?,
        })
    }

    /// A call with the credentials that the receiver asks for.
    fn call<T>(&self, message: &T) -> tonic::Request<T>
    where
        T: Clone,
    {
        let mut headers = http::HeaderMap::new();
        self.grpc.show(&mut headers);
        tonic::Request::from_parts(MetadataMap::from_headers(headers), tonic::Extensions::default(), message.clone())
    }

    /// Tries once.
    pub async fn attempt(&self, payload: &Payload) -> Outcome {
        let channel = self.channel.clone();
        let gzip = CompressionEncoding::Gzip;
        let answer = match &payload.message {
            Message::Traces(request) => {
                let mut client = TraceServiceClient::new(channel).send_compressed(gzip);
                let answer = client.export(self.call(request)).await;
                answer.map(|answer| answer.into_inner().partial_success.map(|partial| partial.rejected_spans))
            }
            Message::Metrics(request) => {
                let mut client = MetricsServiceClient::new(channel).send_compressed(gzip);
                let answer = client.export(self.call(request)).await;
                answer.map(|answer| answer.into_inner().partial_success.map(|partial| partial.rejected_data_points))
            }
            Message::Logs(request) => {
                let mut client = LogsServiceClient::new(channel).send_compressed(gzip);
                let answer = client.export(self.call(request)).await;
                answer.map(|answer| answer.into_inner().partial_success.map(|partial| partial.rejected_log_records))
            }
            Message::Profiles(request) => {
                let mut client = ProfilesServiceClient::new(channel).send_compressed(gzip);
                let answer = client.export(self.call(request)).await;
                answer.map(|answer| answer.into_inner().partial_success.map(|partial| partial.rejected_profiles))
            }
            Message::Http(message) => return self.post(message).await,
        };
        match answer {
            Ok(rejected) => Outcome::Accepted { rejected: rejected.unwrap_or_default().max(0) as u64 },
            Err(status) => judge_grpc(&status),
        }
    }

    async fn post(&self, message: &HttpMessage) -> Outcome {
        let again = |why: String| Outcome::Again { why, after: None };
        let http = match message.receiver {
            Receiver::OtlpHttp => &self.otlp_http,
            Receiver::RemoteWrite => &self.remote_write,
            Receiver::Pyroscope => &self.pyroscope,
        };
        let mut request = http::Request::post(format!("{}{}", http.base, message.path))
            .header("user-agent", concat!("vispyr-demo/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &message.headers {
            request = request.header(*name, value);
        }
        let mut request = match request.body(Full::new(message.body.clone())) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused { why: error.to_string() },
        };
        http.credentials.show(request.headers_mut());
        let exchange = async {
            let (head, body) = http.client.request(request).await.map_err(|e| root_cause(&e))?.into_parts();
            Ok((head, body.collect().await.map_err(|e| e.to_string())?.to_bytes()))
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(Ok((head, body))) => judge_http(message.receiver, &message.headers, &head, &body),
            Ok(Err(error)) => again(error),
            Err(_) => again("no answer in time".into()),
        }
    }
}

fn judge_grpc(status: &Status) -> Outcome {
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let why = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::Again { why, after },
        Code::ResourceExhausted if after.is_some() => Outcome::Again { why, after },
        // What tonic makes of a connection that broke.
        Code::Unknown if std::error::Error::source(status).is_some() => Outcome::Again { why, after },
        _ => Outcome::Refused { why },
    }
}

fn judge_http(
    receiver: Receiver,
    sent: &[(&'static str, String)],
    head: &http::response::Parts,
    body: &Bytes,
) -> Outcome {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let status = head.status.as_u16();
    let why = || format!("{}: {}", head.status, String::from_utf8_lossy(&body[..body.len().min(300)]));
    match status {
        // The Go client of Pyroscope takes nothing but 200.
        201..300 if receiver == Receiver::Pyroscope => Outcome::Refused { why: why() },
        200..300 if receiver == Receiver::OtlpHttp => match rejected_logs(header("content-type"), body) {
            Some(rejected) => Outcome::Accepted { rejected },
            None => Outcome::Refused { why: "the answer is no ExportLogsServiceResponse".into() },
        },
        200..300 if sent.contains(&("x-prometheus-remote-write-version", "2.0.0".into())) => {
            // Prometheus takes a success without this header for a failure.
            match header("x-prometheus-remote-write-samples-written").and_then(|n| n.parse::<u64>().ok()) {
                Some(_) => Outcome::Accepted { rejected: 0 },
                None => Outcome::Refused { why: "no X-Prometheus-Remote-Write-Samples-Written in the answer".into() },
            }
        }
        200..300 => Outcome::Accepted { rejected: 0 },
        429 | 502 | 503 | 504 => {
            let after = header("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
            Outcome::Again { why: why(), after }
        }
        _ => Outcome::Refused { why: why() },
    }
}

fn rejected_logs(content_type: Option<&str>, body: &Bytes) -> Option<u64> {
    if content_type.is_some_and(|name| name.starts_with("application/json")) {
        let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
        let rejected = &answer["partialSuccess"]["rejectedLogRecords"];
        return Some(rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()).unwrap_or_default());
    }
    let answer = ExportLogsServiceResponse::decode(body.clone()).ok()?;
    Some(answer.partial_success.map_or(0, |partial| partial.rejected_log_records.max(0) as u64))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backpressure_is_retried_and_a_mistake_is_not() {
        let again = |status| matches!(judge_grpc(&status), Outcome::Again { .. });
        assert!(again(Status::unavailable("full")));
        assert!(!again(Status::resource_exhausted("too large")));
        assert!(!again(Status::invalid_argument("malformed")));

        let judge = |status: u16| {
            let (head, ()) =
                http::Response::builder().status(status).header("retry-after", "2").body(()).unwrap().into_parts();
            judge_http(Receiver::RemoteWrite, &[], &head, &Bytes::new())
        };
        assert_eq!(judge(204), Outcome::Accepted { rejected: 0 });
        assert!(matches!(judge(503), Outcome::Again { after: Some(_), .. }));
        assert!(matches!(judge(400), Outcome::Refused { .. }));
    }
}
