//! The views Services, Traces, Trace and SQL: what the server sends.

use serde_json::{Value, json};

use crate::harness::{Answer, Options, Vispyr, get, post};
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

pub const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";
const MILLISECOND: u64 = 1_000_000;

pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() * 1_000_000_000
}

/// A span of OTLP in JSON: number, parent's number, name, start and duration in milliseconds after `start`.
pub fn span(
    trace: &str,
    (id, parent): (u64, u64),
    name: &str,
    start: u64,
    (from, took): (u64, u64),
    failed: bool,
) -> Value {
    json!({
        "traceId": trace,
        "spanId": format!("{id:016x}"),
        "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
        "name": name,
        "kind": if id == 1 || id == 3 { 2 } else { 3 },
        "startTimeUnixNano": (start + from * MILLISECOND).to_string(),
        "endTimeUnixNano": (start + (from + took) * MILLISECOND).to_string(),
        "status": if failed { json!({ "code": 2, "message": "it broke" }) } else { json!({}) },
        "attributes": [{ "key": "http.route", "value": { "stringValue": name } }],
        "events": if failed { json!([{ "timeUnixNano": start.to_string(), "name": "exception", "attributes": [
            { "key": "exception.type", "value": { "stringValue": "ShopError" } },
            { "key": "exception.message", "value": { "stringValue": "no stock" } },
        ] }]) } else { json!([]) },
    })
}

