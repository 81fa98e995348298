//! Requests on their way: lanes of workers that try until the receiver has taken what they carry.
//! A lane holds a few requests only, so that the shop waits for a receiver that is slow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::{Clients, Outcome};
use super::load::mix;
use super::payload::Payload;
use super::report::Report;

/// A request is given up after this long, as the agent does.
const GIVE_UP: Duration = Duration::from_secs(300);
/// Between the first attempt and the second; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause that is not asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Requests that wait in each worker's queue.
const QUEUE: usize = 4;

/// What must keep its order has a lane of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Spans: in any order.
    Traces,
    /// Data points over OTLP: in order.
    Metrics,
    /// Log records.
    Logs,
    /// Samples: in order.
    RemoteWrite,
    /// Profiles.
    Profiles,
}

impl Lane {
    const ALL: [(Lane, usize); 5] =
        [(Lane::Traces, 4), (Lane::Metrics, 1), (Lane::Logs, 2), (Lane::RemoteWrite, 1), (Lane::Profiles, 2)];
}

/// The lanes.
#[derive(Debug)]
pub struct Sender {
    lanes: Vec<(Lane, Vec<mpsc::Sender<Payload>>, usize)>,
    workers: JoinSet<()>,
    stop: CancellationToken,
    report: Arc<Mutex<Report>>,
    give_up: CancellationToken,
}

impl Sender {
    /// Starts the workers. Once `stop` is set, [`Self::send`] no longer waits.
    pub fn new(clients: &Clients, stop: CancellationToken) -> Sender {
        let report = Arc::new(Mutex::new(Report::default()));
        let give_up = CancellationToken::new();
        let mut workers = JoinSet::new();
        let lanes = Lane::ALL.map(|(lane, width)| {
            let queues = (0..width).map(|_| {
                let (queue, payloads) = mpsc::channel(QUEUE);
                let worker = Worker {
                    clients: clients.clone(),
                    report: Arc::clone(&report),
                    give_up: give_up.clone(),
                    stop: stop.clone(),
                    trouble: false,
                };
                workers.spawn(worker.run(payloads));
                queue
            });
            (lane, queues.collect(), 0)
        });
        Sender { lanes: lanes.into(), workers, stop, report, give_up }
    }

    /// Hands a request over; waits while the lane is full. What finds no place is lost.
    pub async fn send(&mut self, lane: Lane, payload: Payload) {
        self.report.lock().sent(&payload.counts);
        let Some((_, queues, turn)) = self.lanes.iter_mut().find(|(of, _, _)| *of == lane) else { return };
        *turn = (*turn + 1) % queues.len();
        let place = tokio::select! {
            biased;
            place = queues[*turn].reserve() => place.ok(),
            () = self.stop.cancelled() => None,
        };
        match place {
            Some(place) => place.send(payload),
            None => self.report.lock().settle(&payload.counts, |tally, n| tally.lost += n),
        }
    }

    /// Waits until everything has found its end, but no longer than `grace`; then gives up.
    pub async fn finish(mut self, grace: Duration) -> Report {
        self.lanes.clear();
        let drained = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, drained).await.is_err() {
            self.give_up.cancel();
            while self.workers.join_next().await.is_some() {}
        }
        self.report.lock().clone()
    }
}

struct Worker {
    clients: Clients,
    report: Arc<Mutex<Report>>,
    give_up: CancellationToken,
    stop: CancellationToken,
    trouble: bool,
}

impl Worker {
    async fn run(mut self, mut payloads: mpsc::Receiver<Payload>) {
        while let Some(payload) = payloads.recv().await {
            self.deliver(payload).await;
        }
    }

    async fn deliver(&mut self, payload: Payload) {
        let begin = Instant::now();
        for attempt in 0_u32.. {
            let outcome = tokio::select! {
                outcome = self.clients.attempt(&payload) => outcome,
                () = self.give_up.cancelled() => return self.lose(&payload),
            };
            match outcome {
                Outcome::Accepted { rejected } => return self.accepted(&payload, rejected),
                Outcome::Refused { why } => return self.refused(&payload, why),
                Outcome::Again { why, after } => {
                    // At the end the receivers may be gone first, which is no news.
                    if !self.trouble && !self.stop.is_cancelled() {
                        tracing::warn!(what = payload.kind, error = why, "the receiver does not take it, trying again");
                        self.trouble = true;
                    }
                    self.retried(&payload, why);
                    let pause = after.unwrap_or_else(|| pause(attempt, begin));
                    if begin.elapsed() + pause > GIVE_UP {
                        return self.lose(&payload);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.give_up.cancelled() => return self.lose(&payload),
                    }
                }
            }
        }
    }

    fn accepted(&mut self, payload: &Payload, rejected: u64) {
        if std::mem::take(&mut self.trouble) {
            tracing::info!(what = payload.kind, "the receiver takes it again");
        }
        let mut report = self.report.lock();
        report.settle(&payload.counts, |tally, n| tally.acknowledged += n);
        // The rejected items are of the kind that is counted first.
        if let Some((item, _)) = payload.counts.first()
            && rejected > 0
        {
            let tally = report.items.entry(item).or_default();
            tally.rejected += rejected;
            tally.acknowledged = tally.acknowledged.saturating_sub(rejected);
        }
        let requests = report.requests.entry(payload.kind).or_default();
        requests.acknowledged += 1;
        requests.bytes += payload.message.size();
    }

    fn retried(&self, payload: &Payload, why: String) {
        let mut report = self.report.lock();
        let requests = report.requests.entry(payload.kind).or_default();
        requests.retries += 1;
        requests.last_error = Some(why);
    }

    fn refused(&self, payload: &Payload, why: String) {
        tracing::warn!(what = payload.kind, error = why, "the receiver refuses it");
        let mut report = self.report.lock();
        report.settle(&payload.counts, |tally, n| tally.refused += n);
        let requests = report.requests.entry(payload.kind).or_default();
        requests.refused += 1;
        requests.last_error = Some(why);
    }

    fn lose(&self, payload: &Payload) {
        let mut report = self.report.lock();
        report.settle(&payload.counts, |tally, n| tally.lost += n);
        report.requests.entry(payload.kind).or_default().lost += 1;
    }
}

/// Doubles, up to a limit, with a jitter of a half.
fn pause(attempt: u32, begin: Instant) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    let jitter = mix(u64::from(attempt), begin.elapsed().as_nanos() as u64) as f64 / u64::MAX as f64;
    whole.mul_f64(0.5 + 0.5 * jitter)
}
