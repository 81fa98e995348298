//! The views of the page: what the server sends.

use bytes::Bytes;
use http_body_util::Full;
use serde_json::json;

use crate::dead_letters::with_letters;
use crate::harness::{Answer, Options, Vispyr, get, post, send};

/// What begins a script, what turns the direction of text, and what ends an element or an attribute.
pub const HOSTILE: &str = "<script>alert(1)</script>\u{202e}'\"></td><img src=x onerror=alert(1)>";

pub async fn page(vispyr: &Vispyr, path: &str) -> Answer {
    get(&vispyr.url("web", path)).await.unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What every page has to be, whatever is in it.
pub fn assert_is_safe(path: &str, answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/html; charset=utf-8"), "{path}");
    let policy = header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
    assert_eq!(header("referrer-policy").as_deref(), Some("same-origin"), "{path}");
    assert_eq!(header("cache-control").as_deref(), Some("no-store"), "{path}");
    let text = answer.text();
    assert_eq!(text.matches("<script").count(), 1, "only our own script, by its address: {path}: {text}");
    for forbidden in ["<img", " onerror=", " style=", "<style", "javascript:"] {
        let outside = text.replace("&lt;img src=x onerror=", "");
        assert!(!outside.contains(forbidden), "{forbidden} in {path}: {text}");
    }
    for needed in ["<html lang=\"en\">", "<main id=\"content\"", "<h1>", "class=\"skip\"", "<nav aria-label="] {
        assert!(text.contains(needed), "no {needed} in {path}: {text}");
    }
}

/// Log records of OTLP in JSON, a second apart, up to now.
async fn send_logs(vispyr: &Vispyr, bodies: &[String], attribute: &str) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() * 1_000_000_000;
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| {
            json!({
                "timeUnixNano": (now - n as u64 * 1_000_000_000).to_string(),
                "severityNumber": 17, "severityText": attribute,
                "body": { "stringValue": body }, "eventName": attribute,
                "attributes": [{ "key": attribute, "value": { "stringValue": attribute } }],
            })
        })
        .collect();
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": attribute } }] });
    let request = json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": records }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/logs"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_there_without_a_store() {
    let config = "[store]\nenabled = false\n[exporters.tempo]\ntype = \"otlp\"\nurl = \"http://127.0.0.1:9\"\n\
                  [exporters.tempo.headers]\nx-token = \"hush-hush\"\n";
    let config = config.to_owned();
    let vispyr = Vispyr::start(Options { command: "collector", config, ..Options::default() }).await;
    for (path, status, expected) in [
        ("/", 200, "Nothing has come in since the start"),
        ("/flow/receiver/otlp_grpc", 200, "OTLP gRPC"),
        ("/flow/log/traces", 200, "Log of traces"),
        ("/flow/destination/tempo", 200, "exporters.tempo.headers.x-token"),
        ("/flow/destination/nobody", 404, "No such part"),
        ("/flow/what/traces", 404, "No such part"),
        ("/dead-letters", 200, "There are none"),
        ("/dead-letters/tempo-1", 404, "no dead letter"),
        ("/services", 200, "this collector has no store"),
        ("/traces", 200, "this collector has no store"),
        ("/explore", 200, "this collector has no store"),
        ("/explore?metric=up", 200, "this collector has no store"),
        ("/profiles?base=1d", 200, "this collector has no store"),
        ("/trace/00", 200, "this collector has no store"),
        ("/tail", 200, "Live tail"),
        ("/tail?where=%3Cscript%3E&service=%3Cscript%3E&signal=%3Cscript%3E", 200, "role=\"alert\""),
        ("/sql?q=SELECT+1", 200, "this collector has no store"),
        ("/logs", 200, "this collector has no store"),
        ("/logs/at/1", 200, "this collector has no store"),
        ("/logs/at/x", 404, "No such record"),
        ("/health", 200, "This collector has no store"),
    ] {
        let answer = page(&vispyr, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(expected), "no {expected:?} in {path}: {}", answer.text());
        assert!(!answer.text().contains("hush-hush"), "{path}");
        assert_is_safe(path, &answer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_may_be_kept_for_ever_and_are_found_by_their_content_alone() {
    let vispyr = Vispyr::start(Options { command: "collector", ..Options::config("[store]\nenabled = false\n") }).await;
    let text = page(&vispyr, "/").await.text();
    let links: Vec<&str> = text.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert_eq!(links.len(), 3, "{text}");
    for link in links {
        let file = page(&vispyr, link).await;
        assert_eq!(file.status, 200, "{link}");
        assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable", "{link}");
        assert_eq!(file.headers["x-content-type-options"], "nosniff", "{link}");
    }
    for gone in ["/assets/0000000000000000/style.css", "/assets/", "/assets/..%2fCargo.toml"] {
        assert_eq!(page(&vispyr, gone).await.status, 404, "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_senders_is_text_and_is_cut() {
    let vispyr = Vispyr::serve().await;
    let long = format!("{HOSTILE}{}", "long ".repeat(200_000));
    let now = send_logs(&vispyr, &[long, HOSTILE.to_owned()], HOSTILE).await;
    vispyr.wait_count("SELECT count(*) FROM logs", 2).await;
    let query = "q=%3Cscript%3E&service=%3Cscript%3E&where=%3Cscript%3E&level=%3Cscript%3E&trace=%3Cscript%3E&range=%3Cscript%3E";
    for (path, records) in [
        ("/logs".to_owned(), true),
        (format!("/logs/at/{now}"), true),
        (format!("/logs?{query}"), false),
        ("/health?zone=%3Cscript%3E".to_owned(), false),
        ("/flow/destination/%3Cscript%3E".to_owned(), false),
    ] {
        let answer = page(&vispyr, &path).await;
        assert_is_safe(&path, &answer);
        let text = answer.text();
        assert_eq!(text.contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}"), records, "{path}: {text}");
        assert!(text.len() < 200_000, "{path}: {} bytes", text.len());
    }
    // All that was cut can be had.
    assert!(page(&vispyr, "/logs").await.text().contains("1\u{202f}000\u{202f}0"), "the length is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_are_found_by_what_is_asked_for_and_page_by_page() {
    let vispyr = Vispyr::serve().await;
    let bodies: Vec<String> = (0..230).map(|n| format!("line {n:03} of it's log")).collect();
    let now = send_logs(&vispyr, &bodies, "shop").await;
    vispyr.wait_count("SELECT count(*) FROM logs", 230).await;
    let shown = |text: &str| -> Vec<String> {
        text.match_indices("line ").map(|(at, _)| text[at + 5..at + 8].to_owned()).collect()
    };
    let (mut path, mut seen) = ("/logs?range=1h".to_owned(), Vec::new());
    for expected in [100, 100, 30] {
        let text = page(&vispyr, &path).await.text();
        let lines = shown(&text);
        assert_eq!(lines.len(), expected, "{path}");
        seen.extend(lines);
        let next = text
            .find("rel=\"next\" href=\"")
            .map(|at| text[at + 17..].split('"').next().unwrap().replace("&amp;", "&"));
        assert_eq!(next.is_some(), expected == 100, "{path}");
        path = next.unwrap_or_default();
    }
    let expected: Vec<String> = (0..230).map(|n| format!("{n:03}")).collect();
    assert_eq!(seen, expected, "each record once, the newest first");
    for (query, records) in [
        ("q=LINE+007", 1),
        ("q=it%27s&level=error&service=shop&where=shop+%3D+shop", 100),
        ("level=info", 0),
        ("where=shop+%3D+cart", 0),
        ("q=%25", 0),
        ("trace=00", 0),
        ("from=2020-01-01&to=2020-01-02", 0),
    ] {
        let answer = page(&vispyr, &format!("/logs?{query}")).await;
        let text = answer.text();
        assert_eq!(shown(&text).len(), records, "{query}: {text}");
        assert_eq!(text.contains("class=\"empty\""), records == 0, "{query}");
        assert!(!text.contains("No answer."), "{query}: {text}");
    }
    let chosen = page(&vispyr, "/logs?columns=shop,+service.name,+x%22%3Cscript%3E").await;
    assert_is_safe("columns", &chosen);
    let text = chosen.text();
    for expected in ["<th scope=\"col\"><bdi>service.name</bdi>", "<th scope=\"col\"><bdi>x&quot;&lt;script&gt;</bdi>"]
    {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    let row = text.split("<tr data-row").nth(1).unwrap();
    assert_eq!(row.matches("<td><bdi>shop</bdi></td>").count(), 3, "service, attribute and resource: {row}");
    let other = page(&vispyr, &format!("/logs/at/{now}?service=other")).await.text();
    assert_eq!(shown(&other).len(), 1, "of another service there is nothing around it: {other}");
    let around = page(&vispyr, &format!("/logs/at/{}", now - 5_000_000_000)).await.text();
    assert_eq!(shown(&around)[0], "005");
    assert_eq!(shown(&around)[1..6], ["000", "001", "002", "003", "004"]);
    assert_eq!(shown(&around).len(), 1 + 5 + 20);
    assert_eq!(page(&vispyr, &format!("/logs/at/{}", now + 1)).await.status, 404);
}

/// A form as a browser sends it.
async fn submit(vispyr: &Vispyr, form: &str, origin: Option<&str>) -> Answer {
    let mut request = http::Request::post(vispyr.url("web", "/dead-letters/handle"))
        .header("content-type", "application/x-www-form-urlencoded");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    send(request.body(Full::new(Bytes::from(form.to_owned()))).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_handled_by_forms_of_ours_alone() {
    let (vispyr, ids) = with_letters().await;
    let list = page(&vispyr, "/dead-letters").await;
    assert_is_safe("/dead-letters", &list);
    assert!(list.text().contains("3 letters"), "{}", list.text());
    let path = format!("/dead-letters/{}", ids[1]);
    let letter = page(&vispyr, &path).await;
    assert_is_safe(&path, &letter);
    let text = letter.text();
    assert!(text.contains("HTTP 400: GET / is no good␛[31m"), "{text}");
    let token = text.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let ours = format!("http://{}", vispyr.address("web"));
    let drop_it = |token: &str| format!("token={token}&action=drop&id={}", ids[1]);
    for (form, origin, status) in [
        (drop_it(token), Some("http://evil.example"), 403),
        (drop_it(token), Some("null"), 403),
        (drop_it(""), Some(ours.as_str()), 403),
        (drop_it("0123456789abcdef0123456789abcdef"), Some(ours.as_str()), 403),
        (format!("token={token}&action=burn&id={}", ids[1]), Some(ours.as_str()), 400),
        (format!("token={token}&action=drop&id=tempo-1"), Some(ours.as_str()), 404),
        // No exporter of that name runs.
        (format!("token={token}&action=retry&id={}", ids[1]), Some(ours.as_str()), 503),
    ] {
        let answer = submit(&vispyr, &form, origin).await;
        assert_eq!(answer.status, status, "{form} {origin:?}: {}", answer.text());
        assert_is_safe(&form, &answer);
        assert_eq!(page(&vispyr, &path).await.status, 200, "nothing is dropped by {form} of {origin:?}");
    }
    assert_eq!(get(&vispyr.url("web", "/dead-letters/handle")).await.unwrap().status, 405, "a link does nothing");
    assert_eq!(submit(&vispyr, &drop_it(token), Some(&ours)).await.status, 200);
    assert_eq!(page(&vispyr, &path).await.status, 404);
    let all = submit(&vispyr, &format!("token={token}&action=drop&destination=tempo"), Some(&ours)).await;
    assert_eq!(all.status, 200, "{}", all.text());
    assert!(page(&vispyr, "/dead-letters").await.text().contains("1 letter"));
}
