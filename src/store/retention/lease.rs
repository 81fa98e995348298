//! How long a snapshot is not the latest any more. A statement takes the latest snapshot when it
//! begins, so what has not been the latest for as long as a statement may run, no statement reads.
//!
//! By the monotonic clock: one that is set takes nobody's files away. What was there at the start
//! counts from then on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Snapshots as they were the latest.
#[derive(Debug, Default)]
pub struct Lease {
    /// From when on this snapshot, or a later one, was the latest.
    seen: VecDeque<(Instant, i64)>,
}

impl Lease {
    /// This snapshot is the latest now.
    pub fn note(&mut self, now: Instant, latest: i64) {
        if self.seen.back().is_none_or(|(_, last)| *last < latest) {
            self.seen.push_back((now, latest));
        }
    }

    /// The snapshots before this one have not been the latest for as long as `age`, the longest that
    /// is asked for.
    pub fn over(&mut self, now: Instant, age: Duration) -> i64 {
        while self.seen.get(1).is_some_and(|(since, _)| now.duration_since(*since) >= age) {
            self.seen.pop_front();
        }
        self.seen.front().filter(|(since, _)| now.duration_since(*since) >= age).map_or(0, |(_, snapshot)| *snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_over_once_it_has_not_been_the_latest_for_a_while() {
        let mut lease = Lease::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let age = Duration::from_secs(10);
        lease.note(at(0), 5);
        assert_eq!(lease.over(at(9), age), 0, "nothing is known of before");
        assert_eq!(lease.over(at(10), age), 5, "those that were not the latest at the start");
        lease.note(at(20), 5);
        lease.note(at(30), 8);
        assert_eq!(lease.over(at(39), age), 5, "5 was the latest until 30");
        lease.note(at(39), 9);
        assert_eq!(lease.over(at(40), age), 8);
        assert_eq!(lease.over(at(41), Duration::from_secs(1)), 9, "a shorter one, for want of room");
        assert_eq!(lease.over(at(100), age), 9);
    }
}
