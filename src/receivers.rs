//! The ports: OTLP over gRPC and HTTP, Prometheus remote write, Pyroscope.
//!
//! A receiver reads a body under the limits of [`admission`], checks it once without decoding it
//! ([`crate::wire`]), appends it to the log as it came and answers once it is on disk. The parts
//! that all of them share:
//!
//! | module | what |
//! |---|---|
//! | [`admission`] | how much may be in flight, and for how long |
//! | `authenticate` | credentials, before anything else |
//! | `body` | a request's body in one piece, with as few copies as possible |
//! | `compression` | inflating within a limit |
//! | `ingest` | check, append, keep the ledger |
//! | `json` | translating JSON to protobuf |
//! | `method` | methods other than POST |
//! | `path` | paths with slashes too many |
//! | `refusal` | why a request was not taken, as gRPC and as HTTP status |
//! | `reply` | response bodies |
//!
//! Span and trace ids that are all zero or of the wrong length are taken and kept as they are
//! (bytes in, bytes out): the OTLP specification lets a server drop such spans, but a sender's bug
//! is easier to find when its spans can be seen. They are counted (`vispyr_spans_with_invalid_ids`).
//! Only a request in which all spans are so, and which reads cleanly as one of another signal, is refused.
//! A destination that refuses them is the business of its exporter.

pub mod admission;
mod authenticate;
mod body;
mod compression;
mod cors;
mod ingest;
mod json;
mod method;
mod otlp;
pub mod otlp_grpc;
pub mod otlp_http;
mod path;
pub mod pyroscope;
mod refusal;
pub mod remote_write;
mod reply;

use std::sync::Arc;

pub use admission::Admission;

use crate::net::{Acceptor, Authenticator};
use crate::tail::Tap;
use crate::telemetry::Telemetry;
use crate::wal::Logs;

/// What every receiver needs of the rest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Where accepted batches go.
    pub logs: Logs,
    /// The limits, shared by all receivers.
    pub admission: Arc<Admission>,
    /// The ledger.
    pub telemetry: Telemetry,
    /// Gets a copy of what is acknowledged, while somebody watches.
    pub tap: Tap,
    /// Takes connections in, for this receiver alone.
    pub acceptor: Acceptor,
    /// Checks the credentials of requests, for this receiver alone.
    pub authenticator: Authenticator,
}

/// Settings of the receivers (`[receivers]`), a table for each.
#[derive(Debug, Clone, PartialEq, Default, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// OTLP over gRPC.
    pub otlp_grpc: otlp_grpc::Config,
    /// OTLP over HTTP.
    pub otlp_http: otlp_http::Config,
    /// Prometheus remote write.
    pub remote_write: remote_write::Config,
    /// Pyroscope.
    pub pyroscope: pyroscope::Config,
}
