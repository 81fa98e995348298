//! Metrics of the engine, for `/stats`, `vispyr status` and `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::sealed_files::LostFile;
use crate::signal::Signal;
use crate::store::catalog::Total;
use crate::store::retention::kept::Kept;
use crate::store::retention::plan::Why;
use crate::store::schema::Table;

/// Lost files that are named; all are counted.
pub const MAX_LOST: usize = 100;

/// Lost files that each answer names.
const MAX_WARNINGS: usize = 10;

/// Rows and files of one table.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct TableStats {
    /// Its name.
    pub table: String,
    /// Rows in files of level 0, which are not sealed yet.
    pub level0_rows: u64,
    /// Those files.
    pub level0_files: u64,
    /// Their bytes.
    pub level0_bytes: u64,
    /// Rows in sealed files.
    pub sealed_rows: u64,
    /// Sealed files.
    pub sealed_files: u64,
    /// Their bytes.
    pub sealed_bytes: u64,
}

/// What came in of one signal since the engine started.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SignalStats {
    /// Its name.
    pub signal: String,
    /// Records whose rows are visible.
    pub records: u64,
    /// Items in them, as the log has counted.
    pub items: u64,
    /// Records that can never be stored.
    pub undecodable_records: u64,
    /// Items in those.
    pub undecodable_items: u64,
    /// Why the last of them could not be.
    pub last_undecodable: Option<String>,
    /// Payload bytes that wait to be decoded.
    pub waiting_bytes: u64,
}

/// Times of something that happens often.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Timing {
    /// How often.
    pub count: u64,
    /// Sum, in seconds.
    pub seconds: f64,
    /// The longest, in seconds.
    pub longest: f64,
}

impl Timing {
    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.seconds += took.as_secs_f64();
        self.longest = self.longest.max(took.as_secs_f64());
    }
}

/// Everything at once.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Version of the DuckDB library.
    pub duckdb: String,
    /// Batches of records made visible: what a reader waits for after the acknowledgement.
    pub inserts: Timing,
    /// Batches that had to be tried again, for want of space mostly.
    pub insert_retries: u64,
    /// Rounds of sealing that succeeded.
    pub seals: Timing,
    /// Catalog transactions.
    pub catalog_commits: Timing,
    /// Batches that found the catalog held, by a round of sealing, a merge or retention: how long ingest paused for it.
    pub catalog_waits: Timing,
    /// Rounds of sealing that failed and were tried again.
    pub seal_failures: u64,
    /// Why the last one failed; gone once one succeeds.
    pub seal_error: Option<String>,
    /// Merges that succeeded: minutes into hours, hours into days.
    pub merges: Timing,
    /// Files that went into them.
    pub merged_files: u64,
    /// Processor time of the merger for them, in seconds.
    pub merge_cpu_seconds: f64,
    /// Merges that failed.
    pub merge_failures: u64,
    /// Why the last one failed; gone once one succeeds.
    pub merge_error: Option<String>,
    /// Files that are left alone for a while, since their merge has failed.
    pub unmerged_files: u64,
    /// Rows that no file takes whole: there are dead letters of them.
    pub unsealable_rows: u64,
    /// What can never be stored and has no dead letter yet.
    pub quarantined: u64,
    /// What can never be stored and was forgotten before it had one, for want of room.
    pub quarantine_forgotten: u64,
    /// Sealed files that the catalog names but queries do not see: they are not there, or damaged.
    pub missing_files: u64,
    /// Those, [`MAX_LOST`] at most.
    pub lost_files: Vec<LostFile>,
    /// What is kept, and for how long there is room.
    pub kept: Kept,
    /// Files that were dropped with their rows, by the reason.
    pub dropped_files: BTreeMap<Why, u64>,
    /// Files that have left the disk: dropped ones, and those that were merged into others.
    pub deleted_files: u64,
    /// By table, in the order of [`Table::ALL`].
    pub tables: Vec<TableStats>,
    /// By signal, in the order of [`Signal::ALL`].
    pub signals: Vec<SignalStats>,
}

/// The metrics as they are counted.
#[derive(Debug)]
pub struct Counters {
    stats: Mutex<Stats>,
}

impl Counters {
    /// At the start.
    pub fn new(duckdb: String, lost: Vec<LostFile>) -> Self {
        let tables = Table::ALL.map(|t| TableStats { table: t.name().to_owned(), ..TableStats::default() });
        let signals = Signal::ALL.map(|s| SignalStats { signal: s.name().to_owned(), ..SignalStats::default() });
        let stats = Stats { duckdb, tables: tables.into(), signals: signals.into(), ..Stats::default() };
        let counters = Counters { stats: Mutex::new(stats) };
        lost.into_iter().for_each(|file| counters.lost(file));
        counters
    }

