//! Pyroscope: `/ingest` and `PusherService/Push` as received, OTLP profiles to its OTLP endpoint;
//! always one record a request.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Uri, header};

use super::batch::{self, Joining};
use super::chunks::Chunks;
use super::client::{BuildError, Client, Version};
use super::config::Config;
use super::destination::damaged;
use super::otlp;
use super::outcome::Outcome;
use crate::signal::{Batch, Compression, Format, Signal};

/// A server of Pyroscope's kind.
#[derive(Debug)]
pub struct Pyroscope {
    client: Client,
    joining: Joining,
    push: Uri,
    otlp: Uri,
}

impl Pyroscope {
    /// Reads the files that the config names. Blocks.
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        let client = Client::new(config, Version::Http1)?;
        Ok(Pyroscope {
            push: client.uri("/push.v1.PusherService/Push")?,
            otlp: client.uri("/v1development/profiles")?,
            joining: Joining::new(config, &[Compression::Gzip]),
            client,
        })
    }

    /// All that profiles come in.
    pub fn takes(batch: &Batch) -> bool {
        batch.signal == Signal::Profiles
    }

    /// The time for one request.
    pub fn timeout(&self) -> Duration {
        self.client.timeout()
    }

    /// What may go together: nothing, as all of it is profiles.
    pub fn joining(&self) -> &Joining {
        &self.joining
    }

    /// Sends one record.
    pub async fn send<'a>(&self, batches: impl Iterator<Item = &'a Batch> + Clone) -> Outcome {
        let sent = match batches.clone().next() {
            None => return Outcome::ACCEPTED,
            Some(batch) => match batch.format {
                Format::PyroscopeIngest => self.ingest(batch).await,
                Format::PyroscopePush => self.push(batch).await,
                _ => match batch::body(&self.joining, batches).await {
                    Ok(body) => Ok(otlp::post(&self.client, self.otlp.clone(), body).await),
                    Err(error) => Err(error),
                },
            },
        };
        sent.unwrap_or_else(|error| damaged(&error))
    }

    /// Sends profiles of which there are none.
    pub async fn probe(&self) -> Outcome {
        let body = batch::Body { chunks: Chunks::default(), compression: Compression::Identity };
        otlp::post(&self.client, self.otlp.clone(), body).await
    }

    /// Query, content type and body as they came; but not compressed, since a `Content-Encoding`
    /// on `/ingest` is not looked at there.
    async fn ingest(&self, batch: &Batch) -> std::io::Result<Outcome> {
        let body = batch::plain(&self.joining, batch).await?;
        let path = match batch.meta.query.as_str() {
            "" => "/ingest".to_owned(),
            query => format!("/ingest?{query}"),
        };
        let Ok(uri) = self.client.uri(&path) else {
            return Ok(Outcome::Refused { reason: format!("{path:?} cannot be asked for") });
        };
        let mut headers = HeaderMap::with_capacity(4);
        if !batch.meta.content_type.is_empty()
            && let Ok(content_type) = HeaderValue::try_from(&batch.meta.content_type)
        {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        Ok(self.post(uri, headers, body).await)
    }

    /// A unary call of the Connect protocol, which takes gzip.
    async fn push(&self, batch: &Batch) -> std::io::Result<Outcome> {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/proto"));
        headers.insert("connect-protocol-version", HeaderValue::from_static("1"));
        let body = match batch.compression {
            Compression::Gzip => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Chunks::new([batch.payload.clone()])
            }
            _ => batch::plain(&self.joining, batch).await?,
        };
        Ok(self.post(self.push.clone(), headers, body).await)
    }

    async fn post(&self, uri: Uri, headers: HeaderMap, body: Chunks) -> Outcome {
        match self.client.post(uri, headers, body).await {
            Ok(answer) if answer.status.is_success() => {
                Outcome::of_success(answer.status, &answer.headers, &answer.body)
            }
            Ok(answer) => Outcome::of_http(answer.status, &answer.headers, &answer.body),
            Err(error) => Outcome::of_error(&error),
        }
    }
}
