//! The figures of a log.

use std::time::Duration;

use super::cursor::Cursor;
use super::state::{Shared, State, sum};
use super::{CursorStats, Position, Stats};
use crate::signal::now_nanos;

impl Shared {
    /// See [`super::Log::stats`].
    pub(super) fn stats(&self) -> Stats {
        self.resolve();
        let now = now_nanos();
        let state = self.state.lock();
        Stats {
            size: state.size(),
            segments: state.closed.len() as u64 + 1,
            oldest: Position(state.oldest()),
            next: Position(state.next),
            corrupt_records: state.corrupt_records,
            syncs: state.syncs,
            sync_time: state.sync_time,
            cursors: state.cursors.iter().map(|cursor| state.lag(cursor, now)).collect(),
        }
    }
}

impl State {
    fn lag(&self, cursor: &Cursor, now: u64) -> CursorStats {
        let position = cursor.position;
        let mut stats = CursorStats {
            destination: cursor.name.clone(),
            position: Position(position),
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
