//! The exemplars that point at a trace, on its page.

use serde_json::json;

use crate::harness::{Vispyr, post};
use crate::web_pages_traces::{TRACE, shop};
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_shows_the_exemplars_that_point_at_it() {
    let vispyr = Vispyr::serve().await;
    let start = shop(&vispyr).await;
    let look = async |query: &str| {
        let answer = page(&vispyr, &format!("/trace/{TRACE}?{query}")).await;
        assert_is_safe(query, &answer);
        assert!(!answer.text().contains("No answer."), "{query}: {}", answer.text());
        answer.text()
    };
    assert!(look("show=exemplars").await.contains("No exemplar points at this trace"));

    let at = start + 50_000_000;
    let exemplar = |trace: &str, value: f64, at: u64| json!({ "timeUnixNano": at.to_string(), "asDouble": value, "traceId": trace, "spanId": "0000000000000003" });
    let other = exemplar(&"ff".repeat(16), 1.0, at - 120_000_000_000);
    let point = json!({
        "timeUnixNano": (start + 5_000_000_000).to_string(), "startTimeUnixNano": start.to_string(), "count": "2", "sum": 1.25,
        "explicitBounds": [1.0], "bucketCounts": ["1", "1"], "exemplars": [exemplar(TRACE, 0.25, at), other],
        "attributes": [{ "key": "http.route", "value": { "stringValue": format!("{HOSTILE}{}", "long ".repeat(200_000)) } }],
    });
    let metric =
        json!({ "name": "took", "unit": "s", "histogram": { "aggregationTemporality": 2, "dataPoints": [point] } });
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "back" } }] });
    let request = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [metric] }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/metrics"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    vispyr.wait_count("SELECT count(*) FROM exemplars", 2).await;

    let text = look("show=exemplars&range=1h&zone=utc").await;
    let list = text.split("aria-label=\"Exemplars that point at this trace\"").nth(1).unwrap();
    let list = list.split("</table>").next().unwrap();
    assert_eq!(list.matches("<tr data-row").count(), 1, "that of the other trace is not among them: {list}");
    for expected in ["250 ms", "<bdi>back</bdi>", "&lt;script&gt;alert(1)", "span=0000000000000003"] {
        assert!(list.contains(expected), "no {expected:?} in {list}");
    }
    assert!(text.len() < 60_000, "{} bytes", text.len());
    // It leads to its metric, around its time.
    let link = list.split("href=\"/explore").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let metric = page(&vispyr, &format!("/explore{link}")).await.text();
    assert!(metric.contains("Metric <code><bdi>took</bdi></code>") && !metric.contains("class=\"empty\""), "{metric}");
    assert!(metric.contains(&format!("/trace/{TRACE}?")), "and back: {metric}");
}
