//! What is sent when: a state machine without a clock or a network of its own, so that it can be
//! tried against a simulated destination.
//!
//! Its driver asks it for the next [`Step`], does that, and tells it what came of it. What both
//! ways of delivery ([`super::sequential`], [`super::concurrent`]) share is here: the ack tracker, the
//! pauses, halving, setting aside.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ack_tracker::{AckTracker, Done, Fate};
use super::batcher::Batcher;
use super::chance::Chance;
use super::concurrent::Concurrent;
use super::refusals::{Refusals, Verdict};
use super::send_unit::{Part, SendUnit};
use super::sequential::Sequential;
use crate::exporters::backoff::Backoff;
use crate::exporters::batch::Joining;
use crate::exporters::outcome::{Later, Outcome};
use crate::signal::{Batch, Format};
use crate::wal::{Position, Record};

/// How often a server may fail over a single item before that may be set aside, at least: more
/// often if it fails by chance, too ([`super::chance`]).
pub const STRIKES: u32 = 5;

/// How often it may fail over several before they are tried in halves.
pub const STRIKES_OF_MANY: u32 = 2;

/// A unit that is put off so often counts as one over which the server fails: being too much, also
/// when halved, or the server not being there for it. Mostly that is a rate limit, a restart, or a
/// balancer without anybody behind it, for which nothing is to be torn or set aside; but if it is
/// the size, or a proxy tells like that of a server that breaks over it, it has to come out in the end.
pub const PUT_OFF: u32 = 8;

/// How one signal goes to one destination.
#[derive(Debug, Clone)]
pub struct Rules {
    /// One after the other, in the order of the log.
    pub ordered: bool,
    /// Requests in flight, if not.
    pub concurrency: usize,
    /// Bytes of memory that are held at once; reached, nothing more is read.
    pub window: usize,
    /// What may go together.
    pub joining: Joining,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, then call [`Engine::answered`].
    Send(Ticket),
    /// Keep this for good, then call [`Engine::kept`].
    Keep(Undeliverable),
    /// Send a request of this format without anything in it, then call [`Engine::probed`].
    Probe(Format),
    /// Nothing until something is answered or read, or until then.
    Wait(Option<Instant>),
}

/// A request.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Its number.
    pub id: u64,
    /// What is in it.
    pub parts: Arc<[Part]>,
    /// All of it was sent before.
    pub again: bool,
}

/// Something that the destination will never take.
#[derive(Debug, Clone)]
pub struct Undeliverable {
    /// It.
    pub part: Part,
    /// What the destination said.
    pub reason: String,
}

/// One signal on its way to one destination.
#[derive(Debug)]
pub struct Engine {
    mode: Mode,
    common: Common,
}

#[derive(Debug)]
enum Mode {
    Sequential(Sequential),
    Concurrent(Concurrent),
}

impl Engine {
    /// Nothing read yet.
    pub fn new(rules: Rules, backoff: Backoff) -> Self {
        let mode = match rules.ordered {
            true => Mode::Sequential(Sequential::default()),
            false => Mode::Concurrent(Concurrent::default()),
        };
        let batcher = Batcher::new(rules.joining.clone());
        let common = Common {
            rules,
            batcher,
            ack_tracker: AckTracker::default(),
            backoff,
            bytes: 0,
            undeliverable: VecDeque::new(),
            failures: 0,
            until: None,
            asked: None,
            failed_at: None,
            number: 0,
            refusals: Refusals::default(),
            chance: Chance::default(),
        };
        Engine { mode, common }
    }

    /// Whether more records should be read now.
    pub fn wants_more(&self) -> bool {
        // A record larger than the window must not keep out the one that is to tell whether the
        // server fails over this one alone.
        self.common.bytes < self.common.rules.window
            || self.common.batcher.is_empty()
                && match &self.mode {
                    Mode::Sequential(sequential) => sequential.is_short(),
                    Mode::Concurrent(concurrent) => concurrent.is_short(self.common.bytes),
                }
    }

