//! Sealing: an old generation becomes immutable Parquet files, by table and hour.
//!
//! Each file is written and synced under a name that ends in `.part`; then the folders are synced;
//! then one transaction of the catalog makes the files known and moves the log positions; then the
//! files get their names; then a second one shows them to other readers of the catalog; then one
//! transaction in memory puts the views over the files instead of the generation. A crash before the
//! catalog's first transaction leaves files with `.part` that nobody knows and rows that the log
//! brings again; after it, files that are known, whatever their name, and a position that skips
//! their records.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use duckdb::Connection;
use uuid::Uuid;

use super::failpoint;
use super::generation::{self, Generation};
use super::instance::{is_fatal, is_out_of_memory};
use super::partition::{self, Partition};
use super::pieces::{Piece, Shape};
use super::sealed_file::{self, Flush, LogRange, Metadata};
use super::sealed_files;
use super::shared::Shared;
use super::shredding::Shredding;
use super::writer_queue::Command;
use crate::signal::now_nanos;
use crate::store::catalog::statistics::{self, Copied};
use crate::store::catalog::{Catalog, CatalogError, File, NewFile};
use crate::store::ingest::StoredRow;
use crate::store::protocol::Quarantined;
use crate::store::schema::Table;
use crate::wal::Position;

/// First pause after a failed flush, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Pauses for memory, 31 s together, before a flush sets a row aside for want of it: statements
/// that take the memory have ended by then.
const MEMORY_WAITS: u32 = 5;

/// Tries to put the views over the new files before the engine gives up and starts again.
const SWAP_TRIES: u32 = 20;

/// How sealed files are written. Version 2's encodings halve the bytes of a sample and cost less
/// CPU than they save zstd. A row group is also closed by its size, since a `VARIANT` takes
/// kilobytes while it is shredded and each of DuckDB's threads holds one: without it, sealing
/// 340 k spans took 318 MiB and pushed hot rows out to disk. Level 1 of zstd saves 0.6 us a span
/// and costs 0.2 % of the bytes of spans, 1 to 4 % of those of points.
pub const PARQUET: &str =
    "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2, ROW_GROUP_SIZE_BYTES '24MB'";

/// A generation to seal.
#[derive(Debug)]
pub struct Job {
    /// The old one. It takes no more rows.
    pub old: Generation,
    /// Number of the one that has taken over.
    pub open: u64,
}

/// Where the rows of a file come from.
struct Target<'a> {
    old: &'a Generation,
    flush: &'a Flush,
    table: Table,
    partition: &'a Partition,
    shredding: &'a Shredding,
}

/// Why a flush failed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum FlushError {
    /// DuckDB could not write, or not read.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file does not hold what it should: nothing is sealed.
    #[error("{table}: {written} rows to seal of {expected}")]
    Rows {
        /// The table.
        table: &'static str,
        /// Rows that were inserted, or that the partition has.
        expected: u64,
        /// Rows that are there, or that went into the file.
        written: u64,
    },
}

impl FlushError {
    /// Whether space is what is missing. DuckDB and SQLite say it in words alone.
    fn is_full_disk(&self) -> bool {
        let text = self.to_string();
        text.contains("No space left on device") || text.contains("database or disk is full")
    }
}

/// The flush thread's own state.
pub struct Sealer {
    shared: Arc<Shared>,
    db: Connection,
    catalog: Catalog,
    /// Cuts pauses short.
    stop: Arc<super::Stop>,
    /// How often this flush has waited for memory before it set a row aside.
    waits: u32,
    /// Rows that no file takes, of this try.
    unsealable: Vec<Quarantined>,
}

impl Sealer {
    /// Made from its own connection, and the catalog, which only it writes.
    pub fn new(shared: Arc<Shared>, db: Connection, catalog: Catalog, stop: Arc<super::Stop>) -> Self {
        Sealer { shared, db, catalog, stop, waits: 0, unsealable: Vec::new() }
    }

