//! Several requests in flight, for what has no order: traces, logs, profiles.
//!
//! What the server fails over waits on the side while others are tried. Once it has failed five
//! times over a single item, that is tried again right after something else was accepted; if the
//! server fails over it then, it is set aside.

use std::collections::VecDeque;
use std::time::Instant;

use super::engine::{Common, EXHAUSTED, STRIKES, STRIKES_OF_MANY, Step};
use super::piece::Piece;
use crate::exporters::outcome::{Later, Outcome};

/// How many wait on the side. What fails beyond that goes to the end of the line.
const HELD: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// Not tried yet, or halves of what was.
    ready: VecDeque<Piece>,
    /// Tried, to be tried again.
    held: Vec<Piece>,
    flying: Vec<(u64, Piece)>,
    /// Whose turn it is.
    held_is_next: bool,
    /// How many were accepted.
    accepted: u64,
    /// The last answer was that something is accepted.
    just_accepted: bool,
}

impl Spread {
    /// Whether it needs one more to go on.
    pub(super) fn is_short(&self) -> bool {
        self.ready.is_empty() && self.flying.is_empty() && self.held.len() < HELD
    }

    pub(super) fn next(&mut self, common: &mut Common, now: Instant) -> Step {
        // After a failure one at a time, until something is accepted.
        let limit = if common.failures > 0 { 1 } else { common.rules.concurrency };
        if self.flying.len() >= limit {
            return Step::Wait(None);
        }
        if let Some(until) = common.pause(now) {
            return Step::Wait(Some(until));
        }
        let Some(mut piece) = self.choose(common, now) else {
            return Step::Wait(self.held.iter().filter_map(|piece| piece.not_before).min());
        };
        let ticket = common.ticket(&mut piece, now);
        self.flying.push((ticket.id, piece));
        Step::Send(ticket)
    }

    fn choose(&mut self, common: &mut Common, now: Instant) -> Option<Piece> {
        if self.just_accepted
            && let Some(n) = self.held.iter().position(|piece| piece.strikes >= STRIKES)
        {
            // Only one of them: the answer must stand right behind the acceptance.
            self.just_accepted = false;
            let mut piece = self.held.remove(n);
            piece.last_chance = true;
            return Some(piece);
        }
        let due = |piece: &Piece| piece.not_before.is_none_or(|at| at <= now);
        let held = self.held.iter().enumerate().filter(|(_, piece)| due(piece));
        let held = held.min_by_key(|(_, piece)| piece.not_before).map(|(n, _)| n);
        let is_there = !self.ready.is_empty() || !common.supply.is_empty();
        match held {
            Some(n) if self.held_is_next || !is_there => {
                self.held_is_next = false;
                Some(self.held.remove(n))
            }
            _ => {
                self.held_is_next = true;
                self.ready.pop_front().or_else(|| common.supply.take())
            }
        }
    }

    pub(super) fn answered(&mut self, common: &mut Common, id: u64, outcome: &Outcome, now: Instant) {
        let Some(n) = self.flying.iter().position(|(of, _)| *of == id) else { return };
        let (_, mut piece) = self.flying.swap_remove(n);
        let last_chance = std::mem::take(&mut piece.last_chance);
        self.just_accepted = matches!(outcome, Outcome::Accepted { .. });
        match outcome {
            Outcome::Accepted { rejected, .. } => {
                common.works();
                self.accepted += 1;
                common.accept(&piece, *rejected);
            }
            Outcome::Refused { reason } => {
                common.works();
                piece.reason.clone_from(reason);
                if let Some(halves) = common.halve_or_set_aside(piece) {
                    self.put(halves);
                }
            }
            Outcome::Later { reason, after, kind } => {
                piece.reason.clone_from(reason);
                match kind {
                    Later::ServerError | Later::Exhausted if last_chance => {
                        if let Some(halves) = common.halve_or_set_aside(piece) {
                            self.put(halves);
                        }
                    }
                    Later::Exhausted if !piece.halved => match common.halve(piece) {
                        Ok(halves) => self.put(halves.map(|half| Piece { halved: true, ..half })),
                        Err(piece) => self.too_much(common, Piece { halved: true, ..piece }, now),
                    },
                    Later::Exhausted => self.too_much(common, piece, now),
                    Later::ServerError => self.failed_over(common, piece, now),
                    Later::Unreachable | Later::Busy | Later::Misconfigured => {
                        common.fails(piece.sent, *after, now);
                        piece.not_before = None;
                        self.hold(piece);
                    }
                }
            }
        }
    }

    fn too_much(&mut self, common: &mut Common, mut piece: Piece, now: Instant) {
        piece.exhausted += 1;
        if piece.exhausted.is_multiple_of(EXHAUSTED) {
            return self.failed_over(common, piece, now);
        }
        common.fails(piece.sent, None, now);
        piece.not_before = None;
        self.hold(piece);
    }

    fn failed_over(&mut self, common: &mut Common, mut piece: Piece, now: Instant) {
        if piece.strikes == 0 {
            piece.accepted_before = self.accepted;
        }
        piece.strikes += 1;
        // Others were accepted meanwhile, or it is half of something and the server works.
        let alone = self.accepted > piece.accepted_before || piece.suspect && common.failures == 0;
        // While nothing at all is accepted, one piece is searched for the item, not all of them;
        // the next when that has come down to one.
        let first = !self.held.iter().any(|held| (1..STRIKES).contains(&held.strikes));
        if alone || piece.strikes >= STRIKES_OF_MANY && first {
            match common.halve(piece) {
                Ok(halves) => {
                    self.put(halves);
                    if !alone {
                        common.fails(None, None, now);
                    }
                    return;
                }
                Err(whole) => piece = whole,
            }
        }
        piece.not_before = Some(common.wait(&piece, now));
        if !alone {
            common.fails(piece.sent, None, now);
        }
        self.hold(piece);
    }

    fn hold(&mut self, piece: Piece) {
        if self.held.len() < HELD { self.held.push(piece) } else { self.ready.push_back(piece) }
    }

    fn put(&mut self, [first, second]: [Piece; 2]) {
        self.ready.push_front(second);
        self.ready.push_front(first);
    }
}
