//! What the engine's threads have in common.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::crash_records::CrashRecords;
use super::forget::Forgetting;
use super::heartbeat::Heartbeat;
use super::ingest_queue::IngestQueue;
use super::progress::LogProgress;
use super::quarantine::Quarantine;
use super::resends::Resends;
use super::stats::Counters;
use super::unsealed::Unsealed;
use super::verify::Verification;
use super::writer_queue::WriterQueue;
use crate::durable::reserve::Reserve;
use crate::store::Config;
use crate::store::catalog::Catalog;
use crate::store::process::{self, EXIT_SPOILT};

/// What the engine's threads have in common.
#[derive(Debug)]
pub struct Shared {
    /// Settings.
    pub config: Config,
    /// Folder of the sealed files.
    pub sealed_dir: PathBuf,
    /// Which files there are. Nothing that takes long is done while it is locked.
    pub catalog: Mutex<Catalog>,
    /// The comparison of the sealed files with their checksums.
    pub verification: Verification,
    /// Files of level 0 that are not sealed yet.
    pub unsealed: Unsealed,
    /// The ways in, in the order of [`crate::signal::Signal::ALL`].
    pub ingest_queues: [IngestQueue; 4],
    /// The way to the writer.
    pub writer_queue: Arc<WriterQueue>,
    /// How far the logs have come.
    pub progress: LogProgress,
    /// Metrics.
    pub counters: Counters,
    /// Space for storing and sealing when the disk is full, since that lets the logs make room.
    pub reserve: Reserve,
    /// What can never be stored.
    pub quarantine: Quarantine,
    /// Dead letters that are sent again.
    pub resends: Resends,
    /// Rows that are deleted by hand.
    pub forgetting: Forgetting,
    /// Where the merger is asked.
    pub merge_socket: PathBuf,
    /// Of the writer.
    pub heartbeat: Heartbeat,
    /// Records that killed the engine.
    pub crash_records: CrashRecords,
}

impl Shared {
    /// Ends the process: what the catalog does not have is in the logs, and comes back from there.
    pub fn fatal(&self, why: &str) -> ! {
        self.end(EXIT_SPOILT, why)
    }

    /// The same with another exit code.
    pub fn end(&self, code: i32, why: &str) -> ! {
        tracing::error!(why, "the engine ends, to be started again");
        process::exit(code);
    }
}
