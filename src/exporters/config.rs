//! One `[exporters.NAME]` of the config: where to, what, and how. What the keys have to do with
//! each other is checked with all other rules of the config.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::signal::{Compression, Signal};
use crate::wal::{Destination, Start};

/// Settings of one destination. What is not set depends on [`Kind`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What it speaks. There is no default.
    #[serde(rename = "type")]
    pub kind: Option<Kind>,
    /// Where it is: scheme, host, port, and a path before those of the protocol. Not for a store.
    pub url: Option<String>,
    /// Where a store listens; the store of this config if not given.
    pub socket: Option<PathBuf>,
    /// What it gets; what it can take if not given, but OTLP no profiles.
    pub signals: Option<Vec<Signal>>,
    /// gRPC or HTTP, for OTLP; gRPC if not given.
    pub protocol: Option<Protocol>,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// Time for one request, connecting included.
    #[serde(with = "crate::duration")]
    pub timeout: Duration,
    /// How payloads that came uncompressed are compressed. Compressed ones go as they came where
    /// the destination takes that.
    pub compression: Encoding,
    /// Whether the destination reads all members of a compressed body, so that they may be
    /// joined; if not given, what is known of the type: Prometheus does.
    pub join_compressed: Option<bool>,
    /// Uncompressed bytes of one request that is made by joining. A record may be larger alone.
    pub max_batch_size: ByteSize,
    /// Items of one request that is made by joining.
    pub max_batch_items: u32,
    /// Requests in flight, by signal. Metrics keep their order, so they always have one.
    pub concurrency: usize,
    /// Where it begins when the logs do not know it yet.
    pub start: Start,
    /// Path for remote write, for Prometheus; `/api/v1/write` if not given.
    pub remote_write_path: Option<String>,
    /// Path for OTLP metrics, for Prometheus; `/api/v1/otlp/v1/metrics` if not given. Empty: it gets
    /// none, for a server that takes remote write alone.
    pub otlp_path: Option<String>,
    /// TLS, for `https`.
    pub tls: Tls,
    /// Who we say we are.
    pub auth: Auth,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            kind: None,
            url: None,
            socket: None,
            signals: None,
            protocol: None,
            headers: BTreeMap::new(),
            timeout: Duration::from_secs(30),
            compression: Encoding::None,
            join_compressed: None,
            max_batch_size: ByteSize::mib(1),
            max_batch_items: 5000,
            concurrency: 4,
            start: Start::Oldest,
            remote_write_path: None,
            otlp_path: None,
            tls: Tls::default(),
            auth: Auth::default(),
        }
    }
}

/// The types of destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Prometheus or Mimir: OTLP metrics and remote write.
    Prometheus,
    /// Anything that takes OTLP; Tempo is one.
    Otlp,
    /// Pyroscope.
    Pyroscope,
    /// A store of ours.
    Store,
}

impl Kind {
    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Prometheus => "prometheus",
            Kind::Otlp => "otlp",
            Kind::Pyroscope => "pyroscope",
            Kind::Store => "store",
        }
    }

    /// The signals that it can take.
    pub fn takes(self) -> &'static [Signal] {
        match self {
            Kind::Prometheus => &[Signal::Metrics],
            Kind::Pyroscope => &[Signal::Profiles],
            Kind::Otlp | Kind::Store => &Signal::ALL,
        }
    }

    /// The encodings that it can be told to compress with.
    pub fn encodings(self, protocol: Protocol) -> &'static [Encoding] {
        match (self, protocol) {
            (Kind::Otlp, Protocol::Grpc) => &[Encoding::None, Encoding::Gzip, Encoding::Zstd, Encoding::Snappy],
            // What HTTP calls snappy is the block format to some and the framed one to others.
            (Kind::Otlp, Protocol::Http) => &[Encoding::None, Encoding::Gzip, Encoding::Zstd],
            (Kind::Prometheus | Kind::Pyroscope, _) => &[Encoding::None, Encoding::Gzip],
            (Kind::Store, _) => &[Encoding::None],
        }
    }
}

/// The two protocols of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC.
    #[default]
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// What we compress with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Nothing.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// Framed snappy, as gRPC has it.
    Snappy,
}

impl Encoding {
    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::None => "none",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
            Encoding::Snappy => "snappy",
        }
    }

    /// The compression that it makes.
    pub fn compression(self) -> Compression {
        match self {
            Encoding::None => Compression::Identity,
            Encoding::Gzip => Compression::Gzip,
            Encoding::Zstd => Compression::Zstd,
            Encoding::Snappy => Compression::SnappyFramed,
        }
    }
}

/// TLS towards one destination (`[exporters.NAME.tls]`). All paths are absolute, all files PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Who may have signed the server's certificate; the system's roots if not given.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, if the server asks for one.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The name in the server's certificate, if that is not the url's host.
    pub server_name: Option<String>,
}

/// Who we say we are (`[exporters.NAME.auth]`): a bearer token, or a user and a password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// File with the token alone.
    pub bearer_token_file: Option<PathBuf>,
    /// User for basic authentication.
    pub username: Option<String>,
    /// File with the password alone.
    pub password_file: Option<PathBuf>,
}

impl Config {
    /// What it gets.
    pub fn signals(&self) -> Vec<Signal> {
        let default = match self.kind {
            // A tracing backend knows no profiles, and most others neither.
            Some(Kind::Otlp) => &[Signal::Traces, Signal::Metrics, Signal::Logs],
            Some(kind) => kind.takes(),
            None => &[][..],
        };
        let signals = self.signals.clone().unwrap_or_else(|| default.to_vec());
        Signal::ALL.into_iter().filter(|signal| signals.contains(signal)).collect()
    }

    /// gRPC or HTTP.
    pub fn protocol(&self) -> Protocol {
        match self.kind {
            Some(Kind::Otlp) => self.protocol.unwrap_or_default(),
            _ => Protocol::Http,
        }
    }

    /// Whether compressed members may be joined.
    pub fn join_compressed(&self) -> bool {
        self.join_compressed.unwrap_or(self.kind == Some(Kind::Prometheus))
    }

    /// Whether it is a store of ours.
    pub fn is_store(&self) -> bool {
        self.kind == Some(Kind::Store)
    }

    /// What the logs are told of it. Nothing is dropped for a store, which is ours and on this machine;
    /// others may be away for days.
    pub fn destination(&self, name: &str) -> Destination {
        let destination = Destination::new(name, self.start);
        if self.is_store() { destination.lossless() } else { destination }
    }
}

/// The destinations of a signal's log, as [`crate::wal::Log::open`] takes them.
pub fn destinations(exporters: &super::Exporters, signal: Signal) -> Vec<Destination> {
    let gets = exporters.iter().filter(|(_, config)| config.signals().contains(&signal));
    gets.map(|(name, config)| config.destination(name)).collect()
}
