//! Records that kill the engine when they are inserted.
//!
//! DuckDB can die of a value, and the log would bring that value back at every start. So what is
//! being inserted is noted in a small file, which outlives the process. A start after a crash that
//! finds a note inserts those records one by one, each with a note of its own, and a record that
//! has ended [`DEATHS`] processes is set aside. Only an end that a record can have caused counts:
//! the store front knows how the process ended, and says so to the next one. A kill from outside
//! and a power cut are nobody's fault.

use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::signal::Signal;
use crate::wal::Position;

/// Processes that a record may end before it is set aside.
pub const DEATHS: u32 = 3;

/// Ranges remembered at most.
const MAX: usize = 100;

/// Records of one log, from the first to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The log.
    pub log: Uuid,
    /// Its signal.
    pub signal: Signal,
    /// First record.
    pub from: Position,
    /// After the last record.
    pub upto: Position,
}

impl Range {
    fn is_one(&self) -> bool {
        self.upto.0 <= self.from.0 + 1
    }

    fn overlaps(&self, other: &Range) -> bool {
        (self.log, self.signal) == (other.log, other.signal) && self.from < other.upto && other.from < self.upto
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CrashRange {
    range: Range,
    deaths: u32,
}

/// The notes of one store.
#[derive(Debug)]
pub struct CrashRecords {
    note: PathBuf,
    list: PathBuf,
    ranges: Mutex<Vec<CrashRange>>,
}

impl CrashRecords {
    /// Reads what the last process left, which `crashed` or ended otherwise. What cannot be read or
    /// written counts as no suspicion: this is a help, and must not be a reason to fail.
    pub fn open(dir: &Path, crashed: bool) -> Self {
        let (note, list) = (dir.join("inserting"), dir.join("suspects.json"));
        let mut ranges: Vec<CrashRange> = read(&list).unwrap_or_default();
        if let Some(range) = read::<Range>(&note).filter(|_| crashed) {
            tracing::warn!(signal = %range.signal, from = range.from.0, upto = range.upto.0,
                "the engine ended while it inserted these records");
            match ranges.iter_mut().find(|s| s.range == range) {
                Some(known) => known.deaths += 1,
                None => ranges.push(CrashRange { range, deaths: 1 }),
            }
            let surplus = ranges.len().saturating_sub(MAX);
            ranges.drain(..surplus);
            write(&list, &ranges);
        }
        let _ = fs::remove_file(&note);
        CrashRecords { note, list, ranges: Mutex::new(ranges) }
    }

    /// These are about to be inserted.
    pub fn begin(&self, range: Range) {
        write(&self.note, &range);
    }

    /// And that went well, or failed without harm.
    pub fn end(&self) {
        let _ = fs::remove_file(&self.note);
    }

    /// Whether any of these was being inserted when a process ended.
    pub fn has(&self, range: Range) -> bool {
        self.ranges.lock().iter().any(|s| s.range.overlaps(&range))
    }

    /// Whether this one record has ended too many.
    pub fn is_poison(&self, one: Range) -> bool {
        self.ranges.lock().iter().any(|s| s.range.is_one() && s.deaths >= DEATHS && s.range.overlaps(&one))
    }

    /// All of these are done: those that harmed nobody are no longer suspected. Those behind them are.
    pub fn clear(&self, range: Range) {
        let mut ranges = self.ranges.lock();
        let is_poison = |s: &CrashRange| s.range.is_one() && s.deaths >= DEATHS;
        for suspect in ranges.iter_mut().filter(|s| s.range.overlaps(&range) && !is_poison(s)) {
            suspect.range.from = range.upto;
        }
        ranges.retain(|s| s.range.from < s.range.upto);
        write(&self.list, &*ranges);
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write(path: &Path, value: &impl Serialize) {
    let written = serde_json::to_vec(value).map_err(std::io::Error::from).and_then(|text| fs::write(path, text));
    if let Err(e) = written {
        tracing::debug!(error = %e, path = %path.display(), "cannot note what is being inserted");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn range(from: u64, upto: u64) -> Range {
        Range { log: Uuid::from_u128(1), signal: Signal::Logs, from: Position(from), upto: Position(upto) }
    }

    #[test]
    fn one_record_is_poison_after_three_deaths_and_its_neighbours_are_cleared() {
        let dir = tempfile::tempdir().unwrap();
        CrashRecords::open(dir.path(), true).begin(range(0, 10));
        let records = CrashRecords::open(dir.path(), true);
        assert!(records.has(range(9, 12)) && !records.has(range(10, 12)) && !records.is_poison(range(4, 5)));
        for _ in 0..DEATHS {
            let records = CrashRecords::open(dir.path(), true);
            assert!(!records.is_poison(range(4, 5)));
            records.begin(range(3, 4));
            records.end();
            records.begin(range(4, 5));
        }
        let records = CrashRecords::open(dir.path(), true);
        assert!(records.is_poison(range(4, 5)) && !records.is_poison(range(3, 4)));
        records.clear(range(0, 2));
        assert!(!records.has(range(0, 2)) && records.has(range(2, 3)), "those behind are suspected still");
        records.clear(range(2, 10));
        assert!(!records.has(range(0, 4)) && records.is_poison(range(4, 5)));
        assert!(CrashRecords::open(dir.path(), true).is_poison(range(4, 5)));
    }

    #[test]
    fn an_end_from_outside_is_no_fault_of_the_record() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 * DEATHS {
            let records = CrashRecords::open(dir.path(), false);
            assert!(!records.has(range(4, 5)) && !records.is_poison(range(4, 5)));
            records.begin(range(4, 5));
        }
        assert!(!CrashRecords::open(dir.path(), false).has(range(0, 100)));
        assert!(!CrashRecords::open(dir.path(), true).has(range(0, 100)), "the note is gone");
    }

    #[test]
    fn a_damaged_note_is_no_reason_to_fail() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("inserting"), "{").unwrap();
        fs::write(dir.path().join("suspects.json"), "[1]").unwrap();
        assert!(!CrashRecords::open(dir.path(), true).has(range(0, 100)));
    }
}
