//! A sampling profiler in each service: what it caught in an interval, with the spans that were
//! under way.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::shop::{Service, Visit};
use super::stacks::{self, Frame};
use super::traces;

/// Spans that get samples of their own in one interval.
const SPANS: usize = 24;
/// Between two samples, nanoseconds.
pub const PERIOD: i64 = 10_000_000;

/// A span that was under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its id.
    pub span_id: u64,
    /// Its name.
    pub name: String,
}

/// A stack and how often it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Leaf first.
    pub stack: &'static [Frame],
    /// In which span.
    pub span: Option<Active>,
    /// How many samples.
    pub count: i64,
}

/// A stack and what it has allocated that is still alive.
#[derive(Debug, Clone, PartialEq)]
pub struct Allocated {
    /// Leaf first.
    pub stack: &'static [Frame],
    /// Objects.
    pub objects: i64,
    /// Bytes.
    pub bytes: i64,
}

/// The profiler of one service.
#[derive(Debug)]
pub struct Profiler {
    /// Whose.
    pub service: Service,
    rng: SmallRng,
    from: u64,
    busy: u64,
    spans: Vec<Active>,
    met: usize,
}

impl Profiler {
    /// Starts at `from` (unix nanoseconds).
    pub fn new(service: Service, seed: u64, from: u64) -> Profiler {
        let rng = SmallRng::seed_from_u64(seed ^ u64::from(service.port()));
        Profiler { service, rng, from, busy: 0, spans: Vec::new(), met: 0 }
    }

    /// Takes note of a visit.
    pub fn record(&mut self, visit: &Visit) {
        for activity in visit.activities.iter().filter(|a| a.service == self.service && a.is_server()) {
            // Most of a request is waiting.
            self.busy += 2_000_000 + (activity.end - activity.start) / 12;
            self.met += 1;
            let active = Active { trace_id: visit.trace_id, span_id: activity.id, name: traces::name(activity) };
            // Reservoir sampling: each span has the same chance to be kept.
            if self.spans.len() < SPANS {
                self.spans.push(active);
            } else if let Some(old) = self.spans.get_mut(self.rng.random_range(0..self.met)) {
                *old = active;
            }
        }
    }

    /// When the interval began (unix nanoseconds).
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Ends the interval at `to` and begins the next; `waiting` adds the samples of an idle
    /// thread, as a wall-clock profiler has them.
    pub fn collect(&mut self, to: u64, waiting: bool) -> Vec<Seen> {
        let total = to.saturating_sub(self.from) as i64 / PERIOD;
        let busy = (self.busy as i64 / PERIOD).clamp(1, total.max(1));
        let spans = std::mem::take(&mut self.spans);
        (self.from, self.busy, self.met) = (to, 0, 0);

        let stacks = stacks::of(self.service);
        let mut seen: Vec<Seen> = stacks
            .iter()
            .map(|(stack, share, _)| Seen { stack, span: None, count: busy * i64::from(*share) / 100 })
            .collect();
        for span in spans {
            let (stack, _, _) = stacks[self.rng.random_range(0..stacks.len())];
            seen.push(Seen { stack, span: Some(span), count: self.rng.random_range(1..=3) });
        }
        if waiting {
            seen.push(Seen { stack: stacks::idle(self.service), span: None, count: (total - busy).max(1) });
        }
        seen.retain(|seen| seen.count > 0);
        seen
    }

    /// What is alive now.
    pub fn heap(&mut self) -> Vec<Allocated> {
        let allocated = |(stack, _, share): &stacks::Stack| {
            let objects = i64::from(*share) * self.rng.random_range(900..1_100);
            Allocated { stack, objects, bytes: objects * self.rng.random_range(90..140) }
        };
        stacks::of(self.service).iter().map(allocated).collect()
    }
}
