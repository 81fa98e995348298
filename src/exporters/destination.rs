//! A destination as the engine sees it: what it takes, what may go together, and what became of
//! a request.

use std::sync::Arc;

use super::batch::Joining;
use super::client::BuildError;
use super::config::{Config, Kind};
use super::otlp::Otlp;
use super::outcome::Outcome;
use super::prometheus::Prometheus;
use super::pyroscope::Pyroscope;
use crate::signal::{Batch, Signal};

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
            Destination::Prometheus(_) => Prometheus::takes(batch),
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
        match self {
            Destination::Otlp(otlp) => otlp.send(signal, batches).await,
            Destination::Prometheus(prometheus) => prometheus.send(batches).await,
            Destination::Pyroscope(pyroscope) => pyroscope.send(batches).await,
        }
    }

    /// Sends a request without anything in it: whether somebody answers there, and would let us in.
    ///
    /// # Errors
    /// Why nothing would be taken now. A refusal is none: it comes from somebody who looks into
    /// requests.
    pub async fn probe(&self, signal: Signal) -> Result<(), String> {
        let outcome = match self {
            Destination::Pyroscope(pyroscope) => pyroscope.probe().await,
            _ => self.send(signal, std::iter::empty()).await,
        };
        match outcome {
            Outcome::Accepted { .. } | Outcome::Refused { .. } => Ok(()),
            Outcome::Later { reason, .. } => Err(reason),
        }
    }
}

/// A payload that was good when it came cannot be decompressed any more.
pub(super) fn damaged(error: &std::io::Error) -> Outcome {
    Outcome::Refused { reason: format!("the payload cannot be decompressed: {error}") }
}
