//! The queue before the writer. It takes rows from the decoding threads, which wait while the
//! writer is busy.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use super::crash_records::Range;
use crate::signal::Signal;
use crate::store::ingest::{Chunk, Rejected};
use crate::wal::{Position, Record};

/// Batches of decoded rows that may wait for the writer: one, since the decoders hold another each,
/// and every one takes some 10 MiB.
const MAX_WAITING: usize = 1;

/// Decoded records of one log.
#[derive(Debug)]
pub struct Rows {
    /// Their log.
    pub log: Uuid,
    /// The log's signal.
    pub signal: Signal,
    /// Cursor after the last of them.
    pub upto: Position,
    /// The records themselves, in case a chunk is refused.
    pub records: Vec<Record>,
    /// Their rows.
    pub chunks: Vec<Chunk>,
    /// Those among them that cannot be decoded, and why.
    pub undecodable: Vec<(Position, String)>,
    /// Items of others among them that cannot be stored.
    pub rejected: Vec<(Position, Rejected)>,
}

impl Rows {
    /// Records of which every item was rejected.
    pub fn rejected_whole(&self) -> impl Iterator<Item = (Position, String)> {
        let is_whole = |(position, rejected): &&(Position, Rejected)| {
            let record = self.records.iter().find(|record| record.position == *position);
            record.is_some_and(|record| rejected.items.len() as u64 >= u64::from(record.batch.items))
        };
        self.rejected.iter().filter(is_whole).map(|(position, rejected)| (*position, rejected.reason.clone()))
    }

    /// Which records they are of.
    pub fn range(&self) -> Range {
        let from = self.records.first().map_or(self.upto, |r| r.position);
        Range { log: self.log, signal: self.signal, from, upto: self.upto }
    }
}

/// Answers a request to seal, with the reason if it failed.
pub type SealReply = std::sync::mpsc::Sender<Result<(), String>>;

/// One thing for the writer to do.
#[derive(Debug)]
pub enum Event {
    /// These are to be stored.
    Rows(Box<Rows>),
    /// Nothing came for as long as it was willing to wait.
    Nothing,
    /// End.
    Stop,
}

/// What waits for the writer.
#[derive(Debug, Default)]
pub struct WriterQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rows: VecDeque<Box<Rows>>,
    closed: bool,
}

impl WriterQueue {
    /// Hands over what a decoding thread has; waits while there is enough. Answers whether it was taken.
    pub fn push(&self, rows: Box<Rows>) -> bool {
        let mut state = self.state.lock();
        while state.rows.len() >= MAX_WAITING && !state.closed {
            self.changed.wait(&mut state);
        }
        if state.closed {
            return false;
        }
        state.rows.push_back(rows);
        self.changed.notify_all();
        true
    }

    /// Nobody waits any more, whatever is here.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.rows.clear();
        self.changed.notify_all();
    }

    /// The next event.
    pub fn next(&self, patience: Duration) -> Event {
        let mut state = self.state.lock();
        for waited in [false, true] {
            if state.closed {
                return Event::Stop;
            }
            if let Some(rows) = state.rows.pop_front() {
                self.changed.notify_all();
                return Event::Rows(rows);
            }
            if !waited {
                self.changed.wait_for(&mut state, patience);
            }
        }
        Event::Nothing
    }
}
