//! The alert rules are about metrics that are there. What they say of them, `promtool test rules`
//! tests (scripts/lint).

use std::collections::BTreeSet;
use std::path::Path;

use crate::delivery::send_spans;
use crate::delivery::sink::{Answer, Sink, http};
use crate::harness::{Options, Vispyr, post};

/// The names of ours in a text, as Prometheus takes names apart.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("vispyr_")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_of_the_rules_is_there() {
    let sink = Sink::with(|call| if call.spans().is_empty() { Answer::Accept } else { http(400, "never") }).await;
    let config = format!("[exporters.out]\ntype = \"otlp\"\nprotocol = \"http\"\nurl = \"http://{}\"\n", sink.address);
    let vispyr = Vispyr::start(Options::config(&config)).await;
    send_spans(&vispyr, 0..1).await;
    let url = vispyr.url("otlp_http", "/v1/traces");
    assert_eq!(post(&url, "application/x-protobuf", vec![0xff; 9]).await.unwrap().status, 400);
    let letter = || async { (vispyr.metric("vispyr_dead_letters", &[]).await == 1.0).then_some(()) };
    vispyr.wait("the span is set aside", letter).await;

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prometheus");
    let rules = std::fs::read_to_string(folder.join("rules.yml")).unwrap();
    let expressions: String = rules.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let wanted = names(&expressions);
    assert!(wanted.len() > 10, "{wanted:?}");
    let metrics = vispyr.metrics().await;
    // Only a port with TLS has a certificate.
    let there: BTreeSet<String> =
        names(&metrics).into_iter().chain(["vispyr_certificate_expiry_timestamp_seconds".to_owned()]).collect();
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} are not in\n{metrics}");
    assert!(metrics.contains("vispyr_destination_info{destination=\"store\",type=\"store\"} 1"), "{metrics}");
}
