//! Prometheus remote write 1.0 and 2.0.
//!
//! Remote-Write 1.0 and 2.0 specifications. Backpressure is 503 with Retry-After, never 429,
//! which Prometheus takes as final unless told otherwise. A 2.0 request answered without the
//! `Written` headers counts as failed with its sender and is not sent again, so every reply has
//! them.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::authenticate::authenticate;
use super::ingest::{self, Check, Checked, Deadline, Ingest, Tally};
use super::otlp_http::media_type;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Pipeline, method, path};
use crate::net::{self, server};
use crate::signal::{Compression, Format, Meta, Signal};
use crate::wire;

net::port_config! {
    /// Settings of Prometheus remote write (`[receivers.remote_write]`).
    pub struct Config, port 9090 {
        /// Whether it listens at all.
        pub enabled: bool = true,
    }
}

/// Its name in the ledger.
const NAME: &str = "remote_write";

/// Largest decompressed request: what Prometheus itself takes as a receiver, to which we may have
/// to pass it on.
const MAX_SIZE: usize = 32 << 20;

/// Samples, histograms and exemplars written, in the order of [`Checked::written`].
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// Receives until `shutdown`, and returns once what is in flight is answered.
pub async fn serve(listener: TcpListener, pipeline: Pipeline, shutdown: CancellationToken) {
    let port = (listener, pipeline.acceptor.clone());
    let connections = pipeline.admission.connections().clone();
    let handler = move |request: Request<Incoming>| {
        let pipeline = pipeline.clone();
        async move { handle(request, &pipeline).await }
    };
    server::serve(NAME, port, connections, shutdown, handler).await;
}

async fn handle(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    let known = matches!(&*path::plain(request.uri().path()), "/api/v1/metrics/write" | "/api/v1/write");
    if let Err(refusal) = authenticate(&request, known.then_some(Signal::Metrics), pipeline, NAME) {
        let version = Version::of(request.headers());
        net::drain(request);
        return answer(Err(refusal), matches!(version, Ok(Version::V2)));
    }
    if !known {
        let message = format!(
            "nothing at {}; this port takes POST /api/v1/write and /api/v1/metrics/write",
            request.uri().path()
        );
        pipeline.telemetry.refused_other(NAME, "not_found", &message, ingest::peer(&request));
        net::drain_body(request.into_body());
        return reply::text(StatusCode::NOT_FOUND, message);
    }
    if request.method() != Method::POST {
        return method::refused(request, pipeline, NAME);
    }
    let tally = Tally::new(&pipeline.telemetry, NAME, Signal::Metrics).of(&request);
    let version = Version::of(request.headers());
    let second = matches!(version, Ok(Version::V2));
    answer(write(request, version, pipeline, tally).await, second)
}

