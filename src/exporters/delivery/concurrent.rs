//! Several requests in flight, for what has no order: traces, logs, profiles.
//!
//! What the server fails over waits on the side while others are tried. Once it has failed five
//! times over a single item, that is tried again right after something else was accepted; if the
//! server fails over it then, it is set aside. What is refused alone is set aside with the next
//! acceptance.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::engine::{Common, PUT_OFF, STRIKES_OF_MANY, Step};
use super::not_taken::{NotNow, Refused};
use super::refusals::{Turn, Verdict};
use super::send_unit::SendUnit;
use crate::exporters::outcome::Outcome;

/// How many wait on the side. What fails beyond that goes to the end of the line, and all wait: so
/// many do not fail each for itself.
const HELD: usize = 16;

/// Bytes that are held when all that is there was refused. One behind it may be accepted; but if a
/// destination refuses everything for days, nothing more is read.
const REFUSED: usize = 8 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Concurrent {
    /// Not tried yet, or halves of what was.
    ready: VecDeque<SendUnit>,
    /// Tried, to be tried again.
    held: Vec<SendUnit>,
    /// Refused, and nothing was accepted since.
    refused: VecDeque<SendUnit>,
    flying: Vec<(u64, SendUnit)>,
    /// Whose turn it is.
    held_is_next: bool,
    /// How many were accepted.
    accepted: u64,
    /// The last answer was that something is accepted.
    just_accepted: bool,
}

impl Concurrent {
    /// Whether it needs one more to go on, where it holds so many bytes.
    pub(super) fn is_short(&self, bytes: usize) -> bool {
        let others = self.refused.len() < 2 || bytes < REFUSED;
        self.ready.is_empty() && self.flying.is_empty() && self.held.len() < HELD && others
    }

    pub(super) fn is_flying(&self) -> bool {
        !self.flying.is_empty()
    }

    /// Whether something was refused that may have to be set aside.
    pub(super) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    pub(super) fn next(&mut self, common: &mut Common, now: Instant) -> Step {
        // After a failure one at a time, until something is accepted.
        let one = common.failures > 0 || common.refusals.doubted();
        let limit = if one { 1 } else { common.rules.concurrency };
        if self.flying.len() >= limit {
            return Step::Wait(None);
        }
        if let Some(until) = common.pause(now) {
            return Step::Wait(Some(until));
        }
        let Some(mut unit) = self.choose(common, now) else {
            return Step::Wait(self.held.iter().filter_map(|unit| unit.not_before).min());
        };
        let ticket = common.ticket(&mut unit, now);
        self.flying.push((ticket.id, unit));
        Step::Send(ticket)
    }

    fn choose(&mut self, common: &mut Common, now: Instant) -> Option<SendUnit> {
        if let Some(turn) = common.refusals.turn() {
            if turn == Turn::First
                && let Some(unit) = self.refused.pop_front()
            {
                return Some(unit);
            }
            return self.choose_next(common, now).or_else(|| self.refused.pop_front());
        }
        self.choose_next(common, now)
    }

    fn choose_next(&mut self, common: &mut Common, now: Instant) -> Option<SendUnit> {
        let strikes = common.chance.strikes();
        if self.just_accepted
            && let Some(n) = self.held.iter().position(|unit| unit.strikes >= strikes)
        {
            // Only one of them: the answer must stand right behind the acceptance.
            self.just_accepted = false;
            let mut unit = self.held.remove(n);
            unit.last_chance = true;
            return Some(unit);
        }
        let due = |unit: &SendUnit| unit.not_before.is_none_or(|at| at <= now);
        let held = self.held.iter().enumerate().filter(|(_, unit)| due(unit));
        let held = held.min_by_key(|(_, unit)| unit.not_before).map(|(n, _)| n);
        let is_there = !self.ready.is_empty() || !common.batcher.is_empty();
        match held {
            Some(n) if self.held_is_next || !is_there => {
                self.held_is_next = false;
                Some(self.held.remove(n))
            }
            _ => {
                self.held_is_next = true;
                self.ready.pop_front().or_else(|| common.batcher.take())
            }
        }
    }

