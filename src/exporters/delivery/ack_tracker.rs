//! What was read from the log and is not done yet: how far the cursor may go, and the ledger, in
//! which every item is counted once, however often it was sent and in how many units.

use std::collections::VecDeque;

use crate::wal::Position;

/// Records, items and payload bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// Records that end in this column, wholly or by a part.
    pub records: u64,
    /// Spans, data points, log records or profiles.
    pub items: u64,
    /// Bytes of the payload as it came; of a record in several columns, by its items.
    pub bytes: u64,
}

/// What became of what is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Accepted.
    pub forwarded: Amount,
    /// Rejected by the destination's word, in a partial success.
    pub rejected: Amount,
    /// Of a format that the destination cannot take.
    pub skipped: Amount,
    /// Set aside.
    pub set_aside: Amount,
}

/// What can become of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Accepted, but for so many.
    Accepted {
        /// Rejected by the destination's word.
        rejected: u64,
    },
    /// Not for this destination.
    Skipped,
    /// Set aside.
    SetAside,
}

#[derive(Debug)]
struct Entry {
    position: Position,
    items: u64,
    bytes: u64,
    /// Parts that are not done.
    open: u32,
    rejected: u64,
    skipped: u64,
    set_aside: u64,
    /// A part without items was set aside.
    aside: bool,
}

/// The records of one destination and signal that are not done, in order.
#[derive(Debug, Default)]
pub struct AckTracker {
    entries: VecDeque<Entry>,
}

impl AckTracker {
    /// A record was read.
    pub fn read(&mut self, position: Position, items: u64, bytes: u64) {
        let entry = Entry { position, items, bytes, open: 1, rejected: 0, skipped: 0, set_aside: 0, aside: false };
        self.entries.push_back(entry);
    }

    /// A part of a record became two.
    pub fn divided(&mut self, position: Position) {
        if let Some(entry) = self.entry(position) {
            entry.open += 1;
        }
    }

    /// A part of a record is done. Answers how many of the rejected items it could take up.
    pub fn done(&mut self, position: Position, items: u64, fate: Fate) -> u64 {
        let Some(entry) = self.entry(position) else { return 0 };
        entry.open = entry.open.saturating_sub(1);
        match fate {
            Fate::Accepted { rejected } => {
                let rejected = rejected.min(items);
                entry.rejected += rejected;
                return rejected;
            }
            Fate::Skipped => entry.skipped += items,
            Fate::SetAside => {
                entry.set_aside += items;
                entry.aside = true;
            }
        }
        0
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes out what is done up to the first record that is not: what became of it, and the
    /// position behind it. What lies before `cursor` the log has dropped for this destination,
    /// and counted as that.
    pub fn settle(&mut self, cursor: Position) -> Option<(Position, Done)> {
        let mut done = Done::default();
        let mut next = None;
        while let Some(entry) = self.entries.front().filter(|entry| entry.open == 0) {
            next = Some(Position(entry.position.0 + 1));
            if entry.position >= cursor {
                entry.add_to(&mut done);
            }
            self.entries.pop_front();
        }
        next.map(|next| (next, done))
    }

    fn entry(&mut self, position: Position) -> Option<&mut Entry> {
        let n = self.entries.binary_search_by_key(&position, |entry| entry.position).ok()?;
        self.entries.get_mut(n)
    }
}

impl Entry {
    fn add_to(&self, done: &mut Done) {
        let aside = self.set_aside.min(self.items);
        let rejected = self.rejected.min(self.items - aside);
        let skipped = self.skipped.min(self.items - aside - rejected);
        let forwarded = self.items - aside - rejected - skipped;
        let share = |items: u64| {
            // u128: both factors may be large.
            u64::try_from(u128::from(self.bytes) * u128::from(items) / u128::from(self.items.max(1))).unwrap_or(0)
        };
        let mut left = self.bytes;
        let mut add = |column: &mut Amount, items: u64, there: bool| {
            if items > 0 || there {
                let bytes = if there { self.bytes } else { share(items) }.min(left);
                left -= bytes;
                *column =
                    Amount { records: column.records + 1, items: column.items + items, bytes: column.bytes + bytes };
            }
        };
        // A record without items (metadata) is in the column where its bytes went.
        let empty = self.items == 0;
        add(&mut done.set_aside, aside, empty && self.aside);
        add(&mut done.rejected, rejected, false);
        add(&mut done.skipped, skipped, false);
        let rest = left;
        if forwarded > 0 || empty && !self.aside {
            done.forwarded.records += 1;
            done.forwarded.items += forwarded;
            done.forwarded.bytes += rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_waits_for_the_oldest() {
        let mut ack_tracker = AckTracker::default();
        for n in 0..3 {
            ack_tracker.read(Position(n), 10, 100);
        }
        ack_tracker.done(Position(1), 10, Fate::Accepted { rejected: 0 });
        assert_eq!(ack_tracker.settle(Position(0)), None);
        ack_tracker.divided(Position(0));
        ack_tracker.done(Position(0), 9, Fate::Accepted { rejected: 2 });
        assert_eq!(ack_tracker.settle(Position(0)), None);
        ack_tracker.done(Position(0), 1, Fate::SetAside);
        let (next, done) = ack_tracker.settle(Position(0)).expect("two are done");
        assert_eq!(next, Position(2));
        assert_eq!(done.forwarded, Amount { records: 2, items: 17, bytes: 170 });
        assert_eq!(done.rejected, Amount { records: 1, items: 2, bytes: 20 });
        assert_eq!(done.set_aside, Amount { records: 1, items: 1, bytes: 10 });
        ack_tracker.done(Position(2), 10, Fate::Skipped);
        let (_, done) = ack_tracker.settle(Position(0)).expect("it is done");
        assert_eq!(done.skipped, Amount { records: 1, items: 10, bytes: 100 });
        assert!(ack_tracker.is_empty());
    }

    #[test]
    fn what_the_log_has_dropped_is_not_counted_twice() {
        let mut ack_tracker = AckTracker::default();
        ack_tracker.read(Position(0), 10, 100);
        ack_tracker.read(Position(5), 0, 100);
        ack_tracker.done(Position(0), 10, Fate::Accepted { rejected: 0 });
        ack_tracker.done(Position(5), 0, Fate::Accepted { rejected: 0 });
        let (next, done) = ack_tracker.settle(Position(5)).expect("both are done");
        assert_eq!(next, Position(6));
        assert_eq!(done.forwarded, Amount { records: 1, items: 0, bytes: 100 });
    }
}
