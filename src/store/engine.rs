//! The engine: the process that stores. Records come in over `ingest.sock`, and are visible in files of
//! level 0 within a second; those are sealed within about a minute.
//!
//! | module | what |
//! |---|---|
//! | [`store_dir`] | the store's folder: lock, version, what a crash left |
//! | [`start`] | the store is opened, its threads begin |
//! | [`instance`] | its DuckDB |
//! | [`ingest_server`] | the server of `ingest.sock` |
//! | [`ingest_queue`], [`decode`] | records wait, and become rows, by signal |
//! | [`writer_queue`], [`writer`] | one thread writes them into files |
//! | [`level0`], [`partition`], [`shredding`] | those files |
//! | [`pieces`] | what is done about rows that cannot be written |
//! | [`unsealed`], [`seal`] | they become files that are sorted and on disk |
//! | [`exchange`] | files take the place of others |
//! | [`sealed_file`], [`sealed_files`] | one of them, and all on disk |
//! | [`rebuild`] | a lost catalog is made again from them |
//! | [`verify`] | they are compared with their checksums |
//! | [`merging`] | files are merged, the small ones of a window into one |
//! | [`progress`], [`stats`] | how far the logs have come, and metrics |
//! | [`quarantine`], [`crash_records`] | what can never be stored, records that kill the engine |
//! | [`retain`] | what is too old or too much goes |
//! | [`forget`] | rows are deleted by hand |
//! | [`resends`] | dead letters that are sent again |
//! | [`heartbeat`] | whether the writer gets on |
//! | [`process`] | from its start to its end |
//! | [`failpoint`] | where a test can have it die |
//!
//! Threads: one decodes for each signal, one writes, one seals, one compares checksums, two serve
//! each connection.
//! DuckDB has its own. None of them is an async thread.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use self::shared::Shared;
use self::stats::Stats;
use self::store_dir::{StoreDir, StoreDirError};
use self::verify::{NotCompared, Verifier};
use crate::store::catalog::CatalogError;
use crate::store::instance::InstanceError;
use crate::store::process::{ProcessError, socket};

pub use self::process::{Options, run};
pub use self::stop::Stop;

pub mod crash_records;
pub mod decode;
pub mod exchange;
pub mod failpoint;
pub mod forget;
pub mod heartbeat;
pub mod ingest_queue;
pub mod ingest_server;
pub mod instance;
pub mod level0;
pub mod merging;
pub mod partition;
pub mod pieces;
pub mod process;
pub mod progress;
pub mod quarantine;
pub mod rebuild;
pub mod resends;
pub mod retain;
pub mod seal;
pub mod sealed_file;
pub mod sealed_files;
pub mod shared;
pub mod shredding;
mod start;
pub mod stats;
mod stop;
pub mod store_dir;
pub mod unsealed;
pub mod verify;
pub mod writer;
pub mod writer_queue;

/// Stack of the threads that call DuckDB: it recurses over expressions and nested values.
const STACK: usize = 16 << 20;

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Its folder.
    #[error(transparent)]
    StoreDir(#[from] StoreDirError),
    /// DuckDB.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// DuckDB, later on.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file, a socket or a thread.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl EngineError {
    /// Whether starting again cannot help before a person has changed something.
    pub fn is_final(&self) -> bool {
        matches!(self, EngineError::Instance(InstanceError::Version(_)))
    }
}

/// Exit code of an engine that ended with an error that [is final](EngineError::is_final):
/// `EX_CONFIG` of sysexits(3).
pub const EXIT_FINAL: u8 = 78;

/// Exit code of an engine that ended over the rows that it was writing: DuckDB is beyond use.
pub const EXIT_INSERT: u8 = 71;

/// Set for an engine whose predecessor crashed.
pub const CRASHED: &str = "VISPYR_ENGINE_CRASHED";

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: Arc<Stop>,
    _store_dir: StoreDir,
}

impl Engine {
    /// Serves the ingest protocol on a unix socket.
    pub fn serve(&self, socket: &Path) -> Result<ingest_server::Server, EngineError> {
        ingest_server::Server::start(socket::bind(socket)?, self.shared.clone())
    }

    /// Waits until everything is visible that was acknowledged a second ago: after a start, and when rows come faster
    /// than they are stored, an answer takes time, not rows.
    ///
    /// # Errors
    /// If that takes long.
    pub fn wait_until_whole(&self) -> Result<(), String> {
        self.wait_until_compared().map_err(|error| error.to_string())?;
        self.shared.progress.wait_until_whole().map_err(|error| error.to_string())
    }

    /// Waits until the files are compared that may have been written since they were last.
    ///
    /// # Errors
    /// If that takes long.
    pub fn wait_until_compared(&self) -> Result<(), NotCompared> {
        self.shared.verification.wait()
    }

    /// Compares all sealed files with their checksums now, and leaves those out of answers that
    /// differ. Blocks.
    pub fn verify(&self) {
        Verifier::new(self.shared.clone(), self.stop.clone()).again(u64::MAX);
    }

    /// Rows that answers lack, in a sentence for each sealed file that is lost.
    pub fn warnings(&self) -> Vec<String> {
        self.shared.counters.warnings()
    }

    /// Metrics, as of now.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.snapshot();
        for (signal, queue) in stats.signals.iter_mut().zip(&self.shared.ingest_queues) {
            signal.waiting_bytes = queue.waiting() as u64;
        }
        (stats.quarantined, stats.quarantine_forgotten) = self.shared.quarantine.counts();
        match self.shared.catalog.lock().totals() {
            Ok(totals) => stats.set_files(&totals),
            Err(error) => tracing::warn!(%error, "cannot count the files"),
        }
        stats
    }

    /// Whether the writer gets on.
    ///
    /// # Errors
    /// If it does not.
    pub fn health(&self) -> Result<(), String> {
        let silent = self.shared.heartbeat.age();
        if silent > heartbeat::LONGEST {
            return Err(format!("the writer has not come round for {} s", silent.as_secs()));
        }
        Ok(())
    }

    /// Seals everything that is visible now. Blocks until it is done or has failed once; then it
    /// is tried again anyway.
    pub fn flush(&self) -> Result<(), String> {
        let (reply, answer) = std::sync::mpsc::channel();
        let gone = || "the engine is ending".to_owned();
        if !self.shared.unsealed.ask(reply) {
            return Err(gone());
        }
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Ends all threads. What is not sealed stays in the logs.
    pub fn close(&self) {
        self.stop.stop();
        self.shared.writer_queue.close();
        self.shared.unsealed.stop();
        for queue in &self.shared.ingest_queues {
            queue.close();
        }
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine panicked");
            }
        }
        if let Err(error) = self.shared.catalog.lock().checkpoint() {
            tracing::debug!(%error, "the log of the catalog stays");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, EngineError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    let failed = |source| ProcessError::Io { action: "start thread", what: name.to_owned(), source };
    Ok(thread.spawn(work).map_err(failed)?)
}

/// Waits before another try at what somebody else has to make possible (memory, a lock, a file
/// descriptor), of which nobody tells us.
#[allow(clippy::disallowed_methods, reason = "there is no condition to wait for")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
