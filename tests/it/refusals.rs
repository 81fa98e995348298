//! What is refused says why: to the client in its own protocol, in the log, and in the status.

use tonic::Code;
use vispyr::signal::{Compression, Signal};

use crate::harness::{Vispyr, get, post};
use crate::receivers::rig::{self, Rig, call_raw, compress, export, framed, payload, send};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

#[tokio::test]
async fn a_refused_preflight_says_why_and_is_counted() {
    let ask = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let rig = Rig::with(|_, config| config.otlp_http.cors_allowed_origins = vec!["https://*.shop".to_owned()]).await;
    let answer = send("OPTIONS", rig.http, "/v1/traces", &ask, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (403, None));
    assert!(answer.text().contains("https://evil.example"), "{}", answer.text());
    assert!(answer.text().contains("cors_allowed_origins"), "{}", answer.text());
    let counted = ["receiver=\"otlp_http\"", "reason=\"preflight\""];
    assert_eq!(rig.ledger("vispyr_other_refused_requests_total", &counted), 1);
    rig.assert_ledger(0);
}

#[tokio::test]
async fn pages_of_named_origins_may_send_credentials() {
    let ask = [("origin", "https://eu.shop"), ("access-control-request-method", "POST")];
    for (allowed, want) in [("https://*.shop", Some("true")), ("https://eu.shop", Some("true")), ("*", None)] {
        let rig = Rig::with(|_, config| config.otlp_http.cors_allowed_origins = vec![allowed.to_owned()]).await;
        let preflight = send("OPTIONS", rig.http, "/v1/traces", &ask, "").await;
        let sent = rig::post(rig.http, "/v1/traces", &[PROTOBUF, ask[0]], "").await;
        for answer in [preflight, sent] {
            assert_eq!(answer.header("access-control-allow-origin"), Some("https://eu.shop"), "{allowed}");
            assert_eq!(answer.header("access-control-allow-credentials"), want, "{allowed}");
        }
    }
}

#[tokio::test]
async fn a_grpc_call_at_the_http_port_is_told_so_in_grpc() {
    let rig = Rig::start().await;
    let body = framed(false, &payload::three(Signal::Traces));
    let status = call_raw(rig.http, export(Signal::Traces), &[], body).await.grpc();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("4317"), "{status:?}");
    assert_eq!(rig.ledger("vispyr_refused_requests_total", &["reason=\"wrong_port\""]), 1);
    rig.assert_ledger(1);
}

#[tokio::test]
async fn a_gzip_body_without_its_header_is_named() {
    let rig = Rig::start().await;
    let body = compress(Compression::Gzip, &payload::three(Signal::Traces));
    for content_type in ["application/x-protobuf", "application/json"] {
        let answer = rig::post(rig.http, "/v1/traces", &[("content-type", content_type)], body.clone()).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert!(answer.text().contains("content-encoding: gzip"), "{}", answer.text());
    }
    rig.assert_ledger(2);
}

#[tokio::test]
async fn slashes_too_many_are_taken() {
    let rig = Rig::start().await;
    for path in ["/v1/traces/", "//v1/traces"] {
        let answer = rig::post(rig.http, path, &[PROTOBUF], payload::three(Signal::Traces)).await;
        assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text());
    }
    assert_eq!(rig.logged(Signal::Traces).await.len(), 2);
}

#[tokio::test]
async fn an_application_with_spaces_in_its_name_is_taken() {
    let rig = Rig::start().await;
    let path = "/ingest?name=my%20shop%7Ba%3Db%20c%7D&format=groups";
    let answer = rig::post(rig.pyroscope, path, &[], "main;work 3\n").await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
    let batch = rig.only(Signal::Profiles).await;
    assert_eq!(batch.meta.query, "name=my_shop%7Ba%3Db+c%7D&format=groups");
}

#[tokio::test(flavor = "multi_thread")]
async fn why_requests_were_refused_stands_in_the_log_once_and_in_the_status() {
    let vispyr = Vispyr::serve().await;
    for _ in 0..50 {
        let bad = post(&vispyr.url("otlp_http", "/v1/traces"), PROTOBUF.1, vec![0xff; 9]).await.unwrap();
        assert_eq!(bad.status, 400);
        assert_eq!(post(&vispyr.url("otlp_http", "/v2/traces"), PROTOBUF.1, "").await.unwrap().status, 404);
    }
    let log = vispyr.log();
    for reason in ["malformed", "not_found"] {
        let lines: Vec<_> = log
            .lines()
            .filter(|line| line.contains("requests are refused") && line.contains(&format!("reason=\"{reason}\"")))
            .collect();
        assert_eq!(lines.len(), 1, "{reason}: {log}");
    }
    let status = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json();
    let refusals = status["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), 2, "{refusals:?}");
    let of = |reason: &str| refusals.iter().find(|one| one["reason"] == reason).unwrap();
    assert_eq!(of("malformed")["requests"], 50);
    assert_eq!(of("malformed")["signal"], "traces");
    assert!(of("not_found")["last"].as_str().unwrap().contains("/v2/traces"), "{refusals:?}");
    assert!(of("not_found")["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{refusals:?}");
}
