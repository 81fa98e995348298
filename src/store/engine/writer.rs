//! The one thread that makes rows visible: it writes the files of level 0 and tells the catalog of
//! them, one batch of records after the other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use uuid::Uuid;

use super::EXIT_INSERT;
use super::crash_records::Range;
use super::failpoint;
use super::level0::{Level0, Level0Error, Written};
use super::sealed_file::{Flush, LogRange};
use super::shared::Shared;
use super::writer_queue::{Event, Rows};
use crate::signal::now_nanos;
use crate::store::catalog::{Catalog, Positions};
use crate::store::ingest::{Chunk, Decoder, Limits};
use crate::store::instance::{is_fatal, is_full_disk, is_out_of_memory};
use crate::wal::Position;

mod account;

/// How long the writer sleeps at most when nothing comes.
const TICK: Duration = Duration::from_millis(500);

/// First pause before rows that found no space are tried again, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause.
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// The writer's own state.
pub struct Writer {
    shared: Arc<Shared>,
    level0: Level0,
    /// Cuts pauses short.
    stop: Arc<super::Stop>,
}

/// The engine ends: what was not stored is in the logs.
struct Stopped;

/// A batch in files, and what can never be.
struct Stored {
    written: Written,
    refused: Vec<(Position, String)>,
}

impl Writer {
    /// A writer with a DuckDB of its own.
    pub fn new(shared: Arc<Shared>, level0: Level0, stop: Arc<super::Stop>) -> Self {
        Writer { shared, level0, stop }
    }

    /// Works until it is told to stop.
    pub fn run(self) {
        loop {
            self.shared.heartbeat.beat();
            if !self.shared.unsealed.wait_for_room(TICK) {
                continue;
            }
            match self.shared.writer_queue.next(TICK) {
                Event::Rows(rows) => {
                    if self.store(&rows).is_err() {
                        break;
                    }
                }
                Event::Nothing => {}
                Event::Stop => break,
            }
        }
        self.shared.writer_queue.close();
    }

    /// Stores a batch, however long it takes.
    fn store(&self, rows: &Rows) -> Result<(), Stopped> {
        let started = Instant::now();
        failpoint::reach("before_insert");
        let range = rows.range();
        let letter = self.shared.resends.is_letter(rows.log);
        let suspect = self.shared.crash_records.has(range);
        let together = if suspect { None } else { self.write_patiently(range, &rows.chunks)?.ok() };
        let Stored { written, mut refused } = match together {
            Some(written) => Stored { written, refused: Vec::new() },
            None => self.write_singly(rows)?,
        };
        if suspect {
            self.shared.crash_records.clear(range);
        }
        refused.extend(rows.undecodable.iter().cloned());
        if letter {
            refused.extend(rows.rejected_whole());
        }
        // A letter that is refused was never here: it may be sent once more.
        let taken = !letter || refused.is_empty();
        let positions: Positions = taken.then_some(((rows.log, rows.signal), rows.upto)).into_iter().collect();
        self.account(rows, refused, letter);
        failpoint::reach("in_insert");
        self.commit(&written, &positions)?;
        self.shared.counters.update(|stats| stats.unsealable_rows += written.unwritable.len() as u64);
        self.shared.counters.inserted(started.elapsed());
        failpoint::reach("after_insert");
        if letter && taken {
            self.shared.resends.inserted();
        }
        if taken {
            self.shared.progress.visible(rows.log, rows.signal, rows.upto);
        }
        Ok(())
    }

    /// Tells the catalog. The notes of what can never be stored go with the positions that pass it.
    fn commit(&self, written: &Written, positions: &Positions) -> Result<(), Stopped> {
        let mut pause = FIRST_PAUSE;
        loop {
            let mut catalog = self.lock_catalog();
            let mut changes = self.shared.quarantine.changes();
            changes.added.extend_from_slice(&written.unwritable);
            changes.released = self.shared.resends.to_forget();
            let started = Instant::now();
            let added = catalog.add_level0(&written.files, positions, &changes, now_nanos());
            // It may have failed after it was done.
            let is_known = |files: &[_]| written.files.iter().all(|new| files.contains(&new.file));
            let is_done = match &added {
                Ok(()) => true,
                Err(_) if written.files.is_empty() => false,
                Err(_) => catalog.files().is_ok_and(|files| is_known(&files)),
            };
            if is_done {
                // In step with the catalog, of which another thread makes a round.
                self.shared.unsealed.add(written.files.iter().map(|new| new.file.clone()), positions);
                drop(catalog);
                self.shared.counters.catalog_committed(started.elapsed());
                self.shared.quarantine.saved(&changes, written.unwritable.clone());
                self.shared.resends.forgotten(&changes.released);
                self.shared.progress.forget(&changes.released);
                return Ok(());
            }
            drop(catalog);
            if let Err(error) = added {
                self.rest(&error.to_string(), &mut pause)?;
            }
        }
    }