    /// Seals what comes, one generation after the other, until the writer is gone.
    pub fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let mut pause = FIRST_PAUSE;
            self.waits = 0;
            while let Err(e) = self.seal(&job) {
                if e.is_full_disk() && self.shared.reserve.give_up().is_ok_and(|given_up| given_up) {
                    continue;
                }
                tracing::error!(error = %e, retry_in = ?pause, "cannot seal a generation");
                if let FlushError::Duckdb(e) = &e {
                    self.shared.check(e, "flush");
                }
                let why = e.to_string();
                self.shared.counters.update(|stats| {
                    stats.flush_failures += 1;
                    stats.flush_error = Some(why.clone());
                });
                self.shared.writer_queue.command(Command::SealFailed(why));
                if self.stop.wait(pause) {
                    return;
                }
                pause = (pause * 2).min(LAST_PAUSE);
            }
            self.shared.writer_queue.command(Command::Sealed(job.old.positions));
            self.shared.reserve.take();
        }
        self.forget_letters();
    }

    /// At the end no flush comes that would do it. If it fails, the collector tells of them again.
    fn forget_letters(&mut self) {
        let letters = self.shared.resends.to_forget();
        if !letters.is_empty()
            && let Err(error) = self.catalog.forget(&letters)
        {
            tracing::warn!(%error, "cannot forget the positions of dead letters that are stored");
        }
    }

    fn seal(&mut self, job: &Job) -> Result<(), FlushError> {
        let started = Instant::now();
        let mut written = Vec::new();
        self.unsealable.clear();
        let new = self.write(&job.old, &mut written).inspect_err(|_| remove(&written))?;
        let files: Vec<File> = new.iter().map(|new| new.file.clone()).collect();
        failpoint::reach("before_catalog");
        let commit = Instant::now();
        let mut changes = self.shared.quarantine.changes();
        changes.added.extend_from_slice(&self.unsealable);
        changes.released = self.shared.resends.to_forget();
        if let Err(e) = self.catalog.add(&new, &job.old.positions, &changes, now_nanos()) {
            self.undo(&files, &written)?;
            return Err(e.into());
        }
        let unsealable = std::mem::take(&mut self.unsealable);
        self.shared.counters.update(|stats| stats.unsealable_rows += unsealable.len() as u64);
        self.shared.quarantine.saved(&changes, unsealable);
        self.shared.resends.forgotten(&changes.released);
        self.shared.progress.forget(&changes.released);
        self.shared.counters.catalog_committed(commit.elapsed());
        failpoint::reach("after_catalog");
        self.publish(&files);
        failpoint::reach("after_publish");
        // The next flush or start shows them then.
        if let Err(error) = self.catalog.show(now_nanos()) {
            tracing::warn!(%error, "others do not see the newest sealed files yet");
        }
        self.swap(job, &files);
        failpoint::reach("after_swap");
        let rows: u64 = job.old.rows.iter().sum();
        let bytes: u64 = files.iter().map(|f| f.bytes).sum();
        tracing::info!(
            generation = job.old.number,
            rows,
            files = files.len(),
            bytes,
            seconds = started.elapsed().as_secs_f64(),
            "generation sealed"
        );
        self.shared.counters.sealed(&files, &job.old.rows, started.elapsed());
        Ok(())
    }

    /// The catalog's transaction has failed. Should it have reached the disk all the same, the
    /// files must stay and the rows must not be sealed again: a new start sorts that out.
    fn undo(&self, files: &[File], written: &[PathBuf]) -> Result<(), FlushError> {
        match self.catalog.files() {
            Ok(known) if !files.iter().any(|file| known.contains(file)) => remove(written),
            _ => self.shared.fatal("it is not known whether the catalog has taken the sealed files"),
        }
        Ok(())
    }

    /// The catalog has taken the files. If they cannot get their names, a new start tries again.
    fn publish(&self, files: &[File]) {
        let paths = || files.iter().map(|file| file.path.as_str());
        if let Err(error) = sealed_files::publish(&self.shared.sealed_dir, paths()) {
            tracing::error!(%error, "cannot rename sealed files");
            self.shared.fatal("the sealed files cannot get their names");
        }
    }

    /// From here on the generation is sealed whatever happens: if the views cannot follow, only a
    /// new start helps.
    fn swap(&self, job: &Job, files: &[File]) {
        let mut tries = 0;
        let swapped = || {
            self.shared.unbroken(self.shared.with_extent(&[job.open], files, |extent| {
                generation::switch(&self.db, None, extent, Some(job.old.number), || failpoint::reach("in_swap"))
            }))
        };
        while let Err(e) = swapped() {
            self.shared.check(&e, "cannot put the views over sealed files");
            tries += 1;
            if tries == SWAP_TRIES {
                self.shared.fatal("the views cannot follow the sealed files");
            }
            super::pause(Duration::from_millis(100));
        }
    }

    /// What the files of a generation say about it.
    fn flush_of(&self, old: &Generation) -> Flush {
        let range = |(&(log, signal), upto): (&(Uuid, _), &Position)| {
            // The flush before this one is over, so this is where it ended.
            let from = self.shared.progress.cursors(log, signal).1.0;
            LogRange { log, signal, from, upto: upto.0 }
        };
        let mut logs: Vec<LogRange> = old.positions.iter().map(range).collect();
        logs.sort_unstable();
        Flush { id: Uuid::new_v4(), created: now_nanos(), logs }
    }

    /// Writes all files of a generation; `written` has them even if one fails.
    fn write(&mut self, old: &Generation, written: &mut Vec<PathBuf>) -> Result<Vec<NewFile>, FlushError> {
        let mut files = Vec::new();
        let mut folders = BTreeSet::new();
        let flush = self.flush_of(old);
        for (table, rows) in Table::ALL.into_iter().zip(old.rows) {
            // Also of a table that should have no rows: what is not sealed here is gone.
            let partitions = partition::of(&self.db, old, table)?;
            let found = partitions.iter().map(|partition| partition.rows).sum();
            if found != rows {
                return Err(FlushError::Rows { table: table.name(), expected: rows, written: found });
            }
            let shredding = Shredding::of(&self.db, &old.table(table), table, rows)?;
            for partition in &partitions {
                let mut pieces = vec![Piece::whole(partition, table)];
                while let Some(piece) = pieces.pop() {
                    let target = Target { old, flush: &flush, table, partition, shredding: &shredding };
                    match self.write_one(&target, &piece, written, &mut folders) {
                        Ok(file) => files.push(file),
                        Err(FlushError::Duckdb(error)) => pieces.extend(self.instead(&target, &piece, error)?),
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        for folder in &folders {
            sync(folder)?;
        }
        failpoint::reach("after_dir_sync");
        Ok(files)
    }

    /// What to write instead of rows that DuckDB refused to write. Its memory may be short because
    /// of others, the disk may be full: that is no fault of a row, and so an error.
    fn instead(&mut self, target: &Target<'_>, piece: &Piece, error: duckdb::Error) -> Result<Vec<Piece>, FlushError> {
        let (hot, table) = (target.old.table(target.table), target.table);
        let no_memory = is_out_of_memory(&error);
        let of_others = error.to_string().contains("IO Error") || is_fatal(&error);
        if of_others || piece.shape == Shape::WithoutVariants && no_memory {
            return Err(error.into());
        }
        tracing::warn!(table = table.name(), rows = piece.rows, shape = ?piece.shape, %error, "rows cannot be sealed so");
        if piece.is_last_whole_try() {
            if no_memory && self.waits < MEMORY_WAITS {
                self.waits += 1;
                if self.stop.wait(FIRST_PAUSE * 2_u32.pow(self.waits)) {
                    return Err(error.into());
                }
                return Ok(vec![piece.clone()]);
            }
            let row = StoredRow::read(&self.db, &hot, &piece.filter(), table)?;
            let reason = format!("a row of {} cannot be sealed: {error}", table.name());
            self.unsealable.push(Quarantined::of_none(row.into_batch(), reason));
            // The dead letter brings it back whole. Rows that others lean on stay as they can.
            if !table.is_dictionary() {
                return Ok(Vec::new());
            }
        }
        Ok(piece.instead(&self.db, &hot)?)
    }

    fn write_one(
        &self,
        target: &Target<'_>,
        piece: &Piece,
        written: &mut Vec<PathBuf>,
        folders: &mut BTreeSet<PathBuf>,
    ) -> Result<NewFile, FlushError> {
        let Target { old, flush, table, partition, shredding } = *target;
        let sealed = &self.shared.sealed_dir;
        let folder = Path::new(table.name()).join(partition.folder());
        let full = sealed.join(&folder);
        fs::create_dir_all(&full).map_err(|e| io("create", &full, e))?;
        // The new folder's name has to last too, and its parents'.
        folders.extend(full.ancestors().take_while(|p| p.starts_with(sealed)).map(Path::to_owned));
        let id = sealed_file::new_id();
        let part = full.join(sealed_file::new_name(id));
        written.push(part.clone());
        failpoint::reach("before_copy");
        let plain = Shredding::none(table);
        let order = table.sort_key().map_or(String::new(), |key| format!(" ORDER BY {key}"));
        let select = format!("{}{order}", piece.select(table, &old.table(table)));
        let options = format!(
            "{PARQUET}{}, {}",
            if piece.shape == Shape::Shredded { shredding } else { &plain }.option(),
            Metadata::new(flush, table.name(), piece.rows, (partition.min_time, partition.max_time)).option()
        );
        let copied = statistics::copy(&self.db, table, &select, &part, &options);
        let Copied { rows, footer, columns } = copied.inspect_err(|_| remove(std::slice::from_ref(&part)))?;
        if rows != piece.rows {
            return Err(FlushError::Rows { table: table.name(), expected: piece.rows, written: rows });
        }
        failpoint::reach("after_copy");
        sync(&part)?;
        failpoint::reach("after_sync");
        let (bytes, checksum) = checksum(&part)?;
        let name = sealed_file::name(id, checksum);
        let done = sealed_files::part_of(&full.join(&name));
        fs::rename(&part, &done).map_err(|e| io("rename", &part, e))?;
        written.push(done);
        failpoint::reach("after_rename");
        let path = folder.join(name).to_string_lossy().into_owned();
        let (min_time, max_time) = (partition.min_time, partition.max_time);
        let file = File { table: table.name().to_owned(), path, rows, min_time, max_time, bytes, checksum, level: 1 };
        Ok(NewFile { file, has_field_ids: true, footer, columns, is_damaged: false })
    }
}

/// Removes what a failed flush has written. What stays is swept at the next start.
fn remove(written: &[PathBuf]) {
    for path in written {
        let _ = fs::remove_file(path);
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> FlushError {
    FlushError::Io { action, path: path.to_owned(), source }
}

/// Syncs a file or a folder.
fn sync(path: &Path) -> Result<(), FlushError> {
    fs::File::open(path).and_then(|file| file.sync_all()).map_err(|e| io("sync", path, e))
}

/// Size and XXH3 of a file.
fn checksum(path: &Path) -> Result<(u64, u64), FlushError> {
    let summed = sealed_file::checksum(path, || true).map_err(|e| io("read", path, e))?;
    Ok(summed.unwrap_or_default())
}
