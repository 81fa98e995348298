//! The write-ahead log: one a signal. A record is in it, and synced, before its sender is told
//! so; every destination reads at its own pace and moves a cursor of its own.
//!
//! # The problem
//!
//! What was acknowledged must survive a crash, a full upstream and a reboot; a slow destination
//! must hold back nobody; a damaged sector or a full disk must cost as little as possible; and
//! all of it at the speed of the disk, in little memory. Records are 1 KB to 64 MiB, encoded
//! payloads that several readers take up again in order, soon.
//!
//! # Why not a crate
//!
//! Looked at in their sources, late 2026:
//!
//! - `okaywal` 0.3: group commit and recovery, but it is a journal for one consumer: entries are
//!   handed back only at recovery and checkpoint. No readers that follow, no cursors, nothing
//!   beyond the first bad entry of a segment is found again. Calls itself early and not for
//!   production.
//! - `raft-engine` 0.4: proven in TiKV, but built for many small raft entries: keeps an index of
//!   every entry in memory, copies (and compresses) payloads into its own batches, *panics* when
//!   a sync fails, and its recovery either stops at damage or drops what follows it in the file.
//! - `commitlog` 0.2: Kafka-like, with readers by offset, but its flush is `File::flush`, which
//!   does nothing: it never calls `fsync`. A bad message ends the reading.
//!
//! None has cursors with deletion behind the slowest, budgets per destination, or an answer to a
//! failed `fdatasync`. These are most of the work, so the log is our own: about 3,800 lines, comments included.
//!
//! # The decision
//!
//! | file of `DATA/wal/<signal>/` | what |
//! |---|---|
//! | `id` | identity of the log, with a checksum; its half is the salt in every record header ([`identity`]) |
//! | `00000000000000000042.log` | a segment, named by its first position; records, nothing else ([`record`]) |
//! | `00000000000000000042.idx` | where its records are, once it is closed; a shortcut, made anew when missing ([`segment`]) |
//! | `cursors` | every destination's cursor ([`cursor`]) |
//! | `corrupt/` | what was damaged, for people to look at ([`quarantine`]) |
//!
//! - Two threads a log: the writer ([`writer`]: group commit, failing disks; [`quota`]: the budget on disk) and the
//!   cursor flusher ([`cursor_flusher`]: cursor file, deletion). Destinations come and go while it runs
//!   ([`destinations`]). Async code only queues and waits.
//! - At start the torn end is cut; damage is stepped over ([`recovery`], [`scan`]), be it a wrong
//!   checksum or a sector that cannot be read ([`disk`]). Records that are gone are told once
//!   ([`gaps`]).
//! - Nothing is acknowledged while the folder is not where it was ([`health`]).
//! - Readers see what is synced, from a small cache of the end or with one positioned read a
//!   batch ([`reader`], [`tail`]).
//! - A position is never given to two records: it stands in the record's header, and the cursor
//!   file remembers how far the log had come.
//! - Nothing is preallocated: `benches/wal.rs` finds no gain in it (0.98 to 1.34 times the time of
//!   growing files, on ext4).

mod cursor;
mod cursor_flusher;
mod destinations;
mod disk;
mod files;
mod gaps;
mod health;
mod identity;
mod loss;
mod quarantine;
mod queue;
mod quota;
mod reader;
mod record;
mod recovery;
mod restore;
mod scan;
mod segment;
mod state;
mod stats;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::queue::Pending;
use self::record::{HEADER, Header, MAX_BODY};
use self::state::Shared;
use crate::signal::{Batch, Signal};

pub use self::destinations::{Destination, Start};
pub use self::reader::Reader;
pub use self::stats::{CursorStats, Stats};

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
    /// Drop the oldest segment for the destinations that have not had it, and count that; but not
    /// for a [lossless](Destination::lossless) one.
    DropOldest,
    /// Refuse new data with a retryable error.
    Reject,
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

/// Why a batch was not taken. All of them but [`AppendError::TooLarge`] are worth a retry by the sender.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The budget is used up, and what takes it up may not be dropped.
    #[error("the {signal} log is full of what {} has not had", behind.join(", "))]
    Full {
        /// Which log.
        signal: Signal,
        /// The destinations that have not had its oldest records.
        behind: Vec<String>,
    },
    /// It alone is more than the log may take on disk, or than a record can be.
    #[error("a record of {size} bytes never fits into the {signal} log, which takes up to {limit}")]
    TooLarge {
        /// Which log.
        signal: Signal,
        /// Bytes of the record.
        size: u64,
        /// Bytes of the largest record.
        limit: u64,
    },
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

/// One signal's log. Cheap to clone; the last one dropped closes it.
#[derive(Debug, Clone)]
pub struct Log {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
}

