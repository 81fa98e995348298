//! Refusals in a row. A destination that refuses one item and accepts those beside it judges that
//! item. One that refuses everything is not set up right, or is not the one that was meant; nothing
//! may be given up for its answers.
//!
//! So what is refused alone is set aside when something else is accepted right behind it. If
//! there is nothing else, or too much is refused in a row, an empty request takes its place: a
//! destination that accepts it looks into requests. If it does not accept that either, it is in
//! doubt: nothing is set aside, and torn only now and then, the cursor stays, and one request at a time
//! is tried, with pauses, until one is accepted.

use crate::signal::Format;

/// Refusals in a row after which a destination has to accept an empty request to be believed.
/// Finding one item among 5,000 takes 14.
pub const MANY: u32 = 64;

/// Empty requests in a row that nobody answers, before records are tried all the same: a destination may
/// fail over empty requests alone, or have no place for them.
const UNANSWERED: u32 = 3;

/// In doubt: what is tried in each round, before a pause. Others come right behind a refused empty
/// request, so that they pass the first only where that is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// What was refused first.
    First,
    /// An empty request.
    Empty,
    /// Something else.
    Other,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Of so many units, since records were accepted.
    in_a_row: u32,
    /// Since anything was accepted, an empty request included.
    unproven: u32,
    /// Of which format the last one was.
    format: Option<Format>,
    /// It did not accept an empty request; what is tried next.
    doubt: Option<Turn>,
    /// An empty request is on its way.
    probing: bool,
    /// Empty requests that nobody has answered, since one was answered.
    unanswered: u32,
    /// Something was accepted, and there was no pause since.
    behind_acceptance: bool,
}

/// What the answer to an empty request means for what was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The destination looks into requests: these it will never take.
    Meant,
    /// The destination works again: all of it is tried again.
    Again,
    /// Nothing is known.
    Unknown,
}

impl Refusals {
    /// Records were accepted. Whether what was refused before is to be tried again.
    pub(super) fn accepted(&mut self) -> bool {
        let again = self.doubt.is_some();
        *self = Refusals { probing: self.probing, behind_acceptance: true, ..Refusals::default() };
        again
    }

    /// Records were refused, `again` or for the first time.
    pub(super) fn refused(&mut self, format: Option<Format>, again: bool) {
        self.in_a_row += u32::from(!again);
        self.unproven += 1;
        self.format = format.or(self.format);
    }

    /// Whether the destination refuses everything, an empty request included.
    pub(super) fn doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// In doubt: what is tried next.
    pub(super) fn turn(&self) -> Option<Turn> {
        self.doubt
    }

    /// In doubt: records were tried and not accepted. Whether a round is over.
    pub(super) fn tried(&mut self) -> bool {
        let over = self.doubt == Some(Turn::Other);
        self.doubt = self.doubt.map(|_| if over { Turn::First } else { Turn::Empty });
        over
    }

    /// Whether so much was refused in a row that it is not torn into single items.
    pub(super) fn in_bulk(&self) -> bool {
        self.in_a_row >= MANY
    }

    /// Nothing is sent for a while.
    pub(super) fn paused(&mut self) {
        self.behind_acceptance = false;
    }

    /// Whether something was accepted right before.
    pub(super) fn behind_acceptance(&self) -> bool {
        self.behind_acceptance
    }

    /// Whether an empty request is on its way.
    pub(super) fn probing(&self) -> bool {
        self.probing
    }

    /// Whether an empty request has to be sent before anything else.
    pub(super) fn probe_is_due(&self) -> bool {
        self.doubt.map_or(self.unproven >= MANY, |turn| turn == Turn::Empty)
    }

    /// An empty request is sent: of this format.
    pub(super) fn probe(&mut self) -> Format {
        self.probing = true;
        self.format.unwrap_or(Format::Otlp)
    }

    /// An empty request was accepted.
    pub(super) fn proven(&mut self) -> Verdict {
        self.probing = false;
        self.unanswered = 0;
        self.unproven = 0;
        self.behind_acceptance = true;
        if self.doubt.take().is_some() { Verdict::Again } else { Verdict::Meant }
    }

    /// An empty request was refused. Whether others are tried right behind it, without a pause.
    pub(super) fn not_proven(&mut self) -> bool {
        self.unanswered = 0;
        self.not_accepted()
    }

    /// Nobody answered an empty request, so that it is sent again after the pause; or, once that was so
    /// several times, others are tried right behind it. Whether they are.
    pub(super) fn not_answered(&mut self) -> bool {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered >= UNANSWERED {
            return self.not_accepted();
        }
        self.asked_to_wait();
        false
    }

    /// The destination asks for a pause before it answers an empty request.
    pub(super) fn asked_to_wait(&mut self) {
        self.probing = false;
        self.doubt = Some(Turn::Empty);
    }

    fn not_accepted(&mut self) -> bool {
        self.probing = false;
        let others = self.doubt.is_some();
        self.doubt = Some(if others { Turn::Other } else { Turn::First });
        others
    }
}
