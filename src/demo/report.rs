//! What was sent and what became of it, item by item, so that it can be compared with what the
//! store holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What a request holds: kinds of items and how many of each.
pub type Counts = Vec<(&'static str, u64)>;

/// What became of the items of one kind. Once all is over,
/// `sent = acknowledged + rejected + refused + lost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Handed to the sender.
    pub sent: u64,
    /// In requests that were answered with success.
    pub acknowledged: u64,
    /// Left out of a request that was otherwise accepted (partial success).
    pub rejected: u64,
    /// In requests that were answered with an error that is not to be retried.
    pub refused: u64,
    /// In requests that were given up.
    pub lost: u64,
}

/// What became of the requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Answered with success.
    pub acknowledged: u64,
    /// Answered with an error that is not to be retried.
    pub refused: u64,
    /// Given up.
    pub lost: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Bytes of the acknowledged messages, before compression by the transport.
    pub bytes: u64,
    /// The last error, whatever came of it.
    pub last_error: Option<String>,
}

/// The account of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The seed that was used, for a repetition.
    pub seed: u64,
    /// Seconds from begin to end.
    pub elapsed_seconds: f64,
    /// By kind of item.
    pub items: BTreeMap<&'static str, Tally>,
    /// By what was sent.
    pub requests: BTreeMap<&'static str, Requests>,
}

impl Report {
    /// Whether everything that was sent was acknowledged.
    pub fn is_complete(&self) -> bool {
        self.items.values().all(|tally| tally.sent == tally.acknowledged)
    }

    pub(super) fn sent(&mut self, counts: &Counts) {
        for (item, count) in counts {
            self.items.entry(item).or_default().sent += count;
        }
    }

    pub(super) fn settle(&mut self, counts: &Counts, change: impl Fn(&mut Tally, u64)) {
        for (item, count) in counts {
            change(self.items.entry(item).or_default(), *count);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<26} {:>12} {:>12} {:>9} {:>9} {:>9}",
            "", "sent", "acknowledged", "rejected", "refused", "lost"
        )?;
        for (item, tally) in &self.items {
            let Tally { sent, acknowledged, rejected, refused, lost } = tally;
            writeln!(f, "{item:<26} {sent:>12} {acknowledged:>12} {rejected:>9} {refused:>9} {lost:>9}")?;
        }
        writeln!(f)?;
        for (kind, requests) in &self.requests {
            let Requests { acknowledged, refused, lost, retries, bytes, last_error } = requests;
            let mebibytes = *bytes as f64 / 1024.0 / 1024.0;
            write!(f, "{kind:<26} {acknowledged:>6} requests, {mebibytes:.1} MiB")?;
            for (count, what) in [(retries, "retries"), (refused, "refused"), (lost, "lost")] {
                if *count > 0 {
                    write!(f, ", {count} {what}")?;
                }
            }
            match last_error {
                Some(error) => writeln!(f, "; last error: {error}")?,
                None => writeln!(f)?,
            }
        }
        writeln!(f, "\nseed {}, {:.1} s", self.seed, self.elapsed_seconds)
    }
}
