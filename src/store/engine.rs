//! The engine: the one process that holds DuckDB. Records come in over `ingest.sock`, questions
//! over `query.sock`; rows live in memory until they are sealed into Parquet.
//!
//! | module | what |
//! |---|---|
//! | [`store_dir`] | the store's folder: lock, version, what a crash left |
//! | [`confinement`] | what the kernel keeps the process from |
//! | [`instance`] | opening DuckDB |
//! | [`generation`] | hot tables, and the views over them and the sealed files |
//! | [`ingest_server`] | the server of `ingest.sock` |
//! | [`ingest_queue`], [`decode`] | records wait, and become rows, by signal |
//! | [`writer_queue`], [`writer`] | rows are inserted by one thread |
//! | [`partition`], [`shredding`], [`flush`] | a generation becomes files |
//! | [`pieces`] | what is done about rows that cannot be written |
//! | [`sealed_file`], [`sealed_files`] | one of them, and all on disk |
//! | [`rebuild`] | a lost catalog is made again from them |
//! | [`verify`] | they are compared with their checksums |
//! | [`progress`], [`stats`] | how far the logs have come, and metrics |
//! | [`quarantine`], [`crash_records`] | what can never be stored, records that kill the engine |
//! | [`resends`] | dead letters that are sent again |
//! | [`transaction`] | `BEGIN`, `COMMIT` and `ROLLBACK`, and what it means if one fails |
//! | [`panics`] | a panic in any thread ends the process |
//! | [`heartbeat`] | whether the writer gets on |
//! | [`socket`] | who may connect |
//! | [`process`] | from its start to its end |
//! | [`failpoint`] | where a test can have it die |
//!
//! Threads: one decodes for each signal, one inserts, one seals, one compares checksums, two serve
//! each connection.
//! DuckDB has its own. None of them is an async thread.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use duckdb::Connection;
use parking_lot::{Condvar, Mutex};

use self::flush::Sealer;
use self::generation::{Extent, Generation};
use self::heartbeat::Heartbeat;
use self::instance::InstanceError;
use self::progress::{LogProgress, StillReplaying};
use self::quarantine::Quarantine;
use self::resends::Resends;
use self::sealed_files::Found;
use self::shared::{Sealed, Shared};
use self::stats::{Counters, Stats};
use self::store_dir::{StoreDir, StoreDirError};
use self::transaction::TransactionError;
use self::verify::{Marks, Verification, Verifier};
use self::writer::Writer;
use self::writer_queue::{Command, WriterQueue};
use crate::durable::reserve::Reserve;
use crate::signal::{Signal, now_nanos};
use crate::store::Config;
use crate::store::catalog::{Catalog, CatalogError, File};

pub use self::process::{Options, run};

