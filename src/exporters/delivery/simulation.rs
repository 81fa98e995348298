//! The engine against a simulated destination: whatever that does, no item is lost, none is set
//! aside that it would accept, metrics keep their order, the cursor never passes what is not done,
//! and the ledger adds up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;

use super::ack_tracker::Done;
use super::engine::{Engine, Rules, Step, Ticket};
use crate::exporters::backoff::Backoff;
use crate::exporters::batch::Joining;
use crate::exporters::outcome::{Later, Outcome};
use crate::signal::{Batch, Compression, Format, Meta, Signal};
use crate::wal::{Position, Record};

mod cases;

/// Spans do for metrics here: the engine does not look at the signal.
fn record(position: u64, items: &[u64]) -> Record {
    let span = |n: &u64| Span { start_time_unix_nano: *n, ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: items.iter().map(span).collect(), ..Default::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] };
    let payload = request.encode_to_vec();
    let batch = Batch {
        signal: Signal::Traces,
        format: Format::Otlp,
        compression: Compression::Identity,
        items: items.len() as u32,
        decoded_size: payload.len() as u64,
        received: 0,
        meta: Meta::default(),
        payload: payload.into(),
    };
    Record { position: Position(position), batch }
}

fn items(batch: &Batch) -> Vec<u64> {
    let request = ExportTraceServiceRequest::decode(batch.payload.clone()).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let items: Vec<u64> = scopes.flat_map(|scope| scope.spans).map(|span| span.start_time_unix_nano).collect();
    assert_eq!(items.len(), batch.items as usize, "a half knows its items");
    items
}

/// How a destination is down.
#[derive(Debug, Clone, Copy)]
enum Outage {
    Unreachable,
    Busy(u64),
    ServerError,
    Unanswered,
    Unavailable,
    Misconfigured,
    /// It refuses everything, a request without anything in it, too.
    Refuses,
}

/// What it does.
#[derive(Debug, Clone)]
struct World {
    ordered: bool,
    concurrency: usize,
    /// Items of each record.
    records: Vec<u8>,
    /// Refused, whatever is with them.
    bad: BTreeSet<u64>,
    /// The server fails over them, whatever is with them.
    poison: BTreeSet<u64>,
    /// How it fails over them.
    fails: Later,
    /// Seconds that it asks to wait when it does.
    asks: Option<u64>,
    /// Of so many requests in a hundred it fails over one by chance.
    chance: u8,
    /// It does not answer every so-manieth request, one without anything in it or not; never, if 0.
    drops: u64,
    /// An answer takes up to so many milliseconds.
    slow: u64,
    /// It refuses requests without anything in them.
    refuses_nothing: bool,
    /// More than this at once is too much.
    too_many: usize,
    /// From when to when it is down, in milliseconds.
    outages: Vec<(u64, u64, Outage)>,
    seed: u64,
}

fn world() -> impl Strategy<Value = World> {
    let outage = prop_oneof![
        Just(Outage::Unreachable),
        (0u64..20).prop_map(Outage::Busy),
        Just(Outage::ServerError),
        Just(Outage::Unanswered),
        Just(Outage::Unavailable),
        Just(Outage::Misconfigured),
        Just(Outage::Refuses)
    ];
    let outages = prop::collection::vec((0u64..100_000, 1u64..200_000, outage), 0..4);
    let numbers = || prop::collection::btree_set(0u64..120, 0..5);
    let records = prop::collection::vec(0u8..8, 1..20);
    let fails = prop_oneof![Just(Later::ServerError), Just(Later::Unanswered), Just(Later::Unavailable)];
    let asks = prop_oneof![Just(None), (0u64..20).prop_map(Some)];
    let poison = (numbers(), fails, asks);
    let empty = any::<bool>();
    (any::<bool>(), 1usize..5, records, numbers(), poison, 2usize..60, outages, any::<u64>(), empty).prop_map(
        |(ordered, concurrency, records, bad, (poison, fails, asks), too_many, outages, seed, refuses_nothing)| World {
            ordered,
            concurrency,
            records,
            bad,
            poison,
            fails,
            asks,
            chance: 0,
            drops: 0,
            slow: 0,
            refuses_nothing,
            too_many,
            outages,
            seed,
        },
    )
}

