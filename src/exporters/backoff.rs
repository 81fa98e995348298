//! How long to wait before trying again: doubled each time up to a limit, with jitter, so that
//! many collectors do not come back in step.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait of our own.
const LAST: Duration = Duration::from_secs(30);

/// The longest wait that a destination can ask for. One that says tomorrow would stop its
/// delivery for good, for whoever fixes it meanwhile.
const LONGEST: Duration = Duration::from_secs(600);

/// Gives the waits.
#[derive(Debug)]
pub struct Backoff {
    random: SmallRng,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { random: SmallRng::from_os_rng() }
    }
}

impl Backoff {
    /// The same waits each time, for tests.
    pub fn with_seed(seed: u64) -> Self {
        Backoff { random: SmallRng::seed_from_u64(seed) }
    }

    /// How long to wait after so many failures in a row (1 is the first): between half and the
    /// whole of a time that doubles up to 30 s; or what the destination asked for, up to 10
    /// minutes, with a tenth of jitter on top.
    pub fn after(&mut self, failures: u32, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LAST);
        let ours = doubled.mul_f64(self.random.random_range(0.5..=1.0));
        match asked {
            // Asked to come back at once, again and again, would be a tight loop.
            None | Some(Duration::ZERO) => ours,
            Some(asked) => asked.clamp(FIRST, LONGEST).mul_f64(self.random.random_range(1.0..=1.1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_grow_to_the_limit_and_no_further(seed: u64, failures in 1u32..u32::MAX) {
            let wait = Backoff::with_seed(seed).after(failures, None);
            prop_assert!(wait >= FIRST / 2 && wait <= LAST);
            if failures > 7 {
                prop_assert!(wait >= LAST / 2);
            }
        }

        #[test]
        fn what_is_asked_for_is_kept(seed: u64, failures in 1u32..100, asked in 1u64..1_000_000) {
            let asked = Duration::from_secs(asked);
            let wait = Backoff::with_seed(seed).after(failures, Some(asked));
            prop_assert!(wait >= asked.min(LONGEST));
            prop_assert!(wait <= LONGEST.mul_f64(1.1));
        }
    }
}
