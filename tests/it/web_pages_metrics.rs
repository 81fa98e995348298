//! The view Metrics: what the server sends.

use serde_json::{Value, json};

use crate::harness::{Options, Vispyr, post};
use crate::web_pages_views::{HOSTILE, assert_is_safe, page};

const SECOND: u64 = 1_000_000_000;
const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() * SECOND
}

async fn send(vispyr: &Vispyr, service: &str, metrics: Vec<Value>) {
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": service } }] });
    let request = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": metrics }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/metrics"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn labels(route: &str) -> Value {
    json!([{ "key": "http.route", "value": { "stringValue": route } }])
}

/// Numbers ten seconds apart, up to `end`.
fn numbers(route: &str, end: u64, values: &[f64]) -> Vec<Value> {
    let at = |n: usize| (end - (values.len() - 1 - n) as u64 * 10 * SECOND).to_string();
    let point = |(n, value)| json!({ "attributes": labels(route), "timeUnixNano": at(n), "asDouble": value });
    values.iter().enumerate().map(point).collect()
}

fn counter(name: &str, points: Vec<Value>) -> Value {
    json!({ "name": name, "unit": "{order}", "description": "orders there were",
        "sum": { "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": points } })
}

/// The cells of the table that names the lines, by the name of the line.
fn row<'a>(text: &'a str, line: &str) -> Vec<&'a str> {
    let table = text.split("aria-label=\"Lines\"").nth(1).unwrap_or_else(|| panic!("no lines in {text}"));
    let row = table.split("<tr").find(|row| row.contains(&format!("<bdi>{line}</bdi>")));
    let row = row.unwrap_or_else(|| panic!("no {line} in {table}"));
    row.split("<td class=\"n\">").skip(1).map(|cell| cell.split('<').next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_rates_that_begin_again_and_gauges_keep_their_peaks() {
    let vispyr = Vispyr::serve().await;
    let end = now() - 60 * SECOND;
    // One a second, a new start that has counted 5, two a second.
    let a = numbers("/a", end, &[100.0, 110.0, 120.0, 5.0, 25.0]);
    let b = numbers("/b", end, &[0.0, 30.0, 60.0, 90.0, 120.0]);
    send(&vispyr, "shop", vec![counter("shop.orders", [a, b].concat())]).await;
    // An hour of a point each 100 ms, with one peak and one dip that are a point each.
    let gauge: Vec<Value> = (0..30_000_u64)
        .map(|n| {
            let value = [50.0 + (n % 7) as f64, 999.0, -7.0][usize::from(n == 12_345) + 2 * usize::from(n == 23_456)];
            json!({ "timeUnixNano": (end - n * SECOND / 10).to_string(), "asDouble": value })
        })
        .collect();
    send(&vispyr, "shop", vec![json!({ "name": "shop.depth", "unit": "By", "gauge": { "dataPoints": gauge } })]).await;
    vispyr.wait_count("SELECT count(*) FROM metric_points", 30_010).await;

    let list = page(&vispyr, "/explore").await;
    assert_is_safe("/explore", &list);
    for expected in ["shop.orders", "{order}", "orders there were", "shop.depth", "2 metrics", "<bdi>http.route</bdi>"]
    {
        assert!(list.text().contains(expected), "no {expected:?} in {}", list.text());
    }
    for (find, found) in
        [("ORDERS+there", "1 metric<"), ("depth", "1 metric<"), ("x%27", "There are no metrics like that")]
    {
        let text = page(&vispyr, &format!("/explore?find={find}")).await.text();
        assert!(text.contains(found), "{find}: {text}");
    }

    let orders = async |query: &str| page(&vispyr, &format!("/explore?metric=shop.orders&{query}")).await.text();
    let text = orders("").await;
    assert_eq!(row(&text, "http.route=/a"), ["2/s", "0.5/s", "2/s"], "{text}");
    assert_eq!(row(&text, "http.route=/b"), ["3/s", "3/s", "3/s"]);
    assert!(text.contains("where=http.route+%3D+%2Fa"), "a label leads to itself: {text}");
    let text = orders("where=http.route+%3D+%2Fa&show=value").await;
    assert_eq!(row(&text, "service=shop http.route=/a"), ["25", "5", "120"], "{text}");
    assert_eq!(text.matches("<path class=\"line").count(), 1, "{text}");
    let text = orders("agg=sum").await;
    let sum: f64 = row(&text, "all")[2].trim_end_matches("/s").parse().unwrap();
    assert!((4.0..=5.0).contains(&sum), "1/s to 2/s and 3/s: {text}");
    assert_eq!(row(&orders("agg=sum&where=http.route+%3D+%2Fb").await, "all"), ["3/s"; 3]);
    let text = orders("by=http.route&agg=max").await;
    assert_eq!((row(&text, "/a")[2], row(&text, "/b")[2]), ("2/s", "3/s"), "{text}");
    let text = orders("from=2020-01-01&to=2020-01-02").await;
    assert!(text.contains("There are no points of this metric of this time."), "{text}");

    let text = page(&vispyr, "/explore?metric=shop.depth&range=2h").await.text();
    assert_eq!(row(&text, "service=shop")[1..], ["-7 B", "999 B"], "the peak and the dip are there: {text}");
    let path = text.split("<path class=\"line c0\" d=\"").nth(1).unwrap().split('"').next().unwrap();
    let points = path.matches(['L', 'M']).count();
    assert!((300..=2000).contains(&points), "{points} points of 30,000: {path}");
}

fn histogram(name: &str, points: Vec<Value>) -> Value {
    json!({ "name": name, "unit": "s", "histogram": { "aggregationTemporality": 2, "dataPoints": points } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histograms_are_heatmaps_and_quantiles_with_exemplars() {
    let vispyr = Vispyr::serve().await;
    let end = now() - 60 * SECOND;
    let begin = end - 1000 * SECOND;
    let classic = |seconds: u64, counts: [u64; 4]| {
        json!({
            "attributes": labels("/a"), "startTimeUnixNano": (begin - 9000 * SECOND).to_string(),
            "timeUnixNano": (begin + seconds * SECOND).to_string(),
            "count": counts.iter().sum::<u64>().to_string(), "sum": 1.0, "explicitBounds": [1.0, 2.0, 4.0],
            "bucketCounts": counts.map(|count| count.to_string()),
            "exemplars": [{ "timeUnixNano": (begin + seconds * SECOND).to_string(), "asDouble": 1.5,
                "traceId": TRACE, "spanId": "0000000000000007" }],
        })
    };
    // 100 values that were before, 10 of 1 to 2 s; then a new start with 30 of 2 to 4 s.
    let counts = [[100, 0, 0, 0], [100, 10, 0, 0], [100, 10, 0, 0], [100, 10, 0, 0], [0, 0, 30, 0], [0, 0, 30, 0]];
    let points = (0..6).map(|n| classic(n * 20, counts[n as usize])).collect();
    let exponential = |seconds: u64, scale: i32, offset: i32, counts: &[u64]| {
        json!({
            "startTimeUnixNano": (begin - 9000 * SECOND).to_string(), "timeUnixNano": (begin + seconds * SECOND).to_string(),
            "count": counts.iter().sum::<u64>().to_string(), "scale": scale,
            "positive": { "offset": offset, "bucketCounts": counts.iter().map(u64::to_string).collect::<Vec<_>>() },
        })
    };
    // At scale 1 four buckets from 1 to 4, at scale 0 two: 8 values came between, all of 2 to 4.
    let scaled = vec![exponential(0, 1, 0, &[1, 1, 1, 1]), exponential(200, 0, 0, &[2, 10])];
    let scaled = json!({ "name": "scaled", "unit": "s", "exponentialHistogram": { "aggregationTemporality": 2, "dataPoints": scaled } });
    let deltas = [[0, 8, 0, 0], [0; 4], [0; 4], [0, 4, 0, 0]];
    let deltas: Vec<Value> = (0..4).map(|n| classic(n * 20, deltas[n as usize])).collect();
    let delta =
        json!({ "name": "delta", "unit": "s", "histogram": { "aggregationTemporality": 1, "dataPoints": deltas } });
    let bucket = |le: &str, values: [f64; 2]| -> Vec<Value> {
        let label = json!([{ "key": "le", "value": { "stringValue": le } }]);
        let mut points = numbers("", end, &values);
        points.iter_mut().for_each(|point| point["attributes"] = label.clone());
        points
    };
    // Of Prometheus: 6 values came, 2 of them up to 1, 4 of 1 to 2.
    let series = [bucket("1", [1.0, 3.0]), bucket("2.0", [1.0, 7.0]), bucket("+Inf", [1.0, 7.0])].concat();
    let summary = json!({ "name": "summed", "unit": "ms", "summary": { "dataPoints": [
        { "timeUnixNano": end.to_string(), "count": "9", "sum": 1.0, "quantileValues": [{ "quantile": 0.99, "value": 250.0 }] } ] } });
    let all = vec![histogram("took", points), scaled, delta, counter("prom_bucket", series), summary];
    send(&vispyr, "shop", all).await;
    vispyr.wait_count("SELECT count(*) FROM metric_points", 6 + 2 + 4 + 6 + 1).await;

    let look = async |query: &str| page(&vispyr, &format!("/explore?metric={query}")).await;
    let took = look("took&range=30m").await;
    assert_is_safe("took", &took);
    let text = took.text();
    for expected in ["40 of them", "1 s to 2 s: 10<", "2 s to 4 s: 30<", "last 3 s", "Values a second"] {
        assert!(text.contains(expected), "no {expected:?} in {text}");
    }
    assert!(!text.contains(": 100<"), "what was there before the first point is of no known time: {text}");
    assert!(text.contains(&format!("/trace/{TRACE}?range=30m&amp;span=0000000000000007")), "{text}");
    let grouped = look("took&by=http.route&q=0.5").await.text();
    assert!(grouped.contains("<bdi>/a</bdi>") && grouped.contains("last 3 s"), "{grouped}");
    for (query, of_them, cell) in [
        ("scaled", "8 of them", "2 s to 4 s: 8<"),
        ("delta", "12 of them", "1 s to 2 s: 8<"),
        ("prom_bucket", "6 of them", "1 to 2: 4<"),
    ] {
        let text = look(query).await.text();
        assert!(text.contains(of_them) && text.contains(cell), "no {of_them}, {cell} in {text}");
    }
    let text = look("summed").await.text();
    assert_eq!(row(&text, "service=shop p99.0"), ["250 ms"; 3], "{text}");
    let text = look("took&where=http.route+%3D+%2Fb").await.text();
    assert!(text.contains("There are no points of this metric like that"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_of_senders_is_text_in_metrics() {
    let vispyr = Vispyr::start(Options::default()).await;
    let end = now();
    let long = format!("{HOSTILE}{}", "long ".repeat(200_000));
    let point = json!({ "timeUnixNano": end.to_string(), "asDouble": 1.0, "attributes": [
        { "key": HOSTILE, "value": { "stringValue": HOSTILE } }, { "key": "long", "value": { "stringValue": long } } ] });
    let metric = json!({ "name": HOSTILE, "unit": HOSTILE, "description": long, "gauge": { "dataPoints": [point] } });
    send(&vispyr, HOSTILE, vec![metric]).await;
    vispyr.wait_count("SELECT count(*) FROM metric_points", 1).await;
    let encoded: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    for path in [
        "/explore".to_owned(),
        format!("/explore?metric={encoded}"),
        format!("/explore?metric={encoded}&by={encoded}&agg=max"),
        format!("/explore?metric={encoded}&where=a+%3D+{encoded}&service={encoded}&agg=%3Cscript%3E&q=%3Cscript%3E"),
        "/explore?find=%3Cscript%3E".to_owned(),
    ] {
        let answer = page(&vispyr, &path).await;
        assert_is_safe(&path, &answer);
        let text = answer.text();
        assert!(!text.contains("No answer."), "{path}: {text}");
        assert!(text.contains("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u{202e}"), "{path}: {text}");
        assert!(text.len() < 200_000, "{path}: {} bytes", text.len());
    }
}
