//! What was read from one log and is not sealed yet: so that each record is counted once, as
//! forwarded or set aside, however often it is sent.

use std::collections::{BTreeSet, VecDeque};

use crate::signal::Signal;
use crate::store::protocol::Progress;
use crate::telemetry::Telemetry;
use crate::wal::{Position, Reader, Record};

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
    /// Records whose dead letters are not kept yet: nothing is done from the first of them on.
    held: BTreeSet<Position>,
}

#[derive(Debug)]
struct Pending {
    position: Position,
    items: u64,
    bytes: u64,
    aside: bool,
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
            held: BTreeSet::new(),
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
            aside: self.held.contains(&record.position),
        });
        self.settle();
        false
    }

    /// A record goes out once more.
    pub fn count_retried(&self, record: &Record) {
        let (items, bytes) = (u64::from(record.batch.items), record.batch.payload.len() as u64);
        self.telemetry.retried(&self.destination, self.signal, items, bytes);
    }

    /// The engine will never store this record. Whether a dead letter has to be made of it, which
    /// [`Self::kept`] tells; not if that was done before.
    pub fn set_aside(&mut self, position: Position) -> bool {
        if position < self.committer.cursor() || !self.held.insert(position) {
            return false;
        }
        if let Ok(n) = self.pending.binary_search_by_key(&position, |p| p.position)
            && let Some(pending) = self.pending.get_mut(n)
        {
            pending.aside = true;
        }
        true
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
        let sealed = self.held.first().map_or(self.sealed, |held| self.sealed.min(*held));
        while self.pending.front().is_some_and(|p| p.position < sealed) {
            let Some(done) = self.pending.pop_front() else { break };
            if done.position < cursor {
                continue;
            }
            if done.aside {
                self.telemetry.set_aside(&self.destination, self.signal, done.items, done.bytes);
            } else {
                self.telemetry.forwarded(&self.destination, self.signal, done.items, done.bytes);
            }
        }
        let done = sealed.min(self.read);
        if done > cursor {
            self.committer.commit(done);
        }
    }
}