impl World {
    fn answer(&self, time: u64, sent: &[u64]) -> Outcome {
        let later = |kind, after| Outcome::Later { reason: format!("{kind:?}"), after, kind };
        if let Some((_, _, outage)) =
            self.outages.iter().find(|(from, length, _)| (*from..from + length).contains(&time))
        {
            return match outage {
                Outage::Unreachable => later(Later::Unreachable, None),
                Outage::Busy(after) => later(Later::Busy, Some(Duration::from_secs(*after))),
                Outage::ServerError => later(Later::ServerError, None),
                Outage::Unanswered => later(Later::Unanswered, None),
                Outage::Unavailable => later(Later::Unavailable, None),
                Outage::Refuses => {
                    Outcome::Refused { reason: "Client sent an HTTP request to an HTTPS server".to_owned() }
                }
                Outage::Misconfigured => later(Later::Misconfigured, None),
            };
        }
        if sent.len() > self.too_many {
            return later(Later::Exhausted, None);
        }
        if sent.iter().any(|item| self.bad.contains(item)) {
            return Outcome::Refused { reason: "bad".to_owned() };
        }
        if sent.iter().any(|item| self.poison.contains(item)) {
            return later(self.fails, self.asks.map(Duration::from_secs));
        }
        Outcome::ACCEPTED
    }

    fn probe(&self, time: u64) -> Outcome {
        match self.answer(time, &[]) {
            Outcome::Accepted { .. } if self.refuses_nothing => Outcome::Refused { reason: "empty".to_owned() },
            other => other,
        }
    }
}

