//! Metrics of the engine, for `/stats`, `vispyr status` and `/metrics`.

use std::time::Duration;

use parking_lot::Mutex;

use super::sealed_files::LostFile;
use crate::signal::Signal;
use crate::store::catalog::File;
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
    /// Rows in memory.
    pub hot_rows: u64,
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
    /// Number of the open generation.
    pub generation: u64,
    /// Memory of rows that are not sealed yet.
    pub hot_bytes: u64,
    /// At this a flush begins.
    pub hot_budget: u64,
    /// Whether a generation is being sealed now.
    pub sealing: bool,
    /// Inserts, a commit each: what a reader waits for after the acknowledgement.
    pub inserts: Timing,
    /// Inserts that had to be tried again for lack of memory.
    pub insert_retries: u64,
    /// Flushes that succeeded.
    pub flushes: Timing,
    /// Catalog transactions.
    pub catalog_commits: Timing,
    /// Flushes that failed and were tried again.
    pub flush_failures: u64,
    /// Why the last flush failed; gone once one succeeds.
    pub flush_error: Option<String>,
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
    pub fn new(duckdb: String, hot_budget: u64, files: &[File], lost: Vec<LostFile>) -> Self {
        let tables = Table::ALL.map(|t| TableStats { table: t.name().to_owned(), ..TableStats::default() });
        let signals = Signal::ALL.map(|s| SignalStats { signal: s.name().to_owned(), ..SignalStats::default() });
        let stats = Stats {
            duckdb,
            generation: 1,
            hot_budget,
            tables: tables.into(),
            signals: signals.into(),
            ..Stats::default()
        };
        let counters = Counters { stats: Mutex::new(stats) };
        counters.add_files(files);
        lost.into_iter().for_each(|file| counters.lost(file));
        counters
    }

    /// The same of one that was counted as sealed until now.
    pub fn lost_sealed(&self, file: LostFile, bytes: u64) {
        if let Some(table) = self.stats.lock().tables.iter_mut().find(|table| table.table == file.table) {
            table.sealed_rows = table.sealed_rows.saturating_sub(file.rows);
            table.sealed_files = table.sealed_files.saturating_sub(1);
            table.sealed_bytes = table.sealed_bytes.saturating_sub(bytes);
        }
        self.lost(file);
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

    /// A copy of all metrics.
    pub fn snapshot(&self) -> Stats {
        self.stats.lock().clone()
    }

    /// Changes some.
    pub fn update(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.stats.lock());
    }

    /// Rows were committed to a generation in memory.
    pub fn inserted(&self, signal: Signal, records: u64, items: u64, rows: &[u64; Table::ALL.len()], took: Duration) {
        let mut stats = self.stats.lock();
        stats.inserts.add(took);
        for (table, rows) in stats.tables.iter_mut().zip(rows) {
            table.hot_rows += rows;
        }
        if let Some(of) = stats.signals.get_mut(signal as usize) {
            of.records += records;
            of.items += items;
        }
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

    /// The catalog took a transaction.
    pub fn catalog_committed(&self, took: Duration) {
        self.stats.lock().catalog_commits.add(took);
    }

    /// A generation is sealed.
    pub fn sealed(&self, files: &[File], rows: &[u64; Table::ALL.len()], took: Duration) {
        self.add_files(files);
        let mut stats = self.stats.lock();
        for (table, rows) in stats.tables.iter_mut().zip(rows) {
            table.hot_rows = table.hot_rows.saturating_sub(*rows);
        }
        stats.flushes.add(took);
        stats.flush_error = None;
        stats.sealing = false;
    }

    fn add_files(&self, files: &[File]) {
        let mut stats = self.stats.lock();
        for file in files {
            if let Some(table) = stats.tables.iter_mut().find(|t| t.table == file.table) {
                table.sealed_rows += file.rows;
                table.sealed_files += 1;
                table.sealed_bytes += file.bytes;
            }
        }
    }
}
