//! The counters of the last 15 minutes, for rates and for the pages' charts.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::web::history::{History as Shown, Line};

/// How often the counters are noted.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// So many of them are kept: 15 minutes.
const SAMPLES: usize = 181;

/// So many of them make a minute.
const MINUTE: usize = 12;

/// The counters of one moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When they were read.
    pub at: Instant,
    /// Acknowledged items by signal.
    pub acknowledged: [u64; 4],
    /// Bytes of the logs by signal.
    pub log_bytes: [u64; 4],
    /// Acknowledged items by receiver.
    pub receivers: BTreeMap<&'static str, u64>,
    /// Items that a destination has taken or refused, and items that wait for it, over all signals.
    pub destinations: BTreeMap<String, Destination>,
}

/// Counters of a destination.
#[derive(Debug, Clone, Copy, Default)]
pub struct Destination {
    /// Items that it has taken or refused.
    pub passed: u64,
    /// Items that wait for it.
    pub waiting: u64,
}

/// The samples, the oldest first. How many there are is bounded, and each is as large as the config.
#[derive(Debug, Default)]
pub struct History(VecDeque<Sample>);

impl History {
    /// One more; the oldest goes.
    pub fn add(&mut self, sample: Sample) {
        if self.0.len() == SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// The sample of a minute ago, or the oldest.
    pub fn minute_ago(&self) -> Option<&Sample> {
        self.0.get(self.0.len().saturating_sub(MINUTE + 1))
    }

    /// As the pages show it: rates between the samples.
    pub fn show(&self) -> Shown {
        let names = |of: fn(&Sample) -> Vec<String>| -> Vec<String> {
            let mut names: Vec<String> = self.0.back().map(of).unwrap_or_default();
            names.sort();
            names
        };
        let receivers = names(|sample| sample.receivers.keys().map(|name| (*name).to_owned()).collect());
        let destinations = names(|sample| sample.destinations.keys().cloned().collect());
        let passed = |name: &str| {
            let name = name.to_owned();
            self.rates(move |sample| sample.destinations.get(&name).map(|destination| destination.passed))
        };
        let waiting = |name: &str| self.values(|sample| sample.destinations.get(name).map_or(0, |d| d.waiting));
        Shown {
            step_seconds: SAMPLE_EVERY.as_secs(),
            signals: [0, 1, 2, 3].map(|signal| self.rates(|sample| Some(sample.acknowledged[signal]))),
            log_bytes: [0, 1, 2, 3].map(|signal| self.values(|sample| sample.log_bytes[signal])),
            receivers: receivers
                .into_iter()
                .map(|name| (name.clone(), self.rates(|sample| sample.receivers.get(name.as_str()).copied())))
                .collect(),
            destinations: destinations.iter().map(|name| (name.clone(), passed(name))).collect(),
            waiting: destinations.iter().map(|name| (name.clone(), waiting(name))).collect(),
        }
    }

    fn values(&self, of: impl Fn(&Sample) -> u64) -> Line {
        Line(self.0.iter().map(|sample| of(sample) as f64).collect())
    }

    /// Items a second between neighbours. A counter that begins again, as that of a destination which is
    /// new in the config, has no rate there.
    fn rates(&self, of: impl Fn(&Sample) -> Option<u64>) -> Line {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let rate = |(before, after): (&Sample, &Sample)| {
            let seconds = after.at.duration_since(before.at).as_secs_f64().max(0.001);
            match (of(before), of(after)) {
                (Some(before), Some(after)) => after.saturating_sub(before) as f64 / seconds,
                _ => 0.0,
            }
        };
        Line(pairs.map(rate).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Instant, items: u64, passed: Option<u64>) -> Sample {
        let tempo = passed.map(|passed| ("tempo".to_owned(), Destination { passed, waiting: 7 }));
        Sample {
            at,
            acknowledged: [items, 0, 0, 0],
            log_bytes: [100, 0, 0, 0],
            receivers: BTreeMap::from([("otlp_grpc", items)]),
            destinations: tempo.into_iter().collect(),
        }
    }

    #[test]
    fn rates_are_of_the_time_that_has_passed() {
        let (start, mut history) = (Instant::now(), History::default());
        assert!(history.minute_ago().is_none());
        for (second, items, passed) in [(0, 0, None), (5, 50, Some(40)), (15, 250, Some(240)), (20, 250, Some(3))] {
            history.add(sample(start + Duration::from_secs(second), items, passed));
        }
        let shown = history.show();
        assert_eq!(shown.signals[0], Line(vec![10.0, 20.0, 0.0]));
        assert_eq!(shown.receivers["otlp_grpc"], Line(vec![10.0, 20.0, 0.0]));
        assert_eq!(shown.destinations["tempo"], Line(vec![0.0, 20.0, 0.0]), "a new one, and one that began again");
        assert_eq!(shown.waiting["tempo"], Line(vec![0.0, 7.0, 7.0, 7.0]));
        assert_eq!(history.minute_ago().map(|sample| sample.acknowledged[0]), Some(0));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (start, mut history) = (Instant::now(), History::default());
        for n in 0..1000 {
            history.add(sample(start + SAMPLE_EVERY * n, u64::from(n), Some(0)));
        }
        assert_eq!(history.show().signals[0].0.len(), SAMPLES - 1);
        assert_eq!(history.minute_ago().map(|sample| sample.acknowledged[0]), Some(999 - 12));
    }
}
