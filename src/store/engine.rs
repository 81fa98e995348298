//! The engine: the process that stores. Records come in over `ingest.sock`, and are visible in files of
//! level 0 within a second; those are sealed within about a minute.
//!
//! | module | what |
//! |---|---|
//! | [`store_dir`] | the store's folder: lock, version, what a crash left |
//! | [`instance`] | opening DuckDB |
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

use duckdb::Connection;
use parking_lot::{Condvar, Mutex};

use self::forget::Forgetting;
use self::heartbeat::Heartbeat;
use self::instance::InstanceError;
use self::level0::Level0;
use self::merging::Merging;
use self::progress::LogProgress;
use self::quarantine::Quarantine;
use self::resends::Resends;
use self::retain::Retainer;
use self::seal::Sealer;
use self::sealed_files::{Found, LostFile};
use self::shared::Shared;
use self::stats::{Counters, Stats};
use self::store_dir::{StoreDir, StoreDirError};
use self::unsealed::Unsealed;
use self::verify::{Marks, NotCompared, Verification, Verifier};
use self::writer::Writer;
use self::writer_queue::WriterQueue;
use crate::durable::reserve::Reserve;
use crate::signal::{Signal, now_nanos};
use crate::store::Config;
use crate::store::catalog::{Catalog, CatalogError, File};
use crate::store::merge;
use crate::store::process::{ProcessError, socket};

pub use self::process::{Options, run};

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
pub mod stats;
pub mod store_dir;
pub mod unsealed;
pub mod verify;
pub mod writer;
pub mod writer_queue;

/// Space that is kept back on the disk, in bytes: enough for some batches and a round of sealing.
const RESERVE: u64 = 16 << 20;

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

/// A switch that threads wait at.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends every wait, now and later.
    pub fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.lock()
    }

    /// Waits for `patience`, or less if stopped. Answers whether it was stopped.
    pub fn wait(&self, patience: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, patience);
        }
        *stopped
    }
}

/// A running engine.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: Arc<Stop>,
    _store_dir: StoreDir,
}

impl Engine {
    /// Opens the store in the folder that `config` names, given the data directory. Blocks. It
    /// matters whether the last process `crashed` or ended otherwise: see [`crash_records`].
    pub fn open(config: &Config, data_dir: &Path, crashed: bool) -> Result<Arc<Self>, EngineError> {
        let store_dir = StoreDir::open(&config.dir(data_dir))?;
        let reserve = Reserve::new(store_dir.reserve(), RESERVE);
        reserve.give_up_if_full();
        let writing = instance::open_writer(config, &store_dir)?;
        let duckdb = instance::version(&writing)?;
        let mut catalog = rebuild::open_catalog(&store_dir, &writing)?;
        let sealed = store_dir.sealed();
        let unsealed = open_level0(&mut catalog, &sealed)?;
        let files = catalog.files()?;
        let Found { files, lost } = sealed_files::find(files, &sealed)
            .map_err(|source| ProcessError::io("rename sealed files in", &sealed, source))?;
        for LostFile { path, reason, .. } in &lost {
            if let Err(error) = catalog.mark_lost(path, Some(reason)) {
                tracing::warn!(%error, "cannot note a lost file");
            }
        }
        // A crash may have come before it.
        if let Err(error) = catalog.show(now_nanos()) {
            tracing::warn!(%error, "the newest sealed files are not shown yet");
        }
        let known = catalog.paths()?;
        let swept = store_dir.sweep(&known.iter().map(String::as_str).collect())?;
        let marks = Marks::load(store_dir.dir());
        let is_pending = |file: &&File| file.level > 0 && !marks.has(&sealed, file);
        let pending: Vec<File> = files.iter().filter(is_pending).cloned().collect();
        tracing::info!(dir = %sealed.display(), duckdb, files = files.len(), lost = lost.len(), ?swept, "store open");
        let shared = Arc::new(Shared {
            config: config.clone(),
            sealed_dir: sealed.clone(),
            counters: Counters::new(duckdb, lost_files(&catalog)?),
            verification: Verification::new(&pending),
            unsealed,
            ingest_queues: Default::default(),
            writer_queue: Arc::new(WriterQueue::default()),
            progress: LogProgress::new(catalog.taken()?, catalog.positions()?),
            reserve,
            heartbeat: Heartbeat::default(),
            quarantine: Quarantine::new(catalog.quarantined()?, &store_dir.earlier_quarantine()),
            resends: Resends::default(),
            forgetting: Forgetting::default(),
            merge_socket: config.merge_socket(data_dir),
            crash_records: crash_records::CrashRecords::open(store_dir.dir(), crashed),
            catalog: Mutex::new(catalog),
        });
        let sealing = merge::open(config.memory_limit.as_u64(), &store_dir.tmp())?;
        let engine =
            Engine { shared, threads: Mutex::default(), stop: Arc::new(Stop::default()), _store_dir: store_dir };
        engine.shared.reserve.take();
        engine.start(writing, sealing, pending, marks)?;
        Ok(Arc::new(engine))
    }

