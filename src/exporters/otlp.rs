//! OTLP to any server that takes it, over gRPC or HTTP. By hand, as in our receivers: a generated
//! client would decode and encode what goes as it came.
//!
//! OTLP specification; gRPC over HTTP2 (framing, status, compression).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use prost::Message as _;

use super::batch::{self, Body, Joining};
use super::client::{Answer, BuildError, Client, Version};
use super::config::{Config, Protocol};
use super::destination::damaged;
use super::encoding;
use super::outcome::Outcome;
use crate::signal::{Batch, Compression, Format, Signal};

/// Bytes before a gRPC message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The most that is read of a compressed message.
const LONGEST_MESSAGE: u64 = 64 << 10;

/// A server of OTLP.
#[derive(Debug)]
pub struct Otlp {
    client: Client,
    protocol: Protocol,
    joining: Joining,
    /// In the order of [`Signal::ALL`].
    uris: [Uri; 4],
}

impl Otlp {
    /// Reads the files that the config names. Blocks.
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        let protocol = config.protocol();
        let (version, path): (_, fn(Signal) -> &'static str) = match protocol {
            Protocol::Grpc => (Version::Http2, grpc_path),
            Protocol::Http => (Version::Http1, http_path),
        };
        let client = Client::new(config, version)?;
        let [a, b, c, d] = Signal::ALL.map(|signal| client.uri(path(signal)));
        let uris = [a?, b?, c?, d?];
        // Every server must take gzip (OTLP specification, "OTLP/gRPC" and "OTLP/HTTP").
        Ok(Otlp { client, protocol, joining: Joining::new(config, &[Compression::Gzip]), uris })
    }

    /// Only its own format.
    pub fn takes(batch: &Batch) -> bool {
        batch.format == Format::Otlp
    }

    /// The time for one request.
    pub fn timeout(&self) -> Duration {
        self.client.timeout()
    }

    /// What may go together.
    pub fn joining(&self) -> &Joining {
        &self.joining
    }

    /// Sends one request.
    pub async fn send<'a>(&self, signal: Signal, batches: impl Iterator<Item = &'a Batch> + Clone) -> Outcome {
        let body = match batch::body(&self.joining, batches).await {
            Ok(body) => body,
            Err(error) => return damaged(&error),
        };
        let uri = self.uris[signal as usize].clone();
        match self.protocol {
            Protocol::Grpc => call(&self.client, uri, body).await,
            Protocol::Http => post(&self.client, uri, body).await,
        }
    }
}

fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Profiles => "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
    }
}

fn http_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
        Signal::Profiles => "/v1development/profiles",
    }
}

/// A unary gRPC call with one message.
async fn call(client: &Client, uri: Uri, body: Body) -> Outcome {
    let Ok(length) = u32::try_from(body.chunks.size()) else {
        return Outcome::Refused { reason: "longer than a gRPC message can be".to_owned() };
    };
    let mut prefix = BytesMut::with_capacity(PREFIX);
    prefix.put_u8((body.compression != Compression::Identity).into());
    prefix.put_u32(length);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let encoding = match body.compression {
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
        Compression::SnappyFramed => Some("snappy"),
        _ => None,
    };
    if let Some(encoding) = encoding {
        headers.insert(HeaderName::from_static("grpc-encoding"), HeaderValue::from_static(encoding));
    }
    if let Ok(timeout) = HeaderValue::try_from(grpc_timeout(client.timeout())) {
        headers.insert(HeaderName::from_static("grpc-timeout"), timeout);
    }
    match client.post(uri, headers, body.chunks.preceded_by(prefix.freeze())).await {
        Ok(answer) => grpc_outcome(&answer),
        Err(error) => Outcome::of_error(&error),
    }
}

/// At most eight digits and a unit.
fn grpc_timeout(timeout: Duration) -> String {
    match timeout.as_millis() {
        millis if millis < 100_000_000 => format!("{millis}m"),
        millis => format!("{}S", (millis / 1000).min(99_999_999)),
    }
}

fn grpc_outcome(answer: &Answer) -> Outcome {
    // Without a message the status is in the headers ("Trailers-Only").
    let status = answer.trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status"));
    let status = status.or_else(|| answer.headers.contains_key("grpc-status").then_some(&answer.headers));
    match status {
        Some(trailers) if trailers.get("grpc-status").is_some_and(|code| code == "0") => accepted(&message(answer)),
        Some(trailers) => Outcome::of_grpc(trailers),
        None if answer.status == StatusCode::OK && is_grpc(&answer.headers) => Outcome::of_grpc(&HeaderMap::new()),
        None => Outcome::of_foreign(answer.status, &answer.headers, &answer.body),
    }
}

/// The one message of an answer. Go's servers compress it as the request was. What cannot be read
/// counts as an empty one: the status has said that the request was taken.
fn message(answer: &Answer) -> Bytes {
    let message = answer.body.slice(PREFIX.min(answer.body.len())..);
    if answer.body.first() != Some(&1) {
        return message;
    }
    let compression = match answer.headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        Some(b"gzip") => Compression::Gzip,
        Some(b"zstd") => Compression::Zstd,
        Some(b"snappy") => Compression::SnappyFramed,
        _ => return Bytes::new(),
    };
    encoding::beginning(&message, compression, LONGEST_MESSAGE).unwrap_or_default().into()
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// OTLP over HTTP, in protobuf.
pub(super) async fn post(client: &Client, uri: Uri, body: Body) -> Outcome {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let encoding = match body.compression {
        Compression::Gzip => Some("gzip"),
        Compression::Zstd => Some("zstd"),
        _ => None,
    };
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    match client.post(uri, headers, body.chunks).await {
        Ok(answer) if answer.status.is_success() => {
            match Outcome::of_success(answer.status, &answer.headers, &answer.body) {
                Outcome::Accepted { .. } => {
                    let kind = answer.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
                    let is_json = kind.starts_with(b"application/json") || answer.body.starts_with(b"{");
                    if is_json { accepted_json(&answer.body) } else { accepted(&answer.body) }
                }
                other => other,
            }
        }
        Ok(answer) => Outcome::of_http(answer.status, &answer.headers, &answer.body),
        Err(error) => Outcome::of_error(&error),
    }
}

