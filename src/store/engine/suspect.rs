//! Records that kill the engine when they are inserted.
//!
//! DuckDB can die of a value, and the log would bring that value back at every start. So what is
//! being inserted is noted in a small file, which outlives the process; a start that finds a note
//! inserts those records one by one, each with a note of its own; and a record that has ended
//! [`DEATHS`] processes in a row is set aside. A kill from outside at such a moment counts too,
//! which is why once is not enough.

use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::signal::Signal;
use crate::wal::Position;

/// Processes that a record may end before it is set aside.
pub const DEATHS: u32 = 3;

/// Suspects remembered at most.
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
struct Suspect {
    range: Range,
    deaths: u32,
}

/// The notes of one store.
#[derive(Debug)]
pub struct Suspects {
    note: PathBuf,
    list: PathBuf,
    suspects: Mutex<Vec<Suspect>>,
}

impl Suspects {
    /// Reads what the last process left. What cannot be read or written counts as no suspicion:
    /// this is a help, and must not be a reason to fail.
    pub fn open(dir: &Path) -> Self {
        let (note, list) = (dir.join("inserting"), dir.join("suspects.json"));
        let mut suspects: Vec<Suspect> = read(&list).unwrap_or_default();
        if let Some(range) = read::<Range>(&note) {
            tracing::warn!(signal = %range.signal, from = range.from.0, upto = range.upto.0,
                "the engine ended while it inserted these records");
            match suspects.iter_mut().find(|s| s.range == range) {
                Some(known) => known.deaths += 1,
                None => suspects.push(Suspect { range, deaths: 1 }),
            }
            let surplus = suspects.len().saturating_sub(MAX);
            suspects.drain(..surplus);
            write(&list, &suspects);
        }
        let _ = fs::remove_file(&note);
        Suspects { note, list, suspects: Mutex::new(suspects) }
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
        self.suspects.lock().iter().any(|s| s.range.overlaps(&range))
    }

    /// Whether this one record has ended too many.
    pub fn is_convicted(&self, one: Range) -> bool {
        self.suspects.lock().iter().any(|s| s.range.is_one() && s.deaths >= DEATHS && s.range.overlaps(&one))
    }

    /// All of these are done: those that harmed nobody are no longer suspects.
    pub fn clear(&self, range: Range) {
        let mut suspects = self.suspects.lock();
        suspects.retain(|s| !s.range.overlaps(&range) || (s.range.is_one() && s.deaths >= DEATHS));
        write(&self.list, &*suspects);
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
    fn one_record_is_convicted_after_three_deaths_and_its_neighbours_are_cleared() {
        let dir = tempfile::tempdir().unwrap();
        Suspects::open(dir.path()).begin(range(0, 10));
        let suspects = Suspects::open(dir.path());
        assert!(suspects.has(range(9, 12)) && !suspects.has(range(10, 12)) && !suspects.is_convicted(range(4, 5)));
        for _ in 0..DEATHS {
            let suspects = Suspects::open(dir.path());
            assert!(!suspects.is_convicted(range(4, 5)));
            suspects.begin(range(3, 4));
            suspects.end();
            suspects.begin(range(4, 5));
        }
        let suspects = Suspects::open(dir.path());
        assert!(suspects.is_convicted(range(4, 5)) && !suspects.is_convicted(range(3, 4)));
        suspects.clear(range(0, 10));
        assert!(!suspects.has(range(0, 4)) && suspects.is_convicted(range(4, 5)));
        assert!(Suspects::open(dir.path()).is_convicted(range(4, 5)));
    }

    #[test]
    fn a_damaged_note_is_no_reason_to_fail() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("inserting"), "{").unwrap();
        fs::write(dir.path().join("suspects.json"), "[1]").unwrap();
        assert!(!Suspects::open(dir.path()).has(range(0, 100)));
    }
}