    /// The catalog, as soon as no other thread holds it.
    fn lock_catalog(&self) -> MutexGuard<'_, Catalog> {
        self.shared.catalog.try_lock().unwrap_or_else(|| {
            let started = Instant::now();
            let catalog = self.shared.catalog.lock();
            self.shared.counters.waited_for_catalog(started.elapsed());
            catalog
        })
    }

    /// Writes the rows of some records, with a note of them in case that ends the process. The inner error is why
    /// they can never be written.
    fn write_patiently(&self, range: Range, chunks: &[Chunk]) -> Result<Result<Written, String>, Stopped> {
        let log = LogRange { log: range.log, signal: range.signal, from: range.from.0, upto: range.upto.0 };
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let flush = Flush { id: Uuid::new_v4(), created: now_nanos(), logs: vec![log] };
            self.shared.crash_records.begin(range);
            failpoint::reach_position(range.from.0, range.upto.0);
            let written = failpoint::exhaust_memory(self.level0.db(), range.from.0, range.upto.0)
                .map_err(Level0Error::from)
                .and_then(|()| self.level0.write(chunks, &flush));
            // There is nobody else who could take the memory.
            let starved = |error| is_out_of_memory(error) && started.elapsed() > self.shared.config.memory_patience;
            if let Err(Level0Error::Duckdb(error)) = &written
                && (is_fatal(error) || starved(error))
            {
                // The note stays: these rows have done it.
                tracing::error!(%error, "rows cannot be written");
                self.shared.end(EXIT_INSERT.into(), "duckdb is beyond use");
            }
            self.shared.crash_records.end();
            match written {
                Ok(written) => return Ok(Ok(written)),
                Err(Level0Error::Refused(why)) => return Ok(Err(why)),
                Err(error) => self.rest(&error.to_string(), &mut pause)?,
            }
        }
    }

    /// Before another try at what lies with no row: the disk is full, mostly.
    fn rest(&self, why: &str, pause: &mut Duration) -> Result<(), Stopped> {
        self.shared.counters.update(|stats| stats.insert_retries += 1);
        if is_full_disk(why) && self.shared.reserve.give_up().is_ok_and(|given_up| given_up) {
            return Ok(());
        }
        tracing::warn!(why, retry_in = ?pause, "rows cannot be stored now");
        self.shared.heartbeat.beat();
        if self.stop.wait(*pause) {
            return Err(Stopped);
        }
        *pause = (*pause * 2).min(LAST_PAUSE);
        Ok(())
    }

    /// Each record by itself, so that a bad one costs itself alone.
    fn write_singly(&self, rows: &Rows) -> Result<Stored, Stopped> {
        let mut stored = Stored { written: Written::default(), refused: Vec::new() };
        for record in &rows.records {
            self.shared.heartbeat.beat();
            if rows.undecodable.iter().any(|(p, _)| *p == record.position) {
                continue;
            }
            let one = Range { from: record.position, upto: Position(record.position.0 + 1), ..rows.range() };
            if self.shared.crash_records.is_poison(one) {
                let why = "inserting it has ended the engine again and again";
                stored.refused.push((record.position, why.to_owned()));
                continue;
            }
            let mut decoder = Decoder::new(Limits::default());
            match decoder.push(record) {
                Ok(_) => match self.write_patiently(one, &decoder.take())? {
                    Ok(written) => stored.written.extend(written),
                    Err(why) => stored.refused.push((record.position, why)),
                },
                Err(error) => stored.refused.push((record.position, error.to_string())),
            }
        }
        Ok(stored)
    }
}
