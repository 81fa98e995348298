//! OTLP over gRPC, by hand on HTTP/2: a generated server decodes every message and cannot keep
//! the compressed bytes; we want the body of each request as it came.
//!
//! OTLP specification, "OTLP/gRPC"; gRPC over HTTP2 (framing, status, compression); gRPC health
//! checking.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::authenticate::authenticate;
use super::ingest::{self, Deadline, Ingest, Tally};
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Pipeline, body, method, otlp};
use crate::net::{self, server};
use crate::signal::{Compression, Format, Meta, Signal};

mod status;

net::port_config! {
    /// Settings of OTLP over gRPC (`[receivers.otlp_grpc]`).
    pub struct Config, port 4317 {
        /// Whether it listens at all.
        pub enabled: bool = true,
    }
}

/// Its name in the ledger.
const NAME: &str = "otlp_grpc";

/// The call of gRPC health checking.
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The compressions that we take, as clients are told.
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("gzip,zstd,snappy,identity");

/// Receives until `shutdown`, and returns once what is in flight is answered.
pub async fn serve(listener: TcpListener, pipeline: Pipeline, shutdown: CancellationToken) {
    let port = (listener, pipeline.acceptor.clone());
    let connections = pipeline.admission.connections().clone();
    let handler = move |request: Request<Incoming>| {
        let pipeline = pipeline.clone();
        async move {
            if is_grpc(request.headers()) {
                return handle(request, &pipeline, NAME).await;
            }
            let why = "this port takes OTLP over gRPC; OTLP over HTTP has a port of its own, by default 4318";
            pipeline.telemetry.refused_other(NAME, "wrong_port", why, ingest::peer(&request));
            net::drain_body(request.into_body());
            reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)
        }
    };
    server::serve(NAME, port, connections, shutdown, handler).await;
}

/// Whether the request is of gRPC, whatever its codec.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("application/grpc")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Answers one call.
pub(super) async fn handle(request: Request<Incoming>, pipeline: &Pipeline, receiver: &'static str) -> Response<Reply> {
    let media_type = content_type(request.headers()).split(';').next().unwrap_or_default().trim_end();
    if !media_type.eq_ignore_ascii_case("application/grpc")
        && !media_type.eq_ignore_ascii_case("application/grpc+proto")
    {
        let why = format!("content type {media_type:?} is not application/grpc or application/grpc+proto");
        pipeline.telemetry.refused_other(receiver, "unknown_media_type", &why, ingest::peer(&request));
        net::drain_body(request.into_body());
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    if request.method() != Method::POST {
        return method::refused(request, pipeline, receiver);
    }
    let signal = signal_of(request.uri().path());
    // Probes of orchestrators and balancers have no credentials to show.
    if request.uri().path() != HEALTH
        && let Err(refusal) = authenticate(&request, signal, pipeline, receiver)
    {
        net::drain(request);
        return status::refused(&refusal);
    }
    let Some(signal) = signal else {
        if request.uri().path() == HEALTH {
            return health(request, pipeline).await;
        }
        let why = format!("unknown method {}", request.uri().path());
        pipeline.telemetry.refused_other(receiver, "not_found", &why, ingest::peer(&request));
        // A stream that is reset before its body is read may lose the reply.
        net::drain_body(request.into_body());
        return status::unimplemented(&why);
    };
    let tally = Tally::new(&pipeline.telemetry, receiver, signal).of(&request);
    match export(request, signal, pipeline, tally).await {
        Ok(()) => status::ok(Bytes::from_static(&[0; PREFIX])),
        Err(refusal) => status::refused(&refusal),
    }
}

/// Answers a call at a port that takes another protocol, so that gRPC clients show why.
pub(super) fn wrong_port(
    request: Request<Incoming>,
    pipeline: &Pipeline,
    receiver: &'static str,
    why: &'static str,
) -> Response<Reply> {
    let refusal = Refusal::WrongPort(why);
    match signal_of(request.uri().path()) {
        Some(signal) => Tally::new(&pipeline.telemetry, receiver, signal).of(&request).refuse(&refusal),
        None => pipeline.telemetry.refused_other(receiver, refusal.reason(), why, ingest::peer(&request)),
    }
    net::drain_body(request.into_body());
    status::refused(&refusal)
}

fn signal_of(path: &str) -> Option<Signal> {
    Some(match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export" => Signal::Profiles,
        _ => return None,
    })
}

