//! Stopping: in order, within two seconds, without loss and without warnings.

use std::time::Duration;

use prost::Message as _;

use crate::harness::{Options, Vispyr, post};
use crate::lifecycle::Load;
use crate::receivers::rig::payload;

/// Two seconds, and what a busy machine needs beside.
const IN_TIME: Duration = Duration::from_secs(4);

/// What the log says from the signal on.
fn said_while_stopping(vispyr: &Vispyr) -> String {
    let log = vispyr.log();
    log.split_once("stopping").map(|(_, rest)| rest.to_owned()).unwrap_or_else(|| panic!("it does not stop: {log}"))
}

fn assert_no_warning(vispyr: &Vispyr) {
    let said = said_while_stopping(vispyr);
    let warnings: Vec<_> = said.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_many_rows_in_memory_under_load_takes_two_seconds() {
    const REQUESTS: u64 = 20;
    const SPANS: u64 = 20_000;
    let mut vispyr = Vispyr::serve().await;
    let body = payload::traces(SPANS).encode_to_vec();
    for _ in 0..REQUESTS {
        let url = vispyr.url("otlp_http", "/v1/traces");
        let answer = post(&url, "application/x-protobuf", body.clone()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    vispyr.wait_count("SELECT count(*) FROM spans", i64::try_from(REQUESTS * SPANS).unwrap()).await;
    let load = Load::start(&vispyr);
    load.until(50).await;
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < IN_TIME, "{took:?}: {}", said_while_stopping(&vispyr));
    assert_no_warning(&vispyr);
    let (acknowledged, _) = load.end().await;
    vispyr.restart().await;
    // Until everything is read back, questions are refused.
    vispyr.wait_count("SELECT count(*) FROM spans WHERE name LIKE 'GET /item/%'", 400_000).await;
    let kept = vispyr.count("SELECT count(*) FROM spans WHERE name = 'work'").await;
    assert!(kept >= 20 * acknowledged.len() as i64, "{kept} of {} times 20", acknowledged.len());
}

#[cfg(feature = "demo")]
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_inside_does_not_warn_that_the_receivers_are_gone() {
    let mut vispyr = Vispyr::start(Options { args: vec!["--demo".to_owned()], ..Options::default() }).await;
    let sent = || async { (vispyr.metric("vispyr_acknowledged_items_total", &[]).await > 1000.0).then_some(()) };
    vispyr.wait("the demo sends", sent).await;
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < IN_TIME, "{took:?}: {}", said_while_stopping(&vispyr));
    assert_no_warning(&vispyr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_the_middle_of_its_body_does_not_hold_up_the_stop() {
    use tokio::io::AsyncWriteExt;
    let mut vispyr = Vispyr::start(Options { command: "collector", ..Options::default() }).await;
    let mut stalled = tokio::net::TcpStream::connect(vispyr.address("otlp_http")).await.unwrap();
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\n";
    stalled.write_all(head.as_bytes()).await.unwrap();
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < IN_TIME, "{took:?}: {}", said_while_stopping(&vispyr));
    assert_no_warning(&vispyr);
}
