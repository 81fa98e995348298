//! The view Profiles: what the server sends.

use prost::Message as _;
use serde_json::json;
use vispyr::wire::pprof_proto::Label;

use crate::harness::{Vispyr, post};
use crate::receivers::rig::payload;
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";
const SPAN: &str = "0102030405060708";

fn seconds_ago(seconds: u64) -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - seconds
}

/// Folded stacks of ten seconds, such as `main;serve 30`.
async fn send(vispyr: &Vispyr, service: &str, from: u64, stacks: &str) {
    let path = format!("/ingest?name={service}&format=groups&from={from}&until={}", from + 10);
    let answer = post(&vispyr.url("pyroscope", &path), "text/plain", stacks.to_owned()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The titles of the frames of the first picture.
fn frames(text: &str) -> Vec<String> {
    let picture = text.split("<svg class=\"flame\"").nth(1).unwrap_or_else(|| panic!("no picture in {text}"));
    let picture = picture.split("</svg></div>").next().unwrap();
    let titles = picture.split("<title>").skip(1).map(|title| title.split('<').next().unwrap().to_owned());
    titles.collect()
}

fn has(frames: &[String], start: &str) -> bool {
    frames.iter().any(|frame| frame.starts_with(start))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flame_graphs_of_times_of_functions_and_of_their_difference() {
    let vispyr = Vispyr::serve().await;
    let (old, new) = (seconds_ago(3600 + 600), seconds_ago(600));
    send(&vispyr, "shop", old, "main;serve;parse 10\nmain;wait 90\n").await;
    send(&vispyr, "shop", new, "main;serve;parse 60\nmain;serve;parse;serve 20\nmain;wait 20\n").await;
    send(&vispyr, "shop", new, &(0..3000).map(|n| format!("main;many{n} 0\nmain;rare;r{n} 1\n")).collect::<String>())
        .await;
    send(&vispyr, "other", new, "elsewhere 5\n").await;
    vispyr.wait_count("SELECT sum(value)::BIGINT FROM profile_samples", 32_050_000_000).await;

    let answer = page(&vispyr, "/profiles?service=shop&range=1h").await;
    assert_is_safe("/profiles", &answer);
    let text = answer.text();
    let all = frames(&text);
    for expected in
        ["total: 31 s, 100 %", "main: 31 s, 100 %", "serve: 800 ms, 2.58 %", "wait: 200 ms, 0.65 %, itself 200 ms"]
    {
        assert!(has(&all, expected), "no {expected:?} in {all:?}");
    }
    assert!(!has(&all, "r1:") && all.len() < 20, "what is too narrow is not sent: {all:?}");
    assert!(!has(&all, "elsewhere"), "{all:?}");
    assert!(text.contains("<bdi>other</bdi>"), "the others can be chosen: {text}");

    // A frame leads to a picture of which it is as wide as the whole.
    let link = text.split("aria-label=\"serve: 800 ms").next().unwrap().rsplit("href=\"").next().unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let near = page(&vispyr, &link).await.text();
    let frame = near.split("<title>parse: 800 ms").next().unwrap().rsplit("<svg").next().unwrap().to_owned();
    assert!(link.contains("frame=") && frame.contains("width=\"100.00%\""), "{link}: {frame}");

    let text = page(&vispyr, "/profiles?service=shop&range=1h&find=PARS").await.text();
    assert!(text.contains("of which 2.58 % is in functions with"), "{text}");
    assert_eq!(text.matches("class=\"found\"").count(), 1, "{text}");

    // The function calls itself by way of another: it is counted once.
    let text = page(&vispyr, "/profiles?service=shop&range=1h&function=serve").await.text();
    assert!(has(&frames(&text), "main: 800 ms, 100 %"), "callers: {:?}", frames(&text));
    let callees = text.split("<h3>Callees</h3>").nth(1).unwrap();
    assert!(
        has(&frames(callees), "serve: 800 ms, 100 %") && has(&frames(callees), "parse: 800 ms, 100 %"),
        "{callees}"
    );
    let nobody = page(&vispyr, "/profiles?service=shop&range=1h&function=nobody").await.text();
    assert!(nobody.contains("It is in no stack of this time"), "{nobody}");

    let text = page(&vispyr, "/profiles?service=shop&range=1h&base=before&order=total").await.text();
    let both = frames(&text);
    for expected in ["wait: 200 ms, 0.65 %; before 900 ms, 90 %", "parse: 800 ms, 2.58 %; before 100 ms, 10 %"] {
        assert!(has(&both, expected), "no {expected:?} in {both:?}");
    }
    assert!(text.contains("class=\"less2\"") && text.contains("class=\"more2\"") && text.contains("−89.35"), "{text}");

    // Both times are chosen freely, and may be of different lengths.
    let moments =
        format!("from={0}000000000&to=now&base_from={1}000000000&base_to={2}000000000", new - 60, old - 60, old + 30);
    let text = page(&vispyr, &format!("/profiles?service=shop&{moments}&base=1d")).await.text();
    let both = frames(&text);
    for expected in ["wait: 200 ms, 0.65 %; before 900 ms, 90 %", "parse: 800 ms, 2.58 %; before 100 ms, 10 %"] {
        assert!(has(&both, expected), "no {expected:?} in {both:?}");
    }
    assert!(
        text.contains("value=\"between\" selected") && text.contains(&format!("value=\"{}000000000\"", old + 30)),
        "{text}"
    );
    let text = page(&vispyr, "/profiles?service=shop&base_from=yesterday").await.text();
    assert!(text.contains("role=\"alert\"") && text.contains("yesterday"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_of_a_span_and_of_its_trace() {
    let vispyr = Vispyr::serve().await;
    let mut profile = payload::pprof();
    let mut text = |text: &str| {
        profile.string_table.push(text.to_owned());
        profile.string_table.len() as i64 - 1
    };
    let (key, value) = (text("span_id"), text(SPAN));
    profile.sample[0].label.push(Label { key, str: value, ..Label::default() });
    let url = vispyr.url("pyroscope", "/ingest?name=app&format=pprof");
    let answer = post(&url, "application/octet-stream", profile.encode_to_vec()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let now = seconds_ago(10) * 1_000_000_000;
    let span = json!({ "traceId": TRACE, "spanId": SPAN, "name": "GET /", "kind": 2, "startTimeUnixNano": now.to_string(),
        "endTimeUnixNano": (now + 1000).to_string() });
    let request = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/traces"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    vispyr.wait_count("SELECT count(*) FROM spans", 1).await;
    vispyr.wait_count("SELECT count(span_id) FROM profile_samples", 1).await;
    for query in [format!("span={SPAN}"), format!("trace={TRACE}")] {
        let answer = page(&vispyr, &format!("/profiles?{query}&from=2020-01-01&to=2020-01-02")).await;
        assert_is_safe(&query, &answer);
        let found = frames(&answer.text());
        assert!(found.len() > 1 && has(&found, "total: 10"), "{query}: {found:?}");
    }
    let none = page(&vispyr, "/profiles?span=ffffffffffffffff").await.text();
    assert!(none.contains("No sample of a profile is linked to it"), "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_senders_is_text_in_profiles() {
    let vispyr = Vispyr::serve().await;
    let hostile = HOSTILE.replace([' ', ';'], "_");
    let long = format!("{hostile}{}", "long_".repeat(12_000));
    send(&vispyr, "shop", seconds_ago(60), &format!("main;{hostile} 30\nmain;{long} 20\n")).await;
    vispyr.wait_count("SELECT sum(value)::BIGINT FROM profile_samples", 500_000_000).await;
    let encoded: String = url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
    for query in [
        String::new(),
        "base=before".to_owned(),
        "find=%3Cscript%3E".to_owned(),
        format!("function={encoded}"),
        "frame=%3Cscript%3E&base=%3Cscript%3E&order=%3Cscript%3E".to_owned(),
    ] {
        let answer = page(&vispyr, &format!("/profiles?{query}")).await;
        let text = answer.text();
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}"), "{query}: {text}");
        assert_is_safe(&query, &answer);
        assert!(text.len() < 200_000, "{query}: {} bytes", text.len());
        assert!(!text.contains("No answer."), "{query}: {text}");
    }
}
