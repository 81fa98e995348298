//! The one thread that inserts. It decides when a generation is full and lets the next one take
//! over; the sealing itself is the flush thread's.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use duckdb::Connection;

use super::crash_records::Range;
use super::failpoint;
use super::flush::Job;
use super::generation::{self, Generation};
use super::instance::{hot_bytes, is_fatal, is_out_of_memory, was_fatal_before};
use super::shared::Shared;
use super::transaction::{self, TransactionError};
use super::writer_queue::{Command, DecoderOutput, Event, FlushReply, Rows};
use super::{EXIT_INSERT, EXIT_MEMORY};
use crate::signal::Signal;
use crate::store::ingest::{Chunk, Decoder, Limits};
use crate::store::schema::Table;
use crate::wal::Position;

mod account;

/// How long the writer sleeps at most when nothing comes.
const TICK: Duration = Duration::from_millis(500);

/// Pause before rows that found no memory are tried again.
const RETRY: Duration = Duration::from_millis(50);

/// DuckDB is asked for its memory metrics no more often than this.
const MEASURE: Duration = Duration::from_millis(50);

/// After this many rows it is asked at once.
const MANY: u32 = 2000;

/// The writer's own state.
pub struct Writer {
    shared: Arc<Shared>,
    db: Connection,
    flush: Sender<Job>,
    open: Generation,
    /// The generation that is about to take over, and the signals that have not gone over yet.
    next: Option<(Generation, Vec<Signal>)>,
    /// Rows and positions of the one being sealed.
    sealing: bool,
    /// Rows taken but not inserted yet, for lack of memory.
    stash: VecDeque<Box<Rows>>,
    /// Who waits for the next flush, and for the one that is going on.
    asking: Vec<FlushReply>,
    waiting: Vec<FlushReply>,
    hot_bytes: u64,
    measured: Instant,
    /// Since when no rows have found memory.
    starved: Cell<Option<Instant>>,
}

impl Writer {
    /// A writer whose open generation has its tables already.
    pub fn new(shared: Arc<Shared>, db: Connection, open: Generation, flush: Sender<Job>) -> Self {
        let (stash, asking, waiting) = (VecDeque::new(), Vec::new(), Vec::new());
        let measured = Instant::now();
        let next = None;
        let starved = Cell::new(None);
        Writer {
            starved,
            shared,
            db,
            flush,
            open,
            next,
            sealing: false,
            stash,
            asking,
            waiting,
            hot_bytes: 0,
            measured,
        }
    }

    /// Works until it is told to stop.
    pub fn run(mut self) {
        loop {
            self.shared.heartbeat.beat();
            let room = self.has_room();
            let welcome = self.stash.is_empty() && room || self.next.is_some();
            let patience = if self.stash.is_empty() && room { TICK } else { RETRY };
            match self.shared.writer_queue.next(welcome, patience) {
                Event::Decoded(DecoderOutput::Rows(rows)) => self.stash.push_back(rows),
                Event::Decoded(DecoderOutput::Switched(signal, number)) => self.switched(signal, number),
                Event::Command(Command::Flush(reply)) => self.asking.push(reply),
                Event::Command(Command::Sealed(positions)) => {
                    self.shared.progress.sealed(&positions);
                    self.sealing = false;
                    self.answer(&Ok(()));
                    self.measure(true);
                }
                Event::Command(Command::SealFailed(why)) => self.answer(&Err(why)),
                Event::Command(Command::Stop) => break,
                Event::Nothing => {}
            }
            while self.has_room() {
                let Some(rows) = self.stash.pop_front() else { break };
                let many = rows.records.iter().map(|r| r.batch.items).sum::<u32>() >= MANY;
                if let Err(rows) = self.insert(rows) {
                    self.stash.push_front(rows);
                    break;
                }
                self.measure(many);
            }
            self.measure(false);
            self.begin_switch_if_due();
        }
        self.shared.writer_queue.close();
    }

    /// Whether rows may be inserted: always, but while a generation is being sealed only up to
    /// twice the budget.
    fn has_room(&self) -> bool {
        !self.sealing || self.hot_bytes < 2 * self.shared.config.hot_memory.as_u64()
    }

