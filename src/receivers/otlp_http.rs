//! OTLP over HTTP: protobuf or JSON, plain or compressed.
//!
//! OTLP specification, "OTLP/HTTP". JSON is translated to protobuf here, so that everything
//! behind is one encoding.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_types::pb;

use super::authenticate::authenticate;
use super::cors::{Cors, Preflight};
use super::ingest::{self, Deadline, Ingest, Tally};
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Pipeline, method, otlp, otlp_grpc, path};
use crate::net::{self, server};
use crate::signal::{Compression, Format, Meta, Signal};

net::port_config! {
    /// Settings of OTLP over HTTP (`[receivers.otlp_http]`).
    pub struct Config, port 4318 {
        /// Whether it listens at all.
        pub enabled: bool = true,
        /// Origins of the web pages that may send, such as `https://shop.example`,
        /// `https://*.example` or `*`. Empty: none.
        pub cors_allowed_origins: Vec<String> = Vec::new(),
    }
}

/// Its name in the ledger.
const NAME: &str = "otlp_http";

/// For a gRPC call.
const NOT_GRPC: &str = "this port takes OTLP over HTTP; OTLP over gRPC has a port of its own, by default 4317";

/// What a gzip file begins with (RFC 1952, section 2.3.1). No message of OTLP does, in protobuf or JSON.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Receives until `shutdown`, and returns once what is in flight is answered.
pub async fn serve(listener: TcpListener, config: Config, pipeline: Pipeline, shutdown: CancellationToken) {
    let port = (listener, pipeline.acceptor.clone());
    let connections = pipeline.admission.connections().clone();
    let cors = Arc::new(Cors::new(config.cors_allowed_origins));
    let handler = move |request: Request<Incoming>| {
        let (pipeline, cors) = (pipeline.clone(), cors.clone());
        async move {
            let origin = cors.origin(request.headers());
            let mut response = match cors.preflight(&request) {
                Preflight::Allowed(response) => response,
                Preflight::Refused(why) => {
                    pipeline.telemetry.refused_other(NAME, "preflight", &why, ingest::peer(&request));
                    reply::text(StatusCode::FORBIDDEN, why)
                }
                Preflight::No if otlp_grpc::is_grpc(request.headers()) => {
                    otlp_grpc::wrong_port(request, &pipeline, NAME, NOT_GRPC)
                }
                Preflight::No => match signal_of(request.uri().path()) {
                    Some(signal) => handle(request, signal, &pipeline, NAME).await,
                    None => not_found(request, &pipeline),
                },
            };
            cors.allow(origin, &mut response);
            response
        }
    };
    server::serve(NAME, port, connections, shutdown, handler).await;
}

/// The signal that this path is for.
pub(super) fn signal_of(path: &str) -> Option<Signal> {
    Some(match &*path::plain(path) {
        "/v1/traces" => Signal::Traces,
        "/v1/metrics" => Signal::Metrics,
        "/v1/logs" => Signal::Logs,
        "/v1development/profiles" => Signal::Profiles,
        _ => return None,
    })
}

fn not_found(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    if let Err(refusal) = authenticate(&request, None, pipeline, NAME) {
        net::drain(request);
        return refusal.text();
    }
    let message = format!(
        "nothing at {}; this port takes POST /v1/traces, /v1/metrics, /v1/logs and /v1development/profiles",
        request.uri().path()
    );
    pipeline.telemetry.refused_other(NAME, "not_found", &message, ingest::peer(&request));
    net::drain_body(request.into_body());
    reply::text(StatusCode::NOT_FOUND, message)
}

/// How a request is encoded, and hence its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let value = String::from_utf8_lossy(value);
        match media_type(&value).to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Ok(Encoding::Protobuf),
            "application/json" => Ok(Encoding::Json),
            _ => Err(Refusal::UnknownMediaType(format!(
                "content type {value:?} is not application/x-protobuf or application/json"
            ))),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }
}

