//! Slowing who guesses credentials, in the form or in the header of a request: each address has a few wrong tries, and
//! after that longer and longer waits, in which nothing new is looked at.
//!
//! Who shows something that can be nothing of ours, such as a token without its scheme, does not guess. Who shows the
//! same wrong credentials again learns nothing by it and does not wait: that is a program whose token is out of date.
//! Credentials that were right before from the same address hold in a wait, too: several people and programs may be
//! behind one address.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Wrong tries without a wait.
const FREE: u32 = 3;

/// The longest wait between two tries.
const MOST: Duration = Duration::from_secs(60);

/// Addresses are forgotten so long after their last try.
const FORGET: Duration = Duration::from_secs(900);

/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 1024;

/// Credentials of an address that are remembered, by their hashes: right ones, and wrong ones.
const MAX_KNOWN: usize = 8;

/// The tries of all addresses.
#[derive(Debug, Default)]
pub struct Tries {
    addresses: Mutex<HashMap<IpAddr, Tried>>,
    /// With keys that nobody knows.
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Tried {
    /// Wrong tries that counted, since a right one.
    wrong: u32,
    last_wrong: Instant,
    last: Instant,
    known_right: Vec<u64>,
    known_wrong: Vec<u64>,
}

impl Tried {
    fn left(&self, now: Instant) -> Duration {
        let Some(more) = self.wrong.checked_sub(FREE) else { return Duration::ZERO };
        let wait = Duration::from_secs(1 << more.min(10)).min(MOST);
        wait.saturating_sub(now.duration_since(self.last_wrong))
    }
}

impl Tries {
    /// A try of an address: what `check` says of these credentials, if they are looked at; of a refusal `is_guess` says
    /// whether the try counts.
    ///
    /// # Errors
    /// How long to wait before the next one: `check` was not called.
    pub fn attempt<E>(
        &self,
        address: IpAddr,
        shown: &HeaderValue,
        now: Instant,
        check: impl FnOnce() -> Result<(), E>,
        is_guess: impl FnOnce(&E) -> bool,
    ) -> Result<Result<(), E>, Duration> {
        let (address, hash) = (network(address), self.hasher.hash_one(shown.as_bytes()));
        // Tries at the same time are no way around: it is held until this one has been looked at.
        let mut addresses = self.addresses.lock();
        addresses.retain(|_, tried| now.duration_since(tried.last) < FORGET);
        let known = addresses.get(&address);
        let was_right = known.is_some_and(|tried| tried.known_right.contains(&hash));
        let was_wrong = known.is_some_and(|tried| tried.known_wrong.contains(&hash));
        let left = known.map_or(Duration::ZERO, |tried| tried.left(now));
        if !was_right && !was_wrong && !left.is_zero() {
            return Err(left);
        }
        let result = check();
        if addresses.len() >= MAX_ADDRESSES
            && !addresses.contains_key(&address)
            && let Some(oldest) = addresses.iter().min_by_key(|(_, tried)| tried.last).map(|(address, _)| *address)
        {
            addresses.remove(&oldest);
        }
        let new = || Tried { wrong: 0, last_wrong: now, last: now, known_right: Vec::new(), known_wrong: Vec::new() };
        let tried = addresses.entry(address).or_insert_with(new);
        tried.last = now;
        match (&result, was_right, was_wrong) {
            // What others behind the address show all the time is no reason to let this one guess on.
            (Ok(()), true, _) | (Err(_), _, true) => {}
            (Ok(()), false, _) => {
                tried.wrong = 0;
                tried.known_wrong.retain(|known| *known != hash);
                remember(&mut tried.known_right, hash);
            }
            (Err(refusal), _, false) if !is_guess(refusal) => {}
            (Err(_), _, false) => {
                (tried.wrong, tried.last_wrong) = (tried.wrong.saturating_add(1), now);
                tried.known_right.retain(|known| *known != hash);
                remember(&mut tried.known_wrong, hash);
            }
        }
        Ok(result)
    }
}

fn remember(known: &mut Vec<u64>, hash: u64) {
    if known.len() >= MAX_KNOWN {
        known.remove(0);
    }
    known.push(hash);
}

/// Who has one address of IPv6 has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::from((u128::from(address) & !u128::from(u64::MAX)).to_be_bytes()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "Bearer right";

