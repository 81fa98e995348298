//! Delivery: one task for each destination and signal. It reads records, joins them, sends them,
//! and moves the cursor over what is done. `Delivery` of the architecture is the contract:
//!
//! | outcome | then |
//! |---|---|
//! | accepted, also in part | the cursor moves; what was rejected is counted |
//! | no answer, busy, failed | again, for ever, with pauses |
//! | wrong credentials, path, certificate | the same, and said aloud: data is never given up for it |
//! | refused | halved, down to single items; the one that is refused alone is set aside, if the destination accepts anything else |
//! | the server fails, drops the connection or never answers over one item, and over no other | that is set aside |
//! | everything refused, an empty request too | again, for ever, with pauses, and said aloud |
//!
//! | module | what |
//! |---|---|
//! | [`engine`] | what is sent when, without clock and network |
//! | `sequential`, `concurrent` | one at a time in order, or several at once |
//! | `refusals`, `chance` | whether a refusal or a failure is about the item |
//! | `not_taken` | tried again, in halves, later, or set aside |
//! | `batcher`, [`send_unit`] | records joined, and halved |
//! | [`ack_tracker`] | what is done, for cursor and ledger |
//! | `delivery_log` | what the log says about it |

pub mod ack_tracker;
mod batcher;
mod chance;
mod concurrent;
mod delivery_log;
pub mod engine;
mod not_taken;
mod refusals;
pub mod send_unit;
mod sequential;
#[cfg(test)]
mod simulation;

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use self::delivery_log::DeliveryLog;
use self::engine::{Engine, Rules, Step, Ticket, Undeliverable, batches};
use super::backoff::Backoff;
use super::destination::Destination;
use super::outcome::Outcome;
use crate::quarantine::dead_letters::{DeadLetters, Writer};
use crate::signal::{Format, Signal};
use crate::telemetry::{DeliveryColumn, Telemetry};
use crate::wal::{Log, Position, Reader, Record, WalError};

/// Payload bytes read from a log at once.
const READ: usize = 1 << 20;

/// Payload bytes held for one destination and signal, at least.
const SMALLEST_WINDOW: usize = 1 << 20;

/// Payload bytes held for one destination and signal, at most, however large its batches are;
/// a record may be larger alone.
const LARGEST_WINDOW: usize = 8 << 20;

/// How long what is in flight may take once delivery is told to stop.
const FINISH: Duration = Duration::from_millis(500);

/// Dead letters on their way to the disk, at most; nothing is sent before there is room again.
const KEEPING: usize = 16;

/// How long to wait after a log could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// One signal on its way to one destination.
#[derive(Debug)]
pub struct Delivery {
    /// The destination's name in the logs and in the ledger.
    pub name: String,
    /// Where requests go.
    pub destination: Destination,
    /// The signal's log, which knows the destination.
    pub log: Log,
    /// Requests in flight, where the order does not matter.
    pub concurrency: usize,
    /// The ledger.
    pub telemetry: Telemetry,
    /// Where goes what the destination will never take.
    pub dead_letters: DeadLetters,
}

/// What a request in flight ends with: its number, or nothing for one without anything in it.
type Answered = (Option<u64>, Outcome);

impl Delivery {
    /// Delivers until `shutdown`; what is in flight then may end within a moment.
    pub async fn run(self, shutdown: CancellationToken) {
        let signal = self.log.signal();
        let readers = self.log.reader(&self.name).and_then(|a| Ok((a, self.log.reader(&self.name)?)));
        let (reader, mut committer) = match readers {
            Ok(readers) => readers,
            Err(error) => {
                tracing::error!(destination = self.name, %signal, %error, "cannot read the log");
                return;
            }
        };
        // It never reads, so the log need keep nothing in memory for it.
        committer.seek(Position(u64::MAX));
        let joining = self.destination.joining().clone();
        let ordered = signal == Signal::Metrics;
        let concurrency = if ordered { 1 } else { self.concurrency };
        let batch = usize::try_from(joining.max_size).unwrap_or(LARGEST_WINDOW);
        let window = batch.saturating_mul(concurrency).clamp(SMALLEST_WINDOW, LARGEST_WINDOW);
        let rules = Rules { ordered, concurrency, window, joining };
        let engine = Engine::new(rules, Backoff::default());
        let delivery_log = DeliveryLog::new(self.name.clone(), signal, self.telemetry.health().clone());
        let dead_letters = self.dead_letters.writer(&self.name);
        Task { delivery: self, dead_letters, signal, engine, delivery_log, committer, read_to: Position(0) }
            .run(reader, shutdown)
            .await;
    }
}

/// A running delivery.
struct Task {
    delivery: Delivery,
    dead_letters: Writer,
    signal: Signal,
    engine: Engine,
    delivery_log: DeliveryLog,
    /// Moves the cursor.
    committer: Reader,
    /// Everything before it was read.
    read_to: Position,
}

