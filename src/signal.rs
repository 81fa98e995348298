//! What moves through the pipeline: a [`Batch`] is one request's payload, still encoded as it
//! came, with the few facts about it that routing, accounting and delivery need.
//!
//! Nothing here decodes. A receiver has walked the payload once ([`crate::wire`]) and knows that
//! it is well formed and how many items it holds; from then on it is bytes.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

/// The four OpenTelemetry signals. Each has a log of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points, remote-write samples included.
    Metrics,
    /// Log records.
    Logs,
    /// Profiles, OTLP's and Pyroscope's.
    Profiles,
}

impl Signal {
    /// All signals, in the order in which they are shown.
    pub const ALL: [Signal; 4] = [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Profiles];

    /// The lower-case name: folder of its log, label value, config value.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Profiles => "profiles",
        }
    }

    /// What an item of this signal is called.
    pub fn item(self) -> &'static str {
        match self {
            Signal::Traces => "span",
            Signal::Metrics => "data point",
            Signal::Logs => "log record",
            Signal::Profiles => "profile",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The message that a payload holds, once decompressed. The numbers are written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Format {
    /// `Export{Trace,Metrics,Logs,Profiles}ServiceRequest` in protobuf, by the batch's signal.
    Otlp = 1,
    /// `prometheus.WriteRequest` (remote write 1.0).
    RemoteWriteV1 = 2,
    /// `io.prometheus.write.v2.Request` (remote write 2.0).
    RemoteWriteV2 = 3,
    /// The body of a Pyroscope `/ingest` request; [`Meta`] has its query and content type.
    PyroscopeIngest = 4,
    /// `push.v1.PushRequest` in protobuf.
    PyroscopePush = 5,
    /// A row of the store in JSON, which only dead letters of a store have.
    StoreRow = 6,
}

impl Format {
    /// The format with this number, if there is one.
    pub fn from_u8(n: u8) -> Option<Self> {
        Some(match n {
            1 => Format::Otlp,
            2 => Format::RemoteWriteV1,
            3 => Format::RemoteWriteV2,
            4 => Format::PyroscopeIngest,
            5 => Format::PyroscopePush,
            6 => Format::StoreRow,
            _ => return None,
        })
    }

    /// The name used in metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::Otlp => "otlp",
            Format::RemoteWriteV1 => "remote_write_1",
            Format::RemoteWriteV2 => "remote_write_2",
            Format::PyroscopeIngest => "pyroscope_ingest",
            Format::PyroscopePush => "pyroscope_push",
            Format::StoreRow => "store_row",
        }
    }
}

/// How a payload is compressed. The numbers are written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Compression {
    /// Not compressed.
    Identity = 0,
    /// One or more gzip members (RFC 1952).
    Gzip = 1,
    /// One or more zstd frames (RFC 8878).
    Zstd = 2,
    /// One snappy block, as remote write uses it.
    SnappyBlock = 3,
    /// The framed snappy format, as gRPC's `snappy` uses it.
    SnappyFramed = 4,
    /// A zlib stream (RFC 1950), which is what HTTP calls `deflate`.
    Zlib = 5,
}

impl Compression {
    /// The compression with this number, if there is one.
    pub fn from_u8(n: u8) -> Option<Self> {
        Some(match n {
            0 => Compression::Identity,
            1 => Compression::Gzip,
            2 => Compression::Zstd,
            3 => Compression::SnappyBlock,
            4 => Compression::SnappyFramed,
            5 => Compression::Zlib,
            _ => return None,
        })
    }

    /// The name used in metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Identity => "identity",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::SnappyBlock => "snappy",
            Compression::SnappyFramed => "snappy-framed",
            Compression::Zlib => "deflate",
        }
    }
}

/// What came beside the body and must go with it. Only Pyroscope's `/ingest` needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// The query string as received, without the `?`.
    pub query: String,
    /// The `Content-Type` header as received; empty if there was none.
    pub content_type: String,
}

/// One accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which log it belongs to.
    pub signal: Signal,
    /// What the payload is, once decompressed.
    pub format: Format,
    /// How the payload is compressed.
    pub compression: Compression,
    /// Spans, data points (or samples), log records or profiles in it.
    pub items: u32,
    /// Bytes of the payload once decompressed.
    pub decoded_size: u64,
    /// When it was received: nanoseconds since the Unix epoch.
    pub received: u64,
    /// What came beside the body.
    pub meta: Meta,
    /// The body as it came.
    pub payload: Bytes,
}

impl Batch {
    /// What a batch takes in memory besides its payload: itself, what the allocator and its owners
    /// add, and its place in their lists. For small bodies it is most of it.
    pub const OVERHEAD: usize = size_of::<Batch>() + 128;

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        Self::OVERHEAD + self.payload.len() + self.meta.query.len() + self.meta.content_type.len()
    }
}

/// Nanoseconds by a clock that nobody sets and that all processes of this machine have, now.
pub fn monotonic_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Nanoseconds since the Unix epoch, now. 0 if the clock stands before it.
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
