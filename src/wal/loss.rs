//! What is found to be lost while the log runs: counted once, and as dropped for every destination
//! that had still to get it.

use std::sync::Arc;

use super::record::Entry;
use super::segment::Entries;
use super::state::{State, sum};

impl State {
    /// Forgets the closed segment `first`, whose file is gone or cannot be opened. `entries` are
    /// its entries, where they are known. False if it was forgotten before.
    pub(super) fn lose_segment(&mut self, first: u64, entries: Option<&[Entry]>) -> bool {
        let Some(index) = self.closed.iter().position(|closed| closed.first == first) else { return false };
        let limit = self.limit(index);
        let Some(closed) = self.closed.remove(index) else { return false };
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.position < limit) {
            let (items, bytes) = match entries {
                Some(entries) if cursor.position > first => {
                    let (_, items, bytes) = sum(entries, cursor.position);
                    (items, bytes)
                }
                _ => (closed.totals.items, closed.totals.bytes),
            };
            cursor.dropped_items += items;
            cursor.dropped_bytes += bytes;
            cursor.entries = None;
        }
        self.missing_records += closed.totals.records;
        self.told.push(first..limit);
        true
    }

    /// Forgets a record that was found damaged. False if that was known.
    pub(super) fn damage(&mut self, entry: &Entry) -> bool {
        if !self.damaged.insert(entry.position) {
            return false;
        }
        self.corrupt_records += 1;
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.position <= entry.position) {
            cursor.dropped_items += u64::from(entry.items);
            cursor.dropped_bytes += u64::from(entry.payload);
        }
        let Some(index) = self.closed_at(entry.position) else {
            self.active.entries.retain(|other| other.position != entry.position);
            // The index of this segment will not have it.
            self.told.push(entry.position..entry.position + 1);
            return true;
        };
        let closed = &mut self.closed[index];
        closed.totals.records -= 1;
        closed.totals.items -= u64::from(entry.items);
        closed.totals.bytes -= u64::from(entry.payload);
        if let Some(entries) = closed.entries.upgrade() {
            let rest: Entries = entries.iter().filter(|other| other.position != entry.position).copied().collect();
            closed.entries = Arc::downgrade(&rest);
            let first = closed.first;
            for cursor in self.cursors.iter_mut() {
                if let Some((_, entries)) = cursor.entries.as_mut().filter(|(of, _)| *of == first) {
                    *entries = rest.clone();
                }
            }
        }
        true
    }
}