/// Delivers everything, and checks what must hold.
fn deliver(world: &World) -> Result<(), TestCaseError> {
    let joining = Joining {
        passes: Vec::new(),
        target: Compression::Identity,
        join_compressed: false,
        max_size: 1000,
        max_items: 30,
        large: Arc::new(tokio::sync::Semaphore::new(1)),
    };
    let rules = Rules { ordered: world.ordered, concurrency: world.concurrency, window: 800, joining };
    let mut engine = Engine::new(rules, Backoff::with_seed(world.seed));
    let mut records = Vec::new();
    let mut next = 0;
    for count in &world.records {
        records.push((next..next + u64::from(*count)).collect::<Vec<u64>>());
        next += u64::from(*count);
    }
    let mut more = 1000;
    // Pauses and failures.
    let mut idle = 0;
    let mut grown = 0;

    let begin = Instant::now();
    let mut now = begin;
    let mut read = 0;
    let mut flying: Vec<(Instant, Ticket)> = Vec::new();
    let mut accepted: Vec<u64> = Vec::new();
    let mut aside: Vec<u64> = Vec::new();
    let mut closed: BTreeMap<u64, usize> = BTreeMap::new();
    let mut cursor = Position(0);
    let mut total = Done::default();
    let mut random = world.seed | 1;
    let mut random = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 17
    };
    let mut requests = 0;
    let mut drops = || {
        requests += 1;
        let dropped = world.drops > 0 && requests % world.drops == 0;
        dropped.then(|| Outcome::Later { reason: "dropped".to_owned(), after: None, kind: Later::Unreachable })
    };
    for step in 0.. {
        prop_assert!(step < 100_000, "it never ends: {flying:?}");
        if idle / 40 > grown && read == records.len() {
            // Life goes on: the last poison has something to compare with.
            grown = idle / 40;
            records.push(vec![more]);
            more += 1;
        }
        while read < records.len() && engine.wants_more() {
            engine.read(record(read as u64, &records[read]), true);
            read += 1;
        }
        match engine.next(now) {
            Step::Send(ticket) => {
                prop_assert!(!world.ordered || flying.is_empty(), "one at a time");
                prop_assert!(flying.len() < world.concurrency.max(1));
                // Answers come in any order.
                let takes = if world.slow == 0 { random() % 8 } else { random() % (world.slow * 1_000_000) };
                flying.push((now + Duration::from_nanos(takes), ticket));
            }
            Step::Keep(undeliverable) => {
                let items = items(&undeliverable.part.batch);
                let is_one = items.len() <= 1;
                prop_assert!(is_one || world.slow > 0, "only one is set aside: {items:?}");
                *closed.entry(undeliverable.part.position.0).or_default() += items.len();
                aside.extend(items);
                engine.kept(&undeliverable);
            }
            Step::Probe(format) => {
                prop_assert_eq!(format, Format::Otlp);
                prop_assert!(flying.is_empty(), "nothing else is on its way");
                now += Duration::from_millis(random() % (world.slow + 1));
                let outcome = drops().unwrap_or_else(|| world.probe((now - begin).as_millis() as u64));
                engine.probed(&outcome, now);
            }
            Step::Wait(until) => {
                let next = (0..flying.len()).min_by_key(|n| flying[*n].0);
                let answered = next.filter(|n| until.is_none_or(|until| flying[*n].0 <= until));
                let Some(next) = answered else {
                    let Some(until) = until else { if read == records.len() { break } else { continue } };
                    prop_assert!(until > now, "it waits for what is past");
                    now = until;
                    idle += 1;
                    continue;
                };
                let (at, ticket) = flying.swap_remove(next);
                now = now.max(at);
                let sent: Vec<u64> = ticket.parts.iter().flat_map(|part| items(&part.batch)).collect();
                let unlucky = random() % 100 < u64::from(world.chance);
                let outcome = match unlucky {
                    true => Outcome::Later { reason: "luck".to_owned(), after: None, kind: world.fails },
                    false => drops().unwrap_or_else(|| world.answer((now - begin).as_millis() as u64, &sent)),
                };
                if matches!(outcome, Outcome::Accepted { .. }) {
                    accepted.extend(&sent);
                    for part in &*ticket.parts {
                        *closed.entry(part.position.0).or_default() += part.batch.items as usize;
                    }
                }
                idle += u64::from(!matches!(outcome, Outcome::Accepted { .. }));
                engine.answered(ticket.id, &outcome, now);
            }
        }
        if let Some((next, done)) = engine.settle(cursor) {
            prop_assert!(next > cursor, "the cursor moves on");
            for (position, record) in records.iter().enumerate().take(next.0 as usize) {
                let done = closed.get(&(position as u64)).copied().unwrap_or(0);
                prop_assert_eq!(done, record.len(), "the cursor passed record {}", position);
            }
            cursor = next;
            for (sum, more) in [
                (&mut total.forwarded, done.forwarded),
                (&mut total.set_aside, done.set_aside),
                (&mut total.rejected, done.rejected),
                (&mut total.skipped, done.skipped),
            ] {
                sum.items += more.items;
                sum.bytes += more.bytes;
            }
        }
    }
    let all: Vec<u64> = records.iter().flatten().copied().collect();
    let hopeless = |item: &u64| world.bad.contains(item) || world.poison.contains(item);
    let good: Vec<u64> = all.iter().copied().filter(|item| !hopeless(item)).collect();
    let lost: Vec<u64> = all.iter().copied().filter(|item| hopeless(item)).collect();
    // A destination that refuses everything for a while, and what is empty always, cannot be told from
    // one for which the first is bad: then others pass it. So they do if it fails over those behind
    // the bad one.
    let refuses = world.outages.iter().any(|(_, _, outage)| matches!(outage, Outage::Refuses));
    let fails_behind = !world.bad.is_empty() && !world.poison.is_empty();
    if !world.ordered || (refuses || fails_behind) && world.refuses_nothing {
        accepted.sort_unstable();
        aside.sort_unstable();
    }
    aside.sort_unstable();
    if world.slow > 0 {
        // An outage may begin between an acceptance and the answer to what was sent right behind it,
        // which then is set aside.
        prop_assert!(accepted.iter().all(|item| !hopeless(item)), "{accepted:?}");
        let mut either: Vec<u64> = accepted.iter().chain(&aside).copied().collect();
        either.sort_unstable();
        prop_assert_eq!(&either, &all, "each is accepted or set aside, once");
        let is_sorted = accepted.is_sorted() || refuses || fails_behind && world.refuses_nothing;
        prop_assert!(!world.ordered || is_sorted, "in order: {accepted:?}");
    } else {
        prop_assert_eq!(&accepted, &good, "each good one is accepted once, in order where that matters");
        prop_assert_eq!(&aside, &lost, "the others are set aside, and no other");
    }
    prop_assert_eq!(cursor, Position(records.len() as u64));
    prop_assert_eq!(total.forwarded.items, accepted.len() as u64);
    prop_assert_eq!(total.set_aside.items, aside.len() as u64);
    let bytes: u64 =
        records.iter().enumerate().map(|(n, items)| record(n as u64, items).batch.payload.len() as u64).sum();
    prop_assert_eq!(total.forwarded.bytes + total.set_aside.bytes, bytes);
    prop_assert!(engine.is_idle());
    Ok(())
}
