//! Sealing: about once a minute, the files of level 0 become sorted files that are on disk, by table
//! and hour, and the positions of the logs move.
//!
//! Each file is written and synced under a name that ends in `.part`; then the folders are synced;
//! then one transaction of the catalog puts the files in the place of the others and moves the
//! positions; then the files get their names; then a second one shows them ([`Shared::exchange`]). A
//! crash before the first transaction leaves files with `.part` that nobody knows, and level 0 as it
//! was; after it, files that are known, whatever their name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::Connection;
use uuid::Uuid;

use super::exchange::{Exchange, ExchangeError};
use super::failpoint;
use super::sealed_file::{self, LogRange, Metadata};
use super::sealed_files;
use super::shared::Shared;
use super::unsealed::Round;
use crate::durable;
use crate::signal::now_nanos;
use crate::store::catalog::{File, NewFile};
use crate::store::instance::is_full_disk;
use crate::store::merge::{self, Job, MergeError};
use crate::store::parquet_file;
use crate::store::schema::Table;
use crate::wal::Position;

/// First pause after a failed round, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// How often our own log says at most that rows were sealed.
const TOLD_EVERY: Duration = Duration::from_secs(5 * 60);

/// Level of the files that are made here.
const LEVEL: u8 = 1;

/// Why a round failed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// There is no space for the new files.
    #[error("{0}")]
    NoSpace(String),
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
    Exchange(#[from] ExchangeError),
}

impl SealError {
    fn is_full_disk(&self) -> bool {
        matches!(self, SealError::NoSpace(_)) || is_full_disk(&self.to_string())
    }
}

/// The sealing thread's own state.
pub struct Sealer {
    shared: Arc<Shared>,
    db: Connection,
    /// Cuts pauses short.
    stop: Arc<super::Stop>,
    told: Told,
}

/// What was sealed since our log last said it.
#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    rounds: u64,
    rows: u64,
    files: usize,
    bytes: u64,
}

impl Sealer {
    /// With a DuckDB of its own.
    pub fn new(shared: Arc<Shared>, db: Connection, stop: Arc<super::Stop>) -> Self {
        Sealer { shared, db, stop, told: Told::default() }
    }

    /// Seals what comes, until it is told to stop.
    pub fn run(mut self) {
        let interval = self.shared.config.seal_interval;
        while let Some(mut round) = self.shared.unsealed.next(interval, || self.shared.resends.are_due()) {
            self.add_positions(&mut round);
            if round.is_all {
                self.shared.resends.sealing();
            }
            let mut pause = FIRST_PAUSE;
            while let Err(error) = self.seal(&round) {
                if error.is_full_disk() && self.shared.reserve.give_up().is_ok_and(|given_up| given_up) {
                    continue;
                }
                tracing::error!(%error, retry_in = ?pause, "cannot seal");
                let why = error.to_string();
                self.shared.counters.update(|stats| {
                    stats.seal_failures += 1;
                    stats.seal_error = Some(why.clone());
                });
                answer(&mut round, &Err(why));
                if self.stop.wait(pause) {
                    return;
                }
                pause = (pause * 2).min(LAST_PAUSE);
            }
            self.shared.unsealed.sealed(&round);
            self.shared.progress.sealed(&round.positions);
            answer(&mut round, &Ok(()));
            self.shared.reserve.take();
        }
        self.forget_letters();
    }

    /// At the end no round comes that would do it. If it fails, the collector tells of them again.
    fn forget_letters(&self) {
        let letters = self.shared.resends.to_forget();
        if !letters.is_empty()
            && let Err(error) = self.shared.catalog.lock().forget(&letters)
        {
            tracing::warn!(%error, "cannot forget the positions of dead letters that are stored");
        }
    }

    /// The positions up to which a round of files that an earlier process has left moves the logs. Those are never
    /// further than the catalog has taken: a letter that was refused was never here.
    fn add_positions(&self, round: &mut Round) {
        for file in &round.files[..round.left_over] {
            let metadata = match Metadata::read(&self.shared.sealed_dir.join(&file.path)) {
                Ok(metadata) => metadata,
                Err(error) => {
                    tracing::warn!(%error, file = file.path, "a file of level 0 does not say of which records it is");
                    continue;
                }
            };
            for LogRange { log, signal, upto, .. } in metadata.into_iter().flat_map(|metadata| metadata.logs) {
                let (taken, sealed) = self.shared.progress.cursors(log, signal);
                let upto = Position(upto);
                if sealed < upto && upto <= taken {
                    let known = round.positions.entry((log, signal)).or_default();
                    *known = upto.max(*known);
                }
            }
        }
    }

    fn seal(&mut self, round: &Round) -> Result<(), SealError> {
        failpoint::reach("before_seal");
        let started = Instant::now();
        let mut written = Vec::new();
        let new = self.write(round, &mut written).inspect_err(|_| remove(&written))?;
        failpoint::reach("before_catalog");
        let old: Vec<String> = round.files.iter().map(|file| file.path.clone()).collect();
        let mut changes = self.shared.quarantine.changes();
        changes.released = self.shared.resends.to_forget();
        let exchange = Exchange { old: &old, new: &new, positions: &round.positions, changes: &changes };
        self.shared.exchange(&exchange).inspect_err(|_| remove(&written))?;
        self.shared.quarantine.saved(&changes, Vec::new());
        self.shared.resends.forgotten(&changes.released);
        self.shared.progress.forget(&changes.released);
        let (rows, bytes): (u64, u64) =
            new.iter().fold((0, 0), |(rows, bytes), new| (rows + new.file.rows, bytes + new.file.bytes));
        let seconds = started.elapsed().as_secs_f64();
        tracing::debug!(of = round.files.len(), files = new.len(), rows, bytes, seconds, "sealed");
        self.shared.counters.sealed(started.elapsed());
        self.tell(rows, new.len(), bytes);
        Ok(())
    }

