//! What our own log says about a delivery: when it begins to fail and when it works again, loudly
//! and again and again when the config is to blame, and each kind of loss at most once a minute.

use std::time::{Duration, Instant};

use super::engine::Undeliverable;
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
    said: Option<Instant>,
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

    pub(super) fn answered(&mut self, outcome: &Outcome) {
        let (destination, signal) = (&self.destination, self.signal);
        match outcome {
            Outcome::Accepted { rejected, message } => {
                self.health.well(destination, signal);
                if let Some(failing) = self.failing.take()
                    && failing.said.is_some()
                {
                    let after = humantime::format_duration(Duration::from_secs(failing.since.elapsed().as_secs()));
                    tracing::info!(destination, %signal, %after, "destination takes data again");
                }
                if *rejected > 0 {
                    if let Some(items) = self.rejected.add(*rejected) {
                        tracing::warn!(destination, %signal, items, message, "destination rejected items");
                    }
                } else if !message.is_empty() {
                    tracing::debug!(destination, %signal, message, "destination took data with a warning");
                }
            }
            // What comes of it is said when it is set aside.
            Outcome::Refused { reason } => {
                self.health.refused(destination, signal, reason);
                tracing::debug!(destination, %signal, reason, "refused");
            }
            Outcome::Later { reason, kind, .. } => {
                self.health.failing(destination, signal, reason, *kind == Later::Misconfigured);
                let now = Instant::now();
                let failing = self.failing.get_or_insert(Failing { since: now, said: None });
                let patience = if *kind == Later::Misconfigured { Duration::ZERO } else { PATIENCE };
                let due = failing.said.is_none_or(|said| said.elapsed() >= AGAIN);
                if !due || failing.since.elapsed() < patience {
                    tracing::debug!(destination, %signal, reason, "not accepted, trying again");
                    return;
                }
                failing.said = Some(now);
                if *kind == Later::Misconfigured {
                    tracing::error!(
                        destination,
                        %signal,
                        reason,
                        "the configuration of this destination is wrong; its data waits in the log until that is mended"
                    );
                } else {
                    tracing::warn!(destination, %signal, reason, "destination takes no data, records wait in the log");
                }
            }
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
