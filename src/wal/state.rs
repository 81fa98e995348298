//! What a log knows in memory: its segments, its cursors, its readers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::cursor::{Cursor, CursorId, Cursors, Saved};
use super::cursor_flusher::Wake;
use super::disk::FileId;
use super::queue::Queue;
use super::record::Entry;
use super::segment::{self, Entries, Totals};
use super::tail::Tail;
use super::{Record, WhenFull};
use crate::signal::{Batch, Signal};

/// Shared by the handles, the readers and the two threads of a log.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    /// Which folder that was when the log was opened.
    pub(super) dir_id: FileId,
    pub(super) signal: Signal,
    pub(super) id: Uuid,
    /// In every record header; see [`super::record`].
    pub(super) salt: u64,
    pub(super) segment_size: u64,
    pub(super) max_size: u64,
    pub(super) when_full: WhenFull,
    pub(super) state: Mutex<State>,
    /// The next position, for readers to wait on.
    pub(super) grown: watch::Sender<u64>,
    pub(super) queue: Queue,
    pub(super) flusher: Wake,
    /// Held while the cursor file is written, so that an older state never replaces a newer one,
    /// and while segments are deleted, so that who waits for that finds them gone.
    pub(super) flushing: Mutex<()>,
    #[cfg(test)]
    pub(super) faults: super::writer::Faults,
}

/// A segment that is not written any more.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) first: u64,
    pub(super) totals: Totals,
    /// Its entries, while a reader or a cursor holds them.
    pub(super) entries: Weak<[Entry]>,
}

/// The segment being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) first: u64,
    pub(super) file: Arc<File>,
    /// Which file that is, for as long as it has its name.
    pub(super) id: FileId,
    /// Bytes that are written and synced.
    pub(super) length: u64,
    pub(super) entries: Vec<Entry>,
}

impl Active {
    pub(super) fn new(first: u64, file: File, length: u64, entries: Vec<Entry>) -> std::io::Result<Self> {
        let id = FileId::of(&file)?;
        Ok(Active { first, file: Arc::new(file), id, length, entries })
    }
}

/// See [`Shared`].
#[derive(Debug)]
pub(super) struct State {
    pub(super) closed: VecDeque<Closed>,
    pub(super) active: Active,
    /// The next position: everything before it is synced.
    pub(super) next: u64,
    pub(super) cursors: Cursors,
    /// Next position of each reader that has begun to read, by a number of its own.
    pub(super) readers: BTreeMap<u64, u64>,
    pub(super) tail: Tail,
    /// Records found damaged since the start, so that each is counted once.
    pub(super) damaged: BTreeSet<u64>,
    pub(super) corrupt_records: u64,
    /// Damaged stretches that are not in the quarantine.
    pub(super) corrupt_unkept: u64,
    /// Records that have left no trace, found since the start.
    pub(super) missing_records: u64,
    /// Gaps between the records that are known; see [`super::gaps`].
    pub(super) told: Vec<Range<u64>>,
    /// The lowest cursor in the file: what is deleted must lie before it.
    pub(super) persisted: u64,
    /// How often records could not be read, by position.
    pub(super) unreadable: BTreeMap<u64, u32>,
    /// Why nothing can be appended; nothing while the log works.
    pub(super) failing: Option<String>,
    /// The last time that something was refused because the log was full.
    pub(super) overfull: Option<Overfull>,
    /// Items appended since the log was opened.
    pub(super) appended_items: u64,
    pub(super) syncs: u64,
    pub(super) sync_time: Duration,
}

/// A log that is full of what may not be dropped.
#[derive(Debug)]
pub(super) struct Overfull {
    /// When something was refused last.
    pub(super) at: Instant,
    /// The destinations that have not had the oldest records.
    pub(super) behind: Vec<String>,
}

/// Where a reader finds its next records.
#[derive(Debug)]
pub(super) enum Plan {
    /// Nowhere yet.
    Wait,
    /// In memory.
    Ready(Vec<Record>),
    /// In the segment being written: these.
    Active { file: Arc<File>, entries: Vec<Entry> },
    /// In a closed segment.
    Closed {
        first: u64,
        /// The next segment's first position.
        limit: u64,
        entries: Option<Entries>,
    },
}

