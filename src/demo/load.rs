//! How much is asked of the shop, and what goes wrong in it: a daily wave of requests and now and
//! then an incident. Both are functions of the seed and the time of day alone, so that history
//! and live data fit together and a run can be repeated.

use rand::Rng;
use rand::rngs::SmallRng;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// One incident may begin in each slot of this many seconds.
const SLOT: u64 = 40 * MINUTE;

/// What an incident makes worse. `1.0` and the usual shares when nothing is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// Factor on the answering time of the payment provider.
    pub provider_slowdown: f64,
    /// Share of payments that the provider does not answer in time.
    pub provider_timeouts: f64,
    /// Share of catalog look-ups that the cache cannot answer.
    pub cache_misses: f64,
    /// Factor on the time of a product search in the database.
    pub search_slowdown: f64,
    /// Share of requests that run into a bug of the storefront.
    pub bugs: f64,
}

impl Conditions {
    /// A quiet day.
    pub const USUAL: Conditions = Conditions {
        provider_slowdown: 1.0,
        provider_timeouts: 0.01,
        cache_misses: 0.12,
        search_slowdown: 1.0,
        bugs: 0.004,
    };

    /// The conditions at a time (unix seconds) in the world with this seed.
    pub fn at(seed: u64, second: u64) -> Conditions {
        let slot = second / SLOT;
        let dice = mix(seed, slot);
        let length = (4 + dice % 5) * MINUTE;
        let begin = slot * SLOT + (dice >> 8) % (SLOT - length);
        if !(begin..begin + length).contains(&second) {
            return Conditions::USUAL;
        }
        let usual = Conditions::USUAL;
        match (dice >> 40) % 4 {
            // The payment provider is the shop's usual trouble.
            0 | 1 => Conditions { provider_slowdown: 7.0, provider_timeouts: 0.3, ..usual },
            2 => Conditions { cache_misses: 0.9, search_slowdown: 4.0, ..usual },
            _ => Conditions { bugs: 0.08, ..usual },
        }
    }
}

/// Requests of each second, at a mean rate over a day.
#[derive(Debug, Clone)]
pub struct Load {
    rate: f64,
    seed: u64,
    carried: f64,
}

impl Load {
    /// `rate`: requests a second, the mean of a day.
    pub fn new(rate: f64, seed: u64) -> Load {
        Load { rate, seed, carried: 0.0 }
    }

    /// How many requests come in this second (unix). To be asked once for each second.
    pub fn requests_in(&mut self, second: u64) -> usize {
        let minute = mix(self.seed, second / MINUTE) as f64 / u64::MAX as f64;
        let moment = mix(self.seed ^ 0x5eed, second) as f64 / u64::MAX as f64;
        let expected = self.rate * wave(second) * (0.85 + 0.3 * minute) * (0.6 + 0.8 * moment);
        self.carried += expected;
        let whole = self.carried.floor();
        self.carried -= whole;
        whole as usize
    }
}

/// The share of the mean rate at a time of day (UTC): least at five in the morning, most at
/// eight in the evening, with a smaller hill at noon.
fn wave(second: u64) -> f64 {
    let day = (second % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
    let hour = std::f64::consts::TAU / 24.0;
    1.0 + 0.4 * (day - 20.0 * hour).cos() + 0.15 * (2.0 * (day - 12.0 * hour)).cos()
}

/// A well-mixed number of two (SplitMix64's finalizer).
pub fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A log-normal time in nanoseconds, as latencies are: `median` in milliseconds, `sigma` of the
/// logarithm (0.3: narrow, 1: a long tail).
pub fn latency(rng: &mut SmallRng, median: f64, sigma: f64) -> u64 {
    (median * 1e6 * (sigma * normal(rng)).exp()) as u64
}

/// A normal variate (Box-Muller).
pub fn normal(rng: &mut SmallRng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_the_rate_asked_for() {
        let mut load = Load::new(2.0, 7);
        let total: usize = (0..DAY).map(|second| load.requests_in(second)).sum();
        let mean = total as f64 / DAY as f64;
        assert!((1.9..2.1).contains(&mean), "{mean}");
    }

    #[test]
    fn evening_is_busier_than_early_morning() {
        assert!(wave(20 * 3600) > 2.0 * wave(5 * 3600));
    }

    #[test]
    fn incidents_happen_but_not_always() {
        let bad = (0..DAY).filter(|s| Conditions::at(1, *s) != Conditions::USUAL).count() as f64;
        assert!((0.05..0.3).contains(&(bad / DAY as f64)), "{bad}");
    }
}