impl Log {
    /// Opens the log in `dir`, repairs its tail, registers `destinations` (those that are no
    /// longer named lose their cursor) and starts its threads. Blocks.
    ///
    /// # Errors
    ///
    /// The folder cannot be read or written, or is of a newer version.
    pub fn open(dir: PathBuf, signal: Signal, config: &Config, destinations: &[Destination]) -> Result<Self, WalError> {
        let shared = Arc::new(recovery::open(dir, signal, config, destinations)?);
        let spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name)
                .spawn(body)
                .map_err(files::io("cannot start a thread for the log in", &shared.dir))
        };
        cursor_flusher::sweep(&shared);
        let writer = writer::Writer::new(shared.clone());
        let flushing = shared.clone();
        // 15 characters of a thread's name are shown.
        let threads = [
            spawn(format!("wal-{signal}"), Box::new(move || writer.run()))?,
            spawn(format!("flush-{signal}"), Box::new(move || cursor_flusher::run(&flushing)))?,
        ];
        Ok(Log { handle: Arc::new(Handle { shared, threads: Mutex::new(Some(threads)) }) })
    }

    /// Identity of this log, made once with its folder: positions mean nothing without it.
    pub fn id(&self) -> Uuid {
        self.handle.shared.id
    }

    /// Which signal it is for.
    pub fn signal(&self) -> Signal {
        self.handle.shared.signal
    }

    /// Appends a batch. Returns once it is on disk and synced. Dropping the future does not
    /// take the batch back.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]. After an I/O error the batch is not in the log, except that a crash
    /// before the next successful append may bring it back.
    pub async fn append(&self, batch: Batch) -> Result<Position, AppendError> {
        let shared = &self.handle.shared;
        let signal = shared.signal;
        let limit = shared.max_size.min((HEADER + MAX_BODY) as u64);
        let header = match Header::new(&batch) {
            Some(header) if u64::from(header.record_length()) <= limit => header,
            _ => return Err(AppendError::TooLarge { signal, size: (HEADER + batch.payload.len()) as u64, limit }),
        };
        let (reply, answer) = oneshot::channel();
        if !shared.queue.push(Pending { header, batch, reply }) {
            return Err(AppendError::Closed(signal));
        }
        answer.await.unwrap_or(Err(AppendError::Closed(signal)))
    }

    /// Waits until the writer thread has come round: true while the log works, whether the disk
    /// has room or not. A disk that hangs makes it wait, so ask with a time limit.
    pub async fn alive(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.handle.shared.queue.probe(reply) && answer.await.is_ok()
    }

    /// Looks whether the log can take records: its folder is where it was and, if the last append
    /// failed, the disk takes something again. Blocks, for as long as a disk hangs.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self) -> Result<(), String> {
        self.handle.shared.check()
    }

    /// Looks whether the log's folder is where it was. Blocks.
    ///
    /// # Errors
    /// It is not: nothing is taken before it is back or the program starts anew.
    pub fn in_place(&self) -> Result<(), String> {
        self.handle.shared.in_place().map_err(|error| error.to_string())
    }

    /// Why the log cannot take records, as far as is known; nothing while it works. Does not block.
    pub fn failing(&self) -> Option<String> {
        self.handle.shared.failing()
    }

    /// A reader that begins at the destination's cursor.
    ///
    /// # Errors
    ///
    /// [`WalError::UnknownDestination`] if neither [`Log::open`] nor [`Log::add`] was told of it.
    pub fn reader(&self, destination: &str) -> Result<Reader, WalError> {
        let shared = &self.handle.shared;
        let cursor = shared.state.lock().cursors.find(destination);
        match cursor {
            Some(cursor) => Ok(Reader::new(shared.clone(), cursor)),
            None => Err(WalError::UnknownDestination(destination.to_owned())),
        }
    }

    /// Registers a destination while the log runs; where it begins. One that is registered already
    /// keeps its cursor. Blocks; durable when it returns, unless the disk is full.
    pub fn add(&self, destination: &Destination) -> Position {
        self.handle.shared.add(destination)
    }

    /// Forgets a destination while the log runs: its cursor goes, its readers move nothing any
    /// more, and the segments that only it had still to read are deleted before this returns.
    /// What it had not had yet; nothing if it was not registered. Blocks; durable when it returns,
    /// unless the disk is full.
    pub fn remove(&self, destination: &str) -> Option<CursorStats> {
        self.handle.shared.remove(destination)
    }

    /// Metrics for `/metrics` and `vispyr status`. Exact; reads at most one small index file a
    /// destination, and only when that has come to another segment since.
    pub fn stats(&self) -> Stats {
        self.handle.shared.stats()
    }

    /// Refuses further appends, does those that wait, syncs the cursors and ends the threads.
    /// Blocks. Readers go on reading what there is.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        let Some([writer, flusher]) = self.threads.lock().take() else { return };
        self.shared.queue.close();
        // A thread that panicked has said so itself.
        let _ = writer.join();
        self.shared.flusher.close();
        let _ = flusher.join();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
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
