//! Pyroscope's push in JSON: broken text, misspelt fields, and what a small body may become.

use std::fs;

use prost::Message as _;
use serde_json::json;
use vispyr::signal::{Compression, Signal};
use vispyr::wire::pushpb::PushRequest;

use crate::harness::{self, Options, Vispyr};
use crate::receivers::rig::{Rig, compress, payload, post};

const PATH: &str = "/push.v1.PusherService/Push";
const JSON: (&str, &str) = ("content-type", "application/json");
const PROTOBUF: (&str, &str) = ("content-type", "application/proto");

/// A request with one profile of `service`.
fn request(service: &str) -> serde_json::Value {
    use base64::Engine as _;
    let profile = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload::pprof().encode_to_vec());
    json!({"series": [{"labels": [{"name": "service_name", "value": service}], "samples": [{"rawProfile": profile}]}]})
}

#[tokio::test]
async fn text_that_is_cut_is_taken_and_repaired() {
    let rig = Rig::start().await;
    let body = request("cut!").to_string().replace("cut!", "cut \\ud83d");
    let answer = post(rig.pyroscope, PATH, &[JSON], body).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
    let logged = PushRequest::decode(rig.only(Signal::Profiles).await.payload).unwrap();
    assert_eq!(logged.series[0].labels[0].value, "cut \u{fffd}");
    assert_eq!(logged.series[0].samples[0].raw_profile, payload::pprof().encode_to_vec());
    assert_eq!(rig.ledger("vispyr_strings_repaired_total", &["pyroscope", "profiles"]), 1);
}

#[tokio::test]
async fn a_body_that_holds_nothing_known_is_refused() {
    let rig = Rig::start().await;
    let misspelt = request("shop").to_string().replace("series", "serise");
    let answer = post(rig.pyroscope, PATH, &[JSON], misspelt).await;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    assert!(answer.text().contains("no profiles") && answer.text().contains("serise"), "{}", answer.text());
    // Field 9, of which the protocol knows nothing.
    let answer = post(rig.pyroscope, PATH, &[PROTOBUF], vec![0x4a, 2, b'h', b'i']).await;
    assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    assert!(rig.logged(Signal::Profiles).await.is_empty());
    for empty in ["{}", r#"{"series":[]}"#, r#"{"series":null}"#] {
        assert_eq!(post(rig.pyroscope, PATH, &[JSON], empty).await.status.as_u16(), 200, "{empty}");
    }
    assert_eq!(post(rig.pyroscope, PATH, &[JSON], request("shop").to_string()).await.status.as_u16(), 200);
    rig.assert_ledger(6);
}

/// The most memory that a process has had, in bytes.
fn peak(vispyr: &Vispyr) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", vispyr.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Sixty bytes of memory for three of JSON, of which gzip makes one in a thousand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_empty_messages_takes_no_more_memory_than_is_counted() {
    let config = "[store]\nenabled = false\n".to_owned();
    let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
    let series = "{},".repeat(7 << 20);
    let body = compress(Compression::Gzip, format!("{{\"series\":[{series}{{}}]}}").as_bytes());
    assert!(body.len() < 256 << 10, "{}", body.len());
    let before = peak(&vispyr);
    let request = http::Request::post(vispyr.url("pyroscope", PATH))
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(http_body_util::Full::from(body))
        .unwrap();
    let answer = harness::send(request).await.unwrap();
    assert_eq!(answer.status, 400, "{}", answer.text());
    let grown = peak(&vispyr) - before;
    assert!(grown < 64 << 20, "{grown} bytes for a body of 21 MiB");
}
