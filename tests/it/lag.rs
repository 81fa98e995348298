//! Who falls behind is named in the log, in `/metrics` and by `vispyr status`, and so is who has
//! caught up.

use std::path::Path;
use std::process::Command;

use vispyr::signal::{Batch, Compression, Format, Meta, Signal, now_nanos};
use vispyr::wal::{self, Destination, Log, Start};

use crate::delivery::sink::{Answer, Sink, http};
use crate::delivery::spans;
use crate::harness::{Options, PROGRAM, Vispyr, get};

/// Spans that came two minutes ago.
fn put_old(data_dir: &Path) {
    let log = Log::open(
        data_dir.join("wal/traces"),
        Signal::Traces,
        &wal::Config::default(),
        &[Destination::new("out", Start::Oldest)],
    )
    .unwrap();
    let payload = spans(0..50);
    let batch = Batch {
        signal: Signal::Traces,
        format: Format::Otlp,
        compression: Compression::Identity,
        items: 50,
        decoded_size: payload.len() as u64,
        received: now_nanos() - 120_000_000_000,
        meta: Meta::default(),
        payload: payload.into(),
    };
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| handle.block_on(log.append(batch))).unwrap();
    log.close();
}

fn status(vispyr: &Vispyr) -> String {
    let output = Command::new(PROGRAM).arg("status").arg("--data-dir").arg(vispyr.data_dir()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lags_is_named_and_who_has_caught_up() {
    let sink = Sink::with(|_| http(503, "in the garage")).await;
    let config = format!(
        "[store]\nenabled = false\n[exporters.out]\ntype = \"otlp\"\nurl = \"http://{}\"\nprotocol = \"http\"\n\
         signals = [\"traces\"]\n",
        sink.address
    );
    let options = Options { command: "collector", config, prepare: Some(put_old), ..Options::default() };
    let vispyr = Vispyr::start(options).await;
    let line = |words: &'static str| {
        let log = vispyr.log();
        async move { log.lines().find(|line| line.contains(words)).map(str::to_owned) }
    };
    let lags = vispyr.wait("it is said that it lags", || line("destination lags")).await;
    assert!(lags.contains("destination=\"out\"") && lags.contains("items=50"), "{lags}");
    assert!(lags.contains("WARN") && lags.contains("in the garage"), "the reason: {lags}");
    let labels = ["destination=\"out\"", "signal=\"traces\""];
    for (unit, least) in [("records", 1.0), ("items", 50.0), ("bytes", 1000.0), ("seconds", 120.0)] {
        let lag = vispyr.metric(&format!("vispyr_destination_lag_{unit}"), &labels).await;
        assert!(lag >= least, "{unit}: {lag}");
    }
    let screen = status(&vispyr);
    assert!(screen.contains("2m") && screen.contains("takes nothing since"), "{screen}");
    assert!(screen.contains("in the garage"), "{screen}");
    let json = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json();
    let out = &json["signals"][0]["log"]["destinations"][0];
    assert_eq!((&out["name"], &out["waiting_items"], &out["store"]), (&"out".into(), &50.into(), &false.into()));
    assert!(out["failing_since"].is_string(), "{out}");

    sink.now(|_| Answer::Accept);
    let caught_up = vispyr.wait("it is said that it has caught up", || line("destination has caught up")).await;
    assert!(caught_up.contains("most_items=50") && caught_up.contains("dropped_items=0"), "{caught_up}");
    assert_eq!(vispyr.metric("vispyr_destination_up", &labels).await, 1.0);
    assert!(status(&vispyr).contains("well since: HTTP 503"), "{}", status(&vispyr));
}

/// The store shows at once what it has not sealed: it does not lag.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_not_sealed_is_called_so() {
    let vispyr = Vispyr::serve().await;
    crate::delivery::send_spans(&vispyr, 0..10).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 10).await;
    let screen = status(&vispyr);
    let line = screen.lines().find(|line| line.starts_with("traces") && line.contains("store")).unwrap_or_default();
    assert!(line.contains("not sealed yet"), "{screen}");
}
