//! One test for every row of the table.

use std::time::{Duration, Instant};

use prost::Message as _;
use tonic::Code;

use super::sink::{Answer, Call, Sink, http};
use super::{Ledger, collector, numbers, options, send_points, send_spans, settled, sorted};
use crate::harness::Vispyr;

fn grpc(sink: &Sink, more: &str) -> String {
    format!("type = \"otlp\"\nurl = \"http://{}\"\n{more}", sink.address)
}

fn otlp_http(sink: &Sink, more: &str) -> String {
    format!("type = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}/base/\"\n{more}", sink.address)
}

#[tokio::test]
async fn accepted_over_grpc_and_http() {
    let sink = Sink::start().await;
    let vispyr = collector(&grpc(&sink, "headers = { X-Scope-OrgID = \"team-a\" }")).await;
    send_spans(&vispyr, 0..10).await;
    send_points(&vispyr, 0..3).await;
    assert_eq!(settled(&vispyr, "traces", 10).await, Ledger::forwarded(10));
    assert_eq!(settled(&vispyr, "metrics", 3).await, Ledger::forwarded(3));
    let calls = sink.calls();
    let traces = calls.iter().find(|call| call.path.contains("trace")).unwrap();
    assert_eq!(traces.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(traces.spans(), numbers(0, 10));
    assert_eq!(traces.header("x-scope-orgid"), Some("team-a"));
    assert_eq!(traces.header("user-agent"), Some(concat!("Vispyr/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(traces.header("grpc-timeout"), Some("30000m"));

    let sink = Sink::start().await;
    let vispyr = collector(&otlp_http(&sink, "")).await;
    send_spans(&vispyr, 0..10).await;
    assert_eq!(sink.wait_spans(10).await, numbers(0, 10));
    let call = &sink.calls()[0];
    assert_eq!(call.path, "/base/v1/traces");
    assert_eq!(call.header("content-type"), Some("application/x-protobuf"));
}

#[tokio::test]
async fn partial_success_counts_what_was_rejected_and_goes_on() {
    #[derive(prost::Message)]
    struct Response {
        #[prost(message, optional, tag = "1")]
        partial_success: Option<Partial>,
    }
    #[derive(prost::Message)]
    struct Partial {
        #[prost(int64, tag = "1")]
        rejected: i64,
        #[prost(string, tag = "2")]
        message: String,
    }
    for over in [grpc, otlp_http] {
        let sink = Sink::with(|_| {
            let partial = Partial { rejected: 4, message: "too old".to_owned() };
            Answer::AcceptWith(Response { partial_success: Some(partial) }.encode_to_vec())
        })
        .await;
        let vispyr = collector(&over(&sink, "")).await;
        send_spans(&vispyr, 0..10).await;
        let ledger = settled(&vispyr, "traces", 10).await;
        assert_eq!(ledger, Ledger { forwarded: 6, rejected: 4, ..Ledger::default() });
        assert_eq!(sink.calls().len(), 1, "never sent again");
        assert!(vispyr.log().contains("too old"), "{}", vispyr.log());
    }
}

#[tokio::test]
async fn network_error_waits_for_the_destination() {
    let address = Sink::start().await.address;
    let vispyr = collector(&format!("type = \"otlp\"\nurl = \"http://{address}\"")).await;
    send_spans(&vispyr, 0..10).await;
    let failures = ["destination=\"out\"", "outcome=\"unreachable\""];
    let failed = async || (vispyr.metric("vispyr_delivery_requests_total", &failures).await >= 2.0).then_some(());
    vispyr.wait("it has tried twice", failed).await;
    send_spans(&vispyr, 10..20).await;
    let sink = Sink::at(address, None, |_| Answer::Accept).await;
    assert_eq!(sorted(sink.wait_spans(20).await), numbers(0, 20));
    assert_eq!(settled(&vispyr, "traces", 20).await, Ledger::forwarded(20));
}

#[tokio::test]
async fn timeout_is_tried_again_on_another_connection() {
    for over in [grpc, otlp_http] {
        let mut first = true;
        let sink = Sink::with(move |_| if std::mem::take(&mut first) { Answer::Hang } else { Answer::Accept }).await;
        let vispyr = collector(&over(&sink, "timeout = \"200ms\"")).await;
        send_spans(&vispyr, 0..10).await;
        assert_eq!(settled(&vispyr, "traces", 10).await, Ledger::forwarded(10));
        assert_eq!(sink.calls().len(), 2);
        assert_eq!(vispyr.metric("vispyr_retried_items_total", &["destination=\"out\""]).await, 10.0);
    }
}

/// The first request is answered so; how long it was until the second came.
async fn pause_after(over: fn(&Sink, &str) -> String, answer: Answer) -> Duration {
    let mut answers = vec![answer];
    let sink = Sink::with(move |_| answers.pop().unwrap_or(Answer::Accept)).await;
    let vispyr = collector(&over(&sink, "")).await;
    send_spans(&vispyr, 0..10).await;
    assert_eq!(settled(&vispyr, "traces", 10).await, Ledger::forwarded(10));
    let calls = sink.calls();
    assert_eq!(calls.len(), 2);
    calls[1].at - calls[0].at
}

#[tokio::test]
async fn too_many_requests_waits_as_long_as_it_is_told() {
    let retry_after = |value: &str| Answer::Http(429, vec![("retry-after", value.to_owned())], "slow down".to_owned());
    assert!(pause_after(otlp_http, retry_after("2")).await >= Duration::from_secs(2));
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(4));
    assert!(pause_after(otlp_http, retry_after(&date)).await >= Duration::from_secs(1));
    assert!(pause_after(otlp_http, http(429, "")).await < Duration::from_secs(2));
}

#[tokio::test]
async fn retry_info_is_kept() {
    let exhausted = Answer::Grpc(Code::ResourceExhausted, "full", Some(Duration::from_secs(2)));
    assert!(pause_after(grpc, exhausted).await >= Duration::from_secs(2));
    let unavailable = Answer::Grpc(Code::Unavailable, "full", Some(Duration::from_millis(1500)));
    assert!(pause_after(grpc, unavailable).await >= Duration::from_millis(1500));
}

#[tokio::test]
async fn exhausted_without_retry_info_is_halved_once_as_it_may_be_too_large() {
    let sink = Sink::with(|call: &Call| match call.spans().len() {
        n if n > 60 => Answer::Grpc(Code::ResourceExhausted, "full", None),
        _ => Answer::Accept,
    })
    .await;
    let vispyr = collector(&grpc(&sink, "")).await;
    send_spans(&vispyr, 0..100).await;
    assert_eq!(settled(&vispyr, "traces", 100).await, Ledger::forwarded(100));
    assert_eq!(sorted(sink.wait_spans(100).await), numbers(0, 100));
    let calls = sink.calls();
    assert_eq!(calls.len(), 3, "one too large, two halves");
    assert!(calls[2].at - calls[0].at < Duration::from_secs(5));
}

#[tokio::test]
async fn a_rate_limit_tears_nothing_into_pieces() {
    // Every other request is too much, whatever its size.
    let mut calls = 0;
    let sink = Sink::with(move |_| {
        calls += 1;
        if calls % 2 == 1 { Answer::Grpc(Code::ResourceExhausted, "rate limited", None) } else { Answer::Accept }
    })
    .await;
    let vispyr = collector(&grpc(&sink, "")).await;
    for n in 0..4 {
        send_spans(&vispyr, n * 100..n * 100 + 100).await;
    }
    assert_eq!(settled(&vispyr, "traces", 400).await, Ledger::forwarded(400));
    assert_eq!(sorted(sink.wait_spans(400).await), numbers(0, 400));
    assert!(sink.calls().iter().all(|call| call.spans().len() >= 50), "halved once at most");
}

#[tokio::test]
async fn what_is_said_to_be_too_large_is_halved_until_it_fits() {
    let too_large = "grpc: received message larger than max (5242880 vs. 4194304)";
    let sink = Sink::with(move |call: &Call| match call.spans() {
        spans if spans.len() > 5 || spans.contains(&42) => Answer::Grpc(Code::ResourceExhausted, too_large, None),
        _ => Answer::Accept,
    })
    .await;
    let vispyr = collector(&grpc(&sink, "")).await;
    send_spans(&vispyr, 0..100).await;
    let ledger = settled(&vispyr, "traces", 100).await;
    assert_eq!(ledger, Ledger { forwarded: 99, set_aside: 1, ..Ledger::default() });
}

#[tokio::test]
async fn server_errors_are_tried_again_until_they_pass() {
    for (over, answer) in [
        (otlp_http as fn(&Sink, &str) -> String, http(500, "oops")),
        (otlp_http, http(502, "")),
        (otlp_http, http(503, "starting")),
        (grpc, Answer::Grpc(Code::Internal, "oops", None)),
        (grpc, Answer::Grpc(Code::Unknown, "oops", None)),
        (grpc, Answer::Grpc(Code::Unavailable, "starting", None)),
        (grpc, http(503, "proxy")),
    ] {
        assert!(pause_after(over, answer).await < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn wrong_configuration_is_said_aloud_and_nothing_is_given_up() {
    for (over, answer) in [
        (otlp_http as fn(&Sink, &str) -> String, http(401, "who are you")),
        (otlp_http, http(403, "not you")),
        (otlp_http, http(404, "no such path")),
        (otlp_http, Answer::Http(302, vec![("location", "/login".to_owned())], String::new())),
        (grpc, Answer::Grpc(Code::Unimplemented, "unknown service", None)),
        (grpc, Answer::Grpc(Code::Unauthenticated, "who are you", None)),
        (grpc, Answer::Grpc(Code::PermissionDenied, "not you", None)),
        (grpc, http(404, "no gRPC here")),
        (grpc, http(200, "a page")),
    ] {
        let sink = Sink::with(move |_| answer.clone()).await;
        let vispyr = collector(&over(&sink, "")).await;
        send_spans(&vispyr, 0..10).await;
        sink.wait_calls(2).await;
        let said = || async { vispyr.log().contains("configuration of this destination is wrong").then_some(()) };
        vispyr.wait("it is said", said).await;
        sink.now(|_| Answer::Accept);
        assert_eq!(settled(&vispyr, "traces", 10).await, Ledger::forwarded(10));
    }
}

#[tokio::test]
async fn a_refused_batch_is_split_down_to_the_one_item_that_is_set_aside() {
    let no_id = "trace id is zero";
    for (over, refusal) in [
        (grpc as fn(&Sink, &str) -> String, Answer::Grpc(Code::InvalidArgument, no_id, None)),
        (otlp_http, http(400, no_id)),
        (otlp_http, http(413, no_id)),
        (otlp_http, http(422, no_id)),
    ] {
        // As Tempo does with a span that has no trace id.
        let bad = [3, 17, 18];
        let sink =
            Sink::with(
                move |call: &Call| {
                    if call.spans().iter().any(|n| bad.contains(n)) { refusal.clone() } else { Answer::Accept }
                },
            )
            .await;
        let vispyr = collector(&over(&sink, "")).await;
        for n in 0..10 {
            send_spans(&vispyr, n * 10..n * 10 + 10).await;
        }
        let ledger = settled(&vispyr, "traces", 100).await;
        assert_eq!(ledger, Ledger { forwarded: 97, set_aside: 3, ..Ledger::default() });
        let want: Vec<u64> = numbers(0, 100).into_iter().filter(|n| !bad.contains(n)).collect();
        assert_eq!(sorted(sink.wait_spans(97).await), want, "each once");
        assert_eq!(letters(&vispyr), 3);
    }
}

/// Files of dead letters of the destination.
fn letters(vispyr: &Vispyr) -> usize {
    let folder = vispyr.data_dir().join("dead-letters/out");
    std::fs::read_dir(folder).map_or(0, |entries| entries.count())
}

#[tokio::test]
async fn metrics_keep_their_order_through_refusals_and_server_errors() {
    let (refused, poison) = (25, 47);
    let mut shaky = 0;
    let sink = Sink::with(move |call: &Call| {
        let points = call.points();
        shaky += 1;
        if points.contains(&refused) {
            http(400, "out of order")
        } else if points.contains(&poison) {
            http(500, "cannot translate")
        } else if shaky % 7 == 0 {
            http(503, "not now")
        } else {
            Answer::Accept
        }
    })
    .await;
    let url = format!("type = \"prometheus\"\nurl = \"http://{}\"", sink.address);
    let vispyr = collector(&url).await;
    for n in 0..10 {
        send_points(&vispyr, n * 10..n * 10 + 10).await;
    }
    let ledger = settled(&vispyr, "metrics", 100).await;
    assert_eq!(ledger, Ledger { forwarded: 98, set_aside: 2, ..Ledger::default() });
    let want: Vec<u64> = numbers(0, 100).into_iter().filter(|n| *n != refused && *n != poison).collect();
    assert_eq!(sink.wait_points(98).await, want, "each once and in order");
    assert_eq!(sink.calls()[0].path, "/api/v1/otlp/v1/metrics");
}

#[tokio::test]
async fn an_item_over_which_the_server_fails_is_set_aside_when_others_pass() {
    let poison = 33;
    let sink = Sink::with(move |call: &Call| {
        if call.spans().contains(&poison) { Answer::Grpc(Code::Internal, "panic", None) } else { Answer::Accept }
    })
    .await;
    let vispyr = collector(&grpc(&sink, "")).await;
    for n in 0..5 {
        send_spans(&vispyr, n * 10..n * 10 + 10).await;
    }
    let alone = |call: &Call| call.spans() == [poison];
    let enough = || async { (sink.calls().iter().filter(|call| alone(call)).count() >= 5).then_some(()) };
    vispyr.wait("it has failed five times over it alone", enough).await;
    // Somebody must pass meanwhile.
    send_spans(&vispyr, 50..60).await;
    let ledger = settled(&vispyr, "traces", 60).await;
    assert_eq!(ledger, Ledger { forwarded: 59, set_aside: 1, ..Ledger::default() });
    let tries = sink.calls().iter().filter(|call| alone(call)).count();
    assert!(tries >= 6, "five and once more, after another passed: {tries}");
}

#[tokio::test]
async fn a_server_that_fails_over_everything_gets_everything_in_the_end() {
    for over in [grpc, otlp_http] {
        let sink = Sink::with(|_| http(500, "down")).await;
        let vispyr = collector(&over(&sink, "")).await;
        for n in 0..5 {
            send_spans(&vispyr, n * 10..n * 10 + 10).await;
            send_points(&vispyr, n * 10..n * 10 + 10).await;
        }
        sink.wait_calls(12).await;
        sink.now(|_| Answer::Accept);
        assert_eq!(settled(&vispyr, "traces", 50).await, Ledger::forwarded(50));
        assert_eq!(settled(&vispyr, "metrics", 50).await, Ledger::forwarded(50));
    }
}

#[tokio::test]
async fn cursors_survive_a_kill() {
    let sink = Sink::start().await;
    let mut vispyr = collector(&grpc(&sink, "")).await;
    for n in 0..20 {
        send_spans(&vispyr, n * 10..n * 10 + 10).await;
    }
    sink.wait_spans(200).await;
    // The cursor file is written within a second.
    let file = vispyr.data_dir().join("wal/traces/cursors");
    let written = || async { std::fs::read_to_string(&file).unwrap_or_default().contains("\"out\":20").then_some(()) };
    vispyr.wait("the cursor is written", written).await;
    sink.now(|_| http(503, "not now"));
    for n in 20..30 {
        send_spans(&vispyr, n * 10..n * 10 + 10).await;
    }
    vispyr.kill9();
    sink.now(|_| Answer::Accept);
    vispyr.restart().await;
    assert_eq!(settled(&vispyr, "traces", 100).await, Ledger::forwarded(100));
    assert_eq!(sorted(sink.wait_spans(300).await), numbers(0, 300), "what was done before is not sent again");
}

#[tokio::test]
async fn a_destination_begins_at_the_oldest_record_or_now() {
    let (one, oldest, now) = (Sink::start().await, Sink::start().await, Sink::start().await);
    // The first destination is dead: so the records stay in the log.
    one.now(|_| http(503, "not now"));
    let mut vispyr = collector(&grpc(&one, "")).await;
    send_spans(&vispyr, 0..10).await;
    one.wait_calls(1).await;
    vispyr.stop().await;
    let more = format!(
        "{}\n[exporters.oldest]\n{}\n[exporters.now]\n{}\nstart = \"now\"",
        grpc(&one, ""),
        grpc(&oldest, ""),
        grpc(&now, "")
    );
    vispyr.reconfigure(&options(&more).config);
    vispyr.restart().await;
    send_spans(&vispyr, 10..20).await;
    assert_eq!(sorted(oldest.wait_spans(20).await), numbers(0, 20));
    assert_eq!(now.wait_spans(10).await, numbers(10, 20));
}

#[tokio::test]
async fn stopping_is_quick_while_a_destination_hangs() {
    let sink = Sink::with(|_| Answer::Hang).await;
    let mut vispyr = collector(&grpc(&sink, "")).await;
    send_spans(&vispyr, 0..10).await;
    sink.wait_calls(1).await;
    let begin = Instant::now();
    let (status, _) = vispyr.stop().await;
    assert!(status.success() && begin.elapsed() < Duration::from_secs(5), "{status} {:?}", begin.elapsed());
    sink.now(|_| Answer::Accept);
    vispyr.restart().await;
    assert_eq!(sink.wait_spans(10).await, numbers(0, 10));
}
