//! Rows stay when they are sealed, whichever table they are in: each kind of telemetry alone, asked before
//! and after.

use http_body_util::Full;
use prost::Message;
use rustix::process::Signal;
use serde_json::json;
use vispyr::signal::now_nanos;
use vispyr::wire::prompb::v1::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};

use crate::harness::{Vispyr, get, level0_rows, post, send, signal};

/// One kind of telemetry.
struct Kind {
    name: &'static str,
    /// Counts its rows.
    sql: &'static str,
    port: &'static str,
    path: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

fn remote_write(request: &WriteRequest) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

fn samples() -> Vec<u8> {
    let now = i64::try_from(now_nanos() / 1_000_000).unwrap();
    let series = |n: i64| TimeSeries {
        labels: vec![label("__name__", "up"), label("instance", &n.to_string())],
        samples: (0..10).map(|i| Sample { value: n as f64, timestamp: now - i * 15_000 }).collect(),
        ..TimeSeries::default()
    };
    remote_write(&WriteRequest { timeseries: (0..20).map(series).collect(), ..WriteRequest::default() })
}

fn metadata() -> Vec<u8> {
    let up = MetricMetadata {
        metric_family_name: "down".to_owned(),
        help: "not up".to_owned(),
        r#type: 2,
        ..MetricMetadata::default()
    };
    remote_write(&WriteRequest { metadata: vec![up], ..WriteRequest::default() })
}

fn kinds() -> Vec<Kind> {
    let now = now_nanos().to_string();
    let otlp = |name, sql, path, body: serde_json::Value| Kind {
        name,
        sql,
        port: "otlp_http",
        path,
        content_type: "application/json",
        body: body.to_string().into_bytes(),
    };
    let metric = |data: &str, point: serde_json::Value| json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": data, data: {"dataPoints": [point], "aggregationTemporality": 2}}]}]}]});
    let gauge = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": now, "asDouble": 1.5}]}}]}]}]});
    let histogram = metric(
        "histogram",
        json!({"timeUnixNano": now, "count": "3", "sum": 4.0, "bucketCounts": ["1", "2"], "explicitBounds": [1.0]}),
    );
    let exemplar = metric(
        "sum",
        json!({"timeUnixNano": now, "asInt": "1", "exemplars": [{"timeUnixNano": now, "asInt": "1", "traceId": "0102030405060708090a0b0c0d0e0f10"}]}),
    );
    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": now, "body": {"stringValue": "x"}}]}]}]});
    let span = json!({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "name": "s",
         "startTimeUnixNano": now, "endTimeUnixNano": now}]}]}]});
    vec![
        Kind {
            name: "remote-write samples",
            sql: "SELECT count(*) FROM metric_points WHERE metric = 'up'",
            port: "remote_write",
            path: "/api/v1/write",
            content_type: "application/x-protobuf",
            body: samples(),
        },
        Kind {
            name: "remote-write metadata",
            sql: "SELECT count(*) FROM metric_metadata WHERE metric = 'down'",
            port: "remote_write",
            path: "/api/v1/write",
            content_type: "application/x-protobuf",
            body: metadata(),
        },
        otlp("gauges", "SELECT count(*) FROM metric_points WHERE metric = 'g'", "/v1/metrics", gauge),
        otlp("histograms", "SELECT count(*) FROM metric_points WHERE metric = 'histogram'", "/v1/metrics", histogram),
        otlp("exemplars", "SELECT count(*) FROM exemplars", "/v1/metrics", exemplar),
        otlp("logs", "SELECT count(*) FROM logs", "/v1/logs", log),
        otlp("spans", "SELECT count(*) FROM spans", "/v1/traces", span),
        Kind {
            name: "folded profiles",
            sql: "SELECT count(*) FROM profile_samples",
            port: "pyroscope",
            path: "/ingest?name=shop.cpu&format=groups",
            content_type: "text/plain",
            body: b"main;work 3\nmain;wait 4\n".to_vec(),
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_of_sealing_that_fails_shows_in_ready_status_and_metrics_until_one_succeeds() {
    let vispyr = Vispyr::serve().await;
    let spans = kinds().into_iter().find(|kind| kind.name == "spans").unwrap();
    let answer = post(&vispyr.url(spans.port, spans.path), spans.content_type, spans.body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    vispyr.wait_count(spans.sql, 1).await;
    // In the place of the folder of the table.
    let obstacle = vispyr.data_dir().join("store/sealed/spans");
    let away = vispyr.data_dir().join("away");
    std::fs::rename(&obstacle, &away).unwrap();
    std::fs::write(&obstacle, "").unwrap();
    signal(vispyr.engine_pid().unwrap(), Signal::USR1);
    let ready = || async { get(&vispyr.url("web", "/-/ready")).await.unwrap() };
    let not_ready = || async {
        let answer = ready().await;
        (answer.status == 503).then(|| answer.text())
    };
    let why = vispyr.wait("it is not ready", not_ready).await;
    assert!(why.contains("to seal its rows") && why.contains("store/sealed/spans"), "{why}");
    assert_eq!(vispyr.metric("vispyr_store_seal_failing", &[]).await, 1.0);
    assert!(vispyr.metric("vispyr_store_seal_failures_total", &[]).await >= 1.0);
    let status = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json();
    assert!(status["store"]["seal_error"].as_str().unwrap().contains("store/sealed/spans"), "{status}");

    std::fs::remove_file(&obstacle).unwrap();
    std::fs::rename(&away, &obstacle).unwrap();
    vispyr.wait("it is ready", || async { (ready().await.status == 200).then_some(()) }).await;
    assert_eq!(vispyr.metric("vispyr_store_seal_failing", &[]).await, 0.0);
    assert_eq!(vispyr.count(spans.sql).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_telemetry_is_sealed_when_it_comes_alone() {
    let vispyr = Vispyr::serve().await;
    for (seals, kind) in (1..).zip(kinds()) {
        let mut request =
            http::Request::post(vispyr.url(kind.port, kind.path)).header("content-type", kind.content_type);
        if kind.port == "remote_write" {
            request = request.header("content-encoding", "snappy");
        }
        let answer = send(request.body(Full::from(kind.body)).unwrap()).await.unwrap();
        assert!(answer.status < 300, "{}: {} {}", kind.name, answer.status, answer.text());
        let some = || async { vispyr.count(kind.sql).await > 0 };
        vispyr.wait(kind.name, || async { some().await.then_some(()) }).await;
        let before = vispyr.count(kind.sql).await;
        signal(vispyr.engine_pid().unwrap(), Signal::USR1);
        let sealed = || async {
            let status = get(&vispyr.url("web", "/api/v1/status")).await.unwrap().json();
            let store = &status["store"];
            assert!(store["seal_error"].is_null(), "{}: {store}", kind.name);
            (store["seals"]["count"] == seals && level0_rows(store) == 0).then_some(())
        };
        vispyr.wait("it is sealed", sealed).await;
        assert_eq!(vispyr.count(kind.sql).await, before, "{}", kind.name);
    }
    let rows = "SELECT count(*) FROM metric_points";
    let all = vispyr.count(rows).await;
    vispyr.kill9_engine();
    vispyr.wait_count(rows, all).await;
}
