//! One request at a time, in the order of the log: for metrics, where a sample that comes after a
//! later one of its series is refused.
//!
//! A single item over which the server has failed five times may be what it fails over, or the
//! server may be down. So the next one is tried right behind it, without a pause; if that is
//! accepted, the one before is set aside and, for the sake of the order, never sent again. If the
//! server fails over the next one too, all begins again, after a pause, with the first.

use std::collections::VecDeque;
use std::time::Instant;

use super::engine::{Common, EXHAUSTED, STRIKES, STRIKES_OF_MANY, Step};
use super::send_unit::SendUnit;
use crate::exporters::outcome::{Later, Outcome};

/// How many items in a row may be passed over. If the server fails over more than that, it is
/// taken for down, and no more are tried at once than this.
const LONGEST_RUN: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sequential {
    /// What is not done, the oldest first.
    line: VecDeque<SendUnit>,
    /// Which of them is to be sent; those before it have had their strikes.
    at: usize,
    flying: bool,
}

impl Sequential {
    /// Whether it needs one more to go on.
    pub(super) fn is_short(&self) -> bool {
        self.line.len() <= self.at
    }

    pub(super) fn next(&mut self, common: &mut Common, now: Instant) -> Step {
        if self.flying {
            return Step::Wait(None);
        }
        if let Some(until) = common.pause(now) {
            return Step::Wait(Some(until));
        }
        while self.line.len() <= self.at {
            match common.batcher.take() {
                Some(unit) => self.line.push_back(unit),
                None if self.at == 0 => return Step::Wait(None),
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

    pub(super) fn answered(&mut self, common: &mut Common, outcome: &Outcome, now: Instant) {
        self.flying = false;
        let Some(mut unit) = self.line.remove(self.at) else { return };
        match outcome {
            Outcome::Accepted { rejected, .. } => {
                common.works();
                common.accept(&unit, *rejected);
                for passed_over in self.line.drain(..self.at) {
                    common.set_aside(passed_over);
                }
                self.at = 0;
            }
            Outcome::Refused { reason } => {
                // It answers, but this accepts nothing: those before keep their place.
                common.works();
                unit.reason.clone_from(reason);
                if let Some(halves) = common.halve_or_set_aside(unit) {
                    self.put(halves);
                }
            }
            Outcome::Later { reason, after, kind } => {
                unit.reason.clone_from(reason);
                match kind {
                    Later::Exhausted if !unit.halved => match common.halve(unit) {
                        Ok(halves) => self.put(halves.map(|half| SendUnit { halved: true, ..half })),
                        Err(unit) => self.too_much(common, SendUnit { halved: true, ..unit }, now),
                    },
                    Later::Exhausted => self.too_much(common, unit, now),
                    Later::ServerError => self.failed_over(common, unit, now),
                    Later::Unreachable | Later::Busy | Later::Misconfigured => {
                        self.again(unit);
                        common.fails(None, *after, now);
                    }
                }
            }
        }
    }

    fn too_much(&mut self, common: &mut Common, mut unit: SendUnit, now: Instant) {
        unit.exhausted += 1;
        if unit.exhausted.is_multiple_of(EXHAUSTED) {
            self.failed_over(common, SendUnit { strikes: unit.strikes.max(STRIKES_OF_MANY - 1), ..unit }, now);
        } else {
            self.again(unit);
            common.fails(None, None, now);
        }
    }

    fn failed_over(&mut self, common: &mut Common, mut unit: SendUnit, now: Instant) {
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
                        common.fails(None, None, now);
                    }
                    return;
                }
                Err(whole) => unit = whole,
            }
        }
        if unit.strikes >= STRIKES && self.at < LONGEST_RUN {
            self.line.insert(self.at, unit);
            self.at += 1;
            return;
        }
        self.again(unit);
        common.fails(None, None, now);
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
