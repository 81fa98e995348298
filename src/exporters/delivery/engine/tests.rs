#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

use super::*;
use crate::signal::{Compression, Meta, Signal};

fn engine(ordered: bool, max_items: u64) -> Engine {
    let joining = Joining {
        passes: Vec::new(),
        target: Compression::Identity,
        join_compressed: false,
        max_size: 1 << 20,
        max_items,
        large: Arc::new(tokio::sync::Semaphore::new(1)),
    };
    Engine::new(Rules { ordered, concurrency: 4, window: 1 << 20, joining }, Backoff::with_seed(1))
}

/// A record of so many spans.
fn record(position: u64, items: usize) -> Record {
    let spans = vec![Span { name: "x".to_owned(), ..Span::default() }; items];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let payload = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let batch = Batch {
        signal: Signal::Traces,
        format: Format::Otlp,
        compression: Compression::Identity,
        items: items as u32,
        decoded_size: payload.len() as u64,
        received: 0,
        meta: Meta::default(),
        payload: payload.into(),
    };
    Record { position: Position(position), batch }
}

fn refused() -> Outcome {
    Outcome::Refused { reason: "no".to_owned() }
}

#[test]
fn a_pause_that_is_asked_for_is_kept_whatever_was_on_its_way() {
    let now = Instant::now();
    for answered in [Outcome::ACCEPTED, refused()] {
        let mut engine = engine(false, 1);
        (0..3).for_each(|n| engine.read(record(n, 1), true));
        let mut send = || match engine.next(now) {
            Step::Send(ticket) => ticket.id,
            other => panic!("{other:?}"),
        };
        let (first, second) = (send(), send());
        let after = Some(Duration::from_secs(60));
        engine.answered(first, &Outcome::Later { reason: "slowly".to_owned(), after, kind: Later::Busy }, now);
        engine.answered(second, &answered, now);
        let Step::Wait(Some(until)) = engine.next(now) else { panic!("it goes on at once after {answered:?}") };
        assert!(until >= now + Duration::from_secs(60), "{answered:?}: {:?}", until - now);
        assert!(matches!(engine.next(until), Step::Send(_)));
    }
}

/// A server without a place for empty requests, or that fails over them: what stands behind a record that
/// it refuses is sent, and the record is set aside.
#[test]
fn empty_requests_that_fail_hold_nothing_back() {
    for kind in [Later::ServerError, Later::Unanswered, Later::Unavailable, Later::Misconfigured] {
        for ordered in [true, false] {
            let mut engine = engine(ordered, 1);
            let (mut now, mut read, mut accepted, mut kept) = (Instant::now(), 1, 0, Vec::new());
            engine.read(record(0, 1), true);
            for step in 0.. {
                assert!(step < 1000, "{kind:?} {ordered}: {accepted} accepted");
                match engine.next(now) {
                    Step::Send(ticket) if ticket.parts[0].position == Position(0) => {
                        engine.answered(ticket.id, &refused(), now);
                    }
                    Step::Send(ticket) => {
                        accepted += 1;
                        engine.answered(ticket.id, &Outcome::ACCEPTED, now);
                    }
                    Step::Probe(_) => {
                        engine.probed(&Outcome::Later { reason: "empty".to_owned(), after: None, kind }, now);
                    }
                    Step::Keep(undeliverable) => {
                        kept.push(undeliverable.part.position);
                        engine.kept(&undeliverable);
                    }
                    Step::Wait(Some(until)) => now = until,
                    Step::Wait(None) if engine.is_idle() => break,
                    other => panic!("{other:?}"),
                }
                // It is in doubt by now.
                if step >= 20 && read < 4 {
                    engine.read(record(read, 1), true);
                    read += 1;
                }
                engine.settle(Position(0));
            }
            assert_eq!((accepted, kept), (3, vec![Position(0)]), "{kind:?} {ordered}");
        }
    }
}

#[test]
fn one_that_refuses_everything_for_days_holds_no_more_and_more_in_memory() {
    for ordered in [true, false] {
        let mut engine = engine(ordered, 50);
        let begin = Instant::now();
        let (mut now, mut read, mut most) = (begin, 0, 0);
        while now - begin < Duration::from_secs(3 * 86_400) {
            while engine.wants_more() {
                engine.read(record(read, 1000), true);
                read += 1;
            }
            most = most.max(engine.common.bytes);
            match engine.next(now) {
                Step::Send(ticket) => engine.answered(ticket.id, &refused(), now),
                Step::Probe(_) => engine.probed(&refused(), now),
                Step::Wait(until) => now = until.unwrap(),
                Step::Keep(undeliverable) => panic!("{undeliverable:?}"),
            }
        }
        assert!(most < 16 << 20, "{ordered}: {most} bytes");
    }
}
