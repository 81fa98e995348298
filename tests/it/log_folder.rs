//! A log that was harmed from outside: told, shown, and nothing acknowledged that is not kept.

use std::fs;

use crate::delivery::sink::{Sink, http};
use crate::delivery::{send_spans, spans};
use crate::harness::{Options, Vispyr, get, post};

fn collector(sink: &Sink) -> Options {
    let config = format!(
        "[exporters.out]\ntype = \"otlp\"\nurl = \"http://{}\"\nsignals = [\"traces\"]\n[wal]\nsegment_size = \"4KiB\"\n\
         [store]\nenabled = false\n",
        sink.address
    );
    Options { command: "collector", config, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_folder_is_noticed_and_nothing_acknowledged() {
    let sink = Sink::start().await;
    let mut vispyr = Vispyr::start(collector(&sink)).await;
    send_spans(&vispyr, 0..10).await;
    // What is not delivered yet goes with the folder.
    sink.wait_spans(10).await;
    assert_eq!(get(&vispyr.url("web", "/-/ready")).await.unwrap().status, 200);
    // A file that the program writes meanwhile is in the way once.
    while let Err(error) = fs::remove_dir_all(vispyr.data_dir().join("wal")) {
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
    }
    // Logs, to which nobody sends anything, and traces.
    let noticed = async || {
        let ready = get(&vispyr.url("web", "/-/ready")).await.unwrap();
        (ready.status == 503 && ready.text().contains("the logs log, which takes nothing")).then_some(())
    };
    vispyr.wait("not ready", noticed).await;
    let refused = post(&vispyr.url("otlp_http", "/v1/traces"), "application/x-protobuf", spans(90..91)).await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(vispyr.metric("vispyr_log_failing", &["signal=\"traces\""]).await, 1.0);
    assert!(vispyr.log().contains("the folder of the log is gone"), "{}", vispyr.log());
    vispyr.restart().await;
    send_spans(&vispyr, 10..20).await;
    assert_eq!(sink.wait_spans(20).await, (0..20).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_gone_are_told() {
    let sink = Sink::with(|_| http(503, "away")).await;
    let mut vispyr = Vispyr::start(collector(&sink)).await;
    for n in 0..40 {
        send_spans(&vispyr, n * 10..(n + 1) * 10).await;
    }
    vispyr.kill9();
    let folder = vispyr.data_dir().join("wal/traces");
    let mut segments: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    assert!(segments.len() > 4, "{segments:?}");
    fs::remove_file(&segments[1]).unwrap();
    fs::write(&segments[2], b"").unwrap();
    vispyr.restart().await;
    let first = |path: &std::path::Path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let missing = first(&segments[3]) - first(&segments[1]);
    assert_eq!(vispyr.metric("vispyr_log_missing_records_total", &["signal=\"traces\""]).await, missing as f64);
    assert!(vispyr.log().contains("records of the log are missing"), "{}", vispyr.log());
    let status = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json();
    assert_eq!(status["signals"][0]["log"]["missing_records"], missing);
}
