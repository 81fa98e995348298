//! The ledger of each destination adds up, whatever became of the items: acknowledged = forwarded
//! + rejected + skipped + waiting + dropped + set aside.

use std::collections::BTreeSet;

use http_body_util::Full;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use rustix::process::Signal;
use vispyr::wire::prompb::v1::{Label, Sample, TimeSeries, WriteRequest};

use crate::delivery::send_spans;
use crate::delivery::sink::{Answer, Sink, http};
use crate::harness::{Options, Vispyr, send, signal, sum_of};

const ENDS: [&str; 6] = [
    "forwarded_items_total",
    "rejected_items_total",
    "skipped_items_total",
    "waiting_items",
    "dropped_items_total",
    "set_aside_items_total",
];

/// What became of the items of a destination and signal, in the order of [`ENDS`].
fn ends(metrics: &str, destination: &str, signal: &str) -> [f64; 6] {
    let labels = [format!("destination=\"{destination}\""), format!("signal=\"{signal}\"")];
    ENDS.map(|end| sum_of(metrics, &format!("vispyr_{end}"), &[&labels[0], &labels[1]]))
}

fn due(metrics: &str, destination: &str, signal: &str) -> f64 {
    let labels = [format!("destination=\"{destination}\""), format!("signal=\"{signal}\"")];
    sum_of(metrics, "vispyr_due_items_total", &[&labels[0], &labels[1]])
}

fn samples(count: i64) -> Vec<u8> {
    let labels = vec![Label { name: "__name__".to_owned(), value: "up".to_owned() }];
    let samples = (0..count).map(|n| Sample { value: 1.0, timestamp: 1_795_398_300_000 + n }).collect();
    let series = TimeSeries { labels, samples, ..TimeSeries::default() };
    let request = WriteRequest { timeseries: vec![series], metadata: vec![] };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_is_accounted_for_by_every_destination() {
    // Moody refuses every 13th span, rejects one of each small batch, and fails now and then.
    let mut calls = 0;
    let mut failed: BTreeSet<u64> = BTreeSet::new();
    let moody = Sink::with(move |call| {
        calls += 1;
        if call.path.contains("metrics") {
            return Answer::Accept;
        }
        let spans = call.spans();
        // An empty request asks whether it looks into requests at all.
        if calls % 5 == 0 && spans.first().is_some_and(|first| failed.insert(*first)) {
            return http(503, "in a moment");
        }
        if spans.iter().any(|span| span % 13 == 0) {
            return http(400, "no 13 here");
        }
        let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "one too many".to_owned() };
        Answer::AcceptWith(ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
    })
    .await;
    let dead = Sink::with(|_| http(503, "away")).await;
    let exporter = |name: &str, sink: &Sink| {
        format!("[exporters.{name}]\ntype = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"\n", sink.address)
    };
    let config =
        exporter("moody", &moody) + &exporter("dead", &dead) + "[wal]\nmax_size = \"64KiB\"\nsegment_size = \"8KiB\"\n";
    let mut vispyr = Vispyr::start(Options::config(&config)).await;
    let at_rest = || async {
        let metrics = vispyr.metrics().await;
        let waiting = |signal| ends(&metrics, "moody", signal)[3];
        (waiting("traces") == 0.0 && waiting("metrics") == 0.0).then_some(metrics)
    };
    for n in 0..120 {
        send_spans(&vispyr, n * 20..(n + 1) * 20).await;
        if n % 10 == 9 {
            // Nothing is to be dropped for one that is only moody, and refused for the store.
            vispyr.wait("moody keeps up", at_rest).await;
            let stored = || async {
                signal(vispyr.engine_pid().unwrap(), Signal::USR1);
                (ends(&vispyr.metrics().await, "store", "traces")[3] == 0.0).then_some(())
            };
            vispyr.wait("the store has all", stored).await;
        }
    }
    for _ in 0..3 {
        let request = http::Request::post(vispyr.url("remote_write", "/api/v1/write"))
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(Full::from(samples(100)))
            .unwrap();
        assert_eq!(send(request).await.unwrap().status, 204);
    }
    let metrics = vispyr.wait("moody has had everything", at_rest).await;
    for (signal, items) in [("traces", 2400.0), ("metrics", 300.0)] {
        let acknowledged = sum_of(&metrics, "vispyr_acknowledged_items_total", &[&format!("signal=\"{signal}\"")]);
        assert_eq!(acknowledged, items);
        for destination in ["moody", "dead", "store"] {
            let ends = ends(&metrics, destination, signal);
            assert_eq!(ends.iter().sum::<f64>(), acknowledged, "{destination} {signal}: {ENDS:?} {ends:?}");
            assert_eq!(due(&metrics, destination, signal), acknowledged);
        }
    }
    // All of them have occurred, so that the sums mean something.
    let [forwarded, rejected, _, _, _, set_aside] = ends(&metrics, "moody", "traces");
    assert!(forwarded > 0.0 && rejected > 0.0 && set_aside == 185.0, "{forwarded} {rejected} {set_aside}");
    assert_eq!(ends(&metrics, "moody", "metrics")[2], 300.0, "remote write is skipped");
    let [forwarded, .., waiting, dropped, _] = ends(&metrics, "dead", "traces");
    assert!(forwarded == 0.0 && waiting > 0.0 && dropped > 0.0, "{waiting} {dropped}");

    // After a crash the account of this life begins with what waited.
    vispyr.kill9();
    vispyr.restart().await;
    let metrics = vispyr.metrics().await;
    assert_eq!(due(&metrics, "dead", "traces"), waiting);
    assert_eq!(ends(&metrics, "dead", "traces").iter().sum::<f64>(), waiting);
}
