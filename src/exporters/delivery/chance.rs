//! How often a destination fails by chance: a request that failed and is accepted later, as it was,
//! has not failed over what is in it. The more of that there is, the more often an item has to fail
//! before it is held to be the cause.

use super::engine::STRIKES;

/// The chance that is left of an item being set aside that would be accepted.
const RISK: f64 = 1e-6;

/// How many failures of one request are counted: in an outage all of them fail together.
const MOST: u32 = 3;

/// What an acceptance is worth when the next one has come.
const DECAY: f64 = 0.98;

/// Acceptances without failures that are assumed before anything is known.
const ASSUMED: f64 = 10.0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Chance {
    accepted: f64,
    failed: f64,
}

impl Chance {
    /// A request was accepted after it had failed so often.
    pub(super) fn accepted(&mut self, failures: u32) {
        self.accepted = self.accepted * DECAY + 1.0;
        self.failed = self.failed * DECAY + f64::from(failures.min(MOST));
    }

    /// How often a request has to fail in a row before that is no chance.
    pub(super) fn strikes(&self) -> u32 {
        // What was seen is few requests: by two standard deviations there may be more failures.
        let failed = self.failed + 2.0 * self.failed.sqrt() + 0.5;
        let chance = failed / (self.accepted + self.failed + ASSUMED);
        // The logarithms are of less than one, both.
        let needed = (RISK.ln() / chance.ln()).ceil();
        STRIKES.max(needed as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_fails_by_chance_the_more_it_takes() {
        let mut chance = Chance::default();
        assert_eq!(chance.strikes(), STRIKES);
        for _ in 0..100 {
            chance.accepted(0);
        }
        assert_eq!(chance.strikes(), STRIKES);
        for _ in 0..100 {
            chance.accepted(1);
        }
        let half = chance.strikes();
        assert!((15..30).contains(&half), "{half}");
        for _ in 0..1000 {
            chance.accepted(u32::MAX);
        }
        assert!((half..100).contains(&chance.strikes()), "{}", chance.strikes());
        for _ in 0..300 {
            chance.accepted(0);
        }
        assert_eq!(chance.strikes(), STRIKES, "it forgets");
    }
}
