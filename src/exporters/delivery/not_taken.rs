//! What becomes of a unit that the destination did not take.

use std::time::Instant;

use super::engine::{Common, PUT_OFF, Undeliverable};
use super::send_unit::SendUnit;
use crate::exporters::outcome::Later;

/// What becomes of a unit that was refused.
pub(super) enum Refused {
    /// It is tried in halves.
    Halved([SendUnit; 2]),
    /// It waits for something else to be accepted.
    Waits(SendUnit),
    /// The destination will never take it.
    SetAside,
}

/// What becomes of a unit that was not taken now.
pub(super) enum NotNow {
    /// It goes again: the answer was not about it.
    Again(SendUnit),
    /// It may be too much at once, and is tried in halves.
    Halved([SendUnit; 2]),
    /// It is too much of something, whatever its size.
    PutOff(SendUnit),
    /// Somebody says that the server is not there.
    Unavailable(SendUnit),
    /// The server failed, perhaps over it.
    FailedOver(SendUnit),
}

impl Common {
    /// A unit will never be accepted.
    pub(super) fn set_aside(&mut self, unit: SendUnit) {
        let reason = unit.reason;
        self.undeliverable
            .extend(unit.parts.iter().map(|part| Undeliverable { part: part.clone(), reason: reason.clone() }));
    }

    /// A unit was refused. A single record stays whole if everything is refused.
    pub(super) fn refuse(&mut self, unit: SendUnit, reason: &str, now: Instant) -> Refused {
        self.refusals.refused(unit.parts.first().map(|part| part.batch.format), unit.refused_before);
        let mut unit = SendUnit { refused: true, refused_before: true, ..unit };
        reason.clone_into(&mut unit.reason);
        if self.refusals.doubted() {
            if self.refusals.tried() {
                self.fails(None, None, now);
            }
            return self.refused_in_doubt(SendUnit { doubted: true, ..unit });
        }
        if self.refusals.in_bulk() && unit.divides_a_record() {
            return Refused::Waits(unit);
        }
        self.works();
        match self.halve(unit) {
            Ok(halves) => Refused::Halved(halves),
            // Refused when nothing was accepted, and again now that something was.
            Err(unit) if unit.doubted && self.refusals.behind_acceptance() => {
                self.set_aside(unit);
                Refused::SetAside
            }
            Err(unit) => Refused::Waits(unit),
        }
    }

    /// A unit was not taken now.
    pub(super) fn not_now(&mut self, unit: SendUnit, kind: Later) -> NotNow {
        if self.refusals.doubted() {
            self.refusals.tried();
            return self.not_now_in_doubt(unit, kind);
        }
        // So the refusal, when everything was refused, was not about it.
        let unit = SendUnit { doubted: false, ..unit };
        match kind {
            Later::Exhausted if !unit.halved => match self.halve(unit) {
                Ok(halves) => NotNow::Halved(halves.map(|half| SendUnit { halved: true, ..half })),
                Err(unit) => NotNow::PutOff(SendUnit { halved: true, ..unit }),
            },
            Later::Exhausted => NotNow::PutOff(unit),
            Later::Unavailable => NotNow::Unavailable(unit),
            Later::ServerError | Later::Unanswered => NotNow::FailedOver(unit),
            Later::Unreachable | Later::Busy | Later::Misconfigured => NotNow::Again(unit),
        }
    }

    /// A unit was refused, like everything else. Now and then it is tried in halves all the same: each
    /// of those that are held may have a bad item in it, and it needs one that is accepted.
    fn refused_in_doubt(&mut self, mut unit: SendUnit) -> Refused {
        unit.tried_in_doubt += 1;
        if !unit.tried_in_doubt.is_multiple_of(PUT_OFF) {
            return Refused::Waits(unit);
        }
        match self.halve(unit) {
            Ok(halves) => Refused::Halved(halves),
            Err(unit) => Refused::Waits(unit),
        }
    }

    /// A unit was not taken now, and the destination refuses everything else. What may be for the size
    /// of it is tried in halves, for the same reason.
    fn not_now_in_doubt(&mut self, mut unit: SendUnit, kind: Later) -> NotNow {
        unit.tried_in_doubt += 1;
        let halve = match kind {
            Later::Exhausted => !unit.halved || unit.tried_in_doubt.is_multiple_of(PUT_OFF),
            Later::Unavailable | Later::ServerError | Later::Unanswered => unit.tried_in_doubt.is_multiple_of(PUT_OFF),
            Later::Unreachable | Later::Busy | Later::Misconfigured => false,
        };
        if !halve {
            return NotNow::Again(unit);
        }
        let halved = unit.halved || kind == Later::Exhausted;
        match self.halve(unit) {
            Ok(halves) => NotNow::Halved(halves.map(|half| SendUnit { halved, ..half })),
            Err(unit) => NotNow::Again(SendUnit { halved, ..unit }),
        }
    }

    /// The unit in two. One that cannot be halved is what the destination will never take.
    pub(super) fn halve_or_set_aside(&mut self, unit: SendUnit) -> Option<[SendUnit; 2]> {
        self.halve(unit).map_err(|unit| self.set_aside(unit)).ok()
    }

    /// The unit in two, or itself if that cannot be.
    pub(super) fn halve(&mut self, unit: SendUnit) -> Result<[SendUnit; 2], SendUnit> {
        let Some(halves) = unit.halves() else { return Err(unit) };
        if unit.divides_a_record()
            && let Some(part) = unit.parts.first()
        {
            self.ack_tracker.divided(part.position);
        }
        self.bytes = (self.bytes + halves.iter().map(SendUnit::bytes).sum::<usize>()).saturating_sub(unit.bytes());
        Ok(halves)
    }
}
