//! What can never be stored: the collector makes dead letters of it.
//!
//! Until it has, the note of each stays here, and in the catalog from the transaction on that moves
//! the log past its record. So neither a crash of the engine nor one of the collector loses any, and
//! the payload need not be kept a second time: the log has it as long as there is no dead letter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::store::protocol::{LogState, Quarantined};

mod earlier;

/// Notes at most, as many as a destination has dead letters. The oldest go, and are counted.
const MAX: usize = 10_000;

/// Payload bytes at most of notes that hold one. The newest stays whatever its size.
const MAX_BYTES: usize = 64 << 20;

/// The notes of what no dead letter is known of.
#[derive(Debug)]
pub struct Quarantine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the order in which they came.
    notes: BTreeMap<u64, Quarantined>,
    numbers: BTreeMap<Uuid, u64>,
    next: u64,
    /// The first of those that the collector was not told of since it connected.
    untold: u64,
    /// Those that the catalog has.
    saved: BTreeSet<Uuid>,
    /// Payload bytes in the notes.
    bytes: usize,
    /// Notes that had to go for room since the start.
    forgotten: u64,
}

impl State {
    fn take(&mut self, number: u64) -> Option<Quarantined> {
        let note = self.notes.remove(&number)?;
        self.numbers.remove(&note.id);
        self.bytes -= note.bytes();
        Some(note)
    }

    fn put(&mut self, note: Quarantined) {
        let number = self.next;
        self.next += 1;
        self.bytes += note.bytes();
        self.numbers.insert(note.id, number);
        self.notes.insert(number, note);
    }
}

/// What the next transaction of the catalog has to change.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Changes {
    /// New notes.
    pub added: Vec<Quarantined>,
    /// Notes of which there are dead letters now.
    pub kept: Vec<Uuid>,
    /// Dead letters that were stored and are deleted: their positions go.
    pub released: Vec<Uuid>,
}

impl Quarantine {
    /// With the notes that the catalog has, and those of earlier versions in the folder `earlier`.
    pub fn new(saved: Vec<Quarantined>, earlier: &Path) -> Self {
        let quarantine = Quarantine { state: Mutex::default() };
        quarantine.state.lock().saved = saved.iter().map(|note| note.id).collect();
        for note in saved.into_iter().chain(earlier::records(earlier)) {
            quarantine.add(note);
        }
        quarantine
    }

    /// This can never be stored. A note of it that is here already stays.
    pub fn add(&self, note: Quarantined) {
        let mut state = self.state.lock();
        if state.numbers.contains_key(&note.id) {
            return;
        }
        while state.notes.len() >= MAX || !state.notes.is_empty() && state.bytes + note.bytes() > MAX_BYTES {
            let Some(oldest) = state.notes.first_key_value().map(|(number, _)| *number) else { break };
            let Some(oldest) = state.take(oldest) else { break };
            state.forgotten += 1;
            tracing::error!(signal = %oldest.signal, log = %oldest.log, position = oldest.position.0,
                "too much is set aside without a dead letter, the oldest is forgotten");
        }
        state.put(note);
    }

    /// There is a dead letter of it.
    pub fn kept(&self, id: Uuid) {
        let mut state = self.state.lock();
        if let Some(number) = state.numbers.get(&id).copied() {
            state.take(number);
        }
    }

    /// Everything that a collector with these logs has to make dead letters of. What lies before
    /// the oldest record of its log cannot be had any more.
    pub fn tell_all(&self, logs: &[LogState; 4]) -> Vec<Quarantined> {
        let mut state = self.state.lock();
        state.untold = state.next;
        let lost = |note: &Quarantined| logs.iter().any(|log| log.id == note.log && note.position < log.oldest);
        let gone: Vec<u64> = state.notes.iter().filter(|(_, note)| lost(note)).map(|(number, _)| *number).collect();
        for number in gone {
            state.take(number);
        }
        state.notes.values().filter(|note| note.is_for(logs)).cloned().collect()
    }

    /// What has come since the last call, or since [`Self::tell_all`].
    pub fn tell_new(&self, logs: &[LogState; 4]) -> Vec<Quarantined> {
        let mut state = self.state.lock();
        let from = state.untold;
        state.untold = state.next;
        state.notes.range(from..).map(|(_, note)| note).filter(|note| note.is_for(logs)).cloned().collect()
    }

    /// What the catalog has to take up and to forget. Once it has: [`Self::saved`].
    pub fn changes(&self) -> Changes {
        let state = self.state.lock();
        let added = state.notes.values().filter(|note| !state.saved.contains(&note.id)).cloned().collect();
        let kept = state.saved.iter().filter(|id| !state.numbers.contains_key(id)).copied().collect();
        Changes { added, kept, released: Vec::new() }
    }

    /// The catalog has taken these changes; `rows` are new notes among them that were not here yet.
    pub fn saved(&self, changes: &Changes, rows: Vec<Quarantined>) {
        let mut state = self.state.lock();
        for id in &changes.kept {
            state.saved.remove(id);
        }
        state.saved.extend(changes.added.iter().map(|note| note.id));
        drop(state);
        rows.into_iter().for_each(|note| self.add(note));
    }

    /// Notes that wait for a dead letter, and those that had to go for room since the start.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.notes.len() as u64, state.forgotten)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
