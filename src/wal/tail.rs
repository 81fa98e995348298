//! The last records in memory, so that a destination that keeps up does not read them back from
//! disk. Bounded, and empty while no reader is near the end.

use std::collections::VecDeque;

use super::{Position, Record};

/// Bytes of memory for the records of a log. Four logs share the collector's 128 MiB with the bodies in flight.
const MAX_BYTES: usize = 4 << 20;

/// The end of the log.
#[derive(Debug, Default)]
pub(super) struct Tail {
    records: VecDeque<Record>,
    bytes: usize,
}

impl Tail {
    /// Adds the newest record.
    pub(super) fn push(&mut self, record: Record) {
        self.bytes += record.batch.held_bytes();
        self.records.push_back(record);
        while self.bytes > MAX_BYTES {
            self.pop();
        }
    }

    /// Lets go of what no reader comes to: those at `readers` have still to read from there.
    pub(super) fn trim(&mut self, readers: impl Iterator<Item = u64>) {
        let Some(front) = self.records.front() else { return };
        let needed = readers.filter(|position| *position >= front.position.0).min();
        while self.records.front().is_some_and(|front| needed.is_none_or(|needed| front.position.0 < needed)) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(record) = self.records.pop_front() {
            self.bytes -= record.batch.held_bytes();
        }
    }

    /// Records from `position` on, up to about `max_bytes` of memory; none if it is not in memory.
    pub(super) fn read(&self, position: u64, max_bytes: usize) -> Vec<Record> {
        let start = self.records.partition_point(|record| record.position < Position(position));
        if self.records.get(start).is_none_or(|record| record.position.0 != position) {
            return Vec::new();
        }
        let mut bytes = 0;
        let mut taken = Vec::new();
        for record in self.records.range(start..) {
            bytes += record.batch.held_bytes();
            if bytes > max_bytes && !taken.is_empty() {
                break;
            }
            taken.push(record.clone());
        }
        taken
    }
}
