//! The write-ahead log: one a signal. A record is in it, and synced, before its sender is told
//! so; every destination reads at its own pace and moves a cursor of its own.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::signal::{Batch, Signal};

/// The number of a record in its log. Dense: the record after `Position(n)` is `Position(n + 1)`,
/// over restarts too. As a cursor it is the next record to read, so everything before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

/// A batch with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub position: Position,
    /// What was appended.
    pub batch: Batch,
}

/// What to do when the log has reached [`Config::max_size`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Drop the oldest segment for the destinations that have not had it, and count that.
    DropOldest,
    /// Refuse new data with a retryable error.
    Reject,
}

/// Where a destination that the log does not know yet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the oldest record still in the log.
    #[default]
    Oldest,
    /// At the next record to be appended.
    Now,
}

/// Settings of the logs (`[wal]`), the same for all signals.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Size at which a segment is closed and the next one begun.
    pub segment_size: bytesize::ByteSize,
    /// Budget of one signal's log on disk.
    pub max_size: bytesize::ByteSize,
    /// What happens at `max_size`.
    pub when_full: WhenFull,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            segment_size: bytesize::ByteSize::mib(64),
            max_size: bytesize::ByteSize::gib(8),
            when_full: WhenFull::DropOldest,
        }
    }
}

/// Why a log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// A file operation failed.
    #[error("{context} {}: {source}", path.display())]
    Io {
        /// What was tried.
        context: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The folder holds something that this version does not understand.
    #[error("{}: {reason}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No cursor of that name was registered.
    #[error("no destination {0:?} in this log")]
    UnknownDestination(String),
}

/// Why a batch was not taken. All of them are worth a retry by the sender.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The budget is used up and `when_full` is `reject`.
    #[error("the {0} log is full")]
    Full(Signal),
    /// Writing or syncing failed (a full disk, mostly).
    #[error("cannot write to the {signal} log: {source}")]
    Io {
        /// Which log.
        signal: Signal,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The log is shutting down.
    #[error("the {0} log is closed")]
    Closed(Signal),
}

/// Figures of one log, read at once.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Stats {
    /// Bytes of all segments on disk.
    pub size: u64,
    /// Number of segments.
    pub segments: u64,
    /// Oldest record still there.
    pub oldest: Position,
    /// The next record's position.
    pub next: Position,
    /// Records skipped for a wrong checksum since the start.
    pub corrupt_records: u64,
    /// Syncs done since the start, and the time they took.
    pub syncs: u64,
    /// Sum of the time spent in `fdatasync`.
    pub sync_time: Duration,
    /// The destinations.
    pub cursors: Vec<CursorStats>,
}

/// How far one destination has come.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct CursorStats {
    /// Its name.
    pub destination: String,
    /// The next record that it has not accepted yet.
    pub position: Position,
    /// Records, items and bytes between its cursor and the end of the log.
    pub lag_records: u64,
    /// Items not delivered yet.
    pub lag_items: u64,
    /// Bytes not delivered yet.
    pub lag_bytes: u64,
    /// Age of the oldest record not delivered yet.
    pub lag_time: Duration,
    /// Items that were dropped for it because the log was full.
    pub dropped_items: u64,
    /// Bytes that were dropped for it because the log was full.
    pub dropped_bytes: u64,
}

/// One signal's log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {}

impl Log {
    /// Opens the log in `dir`, repairs its tail, registers `destinations` (those that are no
    /// longer named lose their cursor) and starts its writer thread. Blocks.
    pub fn open(
        _dir: PathBuf,
        _signal: Signal,
        _config: &Config,
        _destinations: &[(String, Start)],
    ) -> Result<Self, WalError> {
        unimplemented!()
    }

    /// Identity of this log, made once with its folder: positions mean nothing without it.
    pub fn id(&self) -> Uuid {
        unimplemented!()
    }

    /// Which signal it is for.
    pub fn signal(&self) -> Signal {
        unimplemented!()
    }

    /// Appends a batch. Returns once it is on disk and synced. Dropping the future does not
    /// take the batch back.
    pub async fn append(&self, _batch: Batch) -> Result<Position, AppendError> {
        unimplemented!()
    }

    /// A reader that begins at the destination's cursor.
    pub fn reader(&self, _destination: &str) -> Result<Reader, WalError> {
        unimplemented!()
    }

    /// Figures for `/metrics` and `vispyr status`.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }

    /// Refuses further appends, syncs cursors and ends the writer thread. Blocks.
    pub fn close(&self) {
        unimplemented!()
    }
}

/// Reads one log for one destination. Reading does not move the cursor; [`Reader::commit`] does.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// The destination's cursor: the first record that is not done.
    pub fn cursor(&self) -> Position {
        unimplemented!()
    }

    /// The next records after those already read, joined up to about `max_bytes` of payload (at
    /// least one). Waits until there is one. Reading happens off the async threads.
    pub async fn next(&mut self, _max_bytes: usize) -> Result<Vec<Record>, WalError> {
        unimplemented!()
    }

    /// Reads on from `position`, or from the oldest record if that is gone.
    pub fn seek(&mut self, _position: Position) {
        unimplemented!()
    }

    /// Every record before `position` is done: the cursor moves there and segments may go. Never
    /// moves back. Persisted within a second and at close; after a crash it may be a little old.
    pub fn commit(&self, _position: Position) {
        unimplemented!()
    }
}

/// The four logs.
#[derive(Debug, Clone)]
pub struct Logs {
    /// In the order of [`Signal::ALL`].
    logs: [Log; 4],
}

impl Logs {
    /// Takes the logs in the order of [`Signal::ALL`].
    pub fn new(logs: [Log; 4]) -> Self {
        Logs { logs }
    }

    /// The log of a signal.
    pub fn of(&self, signal: Signal) -> &Log {
        &self.logs[signal as usize]
    }
}
