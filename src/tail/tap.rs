//! Where acknowledged payloads come in, and where tails are opened.
//!
//! The thread that decodes runs only while there is a tail, and uses no more than [`SHARE`] of a processor. What
//! comes in faster than it can look at goes, the oldest first, and is counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use super::budget::Budget;
use super::decode;
use super::filter::Filter;
use super::item::Item;
use super::lines::{Event, Lines};
use crate::signal::{Batch, Signal};

/// Tails at a time.
pub const MAX_TAILS: usize = 16;

/// Lines a second that a tail may ask for.
pub const MAX_RATE: u32 = 1000;

/// The part of one processor that all tails together may take.
const SHARE: f64 = 0.05;

/// Bytes of payloads that wait to be looked at.
const MAX_WAITING: usize = 8 << 20;

/// What a tail is to show.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Items of this signal alone.
    pub signal: Option<Signal>,
    /// Only these.
    pub filter: Filter,
    /// Lines a second at most; at least 1, at most [`MAX_RATE`].
    pub rate: u32,
}

/// There are as many tails as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_TAILS} tails are open, which is the most there may be: close one")]
pub struct Busy;

/// Where receivers hand over what they have acknowledged. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many tails want items of each signal.
    open: [AtomicUsize; 4],
    state: Mutex<State>,
    /// Something waits, or a tail has gone.
    changed: Condvar,
    /// A tail has gone.
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    tails: Vec<Arc<Tail>>,
    waiting: VecDeque<Batch>,
    bytes: usize,
    /// Whether the thread runs.
    is_running: bool,
    closed: bool,
}

#[derive(Debug)]
struct Tail {
    wanted: Wanted,
    lines: Lines,
}

impl Tail {
    fn wants(&self, signal: Signal) -> bool {
        self.wanted.signal.is_none_or(|wanted| wanted == signal)
    }
}

impl Tap {
    /// Whether somebody watches this signal.
    pub fn is_open(&self, signal: Signal) -> bool {
        self.0.open[signal as usize].load(Ordering::Relaxed) > 0
    }

    /// Takes an acknowledged payload, which is looked at later.
    pub fn offer(&self, batch: Batch) {
        let mut state = self.0.state.lock();
        if state.tails.is_empty() {
            return;
        }
        state.bytes += batch.held_bytes();
        state.waiting.push_back(batch);
        while state.bytes > MAX_WAITING
            && let Some(oldest) = state.waiting.pop_front()
        {
            state.bytes -= oldest.held_bytes();
            not_examined(&state.tails, &oldest);
        }
        drop(state);
        self.0.changed.notify_one();
    }

    /// Opens a tail, which ends with its subscription.
    ///
    /// # Errors
    /// There are too many, or no thread can be started.
    pub fn open(&self, wanted: Wanted) -> Result<Subscription, Busy> {
        let wanted = Wanted { rate: wanted.rate.clamp(1, MAX_RATE), ..wanted };
        let tail = Arc::new(Tail { lines: Lines::new(wanted.rate), wanted });
        let mut state = self.0.state.lock();
        if state.tails.len() >= MAX_TAILS {
            return Err(Busy);
        }
        if state.closed {
            tail.lines.close();
        } else if !state.is_running {
            let inner = Arc::clone(&self.0);
            let thread = std::thread::Builder::new().name("tail".to_owned()).spawn(move || inner.run());
            if let Err(error) = thread {
                tracing::warn!(%error, "cannot start the thread of the live tail");
                return Err(Busy);
            }
            state.is_running = true;
        }
        for signal in Signal::ALL.into_iter().filter(|signal| tail.wants(*signal)) {
            self.0.open[signal as usize].fetch_add(1, Ordering::Relaxed);
        }
        state.tails.push(Arc::clone(&tail));
        Ok(Subscription { tap: self.clone(), tail })
    }

    /// Ends all tails: nothing comes any more.
    pub fn close(&self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        state.tails.iter().for_each(|tail| tail.lines.close());
    }

    fn remove(&self, tail: &Arc<Tail>) {
        let mut state = self.0.state.lock();
        state.tails.retain(|of| !Arc::ptr_eq(of, tail));
        for signal in Signal::ALL.into_iter().filter(|signal| tail.wants(*signal)) {
            self.0.open[signal as usize].fetch_sub(1, Ordering::Relaxed);
        }
        if state.tails.is_empty() {
            state.waiting.clear();
            state.bytes = 0;
        }
        drop(state);
        self.0.changed.notify_one();
        self.0.left.notify_one();
    }
}

