//! Hostile text of senders in the views that show a trace by itself, and in the live tail: markup, marks that turn the
//! direction of text, and a megabyte of it.

use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Vispyr, post};
use crate::web_pages_trace::upload;
use crate::web_pages_traces::{TRACE, now, send_spans, span};
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

/// Bytes of a page whose senders have sent megabytes.
const MOST: usize = 250_000;

fn long() -> String {
    format!("{HOSTILE}{}", "long ".repeat(200_000))
}

/// A span in which every text is hostile.
fn hostile_span(trace: &str, id: u64, parent: u64) -> Value {
    let mut span = span(trace, (id, parent), HOSTILE, now() - 5_000_000_000, (id, 5), true);
    let text = json!({ "stringValue": long() });
    span["name"] = json!(long());
    span["status"]["message"] = json!(long());
    span["attributes"] =
        json!([{ "key": HOSTILE, "value": text }, { "key": "short", "value": { "stringValue": HOSTILE } }]);
    span["events"] =
        json!([{ "timeUnixNano": "1", "name": HOSTILE, "attributes": [{ "key": HOSTILE, "value": text }] }]);
    span["links"] = json!([{ "traceId": "ab".repeat(16), "spanId": "cd".repeat(8), "attributes": [{ "key": HOSTILE, "value": text }] }]);
    span
}

async fn assert_all_safe(vispyr: &Vispyr, paths: &[String]) {
    for path in paths {
        let answer = page(vispyr, path).await;
        assert_is_safe(path, &answer);
        let text = answer.text();
        assert!(!text.contains("No answer."), "{path}: {text}");
        assert!(text.contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}"), "{path}: {text}");
        assert!(text.len() < MOST, "{path}: {} bytes", text.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_senders_is_text_in_all_that_shows_a_trace() {
    let vispyr = Vispyr::serve().await;
    let other = "ee".repeat(16);
    for trace in [TRACE, &other] {
        for spans in [vec![hostile_span(trace, 1, 0)], vec![hostile_span(trace, 2, 1)]] {
            send_spans(&vispyr, HOSTILE, &spans).await;
        }
    }
    vispyr.wait_count("SELECT count(*) FROM spans", 4).await;
    let views = [
        "",
        "show=flame",
        "show=statistics",
        "show=compare",
        "find=%3Cscript%3E",
        "span=0000000000000002",
        "only=errors",
    ];
    let of = |path: &str| views.map(|view| format!("{path}?{view}"));
    assert_all_safe(&vispyr, &of(&format!("/trace/{TRACE}"))).await;
    assert_all_safe(&vispyr, &[format!("/trace/{TRACE}?show=compare&with={other}")]).await;
    let facets = page(&vispyr, "/traces").await.text();
    let facet = facets.split("aria-label=\"Attribute short\"").nth(1).unwrap_or_else(|| panic!("{facets}"));
    assert!(facet.contains("<bdi>&lt;script&gt;"), "{facet}");

    // The same of a file that somebody was given.
    let file = page(&vispyr, &format!("/trace/{TRACE}/otlp.json")).await.text();
    let traces = page(&vispyr, "/traces").await.text();
    let token = traces.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let taken = upload(&vispyr, token, &format!("http://{}", vispyr.address("web")), &file).await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    let path = taken.headers["location"].to_str().unwrap().to_owned();
    let shown: Vec<String> = of(&path).into_iter().filter(|path| !path.ends_with("show=compare")).collect();
    assert_all_safe(&vispyr, &shown).await;
    assert_all_safe(&vispyr, &[format!("{path}?show=compare&with={other}")]).await;
}

/// Browsers and scripts get lines of JSON: no line feed of a sender ends one, and none is longer than a line may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_senders_is_text_in_the_live_tail() {
    let vispyr = Vispyr::serve().await;
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let request = http::Request::get(vispyr.url("web", "/api/v1/tail?signal=logs"))
            .header("accept", accept)
            .body(Full::new(bytes::Bytes::new()))
            .unwrap();
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let mut answer = tokio::time::timeout(DEADLINE, client.request(request)).await.unwrap().unwrap().into_body();
        let body = format!("{HOSTILE}\n\ndata: forged\n{}", long());
        let record =
            json!({ "timeUnixNano": now().to_string(), "body": { "stringValue": body }, "eventName": HOSTILE });
        let request = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] });
        let sent = post(&vispyr.url("otlp_http", "/v1/logs"), "application/json", request.to_string()).await.unwrap();
        assert_eq!(sent.status, 200, "{}", sent.text());
        let mut text = String::new();
        while !text.contains("alert(1)") || !text.ends_with('\n') {
            let frame = tokio::time::timeout(DEADLINE, answer.frame()).await.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        let line = text.lines().find(|line| line.contains("alert(1)")).unwrap();
        assert!(line.len() <= 64 << 10, "{} bytes", line.len());
        assert!(!text.lines().any(|line| line.starts_with("data: forged")), "{text}");
        let item: Value = serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).unwrap();
        assert!(item["body"].as_str().unwrap().starts_with(&format!("{HOSTILE}\n\ndata: forged\n")), "{item}");
        assert_eq!(item["name"], json!(HOSTILE), "{item}");
    }
}