impl State {
    /// Bytes of all segments.
    pub(super) fn size(&self) -> u64 {
        self.closed.iter().map(|closed| closed.totals.length).sum::<u64>() + self.active.length
    }

    /// The oldest position that could still be there.
    pub(super) fn oldest(&self) -> u64 {
        self.closed.front().map_or(self.active.first, |closed| closed.first)
    }

    /// The lowest cursor; without destinations, the end: nobody waits for anything.
    pub(super) fn passed(&self) -> u64 {
        self.cursors.iter().map(|cursor| cursor.position).min().unwrap_or(self.next)
    }

    /// One past the last record of the oldest segment.
    pub(super) fn end_of_oldest(&self) -> u64 {
        let of_active = || self.active.entries.last().map_or(self.active.first, |last| last.position + 1);
        self.closed.front().map_or_else(of_active, |front| front.totals.end)
    }

    /// The destinations that have not had what lies before `end`, and for which it may not be dropped.
    pub(super) fn kept_for(&self, end: u64, when_full: WhenFull) -> Vec<String> {
        let keeps = |cursor: &&Cursor| cursor.position < end && (cursor.lossless || when_full == WhenFull::Reject);
        self.cursors.iter().filter(keeps).map(|cursor| cursor.name.clone()).collect()
    }

    /// First position of the segment behind the closed segment `index`.
    pub(super) fn limit(&self, index: usize) -> u64 {
        self.closed.get(index + 1).map_or(self.active.first, |closed| closed.first)
    }

    /// The closed segment that `position` is in, or before.
    pub(super) fn closed_at(&self, position: u64) -> Option<usize> {
        let index = self.closed.partition_point(|closed| closed.totals.end <= position);
        (index < self.closed.len()).then_some(index)
    }

    /// Finds what reader `id` reads next, moving `position` over records that are gone.
    pub(super) fn plan(&mut self, id: u64, position: &mut u64, max_bytes: usize) -> Plan {
        *position = (*position).max(self.oldest());
        if let Some(index) = self.closed_at(*position) {
            let limit = self.limit(index);
            let closed = &self.closed[index];
            *position = (*position).max(closed.first);
            self.readers.insert(id, *position);
            return Plan::Closed { first: closed.first, limit, entries: closed.entries.upgrade() };
        }
        let chosen = choose(&self.active.entries, *position, max_bytes);
        match chosen.first() {
            Some(first) => *position = first.position,
            None => *position = (*position).max(self.next),
        }
        self.readers.insert(id, *position);
        if chosen.is_empty() {
            return Plan::Wait;
        }
        let ready = self.tail.read(*position, max_bytes);
        if !ready.is_empty() {
            return Plan::Ready(ready);
        }
        Plan::Active { file: self.active.file.clone(), entries: chosen.to_vec() }
    }

    /// A reader has read up to `position`.
    pub(super) fn advance(&mut self, id: u64, position: u64) {
        self.readers.insert(id, position);
        self.tail.trim(self.readers.values().copied());
    }

    /// Moves a cursor forward. False if it did not move.
    pub(super) fn commit(&mut self, id: CursorId, position: u64) -> bool {
        let position = position.min(self.next);
        let Some(cursor) = self.cursors.get_mut(id).filter(|cursor| cursor.position < position) else {
            return false;
        };
        cursor.position = position;
        let passed = |entries: &Entries| entries.last().is_none_or(|last| last.position < position);
        if cursor.entries.as_ref().is_some_and(|(_, entries)| passed(entries)) {
            cursor.entries = None;
        }
        true
    }

