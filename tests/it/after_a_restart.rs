//! What is asked while the engine starts again is answered whole or not at all.

use std::time::{Duration, Instant};

use serde_json::json;
use vispyr::signal::now_nanos;

use crate::harness::{Vispyr, post};

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_short_after_the_engine_has_come_back() {
    const SPANS: i64 = 3000;
    let vispyr = Vispyr::serve().await;
    for request in 0..3 {
        let now = now_nanos().to_string();
        let span = |n: i64| {
            json!({"traceId": format!("{:032x}", request * 1000 + n + 1), "spanId": "0102030405060708", "name": "s",
                              "startTimeUnixNano": now, "endTimeUnixNano": now})
        };
        let spans: Vec<_> = (0..1000).map(span).collect();
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
        let answer = post(&vispyr.url("otlp_http", "/v1/traces"), "application/json", body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let count = "SELECT count(*) FROM spans";
    vispyr.wait_count(count, SPANS).await;
    for round in 0..4 {
        let before = vispyr.engine_pid().unwrap();
        vispyr.kill9_engine();
        let (mut answers, mut failures) = (0, Vec::new());
        let started = Instant::now();
        // Long enough for it to come back and for some questions then.
        while answers < 20 {
            assert!(started.elapsed() < Duration::from_secs(60), "round {round}: {answers} answers, {failures:?}");
            let answer = vispyr.ask(count, "application/json").await;
            if answer.status == 200 {
                answers += 1;
                let text = answer.text();
                assert!(
                    text.contains(&SPANS.to_string()),
                    "round {round}: short after {:?}: {text}",
                    started.elapsed()
                );
            } else {
                assert_eq!(answer.status, 503, "{}", answer.text());
                failures.push(answer.text());
            }
        }
        assert_ne!(vispyr.engine_pid(), Some(before));
    }
}