    fn measure(&mut self, now: bool) {
        if !now && self.measured.elapsed() < MEASURE {
            return;
        }
        match hot_bytes(&self.db) {
            Ok(bytes) => self.hot_bytes = bytes,
            Err(e) => self.shared.check(&e, "cannot measure the hot rows"),
        }
        self.measured = Instant::now();
        let (bytes, number, sealing) = (self.hot_bytes, self.open.number, self.sealing);
        self.shared.counters.update(|stats| {
            (stats.hot_bytes, stats.generation, stats.sealing) = (bytes, number, sealing);
        });
    }

    fn answer(&mut self, result: &Result<(), String>) {
        for reply in self.waiting.drain(..) {
            // Who asked may have gone away.
            let _ = reply.send(result.clone());
        }
    }

    fn begin_switch_if_due(&mut self) {
        if self.sealing || self.next.is_some() {
            return;
        }
        if self.open.is_untouched() {
            self.waiting.append(&mut self.asking);
            self.answer(&Ok(()));
            return;
        }
        let config = &self.shared.config;
        let full = self.hot_bytes >= config.hot_memory.as_u64();
        let slot = |nanos: u64| u128::from(nanos) / config.flush_interval.as_nanos().max(1);
        let over = slot(self.open.opened) != slot(crate::signal::now_nanos());
        // Rows that find no memory make a flush worth while, however small.
        let due = !self.asking.is_empty() || !self.stash.is_empty() || self.shared.resends.are_due();
        if full || over || due {
            self.begin_switch();
        }
    }

    fn begin_switch(&mut self) {
        failpoint::reach("before_switch");
        let next = Generation::new(self.open.number + 1);
        let generations = [self.open.number, next.number];
        let switched = self.shared.with_extent(&generations, &[], |extent| {
            generation::switch(&self.db, Some(next.number), extent, None, || {})
        });
        if let Err(e) = self.shared.unbroken(switched) {
            self.shared.check(&e, "cannot begin a new generation");
            super::pause(RETRY);
            return;
        }
        failpoint::reach("after_switch");
        tracing::debug!(generation = next.number, hot_bytes = self.hot_bytes, "new generation");
        for queue in &self.shared.ingest_queues {
            queue.set_generation(next.number);
        }
        self.waiting.append(&mut self.asking);
        self.shared.resends.sealing();
        self.next = Some((next, Signal::ALL.to_vec()));
    }

    /// A signal has gone over. When all have, the old generation is complete.
    fn switched(&mut self, signal: Signal, number: u64) {
        let Some((next, missing)) = &mut self.next else { return };
        if next.number == number {
            missing.retain(|s| *s != signal);
        }
        if !missing.is_empty() {
            return;
        }
        let Some((next, _)) = self.next.take() else { return };
        let old = std::mem::replace(&mut self.open, next);
        self.sealing = true;
        self.shared.counters.update(|stats| stats.sealing = true);
        let job = Job { old, open: self.open.number };
        if self.flush.send(job).is_err() {
            self.shared.fatal("the flush thread is gone");
        }
    }

    /// Inserts, all or nothing; gives the rows back if there is no memory for them now.
    fn insert(&mut self, rows: Box<Rows>) -> Result<(), Box<Rows>> {
        let started = Instant::now();
        failpoint::reach("before_insert");
        // Rows that were stashed over a switch go to the open generation.
        let target = match &self.next {
            Some((next, _)) if rows.generation >= next.number => next,
            _ => &self.open,
        };
        let range = rows.range();
        let letter = self.shared.resends.is_letter(rows.log);
        let suspect = self.shared.crash_records.has(range);
        let tried = (!suspect).then(|| self.insert_noted(range, target, &rows.chunks));
        let (inserted, mut refused) = match tried {
            None => self.insert_singly(target, &rows),
            Some(Ok(inserted)) => {
                self.starved.set(None);
                (inserted, Vec::new())
            }
            Some(Err(e)) if is_out_of_memory(&e) => {
                self.starve(range, &e);
                return Err(rows);
            }
            Some(Err(e)) => {
                self.shared.check(&e, "duckdb refused rows, trying each record alone");
                self.insert_singly(target, &rows)
            }
        };
        if suspect {
            self.shared.crash_records.clear(range);
        }
        refused.extend(rows.undecodable.iter().cloned());
        if letter {
            refused.extend(rows.rejected_whole());
        }
        let target = match &mut self.next {
            Some((next, _)) if rows.generation >= next.number => next,
            _ => &mut self.open,
        };
        // A letter that is refused was never here: it may be sent once more.
        let taken = !letter || refused.is_empty();
        if taken {
            target.positions.insert((rows.log, rows.signal), rows.upto);
        }
        for (sum, n) in target.rows.iter_mut().zip(inserted) {
            *sum += n;
        }
        self.account(&rows, &inserted, refused, letter, started.elapsed());
        failpoint::reach("after_insert");
        if letter && taken {
            self.shared.resends.inserted();
        }
        if taken {
            self.shared.progress.visible(rows.log, rows.signal, rows.upto);
        }
        Ok(())
    }