/// What all of `Export*ServiceResponse` look like: their fields differ in names only.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    /// `rejected_spans`, `rejected_data_points`, `rejected_log_records`, `rejected_profiles`.
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// A success, perhaps a partial one. A body that cannot be read takes nothing back.
fn accepted(body: &[u8]) -> Outcome {
    match Response::decode(Bytes::copy_from_slice(body)).ok().and_then(|response| response.partial_success) {
        Some(partial) => {
            Outcome::Accepted { rejected: u64::try_from(partial.rejected).unwrap_or(0), message: partial.error_message }
        }
        None => Outcome::ACCEPTED,
    }
}

/// The same in JSON, which some servers answer to protobuf, too.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct JsonResponse {
    #[serde(rename = "partialSuccess", alias = "partial_success")]
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct JsonPartialSuccess {
    #[serde(
        rename = "rejectedSpans",
        alias = "rejectedDataPoints",
        alias = "rejectedLogRecords",
        alias = "rejectedProfiles",
        alias = "rejected_spans",
        alias = "rejected_data_points",
        alias = "rejected_log_records",
        alias = "rejected_profiles"
    )]
    rejected: Option<JsonInteger>,
    #[serde(rename = "errorMessage", alias = "error_message")]
    error_message: Option<String>,
}

/// 64 bits are text in protobuf's JSON; not everybody knows that.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum JsonInteger {
    Number(i64),
    Text(String),
}

/// A success in JSON, perhaps a partial one. A body that cannot be read takes nothing back.
fn accepted_json(body: &[u8]) -> Outcome {
    match serde_json::from_slice::<JsonResponse>(body).ok().and_then(|response| response.partial_success) {
        Some(partial) => {
            let rejected = match partial.rejected {
                Some(JsonInteger::Number(number)) => number,
                Some(JsonInteger::Text(text)) => text.parse().unwrap_or(0),
                None => 0,
            };
            let message = partial.error_message.unwrap_or_default();
            Outcome::Accepted { rejected: u64::try_from(rejected).unwrap_or(0), message }
        }
        None => Outcome::ACCEPTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_at_most_eight_digits() {
        assert_eq!(grpc_timeout(Duration::from_secs(30)), "30000m");
        assert_eq!(grpc_timeout(Duration::from_millis(99_999_999)), "99999999m");
        assert_eq!(grpc_timeout(Duration::from_secs(100_000)), "100000S");
        assert_eq!(grpc_timeout(Duration::MAX), "99999999S");
    }

    #[test]
    fn partial_success_is_read() {
        let partial = PartialSuccess { rejected: 3, error_message: "too old".to_owned() };
        let body = Response { partial_success: Some(partial) }.encode_to_vec();
        let want = Outcome::Accepted { rejected: 3, message: "too old".to_owned() };
        assert_eq!(accepted(&body), want);
        assert_eq!(accepted(b""), Outcome::ACCEPTED);
        assert_eq!(accepted(b"nonsense"), Outcome::ACCEPTED);
        for body in [
            r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#,
            r#"{"partialSuccess":{"rejectedDataPoints":3,"errorMessage":"too old"}}"#,
            r#"{"partial_success":{"rejected_log_records":"3","error_message":"too old"},"more":[1]}"#,
        ] {
            assert_eq!(accepted_json(body.as_bytes()), want, "{body}");
        }
        for body in ["{}", r#"{"partialSuccess":null}"#, r#"{"partialSuccess":{}}"#, "{", ""] {
            assert_eq!(accepted_json(body.as_bytes()), Outcome::ACCEPTED, "{body}");
        }
    }

    #[test]
    fn partial_success_is_read_out_of_compressed_answers() {
        let partial = PartialSuccess { rejected: 3, error_message: "too old".to_owned() };
        let body = Response { partial_success: Some(partial) }.encode_to_vec();
        let answer = |flag: u8, encoding: &'static str, message: Bytes| {
            let headers = HeaderMap::from_iter([
                (HeaderName::from_static("grpc-encoding"), HeaderValue::from_static(encoding)),
                (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0")),
            ]);
            let body = [&[flag, 0, 0, 0, 0][..], &message].concat().into();
            Answer { status: StatusCode::OK, headers, trailers: None, body }
        };
        let want = Outcome::Accepted { rejected: 3, message: "too old".to_owned() };
        for (name, compression) in
            [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("snappy", Compression::SnappyFramed)]
        {
            let message = encoding::compress(&[body.clone().into()], compression).unwrap();
            assert_eq!(grpc_outcome(&answer(1, name, message)), want, "{name}");
        }
        assert_eq!(grpc_outcome(&answer(0, "gzip", body.into())), want, "not compressed after all");
        assert_eq!(grpc_outcome(&answer(1, "gzip", Bytes::from_static(b"nonsense"))), Outcome::ACCEPTED);
    }
}
