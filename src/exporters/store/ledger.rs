//! What was read from one log and is not sealed yet: so that each record is counted once, as
//! forwarded or set aside, however often it is sent.

use std::collections::{BTreeMap, VecDeque};

use crate::signal::Signal;
use crate::store::protocol::Progress;
use crate::telemetry::Telemetry;
use crate::wal::{Position, Reader, Record, Stats};

/// What is not sealed may be one part in so many of a log before the engine is asked to seal it.
const UNSEALED_SHARE: u64 = 4;

/// The accounts of one signal.
#[derive(Debug)]
pub struct Ledger {
    destination: String,
    signal: Signal,
    telemetry: Telemetry,
    committer: Reader,
    /// Records that were read and are not sealed, in order.
    pending: VecDeque<Pending>,
    /// Everything before this was read at some time.
    read: Position,
    /// Everything before this is sealed.
    sealed: Position,
    /// Records whose dead letters are not kept yet, with the items that are set aside, or all: nothing
    /// is done from the first of them on.
    held: BTreeMap<Position, u64>,
}

/// Whether a dead letter has to be made of what the engine can never store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAside {
    /// Now; [`Ledger::kept`] tells when it is.
    Now,
    /// It is being made.
    Before,
    /// There is one, or the log has dropped the record.
    Done,
}

#[derive(Debug)]
struct Pending {
    position: Position,
    items: u64,
    bytes: u64,
    /// Items that are set aside.
    aside: u64,
}

impl Ledger {
    /// `committer` moves the cursor of `destination`.
    pub fn new(destination: String, signal: Signal, mut committer: Reader, telemetry: Telemetry) -> Self {
        let read = committer.cursor();
        // It never reads, so the log need keep nothing in memory for it.
        committer.seek(Position(u64::MAX));
        Ledger {
            destination,
            signal,
            telemetry,
            committer,
            pending: VecDeque::new(),
            read,
            sealed: Position(0),
            held: BTreeMap::new(),
        }
    }

    /// A connection begins. Answers where to read from: what the engine wants, and before it what
    /// was never counted (sealed, but the collector ended before it heard so).
    pub fn begin(&mut self, progress: Progress) -> Position {
        self.sealed(progress.sealed);
        self.read.min(progress.wanted)
    }

    /// A record was read. Answers whether it was before.
    pub fn read(&mut self, record: &Record) -> bool {
        if record.position < self.read {
            return true;
        }
        self.read = Position(record.position.0 + 1);
        let (items, bytes) = (u64::from(record.batch.items), record.batch.payload.len() as u64);
        self.pending.push_back(Pending {
            position: record.position,
            items,
            bytes,
            aside: self.held.get(&record.position).map_or(0, |aside| items.min(*aside)),
        });
        self.settle();
        false
    }

    /// Whether the log needs the room of what was read and is not sealed: that is much of it, or the log is
    /// full and nothing else is to come.
    pub fn needs_sealing(&self, log: &Stats) -> bool {
        let first = self.pending.partition_point(|pending| pending.position < self.sealed);
        let bytes: u64 = self.pending.range(first..).map(|pending| pending.bytes).sum();
        let is_full = log.full_of.contains(&self.destination) && self.sealed < self.read && self.read == log.next;
        bytes > log.max_size / UNSEALED_SHARE || is_full
    }

    /// A record goes out once more.
    pub fn count_retried(&self, record: &Record) {
        let (items, bytes) = (u64::from(record.batch.items), record.batch.payload.len() as u64);
        self.telemetry.retried(&self.destination, self.signal, items, bytes);
    }

    /// The engine will never store this record, or so many items of it.
    pub fn set_aside(&mut self, position: Position, items: Option<u64>) -> SetAside {
        if position < self.committer.cursor() {
            return SetAside::Done;
        }
        let aside = items.unwrap_or(u64::MAX);
        if self.held.insert(position, aside).is_some() {
            return SetAside::Before;
        }
        if let Ok(n) = self.pending.binary_search_by_key(&position, |p| p.position)
            && let Some(pending) = self.pending.get_mut(n)
        {
            pending.aside = pending.items.min(aside);
        }
        SetAside::Now
    }

    /// The dead letter is kept.
    pub fn kept(&mut self, position: Position) {
        self.held.remove(&position);
        self.settle();
    }

    /// Everything before `position` is sealed.
    pub fn sealed(&mut self, position: Position) {
        self.sealed = position;
        self.settle();
    }

    fn settle(&mut self) {
        // What the log has dropped for this destination it has counted itself.
        let cursor = self.committer.cursor();
        let sealed = self.held.first_key_value().map_or(self.sealed, |(held, _)| self.sealed.min(*held));
        while self.pending.front().is_some_and(|p| p.position < sealed) {
            let Some(done) = self.pending.pop_front() else { break };
            if done.position < cursor {
                continue;
            }
            // By their share: what single items take is not known.
            let bytes =
                |items: u64| (u128::from(done.bytes) * u128::from(items) / u128::from(done.items.max(1))) as u64;
            let aside = bytes(done.aside);
            if done.aside > 0 {
                self.telemetry.set_aside(&self.destination, self.signal, done.aside, aside);
            }
            if done.aside < done.items || done.items == 0 {
                self.telemetry.forwarded(&self.destination, self.signal, done.items - done.aside, done.bytes - aside);
            }
        }
        let done = sealed.min(self.read);
        if done > cursor {
            self.committer.commit(done);
        }
    }
}
