//! Remembers statements that have ended a reader by a crash, by their memory or as they ignored their interrupt, and
//! refuses them for a while after the second time: a dashboard that asks every ten seconds must not cost a reader
//! each time. One that was only late is not among them: on a busy machine that is any statement.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_128;

/// How often a text may end its reader before it is refused.
const STRIKES: u32 = 2;

/// How long it is refused then, and how long a first time is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(600);

/// Texts remembered at once.
const REMEMBERED: usize = 1024;

/// A statement's text, whatever its blank space.
pub fn fingerprint(text: &str) -> u128 {
    let words: Vec<&str> = text.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).split_whitespace().collect();
    xxh3_128(words.join(" ").as_bytes())
}

/// See the module.
#[derive(Debug, Default)]
pub struct CrashStatements {
    strikes: HashMap<u128, (u32, Instant)>,
}

impl CrashStatements {
    /// Its reader ended while this statement ran. Returns how often that has happened.
    pub fn record(&mut self, fingerprint: u128) -> u32 {
        self.strikes.retain(|_, (_, last)| last.elapsed() < REFUSED_FOR);
        if self.strikes.len() >= REMEMBERED
            && let Some(oldest) = self.strikes.iter().min_by_key(|(_, (_, last))| *last).map(|(key, _)| *key)
        {
            self.strikes.remove(&oldest);
        }
        let (count, last) = self.strikes.entry(fingerprint).or_insert((0, Instant::now()));
        *count += 1;
        *last = Instant::now();
        *count
    }

    /// It ran to its end: whatever ended a reader before, it need not end the next.
    pub fn forgive(&mut self, fingerprint: u128) {
        self.strikes.remove(&fingerprint);
    }

    /// How long the statement is refused from now; `None` if it is not.
    pub fn refused(&self, fingerprint: u128) -> Option<Duration> {
        let (count, last) = self.strikes.get(&fingerprint)?;
        let left = REFUSED_FOR.checked_sub(last.elapsed())?;
        (*count >= STRIKES && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_time_is_one_too_many() {
        let mut crash_statements = CrashStatements::default();
        let (a, b) = (fingerprint("SELECT  1;\n"), fingerprint("SELECT 2"));
        assert_eq!(a, fingerprint(" SELECT 1 "));
        assert_ne!(a, b);
        assert_eq!(crash_statements.record(a), 1);
        assert_eq!(crash_statements.refused(a), None);
        assert_eq!(crash_statements.record(a), 2);
        assert!(crash_statements.refused(a).is_some_and(|left| left > Duration::from_secs(500)));
        assert_eq!(crash_statements.refused(b), None);
        crash_statements.forgive(a);
        assert_eq!(crash_statements.refused(a), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut crash_statements = CrashStatements::default();
        for i in 0..5000 {
            crash_statements.record(i);
        }
        assert!(crash_statements.strikes.len() <= REMEMBERED);
    }
}