impl Inner {
    /// Looks at payloads as long as there is a tail.
    fn run(&self) {
        let mut budget = Budget::new(SHARE, Instant::now());
        let mut used = processor_time();
        loop {
            // All that this thread does is counted, waking up, too.
            let now = processor_time();
            budget.spend(now.saturating_sub(used));
            used = now;
            let rest = budget.wait(Instant::now());
            let (batch, tails) = {
                let mut state = self.state.lock();
                if state.tails.is_empty() {
                    state.is_running = false;
                    return;
                }
                if !rest.is_zero() {
                    // What comes in meanwhile does not wake it.
                    self.left.wait_for(&mut state, rest);
                    continue;
                }
                let Some(batch) = state.waiting.pop_front() else {
                    self.changed.wait(&mut state);
                    continue;
                };
                state.bytes -= batch.held_bytes();
                (batch, state.tails.clone())
            };
            look(&batch, &tails);
        }
    }
}

fn look(batch: &Batch, tails: &[Arc<Tail>]) {
    let tails: Vec<_> = tails.iter().filter(|tail| tail.wants(batch.signal)).collect();
    if tails.is_empty() {
        return;
    }
    let mut each = |item: &Item<'_>| {
        for tail in tails.iter().filter(|tail| tail.wanted.filter.matches(item)) {
            tail.lines.add(|| item.to_line());
        }
    };
    if !decode::items(batch, &mut each) {
        tails.iter().for_each(|tail| tail.lines.not_examined(u64::from(batch.items)));
    }
}

fn not_examined(tails: &[Arc<Tail>], batch: &Batch) {
    let tails = tails.iter().filter(|tail| tail.wants(batch.signal));
    tails.for_each(|tail| tail.lines.not_examined(u64::from(batch.items)));
}

/// What this thread has used of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// An open tail. It ends when this is dropped.
#[derive(Debug)]
pub struct Subscription {
    tap: Tap,
    tail: Arc<Tail>,
}

impl Subscription {
    /// Waits for what is next; nothing once the program stops.
    pub async fn next(&mut self) -> Option<Event> {
        self.tail.lines.next().await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.tap.remove(&self.tail);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use prost::Message;

    use super::super::lines::Lost;
    use super::*;
    use crate::signal::{Compression, Format, Meta};

    fn records(number: usize, size: usize) -> Batch {
        let record = LogRecord { event_name: "e".repeat(size), ..LogRecord::default() };
        let scope = ScopeLogs { log_records: vec![record; number], ..ScopeLogs::default() };
        let of_resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
        let payload = ExportLogsServiceRequest { resource_logs: vec![of_resource] }.encode_to_vec();
        Batch {
            signal: Signal::Logs,
            format: Format::Otlp,
            compression: Compression::Identity,
            items: u32::try_from(number).unwrap(),
            decoded_size: payload.len() as u64,
            received: 0,
            meta: Meta::default(),
            payload: payload.into(),
        }
    }

    fn wanted(filter: &str) -> Wanted {
        Wanted { filter: Filter::parse(filter).unwrap(), rate: MAX_RATE, ..Wanted::default() }
    }

    #[tokio::test]
    async fn payloads_are_taken_while_somebody_watches() {
        let tap = Tap::default();
        assert!(!tap.is_open(Signal::Logs));
        tap.offer(records(1, 1));
        assert_eq!(tap.0.state.lock().waiting.len(), 0, "nobody watches");
        let mut all = tap.open(wanted("")).unwrap();
        let mut none = tap.open(wanted("name=other")).unwrap();
        let traces = tap.open(Wanted { signal: Some(Signal::Traces), ..wanted("") }).unwrap();
        assert!(tap.is_open(Signal::Logs) && tap.is_open(Signal::Metrics));
        tap.offer(records(2, 1));
        for _ in 0..2 {
            assert_eq!(all.next().await, Some(Event::Line(r#"{"name":"e","signal":"logs"}"#.to_owned())));
        }
        tap.close();
        assert_eq!((all.next().await, none.next().await), (None, None));
        drop((all, none));
        assert!(!tap.is_open(Signal::Logs) && tap.is_open(Signal::Traces));
        drop(traces);
        assert!(!tap.is_open(Signal::Traces));
        let deadline = Instant::now() + Duration::from_secs(30);
        while tap.0.state.lock().is_running && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        assert!(!tap.0.state.lock().is_running, "the thread goes with the last tail");
    }

    #[tokio::test]
    async fn what_comes_in_too_fast_is_counted_and_bounded() {
        let tap = Tap::default();
        let mut tail = tap.open(wanted("name=other")).unwrap();
        let (batches, items) = (60, 10_u64);
        for _ in 0..batches {
            tap.offer(records(10, 100_000));
            assert!(tap.0.state.lock().bytes <= MAX_WAITING);
        }
        let Some(Event::Lost(Lost { lines: 0, not_examined })) = tail.next().await else { panic!("nothing was lost") };
        assert!(not_examined >= items && not_examined % items == 0, "{not_examined}");
    }

    #[test]
    fn tails_are_bounded() {
        let tap = Tap::default();
        let tails: Vec<_> = (0..MAX_TAILS).map(|_| tap.open(wanted("")).unwrap()).collect();
        assert_eq!(tap.open(wanted("")).map(drop), Err(Busy));
        drop(tails);
        assert!(tap.open(wanted("")).is_ok());
    }
}
