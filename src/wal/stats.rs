//! The metrics of a log.

use std::time::Duration;

use super::Position;
use super::cursor::Cursor;
use super::state::{Shared, State, sum};
use crate::signal::now_nanos;

/// Metrics of one log, read at once.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Stats {
    /// Bytes of all segments on disk.
    pub size: u64,
    /// What they may take.
    pub max_size: u64,
    /// Number of segments.
    pub segments: u64,
    /// Oldest record still there.
    pub oldest: Position,
    /// The next record's position.
    pub next: Position,
    /// Records skipped for a wrong checksum since the start.
    pub corrupt_records: u64,
    /// Damaged stretches of which nothing is kept: there was no room in the quarantine, or on the disk.
    pub corrupt_unkept: u64,
    /// Records that have left no trace, found since the start, and that some destination had still
    /// to get: a segment was removed, emptied or cut short.
    pub missing_records: u64,
    /// Why nothing can be appended; nothing while the log works.
    pub failing: Option<String>,
    /// The destinations of whose records the log is full, so that it refuses new ones or has done so in
    /// the last ten seconds.
    pub full_of: Vec<String>,
    /// Syncs done since the start, and the time they took.
    pub syncs: u64,
    /// Sum of the time spent in `fdatasync`.
    pub sync_time: Duration,
    /// The destinations.
    pub cursors: Vec<CursorStats>,
}

/// How far one destination has come.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct CursorStats {
    /// Its name.
    pub destination: String,
    /// The next record that it has not accepted yet.
    pub position: Position,
    /// Records, items and bytes between its cursor and the end of the log.
    pub lag_records: u64,
    /// Items not delivered yet.
    pub lag_items: u64,
    /// Bytes not delivered yet.
    pub lag_bytes: u64,
    /// Age of the oldest record not delivered yet.
    pub lag_time: Duration,
    /// Items that it had to get since the log was opened: those that waited then, and those that
    /// came since. It has passed them, they wait, or they were dropped.
    pub due_items: u64,
    /// Items that it will not get any more, because the log was full or a record was damaged,
    /// since the log was opened. Records that it was just handling may be among them.
    pub dropped_items: u64,
    /// Payload bytes of those.
    pub dropped_bytes: u64,
}

impl Shared {
    /// See [`super::Log::stats`].
    pub(super) fn stats(&self) -> Stats {
        self.resolve();
        let (now, failing) = (now_nanos(), self.failing());
        let state = self.state.lock();
        Stats {
            size: state.size(),
            max_size: self.max_size,
            segments: state.closed.len() as u64 + 1,
            oldest: Position(state.oldest()),
            next: Position(state.next),
            corrupt_records: state.corrupt_records,
            corrupt_unkept: state.corrupt_unkept,
            missing_records: state.missing_records,
            failing,
            full_of: self.full_of(&state),
            syncs: state.syncs,
            sync_time: state.sync_time,
            cursors: state.cursors.iter().map(|cursor| state.lag(cursor, now)).collect(),
        }
    }
}

impl State {
    /// How far a cursor is behind at `now`, nanoseconds since the Unix epoch.
    pub(super) fn lag(&self, cursor: &Cursor, now: u64) -> CursorStats {
        let position = cursor.position;
        let mut stats = CursorStats {
            destination: cursor.name.clone(),
            position: Position(position),
            due_items: cursor.due(self.appended_items),
            dropped_items: cursor.dropped_items,
            dropped_bytes: cursor.dropped_bytes,
            ..CursorStats::default()
        };
        let mut oldest = None;
        let mut add = |(records, items, bytes): (u64, u64, u64), received: Option<u64>| {
            stats.lag_records += records;
            stats.lag_items += items;
            stats.lag_bytes += bytes;
            oldest = oldest.or(received.filter(|_| records > 0));
        };
        for closed in self.closed.iter().filter(|closed| closed.totals.end > position) {
            let totals = &closed.totals;
            // Inside it: counted exactly with its entries, and wholly if they cannot be read.
            let inside = cursor.entries.as_ref().filter(|(of, _)| *of == closed.first && position > closed.first);
            match inside {
                Some((_, entries)) => add(sum(entries, position), received_at(entries, position)),
                None => add((totals.records, totals.items, totals.bytes), Some(totals.received)),
            }
        }
        let entries = &self.active.entries;
        add(sum(entries, position), received_at(entries, position));
        stats.lag_time = oldest.map_or(Duration::ZERO, |received| Duration::from_nanos(now.saturating_sub(received)));
        stats
    }
}

fn received_at(entries: &[super::record::Entry], position: u64) -> Option<u64> {
    entries.get(entries.partition_point(|entry| entry.position < position)).map(|entry| entry.received)
}
