//! The last 15 minutes of the collector, for the charts of the pages.

use std::collections::BTreeMap;

/// Values at equal distances of time, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line(pub Vec<f64>);

/// What is kept of the last 15 minutes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Seconds between two values.
    pub step_seconds: u64,
    /// Acknowledged items a second, in the order traces, metrics, logs, profiles.
    pub signals: [Line; 4],
    /// Bytes of the logs, in the same order.
    pub log_bytes: [Line; 4],
    /// Acknowledged items a second, by receiver.
    pub receivers: BTreeMap<String, Line>,
    /// Items a second that a destination has taken or refused.
    pub destinations: BTreeMap<String, Line>,
    /// Items that wait for a destination.
    pub waiting: BTreeMap<String, Line>,
}

impl Line {
    /// The mean of the last minute; nothing if there is no value yet.
    pub fn last_minute(&self, step_seconds: u64) -> Option<f64> {
        let values = usize::try_from(60 / step_seconds.max(1)).unwrap_or(1).max(1);
        let last = &self.0[self.0.len().saturating_sub(values)..];
        (!last.is_empty()).then(|| last.iter().sum::<f64>() / last.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_is_of_its_values_alone() {
        assert_eq!(Line::default().last_minute(5), None);
        assert_eq!(Line(vec![4.0, 8.0]).last_minute(5), Some(6.0));
        let line = Line([vec![1000.0; 5], vec![2.0; 12]].concat());
        assert_eq!(line.last_minute(5), Some(2.0));
    }
}