/// A content type without its parameters.
pub(super) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Answers one export.
pub(super) async fn handle(
    request: Request<Incoming>,
    signal: Signal,
    pipeline: &Pipeline,
    receiver: &'static str,
) -> Response<Reply> {
    let encoding = Encoding::of(request.headers());
    if let Err(refusal) = authenticate(&request, Some(signal), pipeline, receiver) {
        net::drain(request);
        return encoding.map_or_else(|_| refusal.text(), |encoding| refused(&refusal, encoding));
    }
    if request.method() != Method::POST {
        return method::refused(request, pipeline, receiver);
    }
    let mut tally = Tally::new(&pipeline.telemetry, receiver, signal).of(&request);
    let encoding = match encoding {
        Ok(encoding) => encoding,
        Err(refusal) => {
            net::drain_body(request.into_body());
            tally.refuse(&refusal);
            return refusal.text();
        }
    };
    match export(request, signal, encoding, pipeline, tally).await {
        Ok(()) => {
            reply::typed(StatusCode::OK, encoding.content_type(), if encoding == Encoding::Json { "{}" } else { "" })
        }
        Err(refusal) => refused(&refusal, encoding),
    }
}

async fn export(
    request: Request<Incoming>,
    signal: Signal,
    encoding: Encoding,
    pipeline: &Pipeline,
    tally: Tally,
) -> Result<(), Refusal> {
    let deadline = Deadline::ours(pipeline);
    let limit = ingest::limit(pipeline);
    let compression = content_encoding(request.headers());
    let (compression, received, mut tally) =
        ingest::receive(compression, request.into_body(), limit, deadline, pipeline, tally).await?;
    if compression == Compression::Identity && received.bytes.starts_with(GZIP) {
        let why = "the body is compressed with gzip, but the header content-encoding: gzip is missing";
        return tally.settle(Err(Refusal::Malformed(why.to_owned())));
    }
    let check = match encoding {
        Encoding::Protobuf => otlp::check(signal, limit),
        Encoding::Json => otlp::translate(signal, limit),
    };
    let ingest = Ingest { signal, format: Format::Otlp, compression, limit, meta: Meta::default(), check };
    ingest::take(pipeline, received, ingest, deadline, tally).await.map(|_| ())
}

/// The compression of an HTTP body. One at most: nobody sends several, and each would have to be
/// undone.
pub(super) fn content_encoding(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let mut all = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        all.extend(
            value.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty() && one != "identity"),
        );
    }
    match all.as_slice() {
        [] => Ok(Compression::Identity),
        [one] => match one.as_str() {
            "gzip" | "x-gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            "deflate" => Ok(Compression::Zlib),
            other => Err(Refusal::UnknownEncoding(format!(
                "content encoding {other:?} is not one of gzip, zstd, deflate, identity"
            ))),
        },
        several => Err(Refusal::UnknownEncoding(format!(
            "the body is encoded {} times ({}), at most one encoding is taken",
            several.len(),
            several.join(", ")
        ))),
    }
}

/// google.rpc.Status in the encoding of the request.
fn refused(refusal: &Refusal, encoding: Encoding) -> Response<Reply> {
    let (code, message) = (refusal.code() as i32, refusal.to_string());
    let body = match encoding {
        Encoding::Protobuf => pb::Status { code, message, details: Vec::new() }.encode_to_vec(),
        Encoding::Json => serde_json::json!({ "code": code, "message": message }).to_string().into_bytes(),
    };
    let mut response = reply::typed(refusal.http(), encoding.content_type(), body);
    refusal.advise(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[&'static str]) -> Result<Compression, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        content_encoding(&headers)
    }

    #[test]
    fn one_content_encoding_is_taken() {
        assert_eq!(encoded(&[]).ok(), Some(Compression::Identity));
        assert_eq!(encoded(&["GZIP"]).ok(), Some(Compression::Gzip));
        assert_eq!(encoded(&["identity, deflate"]).ok(), Some(Compression::Zlib));
        assert_eq!(encoded(&["zstd", "identity"]).ok(), Some(Compression::Zstd));
        let several = encoded(&["gzip, zstd"]).map_err(|refusal| refusal.to_string());
        assert!(several.is_err_and(|message| message.contains("2 times (gzip, zstd)")));
        assert!(encoded(&["br"]).is_err());
    }
}
