//! What `vispyr status` and the pages show: served as JSON at `/api/v1/status`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One moment of a running collector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Of the program.
    pub version: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// What is still waited for; empty once ready.
    pub waiting_for: Vec<String>,
    /// What listens where, by the names of the ports.
    pub addresses: BTreeMap<String, SocketAddr>,
    /// Where the data is.
    pub data_dir: PathBuf,
    /// In the order traces, metrics, logs, profiles.
    pub signals: Vec<SignalStatus>,
    /// Room where the data is.
    pub disk: Disk,
    /// The engine's own metrics, or why there are none.
    pub store: serde_json::Value,
    /// Resident memory of this process.
    pub resident_bytes: u64,
    /// Why requests were refused, the latest first: receiver, signal, reason, requests, the last one's
    /// reason, time and sender.
    #[serde(default)]
    pub refusals: serde_json::Value,
    /// The last warnings and errors, oldest first: time in nanoseconds since the Unix epoch,
    /// level, module, message.
    pub last_errors: serde_json::Value,
}

impl Status {
    /// Since when the store keeps rows of a signal, in nanoseconds since the Unix epoch: older ones have been
    /// removed. Nothing if there are none, or no store.
    pub fn kept_since(&self, signal: &str) -> Option<i64> {
        let mut kept = self.store["kept"]["signals"].as_array().into_iter().flatten();
        kept.find(|of| of["signal"] == signal)?["since"].as_i64().filter(|nanos| *nanos > 0)
    }
}

/// One signal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignalStatus {
    /// Its name.
    pub signal: String,
    /// Items that arrived since the start.
    pub received_items: u64,
    /// Items that are on disk since the start.
    pub acknowledged_items: u64,
    /// Items that were refused since the start; unreadable requests have none.
    pub refused_items: u64,
    /// Requests that were refused since the start.
    pub refused_requests: u64,
    /// Payload bytes acknowledged since the start.
    pub acknowledged_bytes: u64,
    /// Acknowledged items a second.
    pub rate: Rate,
    /// Its log.
    pub log: LogStatus,
}

/// Items a second.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Since the start.
    pub since_start: f64,
    /// Over the last minute.
    pub last_minute: f64,
}

/// One log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogStatus {
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Records skipped for a wrong checksum.
    pub corrupt_records: u64,
    /// Records that are gone without a trace.
    pub missing_records: u64,
    /// Why it takes nothing; nothing while it works.
    pub failing: Option<String>,
    /// The destinations of whose records it is full, so that it refuses new ones.
    #[serde(default)]
    pub full_of: Vec<String>,
    /// Mean time of a sync.
    pub sync_milliseconds: f64,
    /// Who reads it.
    pub destinations: Vec<Destination>,
}

impl LogStatus {
    /// What keeps it from taking all that comes, in words; nothing if nothing does.
    pub fn problem(&self) -> Option<String> {
        let full = || {
            let behind = self.full_of.join(", ");
            format!("is full of what {behind} has not had, and refuses what it has no room for")
        };
        let failing = self.failing.as_ref().map(|reason| format!("takes nothing: {reason}"));
        failing.or_else(|| (!self.full_of.is_empty()).then(full))
    }
}

/// How far a destination is behind.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Its type in the config; empty for one that is gone from it.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Whether it is a store: what waits for one is visible there already, and waits to be sealed.
    pub store: bool,
    /// Age of the oldest record that it has not accepted.
    pub lag_seconds: f64,
    /// Records that it has not accepted.
    pub waiting_records: u64,
    /// Items that it has not accepted.
    pub waiting_items: u64,
    /// Bytes that it has not accepted.
    pub waiting_bytes: u64,
    /// Items that it never got, because the log was full.
    pub dropped_items: u64,
    /// Letters of it that were set aside and are still there.
    pub dead_letters: u64,
    /// Since when it takes nothing (RFC 3339); nothing while it is well.
    pub failing_since: Option<String>,
    /// What it said the last time that it did not take something; it may be well again.
    pub last_error: Option<String>,
    /// When that was (RFC 3339).
    pub last_error_time: Option<String>,
}

/// A file system.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes of all.
    pub total_bytes: u64,
    /// Bytes that we may still write.
    pub free_bytes: u64,
}

impl Disk {
    /// The file system on which `path` is.
    pub fn of(path: &Path) -> Self {
        rustix::fs::statvfs(path).map_or_else(
            |_| Disk::default(),
            |fs| Disk {
                total_bytes: fs.f_blocks.saturating_mul(fs.f_frsize),
                free_bytes: fs.f_bavail.saturating_mul(fs.f_frsize),
            },
        )
    }
}
