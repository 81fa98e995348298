//! A destination as the engine sees it: what it takes, what may go together, and what became of
//! a request.

use std::sync::Arc;
use std::time::Duration;

use super::batch::Joining;
use super::client::{BuildError, SendError};
use super::config::{Config, Kind};
use super::otlp::Otlp;
use super::outcome::Outcome;
use super::prometheus::Prometheus;
use super::pyroscope::Pyroscope;
use super::unnameable;
use crate::signal::{Batch, Format, Signal};

/// Time for what is done before a request is sent (decompressing, reading secrets), over that for
/// the request.
const PREPARING: Duration = Duration::from_secs(2);

/// Where requests go. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Destination {
    /// OTLP, over gRPC or HTTP.
    Otlp(Arc<Otlp>),
    /// Prometheus and its kin.
    Prometheus(Arc<Prometheus>),
    /// Pyroscope.
    Pyroscope(Arc<Pyroscope>),
}

impl Destination {
    /// Reads the files that the config names. Blocks.
    ///
    /// # Errors
    /// When one of them is not there or not good; and for a store, which is none of these.
    pub fn new(config: &Config) -> Result<Self, BuildError> {
        Ok(match config.kind {
            Some(Kind::Otlp) => Destination::Otlp(Arc::new(Otlp::new(config)?)),
            Some(Kind::Prometheus) => Destination::Prometheus(Arc::new(Prometheus::new(config)?)),
            Some(Kind::Pyroscope) => Destination::Pyroscope(Arc::new(Pyroscope::new(config)?)),
            Some(Kind::Store) => return Err(BuildError::Config("a store is no such destination".to_owned())),
            None => return Err(BuildError::Config("type is missing".to_owned())),
        })
    }

    /// Whether it can take such a record at all. What it cannot is skipped, and counted as that.
    pub fn takes(&self, batch: &Batch) -> bool {
        match self {
            Destination::Otlp(_) => Otlp::takes(batch),
            Destination::Prometheus(prometheus) => prometheus.takes(batch),
            Destination::Pyroscope(_) => Pyroscope::takes(batch),
        }
    }

    /// What may go together.
    pub fn joining(&self) -> &Joining {
        match self {
            Destination::Otlp(otlp) => otlp.joining(),
            Destination::Prometheus(prometheus) => prometheus.joining(),
            Destination::Pyroscope(pyroscope) => pyroscope.joining(),
        }
    }

    /// Sends records that may go together as one request. Always ends, within the time limit.
    pub async fn send<'a>(&self, signal: Signal, batches: impl Iterator<Item = &'a Batch> + Clone) -> Outcome {
        let send = async {
            match self {
                Destination::Otlp(otlp) => otlp.send(signal, batches).await,
                Destination::Prometheus(prometheus) => prometheus.send(batches).await,
                Destination::Pyroscope(pyroscope) => pyroscope.send(batches).await,
            }
        };
        self.in_time(send).await
    }

    async fn in_time(&self, send: impl Future<Output = Outcome>) -> Outcome {
        let timeout = match self {
            Destination::Otlp(otlp) => otlp.timeout(),
            Destination::Prometheus(prometheus) => prometheus.timeout(),
            Destination::Pyroscope(pyroscope) => pyroscope.timeout(),
        };
        match tokio::time::timeout(timeout.saturating_add(PREPARING), send).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::of_error(&SendError::NoConnection(timeout)),
        }
    }

    /// Sends a request without anything in it, of this format: whether somebody answers there, would
    /// let us in, and looks into requests.
    pub async fn probe(&self, signal: Signal, format: Format) -> Outcome {
        let probe = async {
            match self {
                Destination::Otlp(otlp) => otlp.send(signal, std::iter::empty()).await,
                Destination::Prometheus(prometheus) => prometheus.probe(format).await,
                Destination::Pyroscope(pyroscope) => pyroscope.probe().await,
            }
        };
        self.in_time(probe).await
    }

    /// What in a record this destination cannot take whatever else is with it, if that is known.
    pub fn explain(&self, batch: &Batch) -> Option<String> {
        match self {
            Destination::Prometheus(_) => unnameable::find(batch),
            Destination::Otlp(_) | Destination::Pyroscope(_) => None,
        }
    }
}

/// A payload that was good when it came cannot be decompressed any more.
pub(super) fn damaged(error: &std::io::Error) -> Outcome {
    Outcome::Refused { reason: format!("the payload cannot be decompressed: {error}") }
}