    /// There is no memory for these rows. Statements that take it end by their time limit, and a
    /// flush gives some back; when neither has helped, only a new process does. Then the note
    /// stays: the store front knows whether anybody else was there to take the memory.
    fn starve(&self, range: Range, error: &duckdb::Error) {
        let since = self.starved.get().unwrap_or_else(Instant::now);
        if self.starved.replace(Some(since)).is_none() {
            tracing::warn!(%error, "no memory for rows, trying again");
        }
        self.shared.counters.update(|stats| stats.insert_retries += 1);
        self.shared.heartbeat.beat();
        if since.elapsed() > self.shared.config.memory_patience {
            self.shared.crash_records.begin(range);
            self.shared.end(EXIT_MEMORY.into(), "no memory for rows for a long time");
        }
    }

    /// Inserts in a transaction, with a note of what is being inserted in case it ends the process.
    /// A transaction that breaks ends it too, but that is no fault of the records.
    fn insert_noted(
        &self,
        range: Range,
        into: &Generation,
        chunks: &[Chunk],
    ) -> Result<[u64; Table::ALL.len()], duckdb::Error> {
        self.shared.crash_records.begin(range);
        failpoint::reach_position(range.from.0, range.upto.0);
        let inserted = insert_all(&self.db, range, into, chunks);
        if let Err(TransactionError::Work(error) | TransactionError::Broken { error, .. }) = &inserted
            && is_fatal(error)
            && !was_fatal_before(error)
        {
            // The note stays: these rows have done it.
            tracing::error!(%error, "an insert spoilt duckdb's instance");
            self.shared.end(EXIT_INSERT.into(), "duckdb is beyond use");
        }
        self.shared.crash_records.end();
        self.shared.unbroken(inserted)
    }

    /// Each record in a transaction of its own, so that a bad one costs itself alone.
    fn insert_singly(&self, target: &Generation, rows: &Rows) -> ([u64; Table::ALL.len()], Vec<(Position, String)>) {
        let mut sum = [0; Table::ALL.len()];
        let mut refused = Vec::new();
        for record in &rows.records {
            self.shared.heartbeat.beat();
            if rows.undecodable.iter().any(|(p, _)| *p == record.position) {
                continue;
            }
            let one = Range { from: record.position, upto: Position(record.position.0 + 1), ..rows.range() };
            if self.shared.crash_records.is_poison(one) {
                refused.push((record.position, "inserting it has ended the engine again and again".to_owned()));
                continue;
            }
            let mut decoder = Decoder::new(Limits::default());
            if let Err(e) = decoder.push(record) {
                refused.push((record.position, e.to_string()));
                continue;
            }
            let chunks = decoder.take();
            loop {
                match self.insert_noted(one, target, &chunks) {
                    Ok(inserted) => {
                        self.starved.set(None);
                        sum.iter_mut().zip(inserted).for_each(|(sum, n)| *sum += n);
                    }
                    Err(e) if is_out_of_memory(&e) => {
                        self.starve(one, &e);
                        super::pause(RETRY);
                        continue;
                    }
                    Err(e) => {
                        self.shared.check(&e, "duckdb refused a record");
                        refused.push((record.position, e.to_string()));
                    }
                }
                break;
            }
        }
        (sum, refused)
    }
}

/// One transaction. Answers the rows by table.
fn insert_all(
    db: &Connection,
    range: Range,
    into: &Generation,
    chunks: &[Chunk],
) -> Result<[u64; Table::ALL.len()], TransactionError> {
    let mut rows = [0; Table::ALL.len()];
    if chunks.is_empty() {
        return Ok(rows);
    }
    transaction::run(db, || {
        failpoint::exhaust_memory(db, range.from.0, range.upto.0)?;
        for chunk in chunks {
            let n = chunk.insert(db, &into.table(chunk.table()))?;
            rows[chunk.table() as usize] += n as u64;
            failpoint::reach("in_insert");
        }
        Ok(())
    })?;
    Ok(rows)
}