    /// Takes out the oldest segment, which the caller then deletes. `entries` are its entries,
    /// needed where a cursor is inside.
    pub(super) fn drop_oldest(&mut self, entries: &[Entry]) -> Option<Closed> {
        let closed = self.closed.pop_front()?;
        let next = self.oldest();
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.position < next) {
            let (items, bytes) = if cursor.position <= closed.first {
                (closed.totals.items, closed.totals.bytes)
            } else {
                let (_, items, bytes) = sum(entries, cursor.position);
                (items, bytes)
            };
            cursor.dropped_items += items;
            cursor.dropped_bytes += bytes;
            cursor.position = next;
            cursor.entries = None;
        }
        Some(closed)
    }

    /// What the cursor file holds.
    pub(super) fn saved(&mut self, id: Uuid) -> Saved {
        let (passed, oldest) = (self.passed(), self.oldest());
        self.told.retain(|gap| gap.start < gap.end && gap.end > passed.min(oldest));
        let cursors = self.cursors.iter().map(|cursor| (cursor.name.clone(), cursor.position)).collect();
        Saved { version: 1, next: self.next, cursors, id: Some(id), told: self.told.clone() }
    }
}

impl Shared {
    /// The entries of the closed segment `first`, from memory or disk. Blocks.
    pub(super) fn entries(&self, first: u64, limit: u64) -> Result<Entries, super::scan::ScanError> {
        let known = {
            let state = self.state.lock();
            let index = state.closed.partition_point(|closed| closed.first < first);
            state.closed.get(index).filter(|closed| closed.first == first).and_then(|closed| closed.entries.upgrade())
        };
        if let Some(entries) = known {
            return Ok(entries);
        }
        let mut entries = segment::read_entries(&self.dir, first, self.salt, limit)?;
        let mut state = self.state.lock();
        if entries.iter().any(|entry| state.damaged.contains(&entry.position)) {
            entries = entries.iter().filter(|entry| !state.damaged.contains(&entry.position)).copied().collect();
        }
        let index = state.closed.partition_point(|closed| closed.first < first);
        if let Some(closed) = state.closed.get_mut(index).filter(|closed| closed.first == first) {
            match closed.entries.upgrade() {
                Some(others) => entries = others,
                None => closed.entries = Arc::downgrade(&entries),
            }
        }
        Ok(entries)
    }

    /// Gives every cursor that stands inside a closed segment that segment's entries.
    pub(super) fn resolve(&self) {
        let wanted: Vec<(CursorId, u64, u64)> = {
            let state = self.state.lock();
            let inside = |(id, cursor): (CursorId, &Cursor)| {
                let index = state.closed_at(cursor.position)?;
                let first = state.closed[index].first;
                let known = cursor.entries.as_ref().is_some_and(|(of, _)| *of == first);
                (!known && cursor.position > first).then(|| (id, first, state.limit(index)))
            };
            state.cursors.by_id().filter_map(inside).collect()
        };
        for (id, first, limit) in wanted {
            let Ok(entries) = self.entries(first, limit) else { continue };
            let mut state = self.state.lock();
            if let Some(cursor) = state.cursors.get_mut(id)
                && cursor.position > first
                && cursor.position < limit
            {
                cursor.entries = Some((first, entries));
            }
        }
    }
}

/// The records from `position` on that lie together, up to about `max_bytes` of memory, at
/// least one if there is one.
pub(super) fn choose(entries: &[Entry], position: u64, max_bytes: usize) -> &[Entry] {
    let rest = &entries[entries.partition_point(|entry| entry.position < position)..];
    let (mut bytes, mut end) = (0, None);
    let taken = rest.iter().take_while(|entry| {
        bytes += entry.payload as usize + Batch::OVERHEAD;
        let fits = end.is_none_or(|end| end == u64::from(entry.offset) && bytes <= max_bytes);
        end = Some(entry.end());
        fits
    });
    &rest[..taken.count()]
}

/// Records, items and payload bytes from `position` on.
pub(super) fn sum(entries: &[Entry], position: u64) -> (u64, u64, u64) {
    let rest = &entries[entries.partition_point(|entry| entry.position < position)..];
    let items = rest.iter().map(|entry| u64::from(entry.items)).sum();
    let bytes = rest.iter().map(|entry| u64::from(entry.payload)).sum();
    (rest.len() as u64, items, bytes)
}