    pub(super) fn answered(&mut self, common: &mut Common, id: u64, outcome: &Outcome, now: Instant) {
        let Some(n) = self.flying.iter().position(|(of, _)| *of == id) else { return };
        let (_, mut unit) = self.flying.swap_remove(n);
        let last_chance = std::mem::take(&mut unit.last_chance);
        self.just_accepted = matches!(outcome, Outcome::Accepted { .. });
        match outcome {
            Outcome::Accepted { rejected, .. } => {
                common.works();
                self.accepted += 1;
                common.accept(&unit, *rejected);
                let verdict = if common.refusals.accepted() { Verdict::Again } else { Verdict::Meant };
                self.judge(common, verdict);
            }
            Outcome::Refused { reason } => match common.refuse(unit, reason, now) {
                Refused::Halved(halves) => self.put(halves),
                Refused::Waits(unit) => self.refused.push_back(unit),
                Refused::SetAside => {}
            },
            Outcome::Later { reason, after, kind } => {
                unit.reason.clone_from(reason);
                unit.refused = false;
                match common.not_now(unit, *kind) {
                    NotNow::Again(unit) => {
                        self.fails(common, unit.sent, *after, now);
                        if after.is_some() {
                            common.asked_to_wait();
                        }
                        self.hold(common, SendUnit { not_before: None, ..unit }, *after, now);
                    }
                    NotNow::Halved(halves) => self.put(halves),
                    NotNow::PutOff(unit) | NotNow::Unavailable(unit) | NotNow::FailedOver(unit) if last_chance => {
                        if let Some(halves) = common.halve_or_set_aside(unit) {
                            self.put(halves);
                        }
                    }
                    NotNow::PutOff(unit) => self.put_off(common, unit, *after, now),
                    NotNow::Unavailable(unit) => self.unavailable(common, unit, now),
                    NotNow::FailedOver(unit) => self.failed_over(common, unit, *after, now),
                }
            }
        }
    }

    /// What was refused is set aside, or tried again.
    pub(super) fn judge(&mut self, common: &mut Common, verdict: Verdict) {
        match verdict {
            Verdict::Meant => self.refused.drain(..).for_each(|unit| common.set_aside(unit)),
            Verdict::Again => {
                self.refused.iter_mut().for_each(|unit| unit.doubted = true);
                self.try_refused_again();
            }
            Verdict::Unknown => {}
        }
    }

    fn try_refused_again(&mut self) {
        while let Some(unit) = self.refused.pop_back() {
            self.ready.push_front(SendUnit { refused: false, ..unit });
        }
    }

    /// A pause. What was refused before it tells nothing together with what is accepted after it.
    fn fails(&mut self, common: &mut Common, sent: Option<Instant>, after: Option<Duration>, now: Instant) {
        common.fails(sent, after, now);
        if !common.refusals.doubted() {
            self.try_refused_again();
        }
    }

    fn put_off(&mut self, common: &mut Common, mut unit: SendUnit, after: Option<Duration>, now: Instant) {
        unit.put_off += 1;
        if unit.put_off.is_multiple_of(PUT_OFF) {
            return self.failed_over(common, unit, after, now);
        }
        self.fails(common, unit.sent, after, now);
        unit.not_before = None;
        self.hold(common, unit, after, now);
    }

    /// It waits for itself if others are accepted meanwhile.
    fn unavailable(&mut self, common: &mut Common, mut unit: SendUnit, now: Instant) {
        if unit.strikes == 0 && unit.put_off == 0 {
            unit.accepted_before = self.accepted;
        }
        if self.accepted == unit.accepted_before || (unit.put_off + 1).is_multiple_of(PUT_OFF) {
            return self.put_off(common, unit, None, now);
        }
        unit.put_off += 1;
        unit.not_before = Some(common.wait(unit.put_off, None, now));
        self.hold(common, unit, None, now);
    }

    fn failed_over(&mut self, common: &mut Common, mut unit: SendUnit, after: Option<Duration>, now: Instant) {
        if unit.strikes == 0 {
            unit.accepted_before = self.accepted;
        }
        unit.strikes += 1;
        // Others were accepted meanwhile, or it is half of something and the server works.
        let alone = self.accepted > unit.accepted_before || unit.suspect && common.failures == 0;
        // While nothing at all is accepted, one unit is searched for the item, not all of them;
        // the next when that has come down to one.
        let first = !self.held.iter().any(|held| (1..common.chance.strikes()).contains(&held.strikes));
        if alone || unit.strikes >= STRIKES_OF_MANY && first {
            match common.halve(unit) {
                Ok(halves) => {
                    self.put(halves);
                    if !alone {
                        self.fails(common, None, after, now);
                    }
                    return;
                }
                Err(whole) => unit = whole,
            }
        }
        unit.not_before = Some(common.wait(unit.strikes, after, now));
        if !alone {
            self.fails(common, unit.sent, after, now);
        }
        self.hold(common, unit, after, now);
    }

    fn hold(&mut self, common: &mut Common, unit: SendUnit, after: Option<Duration>, now: Instant) {
        if self.held.len() < HELD {
            return self.held.push(unit);
        }
        if common.pause(now).is_none() {
            self.fails(common, unit.sent, after, now);
        }
        self.ready.push_back(unit);
    }

    fn put(&mut self, [first, second]: [SendUnit; 2]) {
        self.ready.push_front(second);
        self.ready.push_front(first);
    }
}