pub async fn send_spans(vispyr: &Vispyr, service: &str, spans: &[Value]) {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
    let request = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/traces"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The names of spans in a page, in their order.
pub fn names(text: &str, of: &[&str]) -> Vec<String> {
    let rows = text.split("<tr data-row").skip(1);
    let found = rows.filter_map(|row| of.iter().find(|name| row.contains(&format!("<strong><bdi>{name}</bdi>"))));
    found.map(|name| (*name).to_owned()).collect()
}

pub async fn shop(vispyr: &Vispyr) -> u64 {
    let start = now() - 10_000_000_000;
    let one = |ids, name, times, failed| span(TRACE, ids, name, start, times, failed);
    send_spans(vispyr, "front", &[one((1, 0), "GET /cart", (0, 100), false), one((2, 1), "ask stock", (10, 80), true)])
        .await;
    let back = [
        one((3, 2), "GET /stock", (20, 60), true),
        one((4, 3), "SELECT", (25, 10), false),
        one((5, 1), "log", (5, 1), false),
    ];
    send_spans(vispyr, "back", &back).await;
    let other = "ff".repeat(16);
    send_spans(vispyr, "front", &[span(&other, (1, 0), "GET /", start, (1, 3), false)]).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 6).await;
    start
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_found_and_shown_as_waterfalls() {
    let vispyr = Vispyr::serve().await;
    shop(&vispyr).await;
    let roots = ["GET /cart", "GET /"];
    for (query, found) in [
        ("", &roots[..]),
        ("order=slowest", &["GET /cart", "GET /"]),
        ("service=back", &["GET /cart"]),
        ("name=SELECT", &["GET /cart"]),
        ("status=error", &["GET /cart"]),
        ("where=http.route+%3D+GET+%2F", &["GET /"]),
        ("min=50ms&service=front", &["GET /cart"]),
        ("max=5ms&service=front", &["GET /"]),
        ("service=nobody", &[]),
        ("from=2020-01-01&to=2020-01-02", &[]),
    ] {
        let answer = page(&vispyr, &format!("/traces?{query}")).await;
        assert_is_safe(query, &answer);
        let mut shown = names(&answer.text(), &roots);
        if query.is_empty() {
            shown.sort_by_key(|name| name.len());
            shown.reverse();
        }
        assert_eq!(shown, found, "{query}: {}", answer.text());
        assert!(!answer.text().contains("No answer."), "{query}: {}", answer.text());
        assert_eq!(answer.text().contains("class=\"empty\""), found.is_empty(), "{query}");
    }
    let opened = get(&vispyr.url("web", &format!("/traces?id={}&range=1h", TRACE.to_uppercase()))).await.unwrap();
    assert_eq!(
        (opened.status, opened.headers["location"].to_str().unwrap()),
        (303, &*format!("/trace/{TRACE}?range=1h"))
    );

    let spans = ["GET /cart", "log", "ask stock", "GET /stock", "SELECT"];
    for (query, shown) in [
        ("", &spans[..]),
        ("fold=0000000000000002", &["GET /cart", "log", "ask stock"]),
        ("only=errors", &["GET /cart", "ask stock", "GET /stock"]),
        ("only=critical", &["GET /cart", "log", "ask stock", "GET /stock", "SELECT"]),
        ("find=select", &["GET /cart", "ask stock", "GET /stock", "SELECT"]),
        ("find=BACK", &["GET /cart", "log", "ask stock", "GET /stock", "SELECT"]),
        ("find=nothing", &[]),
    ] {
        let answer = page(&vispyr, &format!("/trace/{TRACE}?{query}")).await;
        assert_is_safe(query, &answer);
        assert_eq!(names(&answer.text(), &spans), shown, "{query}: {}", answer.text());
    }
    let opened = page(&vispyr, &format!("/trace/{TRACE}?span=0000000000000003")).await.text();
    for expected in ["Failed: <bdi>it broke", "ShopError", "no stock", "http.route", "service.name", "60 ms"] {
        assert!(opened.contains(expected), "no {expected:?} in {opened}");
    }
    let row = opened.split("<tr id=\"opened\"").nth(1).unwrap().split("<section class=\"opened\"").next().unwrap();
    assert!(
        row.contains("<strong><bdi>GET /stock</bdi>") && !row.contains("<tr data-row"),
        "it is below its row: {row}"
    );
    let statistics = page(&vispyr, &format!("/trace/{TRACE}?show=statistics")).await.text();
    assert!(statistics.contains("Statistics") && statistics.contains("60 ms"), "{statistics}");
    // One that is on no row of the page, folded or far below, is above all of them.
    let folded = page(&vispyr, &format!("/trace/{TRACE}?span=0000000000000003&fold=0000000000000002")).await.text();
    assert!(folded.find("class=\"opened\"") < folded.find("<table class=\"waterfall\""), "{folded}");
    let gone = page(&vispyr, &format!("/trace/{}", "ab".repeat(16))).await;
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("There is no such trace"), "{}", gone.text());
    assert_is_safe("gone", &gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_by_what_they_were_asked() {
    let vispyr = Vispyr::serve().await;
    shop(&vispyr).await;
    let answer = page(&vispyr, "/services?range=1h").await;
    assert_is_safe("/services", &answer);
    let text = answer.text();
    assert!(!text.contains("No answer."), "{text}");
    for expected in ["<bdi>front</bdi>", "<bdi>back</bdi>", "100 %", "ShopError", "no stock", "front calls back"] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    let none = page(&vispyr, "/services?from=2020-01-01&to=2020-01-02").await.text();
    assert!(none.contains("No service was asked anything") && none.contains("Kept since"), "{none}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_large_trace_only_what_is_seen_is_sent() {
    let vispyr = Vispyr::serve().await;
    let start = now() - 100_000_000_000;
    let spans: Vec<Value> = (1..=20_000)
        .map(|n| span(TRACE, (n, if n == 1 { 0 } else { n / 2 }), &format!("step {n}"), start, (n, 2), n == 19_999))
        .collect();
    for part in spans.chunks(5_000) {
        send_spans(&vispyr, "large", part).await;
    }
    vispyr.wait_count("SELECT count(*) FROM spans", 20_000).await;
    let first = page(&vispyr, &format!("/trace/{TRACE}")).await;
    let text = first.text();
    assert_eq!(text.matches("<tr data-row").count(), 200, "{}", text.len());
    assert!(text.len() < 400_000, "{} bytes", text.len());
    assert!(text.contains("of 20\u{202f}000"), "it says where it is");
    let next = text.split("data-next-error href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    assert!(page(&vispyr, &next).await.text().contains("<tr data-row data-error"), "the next error is on its page");
    let beyond = page(&vispyr, &format!("/trace/{TRACE}?row=999999999")).await;
    assert_eq!((beyond.status, beyond.text().matches("<tr data-row").count()), (200, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_senders_is_text_in_spans() {
    let vispyr = Vispyr::serve().await;
    let start = now() - 5_000_000_000;
    let long = format!("{HOSTILE}{}", "long ".repeat(200_000));
    let mut hostile = span(TRACE, (1, 0), &long, start, (0, 5), true);
    hostile["status"]["message"] = json!(long);
    hostile["attributes"] = json!([{ "key": HOSTILE, "value": { "stringValue": long } }]);
    hostile["events"][0]["attributes"] = json!([
        { "key": "exception.type", "value": { "stringValue": HOSTILE } },
        { "key": "exception.message", "value": { "stringValue": long } },
    ]);
    let child = span(TRACE, (3, 1), HOSTILE, start, (1, 1), false);
    send_spans(&vispyr, HOSTILE, &[hostile]).await;
    send_spans(&vispyr, "other", &[child]).await;
    vispyr.wait_count("SELECT count(*) FROM spans", 2).await;
    for path in [
        "/services".to_owned(),
        "/traces".to_owned(),
        format!("/trace/{TRACE}?show=statistics"),
        format!("/trace/{TRACE}?span=0000000000000001"),
        format!("/trace/{TRACE}?find=%3Cscript%3E"),
        format!("/trace/{TRACE}?show=flame"),
        format!("/trace/{TRACE}?show=compare&with={TRACE}"),
        "/traces?group=root".to_owned(),
        "/sql?q=SELECT+*+FROM+spans".to_owned(),
        "/sql?q=SELECT+service_name,+count(*)+FROM+spans+GROUP+BY+ALL&as=chart".to_owned(),
    ] {
        let answer = page(&vispyr, &path).await;
        assert_is_safe(&path, &answer);
        let text = answer.text();
        assert!(!text.contains("No answer."), "{path}: {text}");
        assert!(text.contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}"), "{path}: {text}");
        assert!(text.len() < 600_000, "{path}: {} bytes", text.len());
    }
}

fn encoded(statement: &str) -> String {
    url_form(&[("q", statement)])
}

fn url_form(pairs: &[(&str, &str)]) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    let value = |text: &str| text.bytes().map(byte).collect::<String>();
    pairs.iter().map(|(name, text)| format!("{name}={}", value(text))).collect::<Vec<_>>().join("&")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_answered_as_tables_and_files() {
    let vispyr = Vispyr::serve().await;
    let ask = async |query: String| -> Answer { page(&vispyr, &format!("/sql?{query}")).await };
    let rows = ask(encoded("SELECT range AS n, 'a' || chr(10) || 'b' AS t, NULL AS nothing FROM range(600)")).await;
    assert_is_safe("rows", &rows);
    let text = rows.text();
    assert_eq!(text.matches("<tr data-row").count(), 500);
    assert!(text.contains("500 rows") && text.contains("the first of more") && text.contains("NULL"), "{text}");
    let wrong = ask(encoded("SELECT 1,\nnosuch FROM spans")).await;
    assert_is_safe("wrong", &wrong);
    assert!(wrong.text().contains("nosuch") && wrong.text().contains("<mark>"), "{}", wrong.text());
    let refused = ask(encoded("DROP TABLE spans")).await.text();
    assert!(refused.contains("No answer."), "{refused}");
    let plan = ask(format!("{}&explain=1", encoded("SELECT count(*) FROM spans"))).await.text();
    assert!(!plan.contains("No answer.") && plan.contains("row"), "{plan}");
    let schema = ask(String::new()).await.text();
    assert!(
        schema.contains("<code><bdi>spans</bdi></code>") && schema.contains("<code><bdi>start_time</bdi></code>"),
        "{schema}"
    );

    shop(&vispyr).await;
    // The page of before is shown for a moment.
    for word in [
        "<option value=\"spans\">",
        "<option value=\"attributes.&quot;http.route&quot;\">",
        "<option value=\"trace_id\">",
    ] {
        let has = async || ask(String::new()).await.text().contains(word).then_some(());
        vispyr.wait(&format!("the editor knows {word}"), has).await;
    }
    let file = page(&vispyr, &format!("/sql/download?{}", encoded("SELECT 1 AS a, 'x,y' AS b"))).await;
    assert_eq!((file.status, file.text().as_str()), (200, "a,b\r\n1,\"x,y\"\r\n"));
    assert!(file.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let many = page(&vispyr, &format!("/sql/download?{}", encoded("SELECT range FROM range(50000)"))).await.text();
    assert_eq!(many.lines().count(), 50_001, "a file has all rows");
    let file = page(
        &vispyr,
        &format!("/sql/download?format=parquet&{}", encoded("SELECT range AS n, 'x' AS t FROM range(90000)")),
    )
    .await;
    assert_eq!((file.status, file.headers["content-type"].to_str().unwrap()), (200, "application/vnd.apache.parquet"));
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file.body).unwrap();
    assert!(reader.metadata().num_row_groups() > 1, "it is written as it comes");
    assert_eq!(reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 90_000);
    let time = "SELECT to_timestamp(1780000000 + range * 60)::TIMESTAMP AS t, range % 2 AS n FROM range(1000)";
    let chart = ask(format!("{}&as=chart", encoded(time))).await;
    assert_is_safe("chart", &chart);
    let line = chart.text().split("<path class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(line.matches(['M', 'L']).count(), 1000, "{line}");
    for (query, status) in [("format=csv", 400), ("format=exe&q=SELECT+1", 400), ("q=SELEC", 400)] {
        assert_eq!(page(&vispyr, &format!("/sql/download?{query}")).await.status, status, "{query}");
    }
}

/// Every example is a question that the store can answer, and so is the statement of every view.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_page_leads_to_is_there() {
    let vispyr = Vispyr::serve().await;
    shop(&vispyr).await;
    let text = page(&vispyr, "/sql?range=1h").await.text();
    let links: Vec<String> = text
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        .filter(|link| link.contains("q="))
        .collect();
    assert!(links.len() >= 11, "{text}");
    for link in links {
        let answer = page(&vispyr, &link).await;
        assert_eq!(answer.status, 200, "{link}");
        assert!(!answer.text().contains("No answer."), "{link}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_leaves_ends_its_statement() {
    let vispyr = Vispyr::start(Options::config("[sql]\ntime_limit = \"10m\"\n")).await;
    let slow = "SELECT count(*) FROM range(1000000) AS a(x), range(1000000) AS b(x) WHERE a.x + b.x = 3";
    let running = async || get(&vispyr.url("sql", "/stats")).await.unwrap().json()["queries_running"].as_u64();
    for path in [format!("/sql?{}", encoded(slow)), format!("/sql/download?{}", encoded(slow))] {
        let url = vispyr.url("web", &path);
        let leaving = tokio::spawn(async move { get(&url).await });
        vispyr.wait("the statement runs", || async { (running().await == Some(1)).then_some(()) }).await;
        leaving.abort();
        vispyr.wait("the statement has ended", || async { (running().await == Some(0)).then_some(()) }).await;
    }
}
