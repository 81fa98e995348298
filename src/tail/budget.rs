//! A share of a processor: who has used it up waits.

use std::time::Duration;

use tokio::time::Instant;

/// What may be used at once after a time of rest.
const MOST: Duration = Duration::from_millis(100);

/// Time that may be used. It grows by a share of the time that passes.
#[derive(Debug)]
pub struct Budget {
    share: f64,
    /// Seconds; below zero if more was used than there was.
    left: f64,
    at: Instant,
}

impl Budget {
    /// A share of one processor.
    pub fn new(share: f64, now: Instant) -> Self {
        Budget { share, left: MOST.as_secs_f64(), at: now }
    }

    /// So much of the processor was used.
    pub fn spend(&mut self, used: Duration) {
        self.left -= used.as_secs_f64();
    }

    /// How long to wait until there is something left.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.share).min(MOST.as_secs_f64());
        if self.left > 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.left / self.share + 0.001) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_share_is_used() {
        let start = Instant::now();
        let mut budget = Budget::new(0.05, start);
        let (mut now, mut used) = (start, Duration::ZERO);
        while now < start + Duration::from_secs(100) {
            now += budget.wait(now);
            budget.spend(Duration::from_millis(7));
            used += Duration::from_millis(7);
            now += Duration::from_millis(7);
        }
        let share = used.as_secs_f64() / 100.0;
        assert!((0.049..0.052).contains(&share), "{share}");
        // A long rest gives no more than a moment.
        now += Duration::from_secs(10_000);
        assert_eq!(budget.wait(now), Duration::ZERO);
        budget.spend(MOST + Duration::from_millis(5));
        assert!(budget.wait(now) >= Duration::from_millis(100));
    }
}