async fn export(
    request: Request<Incoming>,
    signal: Signal,
    pipeline: &Pipeline,
    mut tally: Tally,
) -> Result<(), Refusal> {
    let deadline = deadline(request.headers(), pipeline);
    let read = async {
        let encoding = encoding(request.headers())?;
        let (message, compressed) = message(request.into_body(), deadline, pipeline, &mut tally).await?;
        match (compressed, encoding) {
            (false, _) => Ok((message, Compression::Identity)),
            (true, Compression::Identity) => {
                Err(Refusal::Malformed("the message is marked as compressed but grpc-encoding is not set".to_owned()))
            }
            (true, encoding) => Ok((message, encoding)),
        }
    };
    let read = read.await;
    let (received, compression) = tally.settle(read)?;
    let ingest = Ingest {
        signal,
        format: Format::Otlp,
        compression,
        limit: ingest::limit(pipeline),
        meta: Meta::default(),
        check: otlp::check(signal, ingest::limit(pipeline)),
    };
    ingest::take(pipeline, received, ingest, deadline, tally).await.map(|_| ())
}

/// Reads the one message of a unary call, without its prefix, and whether it is compressed.
async fn message(
    incoming: Incoming,
    deadline: Deadline,
    pipeline: &Pipeline,
    tally: &mut Tally,
) -> Result<(body::Received, bool), Refusal> {
    let expected = |start: &[u8]| {
        let length = start.get(1..PREFIX)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        usize::try_from(length).ok()?.checked_add(PREFIX)
    };
    let limit = ingest::limit(pipeline).saturating_add(PREFIX);
    let mut received = body::read(incoming, limit, &pipeline.admission, deadline, tally, expected).await?;
    tally.bytes = tally.bytes.saturating_sub(PREFIX as u64);
    let bytes = &mut received.bytes;
    let Some(announced) = expected(bytes) else {
        return Err(Refusal::Malformed(format!(
            "the call has no message: {} bytes where a prefix of 5 is due",
            bytes.len()
        )));
    };
    let compressed = match bytes[0] {
        0 => false,
        1 => true,
        other => return Err(Refusal::Malformed(format!("the compressed flag of the message is {other}, not 0 or 1"))),
    };
    if announced != bytes.len() {
        let (announced, there) = (announced - PREFIX, bytes.len() - PREFIX);
        return Err(Refusal::Malformed(format!(
            "a unary call has one message: its prefix says {announced} bytes, the body has {there}"
        )));
    }
    bytes.advance(PREFIX);
    Ok((received, compressed))
}

fn encoding(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let Some(encoding) = headers.get("grpc-encoding") else { return Ok(Compression::Identity) };
    match encoding.as_bytes() {
        b"identity" => Ok(Compression::Identity),
        b"gzip" => Ok(Compression::Gzip),
        b"zstd" => Ok(Compression::Zstd),
        b"snappy" => Ok(Compression::SnappyFramed),
        other => Err(Refusal::UnknownEncoding(format!(
            "grpc-encoding {:?} is not one of gzip, zstd, snappy, identity",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// The earlier of our limit and the client's `grpc-timeout`: digits and a unit.
fn deadline(headers: &HeaderMap, pipeline: &Pipeline) -> Deadline {
    let ours = Deadline::ours(pipeline);
    let timeout = headers.get("grpc-timeout").and_then(|value| parse_timeout(value.as_bytes()));
    match timeout.map(|timeout| Instant::now() + timeout) {
        Some(at) if at < ours.at => Deadline { at, by_client: true },
        _ => ours,
    }
}

fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(n * 3600),
        b'M' => Duration::from_secs(n * 60),
        b'S' => Duration::from_secs(n),
        b'm' => Duration::from_millis(n),
        b'u' => Duration::from_micros(n),
        b'n' => Duration::from_nanos(n),
        _ => return None,
    })
}

/// grpc.health.v1: this process and each of the OTLP services are SERVING as long as it answers.
async fn health(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    /// Message of 2 bytes: HealthCheckResponse { status: SERVING }.
    const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 0x01];
    // Not telemetry, hence not in the ledger: the reading alone is bounded.
    let read = http_body_util::BodyExt::collect(http_body_util::Limited::new(request.into_body(), 4096));
    let Ok(Ok(request)) = tokio::time::timeout_at(Deadline::ours(pipeline).at, read).await else {
        return status::refused(&Refusal::Malformed("bad health check request".to_owned()));
    };
    let request = request.to_bytes();
    let service = match request.get(PREFIX..) {
        None | Some([]) => Some(""),
        Some([0x0a, length, name @ ..]) if name.len() == usize::from(*length) => std::str::from_utf8(name).ok(),
        Some(_) => None,
    };
    let known = service.is_some_and(|name| name.is_empty() || signal_of(&format!("/{name}/Export")).is_some());
    if known { status::ok(Bytes::from_static(SERVING)) } else { status::not_found("unknown service") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_digits_and_a_unit() {
        for (text, want) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("5S", Some(Duration::from_secs(5))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000n", None),
            ("", None),
            ("S", None),
            ("-1S", None),
            ("1s", None),
        ] {
            assert_eq!(parse_timeout(text.as_bytes()), want, "{text}");
        }
    }
}
