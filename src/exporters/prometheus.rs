//! Prometheus, Mimir and whatever else takes both of its protocols: OTLP metrics to one path,
//! remote write as it came to the other.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use parking_lot::Mutex;

use super::batch::{self, Joining};
use super::chunks::Chunks;
use super::client::{BuildError, Client, Version};
use super::config::Config;
use super::destination::damaged;
use super::encoding;
use super::otlp;
use super::outcome::Outcome;
use crate::signal::{Batch, Compression, Format, Signal};
use crate::wire;

/// Where Prometheus takes remote write.
const REMOTE_WRITE: &str = "/api/v1/write";

/// Where Prometheus takes OTLP.
const OTLP: &str = "/api/v1/otlp/v1/metrics";

/// How long a server that knows no remote write 2.0 is not asked again: it may be replaced.
const ONLY_V1: Duration = Duration::from_secs(600);

/// Bytes of the strings of a request that is translated to 1.0, at most: Prometheus takes no larger
/// request. One that is refused for it is halved.
const MAX_TRANSLATED: u64 = 32 << 20;

/// What a server that knows 2.0 answers: how much of it was written.
const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

/// A server of Prometheus' kind.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    joining: Joining,
    /// None: it gets remote write alone.
    otlp: Option<Uri>,
    remote_write: Uri,
    /// Until when remote write goes as 1.0: it has shown that it knows no 2.0.
    only_v1: Mutex<Option<Instant>>,
}

impl Prometheus {
    /// Reads the files that the config names. Blocks.
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        let client = Client::new(config, Version::Http1)?;
        let otlp = match config.otlp_path.as_deref().unwrap_or(OTLP) {
            "" => None,
            path => Some(client.uri(path)?),
        };
        Ok(Prometheus {
            otlp,
            remote_write: client.uri(config.remote_write_path.as_deref().unwrap_or(REMOTE_WRITE))?,
            joining: Joining::new(config, &[Compression::Gzip]),
            client,
            only_v1: Mutex::new(None),
        })
    }

    /// OTLP, if there is a path for it, and both remote writes.
    pub fn takes(&self, batch: &Batch) -> bool {
        match batch.format {
            Format::Otlp => batch.signal == Signal::Metrics && self.otlp.is_some(),
            Format::RemoteWriteV1 | Format::RemoteWriteV2 => true,
            _ => false,
        }
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
    pub async fn send<'a>(&self, batches: impl Iterator<Item = &'a Batch> + Clone) -> Outcome {
        match (batches.clone().next(), &self.otlp) {
            (Some(batch), _) if batch.format != Format::Otlp => self.write(batch).await,
            (_, Some(uri)) => match batch::body(&self.joining, batches).await {
                Ok(body) => otlp::post(&self.client, uri.clone(), body).await,
                Err(error) => damaged(&error),
            },
            (_, None) => Outcome::Refused { reason: "it gets remote write alone (otlp_path is empty)".to_owned() },
        }
    }

    /// An empty request of this format: whether somebody answers there who looks into requests.
    pub async fn probe(&self, format: Format) -> Outcome {
        if format == Format::Otlp && self.otlp.is_some() {
            return self.send(std::iter::empty()).await;
        }
        self.negotiate(format, Content::Nothing).await
    }

    async fn write(&self, batch: &Batch) -> Outcome {
        self.negotiate(batch.format, Content::Batch(batch)).await
    }

    /// Remote write, in the version as received. A server that does not know 2.0 answers 415, or
    /// takes it for 1.0 in which it finds nothing, and says nothing of what it has written. It gets
    /// 1.0 from then on, until it refuses that (Remote-Write 2.0 specification, "Required Content
    /// Negotiation", "Required Written Response Headers").
    async fn negotiate(&self, format: Format, content: Content<'_>) -> Outcome {
        let only_v1 = self.only_v1.lock().is_some_and(|until| Instant::now() < until);
        let versions: &[Format] = match format {
            Format::RemoteWriteV2 if only_v1 => &[Format::RemoteWriteV1, Format::RemoteWriteV2],
            Format::RemoteWriteV2 => &[Format::RemoteWriteV2, Format::RemoteWriteV1],
            _ => &[Format::RemoteWriteV1],
        };
        let mut unsupported = Outcome::Refused { reason: "it takes no version of remote write".to_owned() };
        for version in versions {
            let is_v2 = *version == Format::RemoteWriteV2;
            let body = match content.body(*version).await {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            match self.post(*version, body).await {
                // There is nothing of which it could say that it was written.
                Ok((_, accepted @ Outcome::Accepted { .. })) if content.is_nothing() => return accepted,
                Ok((Written::No, _)) if is_v2 => {
                    if !only_v1 {
                        tracing::info!(to = %self.remote_write, "no remote write 2.0 there, going on with 1.0");
                        *self.only_v1.lock() = Some(Instant::now() + ONLY_V1);
                    }
                }
                Ok((_, refused @ Outcome::Refused { .. })) if !is_v2 => {
                    // It knows 2.0 only, now.
                    *self.only_v1.lock() = None;
                    unsupported = refused;
                }
                Ok((_, outcome)) | Err(outcome) => {
                    if is_v2 {
                        *self.only_v1.lock() = None;
                    }
                    return outcome;
                }
            }
        }
        unsupported
    }

    async fn post(&self, format: Format, body: Bytes) -> Result<(Written, Outcome), Outcome> {
        let (content_type, version) = match format {
            Format::RemoteWriteV2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
            // Without the parameter: servers older than 2.0 compare the whole value.
            _ => ("application/x-protobuf", "0.1.0"),
        };
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("snappy"));
        let name = HeaderName::from_static("x-prometheus-remote-write-version");
        headers.insert(name, HeaderValue::from_static(version));
        let answer = self.client.post(self.remote_write.clone(), headers, Chunks::new([body])).await;
        let answer = answer.map_err(|error| Outcome::of_error(&error))?;
        if answer.status.is_success() {
            let counted = WRITTEN.iter().any(|name| answer.headers.contains_key(*name));
            let written = if counted { Written::Yes } else { Written::No };
            return match Outcome::of_success(answer.status, &answer.headers, &answer.body) {
                accepted @ Outcome::Accepted { .. } => Ok((written, accepted)),
                other => Err(other),
            };
        }
        let outcome = Outcome::of_http(answer.status, &answer.headers, &answer.body);
        match answer.status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Ok((Written::No, outcome)),
            _ => Err(outcome),
        }
    }
}