    /// A line for the first round, and then one for all of [`TOLD_EVERY`].
    fn tell(&mut self, rows: u64, files: usize, bytes: u64) {
        let told = &mut self.told;
        told.rounds += 1;
        told.rows += rows;
        told.files += files;
        told.bytes += bytes;
        if told.at.is_some_and(|at| at.elapsed() < TOLD_EVERY) {
            return;
        }
        let Told { rounds, rows, files, bytes, .. } = std::mem::take(told);
        told.at = Some(Instant::now());
        tracing::info!(rounds, rows, files, bytes, "generation sealed");
    }

    /// Writes all files of a round; `written` has them even if one fails.
    fn write(&self, round: &Round, written: &mut Vec<PathBuf>) -> Result<Vec<NewFile>, SealError> {
        let sealed = &self.shared.sealed_dir;
        let mut groups: BTreeMap<&Path, Vec<&File>> = BTreeMap::new();
        for file in &round.files {
            groups.entry(Path::new(&file.path).parent().unwrap_or(Path::new(""))).or_default().push(file);
        }
        let (flush, created, logs) = (Uuid::new_v4(), now_nanos(), self.log_ranges(round));
        let mut new = Vec::new();
        let mut folders = BTreeSet::new();
        for (folder, files) in groups {
            // The new folder's name has to last too, and its parents'.
            let full = sealed.join(folder);
            folders.extend(full.ancestors().take_while(|p| p.starts_with(sealed)).map(Path::to_owned));
            let id = sealed_file::new_id();
            let job = Job {
                sealed: sealed.clone(),
                table: files[0].table.clone(),
                inputs: files.iter().map(|file| (*file).into()).collect(),
                output: folder.join(sealed_file::new_name(id)),
                level: LEVEL,
                flush,
                created,
                logs: logs.clone(),
                filter: None,
            };
            let part = sealed.join(&job.output);
            written.push(part.clone());
            match merge::write(&self.db, &job) {
                Ok(merged) => {
                    let name = sealed_file::name(id, merged.checksum);
                    let done = sealed_files::part_of(&full.join(&name));
                    fs::rename(&part, &done).map_err(|e| io("rename", &part, e))?;
                    written.push(done);
                    new.push(merged.into_file(&job.table, &folder.join(name), LEVEL));
                }
                Err(MergeError::NoSpace(why)) => return Err(SealError::NoSpace(why)),
                // They are files that questions can read: sealed they need not be the best ones.
                Err(error) => {
                    tracing::error!(%error, table = job.table, files = files.len(), "files cannot be merged, they are sealed as they are");
                    for file in files {
                        new.push(self.keep(file, written)?);
                    }
                }
            }
            failpoint::reach("in_seal");
        }
        for folder in &folders {
            durable::sync_dir(folder).map_err(|e| io("sync", folder, e))?;
        }
        failpoint::reach("after_dir_sync");
        Ok(new)
    }

    /// Makes a sealed file of one of level 0, under a second name.
    fn keep(&self, file: &File, written: &mut Vec<PathBuf>) -> Result<NewFile, SealError> {
        let path = file.path.replace(sealed_file::LEVEL0, sealed_file::EXTENSION);
        let (from, to) = (self.shared.sealed_dir.join(&file.path), self.shared.sealed_dir.join(&path));
        let part = sealed_files::part_of(&to);
        match fs::hard_link(&from, &part) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            linked => linked.map_err(|e| io("link", &from, e))?,
        }
        written.push(part.clone());
        fs::File::open(&part).and_then(|file| file.sync_all()).map_err(|e| io("sync", &part, e))?;
        let file = File { path, level: LEVEL, ..file.clone() };
        let told = Table::from_name(&file.table).map(|table| parquet_file::statistics::of_file(table, &from));
        let columns = told.and_then(Result::ok).unwrap_or_default();
        Ok(NewFile { file, has_field_ids: true, footer: None, columns, is_damaged: false })
    }

    /// The records whose rows a round seals.
    fn log_ranges(&self, round: &Round) -> Vec<LogRange> {
        let range = |(&(log, signal), upto): (&(Uuid, _), &crate::wal::Position)| {
            // The round before this one is over, so this is where it ended.
            let from = self.shared.progress.cursors(log, signal).1.0;
            LogRange { log, signal, from, upto: upto.0 }
        };
        let mut logs: Vec<LogRange> = round.positions.iter().map(range).collect();
        logs.sort_unstable();
        logs
    }
}

fn answer(round: &mut Round, result: &Result<(), String>) {
    for reply in round.asking.drain(..) {
        // Who asked may have gone away.
        let _ = reply.send(result.clone());
    }
}

/// Removes what a failed round has written. What stays is swept at the next start.
fn remove(written: &[PathBuf]) {
    for path in written {
        let _ = fs::remove_file(path);
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> SealError {
    SealError::Io { action, path: path.to_owned(), source }
}
