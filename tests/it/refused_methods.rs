//! What no receiver takes for any signal is counted and told, whichever port it comes to.

use crate::receivers::rig::{Rig, call_raw, send};

#[tokio::test]
async fn a_wrong_method_is_counted_at_every_port() {
    let rig = Rig::start().await;
    for (receiver, port, path) in [
        ("otlp_http", rig.http, "/v1/traces"),
        ("remote_write", rig.remote_write, "/api/v1/write"),
        ("pyroscope", rig.pyroscope, "/ingest"),
    ] {
        let answer = send("GET", port, path, &[], "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")), "{receiver}");
        let labels = [&*format!("receiver=\"{receiver}\""), "reason=\"method\""];
        assert_eq!(rig.ledger("vispyr_other_refused_requests_total", &labels), 1, "{receiver}");
    }
    rig.assert_ledger(0);
}

#[tokio::test]
async fn otlp_over_http_2_at_the_grpc_port_is_told_so() {
    let rig = Rig::start().await;
    let headers = [("content-type", "application/x-protobuf")];
    let answer = call_raw(rig.grpc, "/v1/traces", &headers, vec![0; 1 << 20]).await;
    assert_eq!(answer.status.as_u16(), 415);
    assert!(answer.text().contains("by default 4318"), "{}", answer.text());
    assert_eq!(rig.ledger("vispyr_other_refused_requests_total", &["otlp_grpc", "wrong_port"]), 1);
}