/// Whether a server shows that it knows remote write 2.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// It says how much it has written.
    Yes,
    /// It refuses the version, or has taken it for another.
    No,
}

/// What a request of remote write says.
#[derive(Debug, Clone, Copy)]
enum Content<'a> {
    Batch(&'a Batch),
    /// No series.
    Nothing,
}

impl Content<'_> {
    fn is_nothing(self) -> bool {
        matches!(self, Content::Nothing)
    }

    /// A snappy block of this version, or why there is none.
    async fn body(self, version: Format) -> Result<Bytes, Outcome> {
        match self {
            Content::Batch(batch) if version == Format::RemoteWriteV1 && batch.format == Format::RemoteWriteV2 => {
                as_v1(batch).await
            }
            Content::Batch(batch) => {
                batch::recoded(batch, Compression::SnappyBlock).await.map_err(|error| damaged(&error))
            }
            Content::Nothing => Ok(Bytes::from_static(&[0])),
        }
    }
}

/// A snappy block of 1.0, translated from 2.0.
async fn as_v1(batch: &Batch) -> Result<Bytes, Outcome> {
    let (payload, from, size) = (batch.payload.clone(), batch.compression, batch.decoded_size);
    let translate = move || {
        let _turn = encoding::turn(size);
        let plain = encoding::inflate(&payload, from, size).map_err(|error| damaged(&error.into()))?;
        let v1 = wire::remote_write_v2_to_v1(&plain, MAX_TRANSLATED);
        let v1 = v1.map_err(|error| Outcome::Refused { reason: format!("not sent: {error}") })?;
        encoding::compress(&[v1.into()], Compression::SnappyBlock).map_err(|error| damaged(&error))
    };
    match tokio::task::spawn_blocking(translate).await {
        Ok(translated) => translated,
        Err(error) => Err(damaged(&std::io::Error::other(error))),
    }
}
