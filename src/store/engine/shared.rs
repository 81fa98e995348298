//! What the engine's threads have in common.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::crash_records::CrashRecords;
use super::generation::Extent;
use super::heartbeat::Heartbeat;
use super::ingest_queue::IngestQueue;
use super::instance::is_fatal;
use super::progress::LogProgress;
use super::quarantine::Quarantine;
use super::resends::Resends;
use super::stats::Counters;
use super::transaction::TransactionError;
use super::verify::Verification;
use super::writer_queue::WriterQueue;
use crate::durable::reserve::Reserve;
use crate::store::Config;
use crate::store::catalog::File;

/// Exit code of an engine that ends because its DuckDB is beyond use; it is started again.
pub const EXIT_FATAL: i32 = 70;

/// What the views are over.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Sealed files.
    pub files: Vec<File>,
    /// Generations in memory.
    pub generations: Vec<u64>,
}

/// What the engine's threads have in common.
#[derive(Debug)]
pub struct Shared {
    /// Settings.
    pub config: Config,
    /// Folder of the sealed files.
    pub sealed_dir: PathBuf,
    /// What the views are over.
    pub sealed: Mutex<Sealed>,
    /// The comparison of the sealed files with their checksums.
    pub verification: Verification,
    /// The ways in, in the order of [`crate::signal::Signal::ALL`].
    pub ingest_queues: [IngestQueue; 4],
    /// The way to the writer.
    pub writer_queue: Arc<WriterQueue>,
    /// How far the logs have come.
    pub progress: LogProgress,
    /// Metrics.
    pub counters: Counters,
    /// Space for sealing when the disk is full, since that lets the logs make room.
    pub reserve: Reserve,
    /// What can never be stored.
    pub quarantine: Quarantine,
    /// Dead letters that are sent again.
    pub resends: Resends,
    /// Of the writer.
    pub heartbeat: Heartbeat,
    /// Records that killed the engine.
    pub crash_records: CrashRecords,
}

impl Shared {
    /// The sealed files that the views are over.
    pub fn files(&self) -> Vec<File> {
        self.sealed.lock().files.clone()
    }

    /// Calls with the sealed files, `new` ones among them, and these generations: what the views are
    /// over from then on, if that succeeds.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn with_extent<T, E>(
        &self,
        generations: &[u64],
        new: &[File],
        call: impl FnOnce(Extent<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let change = |sealed: &mut Sealed| {
            sealed.generations = generations.to_vec();
            sealed.files.extend_from_slice(new);
        };
        self.change(change, call)
    }

    /// Calls with the generations as they are and the files as `change` leaves them: what the views
    /// are over from then on, if that succeeds.
    ///
    /// # Errors
    /// Those of `call`.
    pub fn change_files<T, E>(
        &self,
        change: impl FnOnce(&mut Vec<File>),
        call: impl FnOnce(Extent<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.change(|sealed| change(&mut sealed.files), call)
    }

    /// One change of the views after the other.
    fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Sealed),
        call: impl FnOnce(Extent<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut sealed = self.sealed.lock();
        let mut changed = sealed.clone();
        change(&mut changed);
        let Sealed { files, generations } = &changed;
        let done = call(Extent { generations, files, sealed: &self.sealed_dir })?;
        *sealed = changed;
        Ok(done)
    }

    /// Logs an error of DuckDB, and ends the process if the instance is beyond use.
    pub fn check(&self, error: &duckdb::Error, what: &'static str) {
        tracing::error!(error = %error, "{what}");
        if is_fatal(error) {
            self.fatal("duckdb is beyond use");
        }
    }

    /// What failed in a transaction, once it is rolled back. Ends the process if the transaction
    /// itself is broken.
    pub fn unbroken<T>(&self, result: Result<T, TransactionError>) -> duckdb::Result<T> {
        match result {
            Ok(done) => Ok(done),
            Err(TransactionError::Work(error)) => Err(error),
            Err(broken) => {
                tracing::error!(error = %broken, "a transaction is broken");
                self.fatal("it is not known what the tables hold")
            }
        }
    }

    /// Ends the process: what is in memory is in the logs too, and comes back from there.
    pub fn fatal(&self, why: &str) -> ! {
        self.end(EXIT_FATAL, why)
    }

    /// The same with another exit code.
    pub fn end(&self, code: i32, why: &str) -> ! {
        tracing::error!(why, "the engine ends, to be started again");
        super::exit(code);
    }
}