/// The reply, with what was written if the sender speaks the second version.
fn answer(result: Result<Checked, Refusal>, second: bool) -> Response<Reply> {
    let (mut response, written) = match result {
        Ok(checked) => (reply::empty(StatusCode::NO_CONTENT), checked.written),
        Err(refusal) => (refusal.text(), [0; 3]),
    };
    if second {
        for (name, n) in WRITTEN.into_iter().zip(written) {
            response.headers_mut().insert(name, HeaderValue::from(n));
        }
    }
    response
}

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    /// By the `proto` parameter of the content type. Without one, and without a content type at
    /// all, it is 1.0: older senders do not say.
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Version::V1) };
        let value = String::from_utf8_lossy(value.as_bytes());
        let unknown = || {
            Refusal::UnknownMediaType(format!(
                "content type {value:?} is not application/x-protobuf with proto prometheus.WriteRequest or \
                 io.prometheus.write.v2.Request"
            ))
        };
        if !media_type(&value).eq_ignore_ascii_case("application/x-protobuf") {
            return Err(unknown());
        }
        let proto =
            value.split(';').skip(1).filter_map(|parameter| parameter.split_once('=')).find_map(|(name, value)| {
                name.trim().eq_ignore_ascii_case("proto").then(|| value.trim().trim_matches('"'))
            });
        match proto {
            None | Some("prometheus.WriteRequest") => Ok(Version::V1),
            Some("io.prometheus.write.v2.Request") => Ok(Version::V2),
            Some(_) => Err(unknown()),
        }
    }

    fn format(self) -> Format {
        match self {
            Version::V1 => Format::RemoteWriteV1,
            Version::V2 => Format::RemoteWriteV2,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Version::V1 => "remote write 1.0",
            Version::V2 => "remote write 2.0",
        }
    }

    fn summary(self, payload: &[u8]) -> Result<wire::RemoteWriteSummary, wire::WireError> {
        match self {
            Version::V1 => wire::check_remote_write_v1(payload),
            Version::V2 => wire::check_remote_write_v2(payload),
        }
    }

    fn check(self, limit: usize) -> Check {
        Box::new(move |decoded, room| {
            let summary = self.summary(decoded)?;
            // Metadata comes in requests of its own.
            if summary.series + summary.metadata == 0 && !decoded.is_empty() {
                let mut message = format!("the body holds no series that {} knows", self.name());
                if let Some(other) = wire::likely_remote_write(decoded) {
                    message += &format!("; it is {other}, which the content type has to say");
                }
                return Err(Refusal::Malformed(message));
            }
            let mut checked = Checked {
                items: summary.items(),
                empty: decoded.is_empty(),
                replaced: summary.damaged_strings,
                written: [summary.samples, summary.histograms, summary.exemplars],
                ..Checked::default()
            };
            if summary.damaged_strings > 0 {
                let repaired = match self {
                    Version::V1 => wire::repair_remote_write_v1(decoded),
                    Version::V2 => wire::repair_remote_write_v2(decoded),
                };
                // Two label names may have become one.
                self.summary(&repaired)?;
                checked.translate(repaired, limit, room)?;
            }
            Ok(checked)
        })
    }
}

async fn write(
    request: Request<Incoming>,
    version: Result<Version, Refusal>,
    pipeline: &Pipeline,
    tally: Tally,
) -> Result<Checked, Refusal> {
    let deadline = Deadline::ours(pipeline);
    let limit = ingest::limit(pipeline).min(MAX_SIZE);
    let version = version.and_then(|version| snappy(request.headers()).map(|()| version));
    let (version, received, tally) =
        ingest::receive(version, request.into_body(), limit, deadline, pipeline, tally).await?;
    let ingest = Ingest {
        signal: Signal::Metrics,
        format: version.format(),
        compression: Compression::SnappyBlock,
        limit,
        meta: Meta::default(),
        check: version.check(limit),
    };
    ingest::take(pipeline, received, ingest, deadline, tally).await
}

/// The body is a snappy block, whether or not the header says so (1.0 senders may leave it out).
fn snappy(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case(b"snappy") => Ok(()),
        Some(other) => Err(Refusal::UnknownEncoding(format!(
            "content encoding {:?} is not snappy, the only one of remote write",
            String::from_utf8_lossy(other)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(content_type: &'static str) -> Option<Version> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Version::of(&headers).ok()
    }

    #[test]
    fn the_content_type_names_the_version() {
        assert_eq!(Version::of(&HeaderMap::new()).ok(), Some(Version::V1));
        assert_eq!(version("application/x-protobuf"), Some(Version::V1));
        assert_eq!(version("application/x-protobuf; proto=prometheus.WriteRequest"), Some(Version::V1));
        assert_eq!(version("application/x-protobuf;proto=io.prometheus.write.v2.Request"), Some(Version::V2));
        assert_eq!(version("application/x-protobuf;proto=\"io.prometheus.write.v2.Request\""), Some(Version::V2));
        assert_eq!(version("application/x-protobuf;proto=io.prometheus.write.v3.Request"), None);
        assert_eq!(version("application/json"), None);
    }
}
