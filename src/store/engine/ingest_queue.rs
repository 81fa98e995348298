//! Records of one signal wait here, in the order of the log, for the signal's decoding thread.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::store::protocol::LogState;
use crate::wal::{Position, Record};

/// Rows that make a batch worth files of its own: 20,000 at once cost two thirds of what ten times 2,000
/// do.
const FULL_BATCH_ITEMS: u64 = 20_000;

/// Decoded bytes that make a batch full whatever the number of items.
const FULL_BATCH_BYTES: u64 = 4 << 20;

/// How often a batch that is not full is taken, at most. A record that comes after a quiet time
/// goes at once.
const PACE: Duration = Duration::from_millis(600);

/// Payload bytes that may wait here; more keeps the sender waiting. The sender's own window is
/// smaller, so that only one that ignores it gets here.
const MAX_WAITING: usize = 64 << 20;

/// The waiting records of one signal.
#[derive(Debug, Default)]
pub struct IngestQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    log: Option<Uuid>,
    wanted: Position,
    queue: VecDeque<(Uuid, Record)>,
    items: u64,
    decoded: u64,
    bytes: usize,
    closed: bool,
}

impl IngestQueue {
    /// A connection brings this log. Answers which record is wanted next, given that everything
    /// before `visible` of it is in files.
    pub fn attach(&self, log: LogState, visible: Position) -> Position {
        let mut state = self.state.lock();
        if state.log != Some(log.id) {
            state.log = Some(log.id);
            state.wanted = visible;
        }
        // A log that ends before what it once had (restored from a copy) gives out these
        // positions again, for other records.
        state.wanted = state.wanted.min(log.next);
        state.wanted
    }

    /// Queues a record, or drops it if it is not wanted any more. Waits while too much is queued.
    pub fn push(&self, log: Uuid, record: Record) {
        let mut state = self.state.lock();
        while state.bytes > MAX_WAITING && !state.closed {
            self.changed.wait(&mut state);
        }
        if state.closed || state.log != Some(log) || record.position < state.wanted {
            return;
        }
        state.wanted = Position(record.position.0 + 1);
        state.put(log, record);
        self.changed.notify_all();
    }

    /// Queues a dead letter that is sent again, as the only record of a log of its own. Waits while
    /// too much is queued.
    pub fn push_resend(&self, letter: Uuid, record: Record) {
        let mut state = self.state.lock();
        while state.bytes > MAX_WAITING && !state.closed {
            self.changed.wait(&mut state);
        }
        if !state.closed {
            state.put(letter, record);
            self.changed.notify_all();
        }
    }

    /// Ends the thread, whatever waits.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Payload bytes that wait here.
    pub fn waiting(&self) -> usize {
        self.state.lock().bytes
    }

    /// The next records of one log, in order, for the thread, which took its last ones at `last`. `None`
    /// at the end.
    pub fn take(&self, last: Option<Instant>) -> Option<(Uuid, Vec<Record>)> {
        let due = last.map(|last| last + PACE);
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let full = state.items >= FULL_BATCH_ITEMS || state.decoded >= FULL_BATCH_BYTES;
            let wait = due.and_then(|due| due.checked_duration_since(Instant::now()));
            match wait {
                _ if state.queue.is_empty() => self.changed.wait(&mut state),
                Some(wait) if !full => {
                    self.changed.wait_for(&mut state, wait);
                }
                _ => break,
            }
        }
        let taken = state.take_batch();
        self.changed.notify_all();
        Some(taken)
    }
}

impl State {
    fn put(&mut self, log: Uuid, record: Record) {
        self.items += u64::from(record.batch.items);
        self.decoded += record.batch.decoded_size;
        self.bytes += record.batch.payload.len();
        self.queue.push_back((log, record));
    }

    fn take_batch(&mut self) -> (Uuid, Vec<Record>) {
        let mut records = Vec::new();
        let (mut items, mut decoded, mut from) = (0, 0, None);
        while let Some((log, record)) = self.queue.pop_front() {
            let log = *from.get_or_insert(log);
            self.items -= u64::from(record.batch.items);
            self.decoded -= record.batch.decoded_size;
            self.bytes -= record.batch.payload.len();
            items += u64::from(record.batch.items);
            decoded += record.batch.decoded_size;
            records.push(record);
            let goes_on = self.queue.front().is_some_and(|(next_log, next)| {
                *next_log == log
                    && items + u64::from(next.batch.items) <= FULL_BATCH_ITEMS
                    && decoded + next.batch.decoded_size <= FULL_BATCH_BYTES
            });
            if !goes_on {
                break;
            }
        }
        (from.unwrap_or_default(), records)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::signal::{Batch, Compression, Format, Meta, Signal};

    fn record(position: u64, items: u32) -> Record {
        let batch = Batch {
            signal: Signal::Logs,
            format: Format::Otlp,
            compression: Compression::Identity,
            items,
            decoded_size: 10,
            received: 0,
            meta: Meta::default(),
            payload: Bytes::from_static(b"x"),
        };
        Record { position: Position(position), batch }
    }

    fn log(id: u128, next: u64) -> LogState {
        LogState { id: Uuid::from_u128(id), oldest: Position(0), next: Position(next) }
    }

    fn positions(taken: Option<(Uuid, Vec<Record>)>) -> (u128, Vec<u64>) {
        let (log, records) = taken.unwrap();
        (log.as_u128(), records.iter().map(|r| r.position.0).collect())
    }

    #[test]
    fn duplicates_go_and_gaps_stay() {
        let queue = IngestQueue::default();
        assert_eq!(queue.attach(log(1, 9), Position(3)), Position(3));
        for n in [2, 3, 3, 5, 4, 6] {
            queue.push(Uuid::from_u128(1), record(n, 1));
        }
        queue.push(Uuid::from_u128(2), record(7, 1));
        assert_eq!(positions(queue.take(None)), (1, vec![3, 5, 6]));
        assert_eq!(queue.waiting(), 0);
        assert_eq!(queue.attach(log(1, 9), Position(3)), Position(7), "what is in memory is not wanted again");
    }

    #[test]
    fn another_log_begins_at_its_own_position() {
        let queue = IngestQueue::default();
        queue.attach(log(1, 9), Position(0));
        queue.push(Uuid::from_u128(1), record(8, 1));
        assert_eq!(queue.attach(log(2, 4), Position(0)), Position(0));
        queue.push(Uuid::from_u128(2), record(0, 1));
        assert_eq!(positions(queue.take(None)), (1, vec![8]));
        assert_eq!(positions(queue.take(None)), (2, vec![0]));
    }

    #[test]
    fn a_log_that_lost_its_end_is_taken_from_there() {
        let queue = IngestQueue::default();
        assert_eq!(queue.attach(log(1, 4), Position(9)), Position(4));
        queue.push(Uuid::from_u128(1), record(4, 1));
        assert_eq!(positions(queue.take(None)), (1, vec![4]));
    }

    #[test]
    fn batches_are_bounded_and_paced() {
        let queue = IngestQueue::default();
        queue.attach(log(1, 9), Position(0));
        for n in 0..5 {
            queue.push(Uuid::from_u128(1), record(n, 9000));
        }
        assert_eq!(positions(queue.take(Some(Instant::now()))).1, [0, 1], "full, hence at once");
        assert_eq!(positions(queue.take(None)).1, [2, 3]);
        let before = Instant::now();
        assert_eq!(positions(queue.take(Some(before))).1, [4]);
        assert!(before.elapsed() >= PACE, "not full, hence paced");
        queue.close();
        assert!(queue.take(None).is_none());
    }
}
