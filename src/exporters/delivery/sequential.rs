//! One request at a time, in the order of the log: for metrics, where a sample that comes after a
//! later one of its series is refused.
//!
//! A single item over which the server has failed five times may be what it fails over, or the
//! server may be down. So the next one is tried right behind it, without a pause; if that is
//! accepted, the one before is set aside and, for the sake of the order, never sent again. If the
//! server fails over the next one too, all begins again, after a pause, with the first. A single
//! item that is refused is passed over in the same way, at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::engine::{Common, PUT_OFF, STRIKES_OF_MANY, Step};
use super::not_taken::{NotNow, Refused};
use super::refusals::{Turn, Verdict};
use super::send_unit::SendUnit;
use crate::exporters::outcome::Outcome;

/// How many items in a row may be passed over. If the server fails over more than that, it is
/// taken for down, and no more are tried at once than this.
const LONGEST_RUN: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sequential {
    /// What is not done, the oldest first.
    line: VecDeque<SendUnit>,
    /// Which of them is to be sent; those before it have had their strikes, or were refused.
    at: usize,
    flying: bool,
    /// Counts what was tried in doubt besides the first.
    others: usize,
}

impl Sequential {
    /// Whether it needs one more to go on.
    pub(super) fn is_short(&self) -> bool {
        self.line.len() <= self.at
    }

    pub(super) fn is_flying(&self) -> bool {
        self.flying
    }

    /// Whether something was passed over because it was refused.
    pub(super) fn has_refused(&self) -> bool {
        self.line.iter().take(self.at).any(|unit| unit.refused)
    }

    pub(super) fn next(&mut self, common: &mut Common, now: Instant) -> Step {
        if self.flying {
            return Step::Wait(None);
        }
        if let Some(until) = common.pause(now) {
            return Step::Wait(Some(until));
        }
        if let Some(turn) = common.refusals.turn() {
            self.at = self.in_doubt(common, turn);
        }
        while self.line.len() <= self.at {
            match common.batcher.take() {
                Some(unit) => self.line.push_back(unit),
                None if self.line.iter().all(|unit| unit.refused) => return Step::Wait(None),
                None => {
                    // Nobody to compare with: again from the first.
                    self.at = 0;
                    common.fails(None, None, now);
                    return Step::Wait(common.pause(now));
                }
            }
        }
        let Some(unit) = self.line.get_mut(self.at) else { return Step::Wait(None) };
        self.flying = true;
        Step::Send(common.ticket(unit, now))
    }

    /// Which one is tried in doubt: the first; or one that was not refused yet and, every second time,
    /// each of the others in turn, since what the server fails over is never refused.
    fn in_doubt(&mut self, common: &mut Common, turn: Turn) -> usize {
        if turn != Turn::Other {
            return 0;
        }
        self.others += 1;
        let is_new = |line: &VecDeque<SendUnit>| line.iter().skip(1).position(|unit| !unit.refused).map(|n| n + 1);
        if !self.others.is_multiple_of(2)
            && let Some(new) = is_new(&self.line)
        {
            return new;
        }
        self.line.extend(common.batcher.take());
        let others = self.line.len().saturating_sub(1);
        if others == 0 { 0 } else { 1 + self.others / 2 % others }
    }

    pub(super) fn answered(&mut self, common: &mut Common, outcome: &Outcome, now: Instant) {
        self.flying = false;
        let Some(mut unit) = self.line.remove(self.at) else { return };
        match outcome {
            Outcome::Accepted { rejected, .. } => {
                common.works();
                common.accept(&unit, *rejected);
                if common.refusals.accepted() {
                    return self.judge(common, Verdict::Again);
                }
                for passed_over in self.line.drain(..self.at) {
                    common.set_aside(passed_over);
                }
                self.at = 0;
            }
            Outcome::Refused { reason } => match common.refuse(unit, reason, now) {
                Refused::Halved(halves) => self.put(halves),
                Refused::Waits(unit) if common.refusals.doubted() => self.again(unit),
                Refused::Waits(unit) => self.pass_over(unit),
                Refused::SetAside => {}
            },
            Outcome::Later { reason, after, kind } => {
                unit.reason.clone_from(reason);
                unit.refused = false;
                match common.not_now(unit, *kind) {
                    NotNow::Again(unit) => {
                        self.again(unit);
                        common.fails(None, *after, now);
                    }
                    NotNow::Halved(halves) => self.put(halves),
                    NotNow::PutOff(unit) | NotNow::Unavailable(unit) => self.put_off(common, unit, now),
                    NotNow::FailedOver(unit) => self.failed_over(common, unit, *after, now),
                }
            }
        }
    }

    /// What was refused is set aside, or tried again.
    pub(super) fn judge(&mut self, common: &mut Common, verdict: Verdict) {
        match verdict {
            Verdict::Meant => {
                let (refused, rest) = self.line.drain(..self.at).partition::<Vec<_>, _>(|unit| unit.refused);
                self.at = rest.len();
                for unit in rest.into_iter().rev() {
                    self.line.push_front(unit);
                }
                for unit in refused {
                    common.set_aside(unit);
                }
            }
            Verdict::Again => {
                for unit in &mut self.line {
                    unit.doubted |= std::mem::take(&mut unit.refused);
                }
                self.at = 0;
            }
            Verdict::Unknown => self.at = 0,
        }
    }

    fn put_off(&mut self, common: &mut Common, mut unit: SendUnit, now: Instant) {
        unit.put_off += 1;
        if unit.put_off.is_multiple_of(PUT_OFF) {
            let unit = SendUnit { strikes: unit.strikes.max(STRIKES_OF_MANY - 1), ..unit };
            self.failed_over(common, unit, None, now);
        } else {
            self.again(unit);
            common.fails(None, None, now);
        }
    }

    fn failed_over(&mut self, common: &mut Common, mut unit: SendUnit, after: Option<Duration>, now: Instant) {
        unit.strikes += 1;
        // Half of something over which it failed, and it works: then no pause either.
        let works = common.failures == 0;
        if unit.strikes >= STRIKES_OF_MANY || unit.suspect && works {
            match common.halve(unit) {
                Ok(halves) => {
                    self.put(halves);
                    if !works {
                        // After the pause from the first: an acceptance only tells something of
                        // those that failed right before it.
                        self.at = 0;
                        common.fails(None, after, now);
                    }
                    return;
                }
                Err(whole) => unit = whole,
            }
        }
        if unit.strikes >= common.chance.strikes() && self.at < LONGEST_RUN {
            return self.pass_over(unit);
        }
        self.again(unit);
        common.fails(None, after, now);
    }

    /// The next one is tried; if that is accepted, this one is set aside.
    fn pass_over(&mut self, unit: SendUnit) {
        self.line.insert(self.at, unit);
        self.at += 1;
    }

    /// Back to its place, and from the beginning.
    fn again(&mut self, unit: SendUnit) {
        self.line.insert(self.at, unit);
        self.at = 0;
    }

    fn put(&mut self, [first, second]: [SendUnit; 2]) {
        self.line.insert(self.at, second);
        self.line.insert(self.at, first);
    }
}
