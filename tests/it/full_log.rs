//! The log is full of what the store has not had: each port refuses with the answer that makes senders try
//! again, and nothing that was acknowledged is missing in the store, whatever else is behind.

use std::collections::BTreeMap;
use std::process::Command;

use prost::Message as _;
use serde_json::json;
use tonic::Code;
use vispyr::signal::{Compression, Signal};
use vispyr::wire::prompb::v1::{Label, Sample, TimeSeries, WriteRequest};

use crate::delivery::sink::{Sink, http};
use crate::harness::{Options, PROGRAM, Vispyr, get, signal, sum_of};
use crate::receivers::rig::{call_raw, compress, export, framed, payload, post};

/// Rows of a request.
const ROWS: u64 = 500;

/// The ports, the signals that come there in this test, and their rows.
const PORTS: [(&str, Signal, &str); 4] = [
    ("otlp_grpc", Signal::Traces, "SELECT count(DISTINCT span_id) FROM spans"),
    ("otlp_http", Signal::Logs, "SELECT count(*) FROM logs"),
    ("remote_write", Signal::Metrics, "SELECT count(DISTINCT time) FROM metric_points"),
    ("pyroscope", Signal::Profiles, "SELECT count(DISTINCT stack_id) FROM profile_samples"),
];

/// Sends request `n` to a port: whether it was taken. What refuses it must be an answer after which
/// senders try again.
async fn taken(vispyr: &Vispyr, port: &str, n: u64) -> bool {
    let to = vispyr.address(port);
    let (first, protobuf) = (n * ROWS, ("content-type", "application/x-protobuf"));
    let answer = match port {
        "otlp_grpc" => {
            let body = payload::spans((first..first + ROWS).map(|n| payload::span(n + 1)).collect());
            let body = framed(false, &body.encode_to_vec());
            let status = call_raw(to, export(Signal::Traces), &[], body).await.grpc();
            if status.code() == Code::Ok {
                return true;
            }
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert_eq!(status.message(), "the traces log is full of what store has not had, try again");
            let details = tonic_types::StatusExt::get_details_retry_info(&status);
            assert_eq!(details.and_then(|info| info.retry_delay).map(|delay| delay.as_secs()), Some(1));
            return false;
        }
        "otlp_http" => post(to, "/v1/logs", &[protobuf], payload::logs(ROWS as usize).encode_to_vec()).await,
        "remote_write" => {
            let labels = vec![Label { name: "__name__".to_owned(), value: "up".to_owned() }];
            let sample = |n| Sample { value: n as f64, timestamp: 1_795_398_300_000 + n as i64 };
            let samples = (first..first + ROWS).map(sample).collect();
            let timeseries = vec![TimeSeries { labels, samples, ..TimeSeries::default() }];
            let body = WriteRequest { timeseries, metadata: vec![] }.encode_to_vec();
            let headers = [protobuf, ("content-encoding", "snappy")];
            post(to, "/api/v1/write", &headers, compress(Compression::SnappyBlock, &body)).await
        }
        _ => {
            let folded: String = (first..first + ROWS).map(|n| format!("main;work_{n} 1\n")).collect();
            post(to, "/ingest?name=shop.cpu&format=groups", &[("content-type", "text/plain")], folded).await
        }
    };
    if answer.status.is_success() {
        return true;
    }
    assert_eq!(answer.status, 503, "{port}: {}", answer.text());
    assert_eq!(answer.header("retry-after"), Some("1"), "{port}");
    assert!(answer.text().contains("log is full of what store has not had, try again"), "{port}: {}", answer.text());
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_port_refuses_what_the_store_could_not_get_and_keeps_what_it_has_to() {
    let away = Sink::with(|_| http(503, "away")).await;
    let config = format!(
        "[wal]\nmax_size = \"128KiB\"\nsegment_size = \"32KiB\"\n[store]\nseal_interval = \"1h\"\n\
         [exporters.away]\ntype = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"\n",
        away.address
    );
    let mut vispyr = Vispyr::start(Options::config(&config)).await;
    let mut acknowledged = BTreeMap::new();
    signal(vispyr.engine_pid().unwrap(), rustix::process::Signal::STOP);
    for (port, ..) in PORTS {
        let mut n = 0;
        while taken(&vispyr, port, n).await {
            n += 1;
            assert!(n < 1000, "{port} takes more than the log may hold");
        }
        assert!(n > 0, "{port}");
        acknowledged.insert(port, n);
    }
    // At once: an engine that is silent for ten seconds is started again.
    let screen = Command::new(PROGRAM).arg("status").arg("--data-dir").arg(vispyr.data_dir()).output().unwrap();
    let status = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json();
    let metrics = vispyr.metrics().await;
    for (port, signal, _) in PORTS {
        let signal_label = format!("signal=\"{signal}\"");
        let of = |name: &str, more: &str| sum_of(&metrics, &format!("vispyr_{name}"), &[&signal_label, more]);
        assert_eq!(of("refused_requests_total", "log_full"), 1.0, "{signal}");
        assert_eq!(of("dropped_items_total", "store"), 0.0, "{signal}");
        assert_eq!(of("dropped_items_total", "away"), 0.0, "{signal}: refused, so nothing had to go");
        assert!(of("acknowledged_items_total", port) > 0.0, "{signal}");
        let all = status["signals"].as_array().unwrap();
        let log = &all.iter().find(|of| of["signal"] == signal.name()).unwrap()["log"];
        assert_eq!((&log["full_of"], &log["failing"]), (&json!(["store"]), &json!(null)), "{signal}");
    }
    let screen = String::from_utf8(screen.stdout).unwrap();
    assert!(screen.contains("the log is full of what store has not had"), "{screen}");
    assert_eq!(vispyr.log().matches("senders are told to try again").count(), 4, "{}", vispyr.log());

    // Nor does a crash cost anything of it.
    vispyr.kill9();
    vispyr.restart().await;
    for (port, _, rows) in PORTS {
        let n = acknowledged[port];
        vispyr.wait_count(rows, (n * ROWS) as i64).await;
        // What was refused comes again, and much more than the log may hold.
        for n in n..n + 20 {
            vispyr.wait("there is room", || async { taken(&vispyr, port, n).await.then_some(()) }).await;
        }
        vispyr.wait_count(rows, ((n + 20) * ROWS) as i64).await;
    }
    // The one that is away holds up nobody: what the store has had goes.
    let dropped = |to: &'static str| {
        let vispyr = &vispyr;
        async move { vispyr.metric("vispyr_dropped_items_total", &[to, "traces"]).await }
    };
    assert_eq!(dropped("store").await, 0.0);
    assert!(dropped("away").await > 0.0);
}
