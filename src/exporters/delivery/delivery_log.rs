//! What our own log says about a delivery: when it begins to fail and when it works again, loudly
//! and again and again when the config is to blame, and each kind of loss at most once a minute.

use std::time::{Duration, Instant};

use super::engine::Undeliverable;
use crate::duration::Written;
use crate::exporters::outcome::{Later, Outcome};
use crate::signal::{Format, Signal};
use crate::telemetry::health::Health;

/// How often the same thing is said.
const AGAIN: Duration = Duration::from_secs(60);

/// How long something other than the config may fail before it is worth a line: a restart of the
/// destination is not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Speaks for one destination and signal.
#[derive(Debug)]
pub(super) struct DeliveryLog {
    destination: String,
    signal: Signal,
    /// For those who ask later.
    health: Health,
    failing: Option<Failing>,
    rejected: Limited,
    set_aside: Limited,
    skipped: Vec<Format>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    said: Option<(Instant, Trouble)>,
}

/// Why nothing is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// It may pass.
    Passing,
    /// The config is to blame.
    Config,
    /// Everything is refused, so the config may be to blame.
    RefusesAll,
}

impl Trouble {
    fn of(kind: Later) -> Self {
        if kind == Later::Misconfigured { Trouble::Config } else { Trouble::Passing }
    }
}

/// Something said at most once a minute, with what was held back.
#[derive(Debug, Default)]
struct Limited {
    said: Option<Instant>,
    held_back: u64,
}

impl Limited {
    /// Adds up; the sum when it is to be said.
    fn add(&mut self, n: u64) -> Option<u64> {
        self.held_back += n;
        if self.said.is_some_and(|said| said.elapsed() < AGAIN) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.held_back))
    }
}

impl DeliveryLog {
    pub(super) fn new(destination: String, signal: Signal, health: Health) -> Self {
        DeliveryLog {
            destination,
            signal,
            health,
            failing: None,
            rejected: Limited::default(),
            set_aside: Limited::default(),
            skipped: Vec::new(),
        }
    }

    /// Records were answered; `in_doubt` says whether the destination refuses everything.
    pub(super) fn answered(&mut self, outcome: &Outcome, in_doubt: bool) {
        let (destination, signal) = (&self.destination, self.signal);
        match outcome {
            Outcome::Accepted { rejected, message } => {
                self.works();
                if *rejected > 0 {
                    if let Some(items) = self.rejected.add(*rejected) {
                        tracing::warn!(
                            destination = self.destination,
                            signal = %self.signal,
                            items,
                            message,
                            "destination rejected items"
                        );
                    }
                } else if !message.is_empty() {
                    tracing::debug!(
                        destination = self.destination,
                        signal = %self.signal,
                        message,
                        "destination took data with a warning"
                    );
                }
            }
            // What comes of it is said when it is set aside, or when all is refused.
            Outcome::Refused { reason } => {
                if in_doubt {
                    self.health.failing(destination, signal, reason, true);
                } else {
                    self.health.refused(destination, signal, reason);
                }
                tracing::debug!(destination, %signal, reason, "refused");
            }
            Outcome::Later { reason, kind, .. } => self.fails(reason, Trouble::of(*kind)),
        }
    }

    /// A request without anything in it was answered.
    pub(super) fn probed(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { .. } => self.works(),
            Outcome::Refused { reason } => self.fails(reason, Trouble::RefusesAll),
            Outcome::Later { reason, kind, .. } => self.fails(reason, Trouble::of(*kind)),
        }
    }

    fn works(&mut self) {
        let (destination, signal) = (&self.destination, self.signal);
        self.health.well(destination, signal);
        if let Some(failing) = self.failing.take()
            && failing.said.is_some()
        {
            let after = Written(Duration::from_secs(failing.since.elapsed().as_secs()));
            tracing::info!(destination, %signal, %after, "destination takes data again");
        }
    }

    fn fails(&mut self, reason: &str, trouble: Trouble) {
        let (destination, signal) = (&self.destination, self.signal);
        self.health.failing(destination, signal, reason, trouble != Trouble::Passing);
        let now = Instant::now();
        let failing = self.failing.get_or_insert(Failing { since: now, said: None });
        let patience = if trouble == Trouble::Passing { PATIENCE } else { Duration::ZERO };
        // That the config is to blame is said at once, whatever was said before: a wrong certificate may
        // look like a broken connection at first.
        let due = failing.said.is_none_or(|(said, as_what)| {
            said.elapsed() >= AGAIN || (trouble != Trouble::Passing && as_what == Trouble::Passing)
        });
        if !due || failing.since.elapsed() < patience {
            tracing::debug!(destination, %signal, reason, "not accepted, trying again");
            return;
        }
        failing.said = Some((now, trouble));
        match trouble {
            Trouble::Passing => {
                tracing::warn!(destination, %signal, reason, "destination takes no data, records wait in the log");
            }
            Trouble::Config => tracing::error!(
                destination,
                %signal,
                reason,
                "the configuration of this destination is wrong; its data waits in the log until that is mended"
            ),
            Trouble::RefusesAll => tracing::error!(
                destination,
                %signal,
                reason,
                "this destination refuses everything, also a request without anything in it; is the configuration \
                 right? its data waits in the log until something is accepted"
            ),
        }
    }

    pub(super) fn set_aside(&mut self, undeliverable: &Undeliverable) {
        if let Some(items) = self.set_aside.add(u64::from(undeliverable.part.batch.items)) {
            tracing::warn!(
                destination = self.destination,
                signal = %self.signal,
                items,
                reason = undeliverable.reason,
                "set aside what the destination does not take; see vispyr dead-letters"
            );
        }
    }

    pub(super) fn skipped(&mut self, format: Format) {
        if !self.skipped.contains(&format) {
            self.skipped.push(format);
            let format = format.name();
            tracing::warn!(
                destination = self.destination,
                signal = %self.signal,
                format,
                "the destination cannot take this format, skipping such records"
            );
        }
    }
}
