//! Says in the log when a destination falls behind and when it has caught up.
//!
//! The store is no such destination: its rows are visible at once, and what waits for it in the
//! log waits to be sealed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::duration::Written;
use crate::signal::Signal;
use crate::telemetry::health::Health;
use crate::wal::{CursorStats, Logs};

/// A destination lags when its oldest record is older than this.
const LAGGING: Duration = Duration::from_secs(60);

/// It has caught up when its oldest record is younger than this: it goes back and forth at no
/// line.
const CAUGHT_UP: Duration = Duration::from_secs(10);

/// Which destinations lag.
#[derive(Debug)]
pub struct Lag {
    logs: Logs,
    health: Health,
    lagging: BTreeMap<(String, Signal), Lagging>,
}

/// One that does.
#[derive(Debug, Clone, Copy)]
struct Lagging {
    since: Instant,
    /// The most that it was behind.
    items: u64,
    time: Duration,
    /// Items dropped for it so far.
    dropped: u64,
}

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Lags,
    CaughtUp { after: Duration, items: u64, time: Duration, dropped: u64 },
}

impl Lag {
    /// Nobody lags yet.
    pub fn new(logs: Logs, health: Health) -> Self {
        Lag { logs, health, lagging: BTreeMap::new() }
    }

    /// Looks, and says what has changed; `is_store` knows which destinations are none of ours.
    pub fn look(&mut self, is_store: impl Fn(&str) -> bool) {
        let mut seen = Vec::new();
        for signal in Signal::ALL {
            for cursor in self.logs.of(signal).stats().cursors {
                if is_store(&cursor.destination) {
                    continue;
                }
                let key = (cursor.destination.clone(), signal);
                if let Some(word) = judge(&mut self.lagging, &key, &cursor, Instant::now()) {
                    self.say(&key, &cursor, &word);
                }
                seen.push(key);
            }
        }
        // Removed ones have nothing to catch up with.
        self.lagging.retain(|key, _| seen.contains(key));
    }

    fn say(&self, (destination, signal): &(String, Signal), cursor: &CursorStats, word: &Word) {
        match word {
            Word::Lags => {
                let last_error = self.health.of(destination, *signal).last_error.map(|error| error.reason);
                tracing::warn!(
                    destination,
                    %signal,
                    lag = %whole_seconds(cursor.lag_time),
                    items = cursor.lag_items,
                    bytes = cursor.lag_bytes,
                    last_error,
                    "destination lags"
                );
            }
            Word::CaughtUp { after, items, time, dropped } => tracing::info!(
                destination,
                %signal,
                lagged_for = %whole_seconds(*after),
                largest_lag = %whole_seconds(*time),
                most_items = items,
                dropped_items = dropped,
                "destination has caught up"
            ),
        }
    }
}

fn judge(
    lagging: &mut BTreeMap<(String, Signal), Lagging>,
    key: &(String, Signal),
    cursor: &CursorStats,
    now: Instant,
) -> Option<Word> {
    match lagging.get_mut(key) {
        None if cursor.lag_time > LAGGING => {
            let lags =
                Lagging { since: now, items: cursor.lag_items, time: cursor.lag_time, dropped: cursor.dropped_items };
            lagging.insert(key.clone(), lags);
            Some(Word::Lags)
        }
        None => None,
        Some(lags) if cursor.lag_time < CAUGHT_UP => {
            let word = Word::CaughtUp {
                // It was behind before anybody noticed.
                after: now.duration_since(lags.since) + LAGGING,
                items: lags.items,
                time: lags.time,
                dropped: cursor.dropped_items.saturating_sub(lags.dropped),
            };
            lagging.remove(key);
            Some(word)
        }
        Some(lags) => {
            lags.items = lags.items.max(cursor.lag_items);
            lags.time = lags.time.max(cursor.lag_time);
            None
        }
    }
}

fn whole_seconds(time: Duration) -> Written {
    Written(Duration::from_secs(time.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_once_when_it_begins_and_once_when_it_ends() {
        let (mut lagging, key, start) = (BTreeMap::new(), ("tempo".to_owned(), Signal::Traces), Instant::now());
        let mut at = |second: u64, lag: u64, items: u64, dropped_items: u64| {
            let lag_time = Duration::from_secs(lag);
            let cursor = CursorStats { lag_time, lag_items: items, dropped_items, ..CursorStats::default() };
            judge(&mut lagging, &key, &cursor, start + Duration::from_secs(second))
        };
        assert_eq!(at(0, 59, 5, 1), None);
        assert_eq!(at(5, 61, 10, 1), Some(Word::Lags));
        assert_eq!(at(10, 100, 50, 2), None);
        assert_eq!(at(15, 30, 20, 4), None, "not there yet");
        let (after, time) = (Duration::from_secs(75), Duration::from_secs(100));
        assert_eq!(at(20, 9, 1, 4), Some(Word::CaughtUp { after, items: 50, time, dropped: 3 }));
        assert_eq!(at(25, 59, 1, 4), None);
        assert_eq!(at(30, 61, 1, 4), Some(Word::Lags));
    }
}
