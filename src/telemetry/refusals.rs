//! Why requests were refused: for the log, at a rate that cannot flood it, and for `vispyr status`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;

/// The log tells of each kind of refusal at most this often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Characters that are kept of a reason: it may quote what a client sent.
const LONGEST: usize = 500;

/// A kind of refusal: receiver, signal (empty where the request was for none), reason.
type Kind = (&'static str, &'static str, &'static str);

/// The refusals of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Which receiver.
    pub receiver: &'static str,
    /// Which signal; empty where the request was for none.
    pub signal: &'static str,
    /// A short word: `malformed`, `too_large`, `not_found`.
    pub reason: &'static str,
    /// Requests since the start.
    pub requests: u64,
    /// What the last one was told.
    pub last: String,
    /// When that was, nanoseconds since the Unix epoch.
    pub last_time: u64,
    /// Who sent it.
    pub peer: Option<SocketAddr>,
}

#[derive(Debug)]
struct Entry {
    refused: Refused,
    /// When the log told of it, and how many there were then.
    logged: Option<(Instant, u64)>,
}

/// What was refused since the start, by kind. There are few kinds, whatever clients send.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<BTreeMap<Kind, Entry>>);

impl Refusals {
    /// Notes one more, and logs it with those that the log has not told of, if it is time and
    /// `log` says so.
    pub fn note(&self, kind: Kind, why: &str, peer: Option<SocketAddr>, log: bool) {
        let (receiver, signal, reason) = kind;
        let last: String = why.chars().take(LONGEST).collect();
        let untold = {
            let mut kinds = self.0.lock();
            let entry = kinds.entry(kind).or_insert_with(|| Entry {
                refused: Refused { receiver, signal, reason, requests: 0, last: String::new(), last_time: 0, peer },
                logged: None,
            });
            let refused = &mut entry.refused;
            refused.requests += 1;
            refused.last_time = crate::signal::now_nanos();
            refused.peer = peer;
            refused.last.clone_from(&last);
            let (due, told) = match entry.logged {
                Some((at, told)) => (at.elapsed() >= LOG_EVERY, told),
                None => (true, 0),
            };
            let due = due && log;
            if due {
                entry.logged = Some((Instant::now(), refused.requests));
            }
            due.then_some(refused.requests - told)
        };
        if let Some(requests) = untold {
            let peer = peer.map(|peer| peer.to_string());
            tracing::warn!(receiver, signal, reason, requests, peer, why = last, "requests are refused");
        }
    }

    /// All kinds, the latest first.
    pub fn all(&self) -> Vec<Refused> {
        let mut all: Vec<Refused> = self.0.lock().values().map(|entry| entry.refused.clone()).collect();
        all.sort_by_key(|refused| std::cmp::Reverse(refused.last_time));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_count_and_its_last_reason() {
        let refusals = Refusals::default();
        let kind = ("otlp_http", "traces", "malformed");
        for n in 0..1000 {
            refusals.note(kind, &format!("{n}{}", "x".repeat(1000)), None, true);
        }
        refusals.note(("otlp_http", "", "not_found"), "nothing there", None, true);
        let all = refusals.all();
        assert_eq!(
            all.iter().map(|one| (one.reason, one.requests)).collect::<Vec<_>>(),
            [("not_found", 1), ("malformed", 1000)]
        );
        assert!(all[1].last.starts_with("999x") && all[1].last.len() == LONGEST);
        let logged = refusals.0.lock()[&kind].logged.map(|(_, told)| told);
        assert_eq!(logged, Some(1), "the log has told of the first alone");
    }
}
