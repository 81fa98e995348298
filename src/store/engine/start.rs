//! Opening the store: what a crash has left, what is lost, and the threads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duckdb::Connection;
use parking_lot::Mutex;

use super::forget::Forgetting;
use super::heartbeat::Heartbeat;
use super::level0::Level0;
use super::merging::Merging;
use super::progress::LogProgress;
use super::quarantine::Quarantine;
use super::resends::Resends;
use super::retain::Retainer;
use super::seal::Sealer;
use super::sealed_files::{Found, LostFile};
use super::shared::Shared;
use super::stats::Counters;
use super::store_dir::StoreDir;
use super::unsealed::Unsealed;
use super::verify::{Marks, Verification, Verifier};
use super::writer::Writer;
use super::writer_queue::WriterQueue;
use super::{Engine, EngineError, Stop, crash_records, decode, instance, rebuild, sealed_files, spawn, verify};
use crate::durable::reserve::Reserve;
use crate::signal::{Signal, now_nanos};
use crate::store::catalog::{Catalog, CatalogError, File};
use crate::store::process::ProcessError;
use crate::store::retention::plan::Aged;
use crate::store::{Config, merge};

/// Space that is kept back on the disk, in bytes: enough for some batches and a round of sealing.
const RESERVE: u64 = 16 << 20;

impl Engine {
    /// Opens the store in the folder that `config` names, given the data directory. Blocks. It
    /// matters whether the last process `crashed` or ended otherwise: see [`crash_records`].
    pub fn open(config: &Config, data_dir: &Path, crashed: bool) -> Result<Arc<Self>, EngineError> {
        let store_dir = StoreDir::open(&config.dir(data_dir))?;
        let reserve = Reserve::new(store_dir.reserve(), RESERVE);
        reserve.give_up_if_full();
        let writing = instance::open(config, &store_dir)?;
        let duckdb = crate::store::instance::version(&writing)?;
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
}

/// What the catalog knows to be lost.
fn lost_files(catalog: &Catalog) -> Result<Vec<LostFile>, CatalogError> {
    let lost = catalog.lost()?.into_iter();
    Ok(lost.map(|(file, reason)| LostFile { table: file.table, path: file.path, rows: file.rows, reason }).collect())
}

/// Level 0 as an earlier process has left it. When the machine has started again since, or any file
/// is not as it was, all of it goes: the logs bring its rows again.
fn open_level0(catalog: &mut Catalog, sealed: &Path) -> Result<Unsealed, EngineError> {
    let files = catalog.level0()?;
    let is_whole = |Aged { file, .. }: &Aged| {
        std::fs::metadata(sealed.join(&file.path)).is_ok_and(|found| found.len() == file.bytes)
    };
    let boot = verify::boot();
    let same_boot = !boot.is_empty() && catalog.boot()?.as_deref() == Some(boot.as_str());
    if same_boot && files.iter().all(is_whole) {
        let (taken, sealed) = (catalog.taken()?, catalog.positions()?);
        let ahead = taken.into_iter().filter(|(log, upto)| sealed.get(log) < Some(upto)).collect();
        // What the catalog has taken together has the same time.
        let together = files.chunk_by(|a, b| a.created == b.created);
        let age =
            |created| Duration::from_nanos(now_nanos().cast_signed().saturating_sub(created).max(0).cast_unsigned());
        let batches =
            together.map(|batch| (batch.iter().map(|aged| aged.file.clone()).collect(), age(batch[0].created)));
        return Ok(Unsealed::new(batches.collect(), ahead));
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
