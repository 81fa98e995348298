//! What is kept and for how long: rows by their age, by the size of all files, and as the disk has
//! room. Whole files go, the oldest first.
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | which files go, and why |
//! | [`kept`] | what is kept since when, and for how long there is room |
//! | [`lease`] | how long a snapshot is not the latest any more |
//! | [`enforce`] | the thread that has them go |
//!
//! A file that is dropped leaves the latest snapshot at once. It is deleted when no statement can read
//! it any more: see [`crate::store::catalog::expiry`].

use std::time::Duration;

use bytesize::ByteSize;

use crate::signal::Signal;

mod dropped;
pub mod enforce;
pub mod kept;
pub mod lease;
pub mod plan;

/// `[store.retention]`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long rows are kept, by their time.
    #[serde(with = "crate::duration")]
    pub max_age: Duration,
    /// Size of all files; over it the oldest are dropped. No limit but the disk if not given.
    pub max_size: Option<ByteSize>,
    /// Space of the disk that stays free: below it the oldest rows of the signal that takes most are
    /// dropped early. 5 % of the disk and 2 GiB at most if not given. Where other files leave less than half
    /// as much again, the store keeps a third of what they leave.
    pub min_free_disk: Option<ByteSize>,
    /// For so long the catalog still has what has left it, for those who attach it; no shorter than
    /// statements run, and no longer than that while the disk is full.
    #[serde(with = "crate::duration")]
    pub snapshots: Duration,
    /// Spans.
    pub traces: SignalConfig,
    /// Points, series, exemplars.
    pub metrics: SignalConfig,
    /// Log records.
    pub logs: SignalConfig,
    /// Profiles, stacks, frames.
    pub profiles: SignalConfig,
}

/// One signal's own limits, such as `[store.retention.traces]`.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalConfig {
    /// Instead of [`Config::max_age`].
    #[serde(with = "crate::duration")]
    pub max_age: Option<Duration>,
    /// Size of this signal's files, beside [`Config::max_size`].
    pub max_size: Option<ByteSize>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_age: Duration::from_secs(30 * 24 * 3600),
            max_size: None,
            min_free_disk: None,
            snapshots: Duration::from_secs(600),
            traces: SignalConfig::default(),
            metrics: SignalConfig::default(),
            logs: SignalConfig::default(),
            profiles: SignalConfig::default(),
        }
    }
}

/// Of `min_free_disk`, if it is not given.
const MOST_FREE: u64 = 2 << 30;

impl Config {
    /// The limits of one signal.
    pub fn of(&self, signal: Signal) -> &SignalConfig {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
            Signal::Profiles => &self.profiles,
        }
    }

    /// How long rows of a signal are kept.
    pub fn max_age(&self, signal: Signal) -> Duration {
        self.of(signal).max_age.unwrap_or(self.max_age)
    }

    /// Bytes that stay free of a disk that has `total`.
    pub fn min_free(&self, total: u64) -> u64 {
        self.min_free_disk.map_or_else(|| MOST_FREE.min(total / 20), |size| size.as_u64())
    }
}
