//! File descriptors: connections must not take those that the logs, the store and the exporters need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that connections leave alone: at least and at most, else a quarter of all.
const RESERVE: (u64, u64) = (128, 512);

/// What most systems give where nothing is said.
const USUAL: u64 = 1024;

/// Raises the limit on open files to what the process may have, and gives it. Most systems start a
/// process with 1,024 for the sake of programs that use select(2); we do not.
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum.or(limit.current), maximum: limit.maximum };
    let raised = setrlimit(Resource::Nofile, wanted).is_ok();
    let now = if raised { wanted.current } else { limit.current };
    now.unwrap_or(USUAL)
}

/// How many connections each group of ports may have at most, where a process may have `limit` files
/// open. The groups want so many each, and a connection of a group takes so many descriptors. What
/// nobody wants is for the first group, in case that its limit is raised later.
pub fn share<const N: usize>(limit: u64, wanted: [(usize, u64); N]) -> [usize; N] {
    let reserve = (limit / 4).clamp(RESERVE.0, RESERVE.1);
    let available = limit.saturating_sub(reserve);
    let total = wanted.iter().map(|(count, cost)| (*count as u64).saturating_mul(*cost)).fold(0, u64::saturating_add);
    let mut caps = wanted.map(|(count, _)| count);
    match available.checked_sub(total) {
        Some(spare) => {
            if let (Some(cap), [(_, cost), ..]) = (caps.first_mut(), &wanted[..]) {
                *cap = cap.saturating_add(usize::try_from(spare / cost.max(&1)).unwrap_or(usize::MAX));
            }
        }
        None => {
            for cap in &mut caps {
                let share = u128::from(available) * (*cap as u128) / u128::from(total);
                *cap = usize::try_from(share).unwrap_or(usize::MAX).max(1);
            }
        }
    }
    caps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_a_reserve() {
        assert_eq!(share(524_288, [(1024, 1), (256, 1), (512, 2)]), [524_288 - 512 - 256 - 1024, 256, 512]);
        let few = share(1024, [(1024, 1), (256, 1), (512, 2)]);
        assert_eq!(few, [341, 85, 170]);
        assert!(few[0] + few[1] + 2 * few[2] <= 1024 - 256);
        assert_eq!(share(16, [(1024, 1)]), [1]);
    }

    #[test]
    fn the_limit_goes_up_to_what_is_allowed() {
        let raised = raise();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, Some(raised)), (now.maximum, now.current.or(Some(USUAL))));
    }
}
