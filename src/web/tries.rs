//! Slowing who guesses: each address has a few tries, and after that longer and longer waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Wrong tries without a wait.
const FREE: u32 = 3;

/// The longest wait between two tries.
const MOST: Duration = Duration::from_secs(60);

/// Wrong tries are forgotten after this time.
const FORGET: Duration = Duration::from_secs(900);

/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 1024;

/// The tries of all addresses.
#[derive(Debug, Default)]
pub struct Tries(Mutex<HashMap<IpAddr, Wrong>>);

#[derive(Debug, Clone, Copy)]
struct Wrong {
    tries: u32,
    last: Instant,
}

impl Tries {
    /// A try, which counts as wrong until it is [right](Self::right): tries at the same time are no way around.
    ///
    /// # Errors
    /// How long to wait before the next one. This one must not be looked at.
    pub fn begin(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut tried = self.0.lock();
        tried.retain(|_, wrong| now.duration_since(wrong.last) < FORGET);
        let address = network(address);
        let before = tried.get(&address).copied().unwrap_or(Wrong { tries: 0, last: now });
        let wait = match before.tries.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(more) => Duration::from_secs(1 << more.min(10)).min(MOST),
        };
        let left = wait.saturating_sub(now.duration_since(before.last));
        if before.tries >= FREE && !left.is_zero() {
            return Err(left);
        }
        if tried.len() >= MAX_ADDRESSES
            && !tried.contains_key(&address)
            && let Some(oldest) = tried.iter().min_by_key(|(_, wrong)| wrong.last).map(|(address, _)| *address)
        {
            tried.remove(&oldest);
        }
        tried.insert(address, Wrong { tries: before.tries.saturating_add(1), last: now });
        Ok(())
    }

    /// The last try was right.
    pub fn right(&self, address: IpAddr) {
        self.0.lock().remove(&network(address));
    }
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

    #[test]
    fn who_guesses_waits_longer_and_longer() {
        let tries = Tries::default();
        let (guesser, other) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(tries.begin(guesser, now), Ok(()));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = tries.begin(guesser, now).unwrap_err();
            assert_eq!(wait.as_secs(), seconds);
            assert!(tries.begin(guesser, now + wait - Duration::from_millis(1)).is_err());
            assert_eq!(tries.begin(other, now), Ok(()), "others do not wait");
            tries.right(other);
            now += wait;
            assert_eq!(tries.begin(guesser, now), Ok(()));
        }
        tries.right(guesser);
        for _ in 0..FREE {
            assert_eq!(tries.begin(guesser, now), Ok(()));
        }
        assert_eq!(tries.begin(guesser, now + FORGET), Ok(()), "it is forgotten");
    }

    #[test]
    fn addresses_are_bounded_and_those_of_a_network_are_one() {
        let tries = Tries::default();
        let now = Instant::now();
        for n in 0..5000_u32 {
            let _ = tries.begin(IpAddr::from(n.to_be_bytes()), now);
        }
        assert_eq!(tries.0.lock().len(), MAX_ADDRESSES);
        let one = |last: u16| IpAddr::from([0xfd00, 1, 2, 3, 0, 0, 0, last]);
        for n in 0..3 {
            assert_eq!(tries.begin(one(n), now), Ok(()));
        }
        assert!(tries.begin(one(9), now).is_err());
    }
}