    /// A record was read; `takes` says whether the destination can take its format.
    pub fn read(&mut self, record: Record, takes: bool) {
        let Record { position, batch } = record;
        let (items, bytes) = (u64::from(batch.items), batch.payload.len());
        self.common.ack_tracker.read(position, items, bytes as u64);
        if takes {
            let part = Part { position, batch };
            self.common.bytes += part.bytes();
            self.common.batcher.push(part);
        } else {
            self.common.ack_tracker.done(position, items, Fate::Skipped);
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Instant) -> Step {
        if let Some(undeliverable) = self.common.undeliverable.pop_front() {
            return Step::Keep(undeliverable);
        }
        if self.common.refusals.probing() {
            return Step::Wait(None);
        }
        let is_flying = match &self.mode {
            Mode::Sequential(sequential) => sequential.is_flying(),
            Mode::Concurrent(concurrent) => concurrent.is_flying(),
        };
        if self.common.refusals.probe_is_due() {
            return match self.common.pause(now) {
                _ if is_flying => Step::Wait(None),
                None => Step::Probe(self.common.refusals.probe()),
                until => Step::Wait(until),
            };
        }
        let (step, has_refused) = match &mut self.mode {
            Mode::Sequential(sequential) => (sequential.next(&mut self.common, now), sequential.has_refused()),
            Mode::Concurrent(concurrent) => (concurrent.next(&mut self.common, now), concurrent.has_refused()),
        };
        // Nothing else is there that could be accepted.
        match step {
            Step::Wait(_) if has_refused && !is_flying && self.common.pause(now).is_none() => {
                Step::Probe(self.common.refusals.probe())
            }
            step => step,
        }
    }

    /// A request without anything in it was answered.
    pub fn probed(&mut self, outcome: &Outcome, now: Instant) {
        let verdict = match outcome {
            Outcome::Accepted { .. } => {
                self.common.works();
                self.common.refusals.proven()
            }
            Outcome::Refused { .. } => {
                if !self.common.refusals.not_proven() {
                    self.common.fails(None, None, now);
                }
                Verdict::Unknown
            }
            Outcome::Later { after, kind: Later::Busy, .. } => {
                self.common.refusals.asked_to_wait();
                self.common.fails(None, *after, now);
                Verdict::Unknown
            }
            Outcome::Later { after, .. } => {
                if !self.common.refusals.not_answered() {
                    self.common.fails(None, *after, now);
                }
                Verdict::Unknown
            }
        };
        match &mut self.mode {
            Mode::Sequential(sequential) => sequential.judge(&mut self.common, verdict),
            Mode::Concurrent(concurrent) => concurrent.judge(&mut self.common, verdict),
        }
    }

    /// Whether the destination refuses everything, a request without anything in it included.
    pub fn is_in_doubt(&self) -> bool {
        self.common.refusals.doubted()
    }

    /// A request was answered. Blocks where a large record has to be divided.
    pub fn answered(&mut self, id: u64, outcome: &Outcome, now: Instant) {
        match &mut self.mode {
            Mode::Sequential(sequential) => sequential.answered(&mut self.common, outcome, now),
            Mode::Concurrent(concurrent) => concurrent.answered(&mut self.common, id, outcome, now),
        }
    }

    /// A dead letter is kept.
    pub fn kept(&mut self, undeliverable: &Undeliverable) {
        self.common.bytes = self.common.bytes.saturating_sub(undeliverable.part.bytes());
        self.common.ack_tracker.done(
            undeliverable.part.position,
            u64::from(undeliverable.part.batch.items),
            Fate::SetAside,
        );
    }

    /// What is done since the last time, and where the cursor may be moved to. `cursor` is where
    /// it is.
    pub fn settle(&mut self, cursor: Position) -> Option<(Position, Done)> {
        self.common.ack_tracker.settle(cursor)
    }

    /// Whether everything that was read is done.
    pub fn is_idle(&self) -> bool {
        self.common.ack_tracker.is_empty()
    }
}

/// What both modes need.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) rules: Rules,
    pub(super) batcher: Batcher,
    pub(super) ack_tracker: AckTracker,
    backoff: Backoff,
    /// Payload bytes held.
    pub(super) bytes: usize,
    pub(super) undeliverable: VecDeque<Undeliverable>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Nothing is sent before.
    until: Option<Instant>,
    /// Nor before this, whatever is accepted meanwhile: the destination has asked for it.
    asked: Option<Instant>,
    /// When it failed last.
    failed_at: Option<Instant>,
    number: u64,
    pub(super) refusals: Refusals,
    pub(super) chance: Chance,
}

impl Common {
    /// The end of the pause, if there is one.
    pub(super) fn pause(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }

    /// A ticket for a unit that goes out now.
    pub(super) fn ticket(&mut self, unit: &mut SendUnit, now: Instant) -> Ticket {
        self.number += 1;
        let again = unit.sent.replace(now).is_some();
        Ticket { id: self.number, parts: unit.parts.clone(), again }
    }

    /// The destination answers as it should: no pause but one that it has asked for. The answer may be
    /// to a request that was on its way then.
    pub(super) fn works(&mut self) {
        self.failures = 0;
        self.until = self.asked;
    }

    /// The pause that has begun is one that the destination has asked for.
    pub(super) fn asked_to_wait(&mut self) {
        self.asked = self.until;
    }

    /// One more failure in a row, of a request sent at `sent`: a pause. Requests that were on
    /// their way together fail together, which is one failure.
    pub(super) fn fails(&mut self, sent: Option<Instant>, after: Option<Duration>, now: Instant) {
        self.refusals.paused();
        let again = self.failures > 0 && sent.is_some_and(|sent| self.failed_at.is_some_and(|failed| sent < failed));
        if !again {
            self.failures += 1;
        }
        self.failed_at = Some(now);
        let until = now + self.backoff.after(self.failures, after);
        if !again || after.is_some() {
            self.until = self.until.max(Some(until));
        }
    }

    /// Until when a unit has to wait over which the server has failed so often; `after` is what the
    /// server asked for.
    pub(super) fn wait(&mut self, failures: u32, after: Option<Duration>, now: Instant) -> Instant {
        now + self.backoff.after(failures, after)
    }

    /// A unit was accepted.
    pub(super) fn accept(&mut self, unit: &SendUnit, rejected: u64) {
        self.chance.accepted(unit.strikes);
        let mut rejected = rejected;
        for part in &*unit.parts {
            let items = u64::from(part.batch.items);
            rejected -= self.ack_tracker.done(part.position, items, Fate::Accepted { rejected });
        }
        self.bytes = self.bytes.saturating_sub(unit.bytes());
    }
}

/// The batches of a request.
pub fn batches(parts: &[Part]) -> impl Iterator<Item = &Batch> + Clone {
    parts.iter().map(|part| &part.batch)
}

#[cfg(test)]
mod tests;