    fn start(
        &self,
        writing: Connection,
        sealing: Connection,
        pending: Vec<File>,
        marks: Marks,
    ) -> Result<(), EngineError> {
        let level0 = Level0::new(writing, self.shared.sealed_dir.clone());
        let writer = Writer::new(self.shared.clone(), level0, self.stop.clone());
        let sealer = Sealer::new(self.shared.clone(), sealing, self.stop.clone());
        let merging = Merging::new(self.shared.clone(), self.stop.clone());
        let verifier = Verifier::new(self.shared.clone(), self.stop.clone());
        let retainer = Retainer::new(self.shared.clone(), self.stop.clone());
        let mut threads = vec![
            spawn("write", move || writer.run())?,
            spawn("seal", move || sealer.run())?,
            spawn("merge", move || merging.run())?,
            spawn("verify", move || verifier.run(pending, &marks))?,
            spawn("retain", move || retainer.run())?,
        ];
        for signal in Signal::ALL {
            let shared = self.shared.clone();
            let work = move || decode::run(signal, &shared.ingest_queues[signal as usize], &shared.writer_queue);
            threads.push(spawn(&format!("decode-{signal}"), work)?);
        }
        self.threads.lock().append(&mut threads);
        Ok(())
    }

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

/// What the catalog knows to be lost.
fn lost_files(catalog: &Catalog) -> Result<Vec<LostFile>, CatalogError> {
    let lost = catalog.lost()?.into_iter();
    Ok(lost.map(|(file, reason)| LostFile { table: file.table, path: file.path, rows: file.rows, reason }).collect())
}

/// Level 0 as an earlier process has left it. When the machine has started again since, or any file
/// is not as it was, all of it goes: the logs bring its rows again.
fn open_level0(catalog: &mut Catalog, sealed: &Path) -> Result<Unsealed, EngineError> {
    let files: Vec<File> = catalog.files()?.into_iter().filter(|file| file.level == 0).collect();
    let is_whole =
        |file: &File| std::fs::metadata(sealed.join(&file.path)).is_ok_and(|found| found.len() == file.bytes);
    let boot = verify::boot();
    let same_boot = !boot.is_empty() && catalog.boot()?.as_deref() == Some(boot.as_str());
    if same_boot && files.iter().all(is_whole) {
        let (taken, sealed) = (catalog.taken()?, catalog.positions()?);
        let ahead = taken.into_iter().filter(|(log, upto)| sealed.get(log) < Some(upto)).collect();
        return Ok(Unsealed::new(files, ahead));
    }
    if !files.is_empty() {
        tracing::info!(
            files = files.len(),
            same_boot,
            "files that were not on disk yet go, the logs bring their rows again"
        );
    }
    catalog.drop_level0(&boot)?;
    Ok(Unsealed::default())
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
