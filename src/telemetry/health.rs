//! How each destination is: what it said last when it did not take something, and since when it
//! takes nothing. For `/metrics`, `vispyr status` and the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::signal::{Signal, now_nanos};

/// What a destination says of itself, for one signal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Since when it takes nothing, in nanoseconds since the Unix epoch; nothing while it is well.
    pub failing_since: Option<u64>,
    /// Whether that will not change before somebody changes the config: credentials, path, TLS.
    pub misconfigured: bool,
    /// The last error, also after it is well again.
    pub last_error: Option<LastError>,
}

/// The last error of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// What it said.
    pub reason: String,
}

/// The conditions of all destinations. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<(String, Signal), Condition>>>);

impl Health {
    /// The destination took something.
    pub fn well(&self, destination: &str, signal: Signal) {
        self.change(destination, signal, |condition| {
            condition.failing_since = None;
            condition.misconfigured = false;
        });
    }

    /// The destination did not take something, and is going to be asked again.
    pub fn failing(&self, destination: &str, signal: Signal, reason: &str, misconfigured: bool) {
        let now = now_nanos();
        self.change(destination, signal, |condition| {
            condition.failing_since.get_or_insert(now);
            condition.misconfigured = misconfigured;
            condition.last_error = Some(LastError { time: now, reason: reason.to_owned() });
        });
    }

    /// The destination will never take something. For the rest it is well.
    pub fn refused(&self, destination: &str, signal: Signal, reason: &str) {
        self.well(destination, signal);
        self.change(destination, signal, |condition| {
            condition.last_error = Some(LastError { time: now_nanos(), reason: reason.to_owned() });
        });
    }

    /// The destination is gone from the config.
    pub fn forget(&self, destination: &str) {
        self.0.lock().retain(|(name, _), _| name != destination);
    }

    /// How it is; well, if nothing was heard of it.
    pub fn of(&self, destination: &str, signal: Signal) -> Condition {
        self.0.lock().get(&(destination.to_owned(), signal)).cloned().unwrap_or_default()
    }

    fn change(&self, destination: &str, signal: Signal, change: impl FnOnce(&mut Condition)) {
        change(self.0.lock().entry((destination.to_owned(), signal)).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_outlives_the_trouble() {
        let health = Health::default();
        assert_eq!(health.of("tempo", Signal::Traces), Condition::default());
        health.failing("tempo", Signal::Traces, "connection refused", false);
        let since = health.of("tempo", Signal::Traces).failing_since.unwrap();
        health.failing("tempo", Signal::Traces, "HTTP 401", true);
        let failing = health.of("tempo", Signal::Traces);
        assert_eq!((failing.failing_since, failing.misconfigured), (Some(since), true));
        assert_eq!(health.of("tempo", Signal::Logs), Condition::default());
        health.well("tempo", Signal::Traces);
        let well = health.of("tempo", Signal::Traces);
        assert_eq!((well.failing_since, well.misconfigured), (None, false));
        assert_eq!(well.last_error.unwrap().reason, "HTTP 401");
        health.refused("tempo", Signal::Traces, "HTTP 400");
        assert_eq!(health.of("tempo", Signal::Traces).failing_since, None);
        health.forget("tempo");
        assert_eq!(health.of("tempo", Signal::Traces), Condition::default());
    }
}
