//! One trace on the page: as a flame graph, with its log records, beside another, and as a file.

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::harness::{Answer, Vispyr, get, post, send};
use crate::web_pages_traces::{TRACE, names, now, send_spans, shop, span};
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

const SPANS: [&str; 5] = ["GET /cart", "log", "ask stock", "GET /stock", "SELECT"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_has_records_levels_and_a_flame_graph() {
    let vispyr = Vispyr::serve().await;
    let start = shop(&vispyr).await;
    let record = |after: u64, body: &str| {
        json!({ "timeUnixNano": (start + after * 1_000_000).to_string(), "traceId": TRACE,
        "spanId": "0000000000000003", "severityNumber": 17, "body": { "stringValue": body } })
    };
    let records = [record(30, "second line"), record(20, "first line"), record(40, HOSTILE)];
    let request = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/logs"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    vispyr.wait_count("SELECT count(*) FROM logs", 3).await;

    let look = async |query: &str| {
        let answer = page(&vispyr, &format!("/trace/{TRACE}?{query}")).await;
        assert_is_safe(query, &answer);
        assert!(!answer.text().contains("No answer."), "{query}: {}", answer.text());
        answer.text()
    };
    let text = look("show=logs").await;
    let places = ["20 ms", "first line", "30 ms", "second line", "&lt;script&gt;alert"].map(|part| text.find(part));
    assert!(places.is_sorted() && places[0].is_some(), "in the order of time: {places:?} {text}");
    assert!(text.contains("span=0000000000000003"), "a record leads to its span: {text}");

    assert_eq!(names(&look("depth=2").await, &SPANS), ["GET /cart", "log", "ask stock"]);
    let text = look("find=select").await;
    assert_eq!(text.matches("class=\"found\"").count(), 1, "what is found is marked among those above it: {text}");
    // Own times: 100 - 81, 80 - 60, 60 - 10, 10 and 1 ms.
    let text = look("show=flame").await;
    for frame in ["total: 100 ms, 100 %", "front: GET /cart: 100 ms, 100 %, itself 19 ms", "back: SELECT: 10 ms, 10 %"]
    {
        assert!(text.contains(frame), "no {frame:?} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_traces_are_compared() {
    let vispyr = Vispyr::serve().await;
    let start = shop(&vispyr).await;
    let other = "ee".repeat(16);
    let one = |ids, name, times| span(&other, ids, name, start, times, false);
    send_spans(
        &vispyr,
        "front",
        &[one((1, 0), "GET /cart", (0, 40)), one((2, 1), "ask stock", (1, 10)), one((3, 1), "ask stock", (20, 10))],
    )
    .await;
    vispyr.wait_count("SELECT count(*) FROM spans", 9).await;
    let offered = page(&vispyr, &format!("/trace/{TRACE}?show=compare")).await;
    assert_is_safe("offered", &offered);
    assert!(offered.text().contains(&format!("with={other}")), "one that begins alike: {}", offered.text());
    assert!(!offered.text().contains(&format!("with={}", "ff".repeat(16))), "{}", offered.text());

    let answer = page(&vispyr, &format!("/trace/{TRACE}?show=compare&with={other}")).await;
    assert_is_safe("compared", &answer);
    let text = answer.text();
    let row = |table: &str, name: &str| {
        let table =
            text.split(&format!("aria-label=\"{table}\"")).nth(1).unwrap_or_else(|| panic!("no {table} in {text}"));
        let row = table.split("<tr data-row").find(|row| row.contains(&format!("<bdi>{name}</bdi>"))).unwrap();
        row.split("<td class=\"n\">").skip(1).map(|cell| cell.split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let groups = "Both traces by service and name";
    assert_eq!(row(groups, "front: ask stock"), ["1", "2", "1", "0", "80 ms", "20 ms", "80 ms", "10 ms"]);
    assert_eq!(row(groups, "back: SELECT"), ["1", "0", "0", "0", "10 ms", "0 ns", "10 ms", "0 ns"]);
    let differences = "Differences in structure";
    assert_eq!(row(differences, "front: ask stock"), ["1", "2"]);
    assert_eq!(row(differences, "back: SELECT"), ["1", "none"]);
    assert!(
        !text.split(differences).nth(2).unwrap_or_default().contains("<bdi>front: GET /cart</bdi></td><td><bdi></bdi>"),
        "{text}"
    );
    let same = page(&vispyr, &format!("/trace/{TRACE}?show=compare&with={TRACE}")).await.text();
    assert!(same.contains("None: the same spans are below the same ones"), "{same}");
    let none = page(&vispyr, &format!("/trace/{TRACE}?show=compare&with=abcd")).await.text();
    assert!(none.contains("There is no such trace to compare with"), "{none}");
}

/// A form with a file as a browser sends it.
pub async fn upload(vispyr: &Vispyr, token: &str, origin: &str, file: &str) -> Answer {
    let part = |name: &str, content: &str| {
        format!("--limit\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x.json\"\r\n\r\n{content}\r\n")
    };
    let body = format!("{}{}--limit--\r\n", part("token", token), part("file", file));
    let request = http::Request::post(vispyr.url("web", "/trace"))
        .header("content-type", "multipart/form-data; boundary=limit")
        .header("origin", origin);
    send(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_taken_away_as_otlp_and_looked_at_without_being_stored() {
    let (vispyr, second) = (Vispyr::serve().await, Vispyr::serve().await);
    shop(&vispyr).await;
    let mut odd = span(TRACE, (9, 1), HOSTILE, now() - 5_000_000_000, (0, 1), true);
    odd["attributes"] = json!([
        { "key": "n", "value": { "intValue": "-7" } }, { "key": "f", "value": { "doubleValue": 1.5 } },
        { "key": "b", "value": { "boolValue": true } }, { "key": HOSTILE, "value": { "stringValue": HOSTILE } },
        { "key": "l", "value": { "arrayValue": { "values": [{ "stringValue": "x" }, { "intValue": "1" }] } } },
    ]);
    odd["links"] = json!([{ "traceId": "ab".repeat(16), "spanId": "cd".repeat(8), "attributes": [] }]);
    // It comes twice, and is in the file once.
    send_spans(&vispyr, "odd", &[odd.clone(), odd]).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 8).await;

    let file = page(&vispyr, &format!("/trace/{TRACE}/otlp.json")).await;
    assert_eq!((file.status, file.headers["content-type"].to_str().unwrap()), (200, "application/json"));
    assert!(file.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let answer = post(&second.url("otlp_http", "/v1/traces"), "application/json", file.text()).await.unwrap();
    assert_eq!((answer.status, answer.text().contains("rejected")), (200, false), "{}", answer.text());
    second.wait_count("SELECT count(*) FROM spans", 6).await;
    let all = format!(
        "SELECT DISTINCT trace_id, span_id, parent_span_id, name, kind, start_time, duration_ns, status_code, status_message, service_name,\
         attributes::VARCHAR, events::VARCHAR, links::VARCHAR, resource::VARCHAR FROM spans WHERE trace_id = '{TRACE}' ORDER BY ALL"
    );
    assert_eq!(vispyr.sql(&all).await, second.sql(&all).await, "the other store has the same: {}", file.text());

    let text = page(&vispyr, "/traces").await.text();
    assert!(text.contains("It is shown and not stored."), "{text}");
    let token = text.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let ours = format!("http://{}", vispyr.address("web"));
    let large = format!("{{\"resourceSpans\":[]}}{}", " ".repeat(17 << 20));
    for (token, origin, file, status, why) in [
        ("", ours.as_str(), file.text(), 403, "This form is not of this page"),
        (token, "http://evil.example", file.text(), 403, "This form is not of this page"),
        (token, &ours, "{".to_owned(), 422, "the file is no trace in OTLP JSON"),
        (token, &ours, "{\"resourceLogs\":[]}".to_owned(), 422, "it has no span"),
        (token, &ours, large, 413, "Not taken"),
    ] {
        let answer = upload(&vispyr, token, origin, &file).await;
        assert_eq!(answer.status, status, "{why}: {}", answer.text());
        assert!(answer.text().contains(why), "no {why:?} in {}", answer.text());
        assert_is_safe(why, &answer);
    }
    let taken = upload(&vispyr, token, &ours, &file.text()).await;
    assert_eq!(taken.status, 303, "{}", taken.text());
    let path = taken.headers["location"].to_str().unwrap().to_owned();
    assert!(path.starts_with("/trace/uploaded-"), "{path}");
    let look = async |query: &str| {
        let answer = page(&vispyr, &format!("{path}?{query}")).await;
        assert_is_safe(query, &answer);
        answer.text()
    };
    assert_eq!(names(&look("").await, &SPANS), SPANS);
    assert_eq!(names(&look("find=select").await, &SPANS), ["GET /cart", "ask stock", "GET /stock", "SELECT"]);
    let opened = look("span=0000000000000003").await;
    for expected in ["it broke", "ShopError", "http.route", "service.name", "60 ms"] {
        assert!(opened.contains(expected), "no {expected:?} in {opened}");
    }
    assert!(look("show=flame").await.contains("back: SELECT: 10 ms"));
    let compared = look(&format!("show=compare&with={TRACE}")).await;
    assert!(compared.contains("None: the same spans are below the same ones"), "{compared}");
    assert!(look("show=logs").await.contains("A file of spans has no log records"));
    let count: Value = vispyr.sql("SELECT count(*) FROM spans").await[0][0].clone();
    assert_eq!(count, json!(8), "nothing of it is stored");
    let gone = get(&vispyr.url("web", "/trace/uploaded-0000000000000000")).await.unwrap();
    assert_eq!((gone.status, gone.text().contains("not kept any more")), (404, true), "{}", gone.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facets_roots_and_spans_that_came_twice() {
    let vispyr = Vispyr::serve().await;
    let start = shop(&vispyr).await;
    let text = page(&vispyr, "/traces?range=1h").await.text();
    let facet = |text: &str, title: &str, value: &str| {
        let list = text.split(&format!("<section aria-label=\"{title}\">")).nth(1)?.split("</section>").next()?;
        let row = list.split("<li>").find(|row| row.contains(&format!("<bdi>{value}</bdi>")))?.to_owned();
        Some((row.contains("<a "), row.split("<span class=\"muted\">").nth(1)?.split(['<', ' ']).next()?.to_owned()))
    };
    assert_eq!(facet(&text, "Services", "back"), Some((true, "3".to_owned())), "{text}");
    assert_eq!(facet(&text, "Spans", "SELECT"), Some((true, "1".to_owned())), "{text}");
    assert_eq!(facet(&text, "Status", "error"), Some((true, "2".to_owned())), "{text}");
    assert_eq!(facet(&text, "Status", "unset").map(|(leads, _)| leads), Some(false), "{text}");
    let text = page(&vispyr, "/traces?range=1h&service=back&where=http.route+%3D+SELECT&where=x+%3D+y").await.text();
    assert!(
        text.contains("value=\"http.route = SELECT\"") && text.contains("value=\"x = y\""),
        "all conditions stay: {text}"
    );

    let other = "ee".repeat(16);
    let one = |ids, failed| span(&other, ids, "GET /cart", start, (0, 300), failed);
    let twice = [one((1, 0), false), one((3, 1), true)];
    send_spans(&vispyr, "twice", &twice).await;
    send_spans(&vispyr, "twice", &twice).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 10).await;
    let roots = page(&vispyr, "/traces?range=1h&group=root").await;
    assert_is_safe("roots", &roots);
    let text = roots.text();
    let row = text
        .split("<tr data-row")
        .skip(1)
        .find(|row| row.contains("<bdi>twice</bdi>"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(
        row.contains("<td class=\"n\">1</td>") && row.contains("300 ms") && row.contains(&format!("/trace/{other}")),
        "{row}"
    );
    let list = page(&vispyr, "/traces?range=1h&service=twice").await.text();
    let row = list.split("<tr data-row").nth(1).unwrap_or_else(|| panic!("{list}"));
    assert!(row.contains("<td class=\"n\">2</td>"), "two spans, however often they came: {row}");
    let text = page(&vispyr, "/services?range=1h").await.text();
    let row = text
        .split("<tr data-row")
        .skip(1)
        .find(|row| row.contains("<bdi>twice</bdi>"))
        .unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains("50 %"), "one of two failed, however often they came: {row}");
    let errors = text.split("id=\"errors\"").nth(1).unwrap();
    let row = errors.split("<tr").find(|row| row.contains("<bdi>twice</bdi>")).unwrap_or_else(|| panic!("{errors}"));
    assert!(row.contains("<td class=\"n\">1</td>"), "{row}");
}