pub mod confinement;
pub mod crash_records;
pub mod decode;
pub mod failpoint;
pub mod flush;
pub mod generation;
pub mod heartbeat;
pub mod ingest_queue;
pub mod ingest_server;
pub mod instance;
pub mod panics;
pub mod partition;
pub mod pieces;
pub mod process;
pub mod progress;
pub mod quarantine;
pub mod rebuild;
pub mod resends;
pub mod sealed_file;
pub mod sealed_files;
pub mod shared;
pub mod shredding;
pub mod socket;
pub mod stats;
pub mod store_dir;
pub mod transaction;
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
    /// A transaction of DuckDB.
    #[error("duckdb: {0}")]
    Transaction(#[from] TransactionError),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A socket or a thread.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
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

/// Exit code of an engine that ended over the rows that it was inserting: DuckDB is beyond use.
pub const EXIT_INSERT: u8 = 71;

/// Exit code of an engine whose writer found no memory for a long time.
pub const EXIT_MEMORY: u8 = 72;

/// Ends the engine's process at once. C++'s exit handlers would take away what DuckDB's threads still use:
/// now and then one crashed over that, and a crash was told in the place of `code`.
pub fn exit(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

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
    root: Mutex<Connection>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: Arc<Stop>,
    _store_dir: StoreDir,
}

impl Engine {
    /// Opens the store in the folder that `config` names, given the data directory. Blocks. It
    /// matters whether the last process `crashed` or ended otherwise: see [`crash_records`].
    pub fn open(config: &Config, data_dir: &Path, crashed: bool) -> Result<Arc<Self>, EngineError> {
        let store_dir = StoreDir::open(&config.dir(data_dir))?;
        let reserve = Reserve::new(store_dir.reserve(), config.hot_memory.as_u64() / 2);
        reserve.give_up_if_full();
        let root = instance::open(config, &store_dir)?;
        let mut catalog = rebuild::open_catalog(&store_dir, &root)?;
        let all = catalog.files()?;
        let known: HashSet<&str> = all.iter().map(|f| f.path.as_str()).collect();
        let sealed = store_dir.sealed();
        let Found { files, lost } = sealed_files::find(all.clone(), &sealed).map_err(|source| EngineError::Io {
            action: "rename sealed files in",
            what: sealed.display().to_string(),
            source,
        })?;
        // A crash may have come before it.
        if let Err(error) = catalog.show(now_nanos()) {
            tracing::warn!(%error, "others do not see the newest sealed files yet");
        }
        let swept = store_dir.sweep(&known)?;
        let marks = Marks::load(store_dir.dir());
        let (compared, pending): (Vec<File>, Vec<File>) = files.iter().cloned().partition(|f| marks.has(&sealed, f));
        let open = Generation::new(1);
        let extent = Extent { generations: &[open.number], files: &compared, sealed: &sealed };
        generation::switch(&root, Some(open.number), extent, None, || {})?;
        generation::create_user_views(&root)?;

        let version = root.query_row("SELECT version()", [], |row| row.get(0))?;
        tracing::info!(dir = %store_dir.sealed().display(), duckdb = version, files = files.len(), lost = lost.len(), ?swept, "store open");
        let shared = Arc::new(Shared {
            config: config.clone(),
            sealed_dir: store_dir.sealed(),
            counters: Counters::new(version, config.hot_memory.as_u64(), &files, lost),
            sealed: Mutex::new(Sealed { files: compared, generations: vec![open.number] }),
            verification: Verification::new(&pending),
            ingest_queues: Default::default(),
            writer_queue: Arc::new(WriterQueue::default()),
            progress: LogProgress::new(catalog.positions()?),
            reserve,
            heartbeat: Heartbeat::default(),
            quarantine: Quarantine::new(catalog.quarantined()?, &store_dir.earlier_quarantine()),
            resends: Resends::default(),
            crash_records: crash_records::CrashRecords::open(store_dir.dir(), crashed),
        });
        let engine = Engine {
            shared,
            root: Mutex::new(root),
            threads: Mutex::default(),
            stop: Arc::new(Stop::default()),
            _store_dir: store_dir,
        };
        engine.shared.reserve.take();
        engine.start(open, catalog, pending, marks)?;
        Ok(Arc::new(engine))
    }

    fn start(&self, open: Generation, catalog: Catalog, pending: Vec<File>, marks: Marks) -> Result<(), EngineError> {
        let (jobs, for_sealer) = std::sync::mpsc::channel();
        let number = open.number;
        let connect = || self.root.lock().try_clone();
        let writer = Writer::new(self.shared.clone(), connect()?, open, jobs);
        let sealer = Sealer::new(self.shared.clone(), connect()?, catalog, self.stop.clone());
        let mut threads = vec![spawn("insert", move || writer.run())?, spawn("seal", move || sealer.run(&for_sealer))?];
        let verifier = Verifier::new(self.shared.clone(), connect()?, self.stop.clone());
        threads.push(spawn("verify", move || verifier.run(pending, &marks))?);
        for signal in Signal::ALL {
            let shared = self.shared.clone();
            let work =
                move || decode::run(signal, &shared.ingest_queues[signal as usize], &shared.writer_queue, number);
            threads.push(spawn(&format!("decode-{signal}"), work)?);
        }
        self.threads.lock().append(&mut threads);
        Ok(())
    }

    /// Serves the ingest protocol on a unix socket.
    pub fn serve(&self, socket: &Path) -> Result<ingest_server::Server, EngineError> {
        ingest_server::Server::start(socket::bind(socket)?, self.shared.clone())
    }

    /// Waits until everything is visible that was acknowledged before the start, so that a restart
    /// takes time and not rows.
    ///
    /// # Errors
    /// If that takes long.
    pub fn wait_for_replay(&self) -> Result<(), StillReplaying> {
        self.shared.progress.wait_for_replay()
    }

    /// A fresh connection: it sees all views, and shares memory and threads with the others.
    pub fn connect(&self) -> Result<Connection, duckdb::Error> {
        self.shared.verification.wait()?;
        self.root.lock().try_clone()
    }

    /// Compares all sealed files with their checksums now, and leaves those out of the views that
    /// differ. Blocks.
    ///
    /// # Errors
    /// DuckDB's, if there is no connection.
    pub fn verify(&self) -> Result<(), duckdb::Error> {
        let db = self.connect()?;
        Verifier::new(self.shared.clone(), db, self.stop.clone()).again(u64::MAX);
        Ok(())
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
        stats
    }

    /// Whether writer and readers get on. Blocks for as long as a new reader has to wait.
    ///
    /// # Errors
    /// Who does not.
    pub fn health(&self) -> Result<(), String> {
        let silent = self.shared.heartbeat.age();
        if silent > heartbeat::LONGEST {
            return Err(format!("the writer has not come round for {} s", silent.as_secs()));
        }
        let fresh = self.root.lock().try_clone();
        fresh.and_then(|fresh| fresh.execute_batch("SELECT 1")).map_err(|e| format!("no statement runs: {e}"))
    }

    /// Seals everything that is visible now. Blocks until it is done or has failed once; then it
    /// is tried again anyway.
    pub fn flush(&self) -> Result<(), String> {
        let (reply, answer) = std::sync::mpsc::channel();
        let gone = || "the engine is ending".to_owned();
        if !self.shared.writer_queue.command(Command::Flush(reply)) {
            return Err(gone());
        }
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Ends all threads. What is not sealed stays in the logs.
    pub fn close(&self) {
        self.stop.stop();
        self.shared.writer_queue.command(Command::Stop);
        for queue in &self.shared.ingest_queues {
            queue.close();
        }
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine panicked");
            }
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
    thread.spawn(work).map_err(|source| EngineError::Io { action: "start thread", what: name.to_owned(), source })
}

/// Waits before another try at what somebody else has to make possible (memory, a lock, a file
/// descriptor), of which nobody tells us.
#[allow(clippy::disallowed_methods, reason = "there is no condition to wait for")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