    /// What answers lack, in a sentence for each lost file.
    pub fn warnings(&self) -> Vec<String> {
        let stats = self.stats.lock();
        let mut warnings: Vec<String> = stats.lost_files.iter().take(MAX_WARNINGS).map(ToString::to_string).collect();
        let more = stats.missing_files.saturating_sub(warnings.len() as u64);
        if more > 0 {
            warnings.push(format!("{more} more sealed files are lost"));
        }
        warnings
    }

    /// Queries do not see a sealed file that the catalog names.
    pub fn lost(&self, file: LostFile) {
        let mut stats = self.stats.lock();
        stats.missing_files += 1;
        if stats.lost_files.len() < MAX_LOST {
            stats.lost_files.push(file);
        }
    }

    /// Queries see a file again that was lost.
    pub fn found(&self, path: &str) {
        let mut stats = self.stats.lock();
        let before = stats.lost_files.len();
        stats.lost_files.retain(|file| file.path != path);
        stats.missing_files = stats.missing_files.saturating_sub((before - stats.lost_files.len()) as u64);
    }

    /// A copy of all metrics.
    pub fn snapshot(&self) -> Stats {
        self.stats.lock().clone()
    }

    /// Changes some.
    pub fn update(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.stats.lock());
    }

    /// Records were taken.
    pub fn taken(&self, signal: Signal, records: u64, items: u64) {
        if let Some(of) = self.stats.lock().signals.get_mut(signal as usize) {
            of.records += records;
            of.items += items;
        }
    }

    /// A batch is visible.
    pub fn inserted(&self, took: Duration) {
        self.stats.lock().inserts.add(took);
    }

    /// A record will never be stored.
    pub fn undecodable(&self, signal: Signal, items: u64, reason: &str) {
        if let Some(of) = self.stats.lock().signals.get_mut(signal as usize) {
            of.undecodable_records += 1;
            of.undecodable_items += items;
            of.last_undecodable = Some(reason.to_owned());
        }
    }

    /// Items out of a record that is stored otherwise will never be stored.
    pub fn rejected(&self, signal: Signal, items: u64, reason: &str) {
        if let Some(of) = self.stats.lock().signals.get_mut(signal as usize) {
            of.undecodable_items += items;
            of.last_undecodable = Some(reason.to_owned());
        }
    }

    /// Ingest waited for the catalog.
    pub fn waited_for_catalog(&self, took: Duration) {
        self.stats.lock().catalog_waits.add(took);
    }

    /// The catalog took a transaction.
    pub fn catalog_committed(&self, took: Duration) {
        self.stats.lock().catalog_commits.add(took);
    }

    /// Rounds of sealing that succeeded.
    pub fn seals(&self) -> u64 {
        self.stats.lock().seals.count
    }

    /// Files were merged, with so much of a processor's time.
    pub fn merged(&self, files: usize, cpu: Duration, took: Duration) {
        let mut stats = self.stats.lock();
        stats.merges.add(took);
        stats.merged_files += files as u64;
        stats.merge_cpu_seconds += cpu.as_secs_f64();
        stats.merge_error = None;
    }

    /// Files were not merged, and so many are left alone for a while.
    pub fn merge_failed(&self, why: String, left: usize) {
        let mut stats = self.stats.lock();
        stats.merge_failures += 1;
        stats.merge_error = Some(why);
        stats.unmerged_files = left as u64;
    }

    /// A round of sealing is done.
    pub fn sealed(&self, took: Duration) {
        let mut stats = self.stats.lock();
        stats.seals.add(took);
        stats.seal_error = None;
    }
}

impl Stats {
    /// Sets what the catalog has counted.
    pub fn set_files(&mut self, totals: &[Total]) {
        for table in &mut self.tables {
            let of = |is_level0: bool| {
                let found = totals.iter().find(|total| total.table == table.table && total.is_level0 == is_level0);
                found.map(|total| (total.files, total.rows, total.bytes)).unwrap_or_default()
            };
            let (level0, sealed) = (of(true), of(false));
            (table.level0_files, table.level0_rows, table.level0_bytes) = level0;
            (table.sealed_files, table.sealed_rows, table.sealed_bytes) = sealed;
        }
    }
}
