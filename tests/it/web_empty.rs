//! What the views of the page say where they show nothing.

use serde_json::json;

use crate::harness::{Vispyr, post};
use crate::web_pages_traces::{now, send_spans, span};
use crate::web_pages_views::{assert_is_safe, page};

const SECOND: u64 = 1_000_000_000;

/// A view with its names, and its path with conditions that nothing meets.
const VIEWS: [(&str, &str, &str, &str); 4] = [
    ("/logs", "log records", "q=nothing-like-that", "port 4317"),
    ("/traces", "spans", "service=nobody", "port 4317"),
    ("/explore?metric=orders", "points of this metric", "where=a+%3D+nothing", "port 9090"),
    ("/profiles", "profiles", "service=nobody", "port 9999"),
];

async fn text(vispyr: &Vispyr, path: &str, query: &str) -> String {
    let path = format!("{path}{}{query}", if path.contains('?') { "&" } else { "?" });
    let answer = page(vispyr, &path).await;
    assert_is_safe(&path, &answer);
    let text = answer.text();
    assert!(!text.contains("No answer."), "{path}: {text}");
    text.split("<main").nth(1).unwrap().split("<footer").next().unwrap().to_owned()
}

/// An item of each signal.
async fn send_one_of_each(vispyr: &Vispyr, at: u64) {
    let (at_text, attributes) =
        (at.to_string(), json!([{ "key": "service.name", "value": { "stringValue": "shop" } }]));
    let resource = json!({ "attributes": attributes });
    let records = json!([{ "timeUnixNano": at_text, "severityNumber": 9, "body": { "stringValue": "a line" } }]);
    let logs = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
    let points = json!([{ "timeUnixNano": at_text, "asInt": "5" }]);
    let metrics = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [
        { "name": "orders", "gauge": { "dataPoints": points } }] }] }] });
    for (path, request) in [("/v1/logs", logs), ("/v1/metrics", metrics)] {
        let answer = post(&vispyr.url("otlp_http", path), "application/json", request.to_string()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    send_spans(vispyr, "shop", &[span(&"ab".repeat(16), (1, 0), "GET /", at, (0, 5), false)]).await;
    let seconds = at / SECOND;
    let ingest = format!("/ingest?name=shop&format=groups&from={seconds}&until={}", seconds + 10);
    let answer = post(&vispyr.url("pyroscope", &ingest), "text/plain", "main 5\n".to_owned()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    for view in ["logs", "metric_points", "spans", "profiles"] {
        vispyr.wait_count(&format!("SELECT count(*) FROM {view}"), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_shows_nothing_says_why() {
    let vispyr = Vispyr::serve().await;
    for (path, name, _, senders) in VIEWS {
        let none = text(&vispyr, path, "").await;
        assert!(none.contains(&format!("No {name} have come in yet")) && none.contains(senders), "{path}: {none}");
        assert!(none.contains("vispyr demo") && !none.contains("Kept since"), "{path}: {none}");
    }
    assert!(text(&vispyr, "/explore", "").await.contains("No metrics have come in yet"));
    let at = now() - 7200 * SECOND;
    send_one_of_each(&vispyr, at).await;
    assert!(text(&vispyr, "/explore", "find=nothing-like-that").await.contains("There are no metrics like that"));
    for (path, name, condition, _) in VIEWS {
        let before = text(&vispyr, path, "from=2020-01-01&to=2020-01-02").await;
        assert!(before.contains("Kept since") && before.contains("removed by retention"), "{path}: {before}");
        let after = text(&vispyr, path, "range=1h").await;
        assert!(after.contains(&format!("No {name} have come in since")), "{path}: {after}");
        let conditions = text(&vispyr, path, &format!("range=6h&{condition}")).await;
        assert!(conditions.contains(&format!("There are no {name} like that in this time")), "{path}: {conditions}");
        // What it leads to is there.
        for shown in [before, after, conditions] {
            let way = shown.split("class=\"empty\"").nth(1).unwrap().split("href=\"").nth(1).unwrap();
            let way = way.split('"').next().unwrap().replace("&amp;", "&");
            let found = text(&vispyr, &way, "").await;
            assert!(!found.contains("class=\"empty\""), "{way}: {found}");
        }
        // A view that shows something says nothing of it.
        let found = text(&vispyr, path, "range=6h").await;
        assert!(!found.contains("class=\"empty\""), "{path}: {found}");
    }
}