impl Task {
    async fn run(mut self, reader: Reader, shutdown: CancellationToken) {
        let mut flying: FuturesUnordered<BoxFuture<'static, Answered>> = FuturesUnordered::new();
        let mut keeping: FuturesUnordered<BoxFuture<'static, Undeliverable>> = FuturesUnordered::new();
        let mut resting = Some(reader);
        let mut reading = Reading::none();
        loop {
            if self.engine.wants_more()
                && let Some(reader) = resting.take()
            {
                reading = Reading::some(reader);
            }
            let mut wake = None;
            while keeping.len() < KEEPING {
                match self.engine.next(Instant::now()) {
                    Step::Send(ticket) => flying.push(self.send(ticket)),
                    Step::Keep(undeliverable) => keeping.push(self.keep(undeliverable)),
                    Step::Probe(format) => flying.push(self.probe(format)),
                    Step::Wait(until) => {
                        wake = until.or(wake);
                        break;
                    }
                }
            }
            let pause = async {
                match wake {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some((id, outcome)) = flying.next() => self.answered(id, &outcome),
                Some(undeliverable) = keeping.next() => self.kept(&undeliverable),
                (reader, read) = &mut reading.future, if resting.is_none() => {
                    reading = Reading::none();
                    self.read_to = reader.position();
                    resting = Some(reader);
                    self.read(read);
                }
                () = pause => {}
            }
            self.settle();
        }
        let finish = async {
            while let Some((id, outcome)) = flying.next().await {
                self.answered(id, &outcome);
            }
            while let Some(undeliverable) = keeping.next().await {
                self.kept(&undeliverable);
            }
        };
        // What has not ended by then is sent again by the next run.
        let _ = tokio::time::timeout(FINISH, finish).await;
        self.settle();
    }

    fn read(&mut self, records: Vec<Record>) {
        for record in records {
            let takes = self.delivery.destination.takes(&record.batch);
            if !takes {
                self.delivery_log.skipped(record.batch.format);
            }
            self.engine.read(record, takes);
        }
    }

    fn send(&self, ticket: Ticket) -> BoxFuture<'static, Answered> {
        let Ticket { id, parts, again } = ticket;
        if again {
            let items = batches(&parts).map(|batch| u64::from(batch.items)).sum();
            let bytes = batches(&parts).map(|batch| batch.payload.len() as u64).sum();
            self.delivery.telemetry.retried(&self.delivery.name, self.signal, items, bytes);
        }
        let (destination, signal) = (self.delivery.destination.clone(), self.signal);
        Box::pin(async move { (Some(id), destination.send(signal, batches(&parts)).await) })
    }

    fn probe(&self, format: Format) -> BoxFuture<'static, Answered> {
        let (destination, signal) = (self.delivery.destination.clone(), self.signal);
        Box::pin(async move { (None, destination.probe(signal, format).await) })
    }

    fn answered(&mut self, id: Option<u64>, outcome: &Outcome) {
        let now = Instant::now();
        match (id, outcome) {
            (None, _) => self.engine.probed(outcome, now),
            (Some(id), Outcome::Accepted { .. }) => self.engine.answered(id, outcome, now),
            // It may divide a record, which takes a while if that is large.
            (Some(id), _) => tokio::task::block_in_place(|| self.engine.answered(id, outcome, now)),
        }
        match id {
            None => self.delivery_log.probed(outcome),
            Some(_) => {
                self.delivery_log.answered(outcome, self.engine.is_in_doubt());
                self.delivery.telemetry.answered(&self.delivery.name, self.signal, outcome.name());
            }
        }
    }

    fn keep(&self, mut undeliverable: Undeliverable) -> BoxFuture<'static, Undeliverable> {
        if let Some(why) = self.delivery.destination.explain(&undeliverable.part.batch) {
            undeliverable.reason = format!("{}; {why}", undeliverable.reason);
        }
        let writer = self.dead_letters.clone();
        Box::pin(async move {
            writer.keep(&undeliverable.part.batch, &undeliverable.reason).await;
            undeliverable
        })
    }

    fn kept(&mut self, undeliverable: &Undeliverable) {
        self.delivery_log.set_aside(undeliverable);
        self.engine.kept(undeliverable);
    }

    /// Moves the cursor and the ledger over what is done.
    fn settle(&mut self) {
        let Some((next, done)) = self.engine.settle(self.committer.cursor()) else { return };
        let (telemetry, name) = (&self.delivery.telemetry, &self.delivery.name);
        for (column, amount) in [
            (DeliveryColumn::Forwarded, done.forwarded),
            (DeliveryColumn::Rejected, done.rejected),
            (DeliveryColumn::Skipped, done.skipped),
            (DeliveryColumn::SetAside, done.set_aside),
        ] {
            if amount != ack_tracker::Amount::default() {
                telemetry.delivered(column, name, self.signal, amount.records, amount.items, amount.bytes);
            }
        }
        // Behind the last record there may be damaged ones, for which nobody waits.
        let next = if self.engine.is_idle() { next.max(self.read_to) } else { next };
        self.committer.commit(next);
    }
}

/// A read that is under way, or none. It is never given up half-way, which would read twice.
struct Reading {
    future: BoxFuture<'static, (Reader, Vec<Record>)>,
}

impl Reading {
    fn none() -> Self {
        Reading { future: Box::pin(std::future::pending()) }
    }

    fn some(mut reader: Reader) -> Self {
        let future = async move {
            loop {
                match reader.next(READ).await {
                    Ok(records) => return (reader, records),
                    Err(error) => said(&error).await,
                }
            }
        };
        Reading { future: Box::pin(future) }
    }
}

async fn said(error: &WalError) {
    tracing::error!(%error, "cannot read a log, trying again");
    tokio::time::sleep(AGAIN).await;
}
