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
use super::piece::Piece;
use crate::exporters::outcome::{Later, Outcome};

/// How many items in a row may be passed over. If the server fails over more than that, it is
/// taken for down, and no more are tried at once than this.
const LONGEST_RUN: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// What is not done, the oldest first.
    line: VecDeque<Piece>,
    /// Which of them is to be sent; those before it have had their strikes.
    at: usize,
    flying: bool,
}

impl Ordered {
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
            match common.supply.take() {
                Some(piece) => self.line.push_back(piece),
                None if self.at == 0 => return Step::Wait(None),
                None => {
                    // Nobody to compare with: again from the first.
                    self.at = 0;
                    common.fails(None, None, now);
                    return Step::Wait(common.pause(now));
                }
            }
        }
        let Some(piece) = self.line.get_mut(self.at) else { return Step::Wait(None) };
        self.flying = true;
        Step::Send(common.ticket(piece, now))
    }

    pub(super) fn answered(&mut self, common: &mut Common, outcome: &Outcome, now: Instant) {
        self.flying = false;
        let Some(mut piece) = self.line.remove(self.at) else { return };
        match outcome {
            Outcome::Accepted { rejected, .. } => {
                common.works();
                common.accept(&piece, *rejected);
                for passed_over in self.line.drain(..self.at) {
                    common.set_aside(passed_over);
                }
                self.at = 0;
            }
            Outcome::Refused { reason } => {
                // It answers, but this accepts nothing: those before keep their place.
                common.works();
                piece.reason.clone_from(reason);
                if let Some(halves) = common.halve_or_set_aside(piece) {
                    self.put(halves);
                }
            }
            Outcome::Later { reason, after, kind } => {
                piece.reason.clone_from(reason);
                match kind {
                    Later::Exhausted if !piece.halved => match common.halve(piece) {
                        Ok(halves) => self.put(halves.map(|half| Piece { halved: true, ..half })),
                        Err(piece) => self.too_much(common, Piece { halved: true, ..piece }, now),
                    },
                    Later::Exhausted => self.too_much(common, piece, now),
                    Later::ServerError => self.failed_over(common, piece, now),
                    Later::Unreachable | Later::Busy | Later::Misconfigured => {
                        self.again(piece);
                        common.fails(None, *after, now);
                    }
                }
            }
        }
    }

    fn too_much(&mut self, common: &mut Common, mut piece: Piece, now: Instant) {
        piece.exhausted += 1;
        if piece.exhausted.is_multiple_of(EXHAUSTED) {
            self.failed_over(common, Piece { strikes: piece.strikes.max(STRIKES_OF_MANY - 1), ..piece }, now);
        } else {
            self.again(piece);
            common.fails(None, None, now);
        }
    }

    fn failed_over(&mut self, common: &mut Common, mut piece: Piece, now: Instant) {
        piece.strikes += 1;
        // Half of something over which it failed, and it works: then no pause either.
        let works = common.failures == 0;
        if piece.strikes >= STRIKES_OF_MANY || piece.suspect && works {
            match common.halve(piece) {
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
                Err(whole) => piece = whole,
            }
        }
        if piece.strikes >= STRIKES && self.at < LONGEST_RUN {
            self.line.insert(self.at, piece);
            self.at += 1;
            return;
        }
        self.again(piece);
        common.fails(None, None, now);
    }

    /// Back to its place, and from the beginning.
    fn again(&mut self, piece: Piece) {
        self.line.insert(self.at, piece);
        self.at = 0;
    }

    fn put(&mut self, [first, second]: [Piece; 2]) {
        self.line.insert(self.at, second);
        self.line.insert(self.at, first);
    }
}