    /// Whether credentials are taken, and if they are not looked at, for how long.
    fn attempt(tries: &Tries, address: IpAddr, shown: &str, now: Instant) -> Result<bool, Duration> {
        let check = || if shown.starts_with(RIGHT) { Ok(()) } else { Err(()) };
        let value = HeaderValue::try_from(shown).unwrap();
        tries.attempt(address, &value, now, check, |()| shown.starts_with("Bearer ")).map(|result| result.is_ok())
    }

    #[test]
    fn who_guesses_waits_longer_and_longer() {
        let tries = Tries::default();
        let (guesser, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut now = Instant::now();
        let mut guesses = (0..).map(|n| format!("Bearer {n}"));
        let mut guess = |now| attempt(&tries, guesser, &guesses.next().unwrap(), now);
        for _ in 0..FREE {
            assert_eq!(guess(now), Ok(false));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = guess(now).unwrap_err();
            assert_eq!(wait.as_secs(), seconds);
            let early = now + wait - Duration::from_millis(1);
            assert!(attempt(&tries, guesser, RIGHT, early).is_err(), "right or not");
            assert_eq!(attempt(&tries, other, RIGHT, now), Ok(true), "others do not wait");
            now += wait;
            assert_eq!(guess(now), Ok(false));
        }
        now += MOST;
        assert_eq!(attempt(&tries, guesser, RIGHT, now), Ok(true));
        for _ in 0..FREE {
            assert_eq!(guess(now), Ok(false));
        }
        assert!(guess(now).is_err());
        assert_eq!(guess(now + FORGET), Ok(false), "it is forgotten");
    }

    #[test]
    fn what_is_nothing_of_ours_is_no_guess() {
        let (tries, now) = (Tries::default(), Instant::now());
        for n in 0..100 {
            assert_eq!(attempt(&tries, [10, 0, 0, 1].into(), &format!("Digest {n}"), now), Ok(false));
        }
        assert_eq!(attempt(&tries, [10, 0, 0, 1].into(), RIGHT, now), Ok(true));
    }

    #[test]
    fn who_repeats_the_same_wrong_credentials_does_not_guess() {
        let tries = Tries::default();
        let (address, now) = ([10, 0, 0, 1].into(), Instant::now());
        for _ in 0..100 {
            assert_eq!(attempt(&tries, address, "Bearer of-last-year", now), Ok(false));
        }
        assert_eq!(attempt(&tries, address, RIGHT, now), Ok(true));
    }

    #[test]
    fn what_was_right_before_holds_in_a_wait_and_ends_none() {
        let tries = Tries::default();
        let (address, now) = ([10, 0, 0, 1].into(), Instant::now());
        assert_eq!(attempt(&tries, address, RIGHT, now), Ok(true));
        for n in 0..FREE {
            assert_eq!(attempt(&tries, address, &format!("Bearer {n}"), now), Ok(false));
        }
        for _ in 0..3 {
            assert_eq!(attempt(&tries, address, RIGHT, now), Ok(true));
            assert!(attempt(&tries, address, "Bearer x", now).is_err());
            assert!(attempt(&tries, address, "Bearer right, too", now).is_err(), "it is not known yet");
        }
    }

    #[test]
    fn addresses_are_bounded_and_those_of_a_network_are_one() {
        let tries = Tries::default();
        let now = Instant::now();
        for n in 0..5000_u32 {
            let _ = attempt(&tries, IpAddr::from(n.to_be_bytes()), "Bearer x", now);
        }
        assert_eq!(tries.addresses.lock().len(), MAX_ADDRESSES);
        let one = |last: u16| IpAddr::from([0xfd00, 1, 2, 3, 0, 0, 0, last]);
        for n in 0..30 {
            let guessed = attempt(&tries, one(n), &format!("Bearer {n}"), now);
            assert_eq!(guessed.is_ok(), n < 3, "{n}");
        }
        assert!(tries.addresses.lock()[&network(one(0))].known_wrong.len() <= MAX_KNOWN);
    }
}
