//! The live tail: what is acknowledged, for those who watch.

use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, Options, PROGRAM, Vispyr, get, post};

const ALONE: &str = "[store]\nenabled = false\n";

async fn collector() -> Vispyr {
    Vispyr::start(Options { command: "collector", ..Options::config(ALONE) }).await
}

/// An open tail.
struct Tail {
    body: Incoming,
    rest: String,
}

impl Tail {
    async fn open(vispyr: &Vispyr, query: &str) -> Tail {
        let stream = TcpStream::connect(vispyr.address("web")).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get(format!("/api/v1/tail?{query}"))
            .header("host", "localhost")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = tokio::time::timeout(DEADLINE, sender.send_request(request)).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/x-ndjson");
        Tail { body: answer.into_body(), rest: String::new() }
    }

    /// The next line that is not empty; nothing at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let line = line.to_owned();
                self.rest = rest.to_owned();
                if !line.is_empty() {
                    return Some(serde_json::from_str(&line).unwrap());
                }
                continue;
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame()).await.expect("something comes");
            self.rest += std::str::from_utf8(&frame?.ok()?.into_data().unwrap()).unwrap();
        }
    }
}

fn resource(service: &str) -> Value {
    json!({ "attributes": [
        { "key": "service.name", "value": { "stringValue": service } },
        { "key": "host.name", "value": { "stringValue": "h1" } },
    ] })
}

async fn send_logs(vispyr: &Vispyr, service: &str, records: Vec<Value>) {
    let request =
        json!({ "resourceLogs": [{ "resource": resource(service), "scopeLogs": [{ "logRecords": records }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/logs"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn record(body: &str, severity: u8, route: &str) -> Value {
    json!({
        "timeUnixNano": "1780000000000000000", "severityNumber": severity, "body": { "stringValue": body },
        "attributes": [{ "key": "http.route", "value": { "stringValue": route } },
                       { "key": "tries", "value": { "intValue": "3" } }],
    })
}

async fn send_spans(vispyr: &Vispyr) {
    let span = |name: &str, status: u8, milliseconds: u64| {
        json!({
            "traceId": "0123456789abcdef0123456789abcdef", "spanId": "0123456789abcdef", "name": name, "kind": 2,
            "startTimeUnixNano": "1780000000000000000",
            "endTimeUnixNano": (1_780_000_000_000_000_000_u64 + milliseconds * 1_000_000).to_string(),
            "status": { "code": status },
        })
    };
    let spans = vec![span("GET /", 0, 5), span("POST /pay", 2, 500)];
    let request = json!({ "resourceSpans": [{ "resource": resource("shop"), "scopeSpans": [{ "spans": spans }] }] });
    let answer = post(&vispyr.url("otlp_http", "/v1/traces"), "application/json", request.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Each filter gets what it asks for, and nothing else: what comes last is let pass by all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tail_shows_what_its_filter_lets_pass() {
    let vispyr = collector().await;
    let cases: &[(&str, &[&str])] = &[
        ("signal=logs", &["first", "second", "third", "end"]),
        ("signal=logs&where=service%3Dcart", &["second", "end"]),
        ("signal=logs&where=severity%3E%3Dwarn", &["second", "third", "end"]),
        ("signal=logs&where=severity%3E%3Dwarn&where=service!%3Dcart", &["third"]),
        ("signal=logs&where=http.route%3D%2Fx", &["first", "end"]),
        ("signal=logs&where=tries%3E2+host.name%3Dh1", &["first", "second", "third", "end"]),
        ("signal=logs&where=SECOND", &["second"]),
        ("where=error%3Dtrue", &["third", "POST /pay", "end"]),
        ("signal=traces", &["GET /", "POST /pay"]),
        ("signal=traces&where=duration%3E100ms", &["POST /pay"]),
        ("where=name%3D%22GET+%2F%22", &["GET /"]),
        ("signal=metrics", &[]),
    ];
    let mut tails = Vec::new();
    for (query, _) in cases {
        tails.push(Tail::open(&vispyr, query).await);
    }
    send_logs(&vispyr, "shop", vec![record("first", 9, "/x")]).await;
    send_logs(&vispyr, "cart", vec![record("second", 13, "/y")]).await;
    send_logs(&vispyr, "shop", vec![record("third", 17, "/y")]).await;
    send_spans(&vispyr).await;
    send_logs(&vispyr, "cart", vec![record("end", 21, "/x")]).await;
    for ((query, expected), mut tail) in cases.iter().zip(tails) {
        for what in *expected {
            let line = tail.next().await.unwrap();
            let said = line["name"].as_str().or(line["body"].as_str());
            assert_eq!(said, Some(*what), "{query}: {line}");
        }
        // Nothing besides: the rest of what was sent was looked at before `end` was.
        assert_eq!(tail.rest, "", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_has_the_item() {
    let vispyr = collector().await;
    let mut tail = Tail::open(&vispyr, "").await;
    send_spans(&vispyr).await;
    let expected = json!({
        "signal": "traces", "time": "2026-05-28T20:26:40.000000000Z", "service": "shop", "name": "GET /",
        "kind": "server", "status": "unset", "duration_ns": 5_000_000, "trace_id": "0123456789abcdef0123456789abcdef",
        "span_id": "0123456789abcdef", "resource": { "service.name": "shop", "host.name": "h1" },
    });
    assert_eq!(tail.next().await, Some(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_is_refused_with_the_reason() {
    let vispyr = collector().await;
    for (query, reason) in [
        ("signal=spans", "none of traces, metrics, logs, profiles"),
        ("where=severity%3E%3Dwrn", "character 11 of the filter: \\\"wrn\\\" is no severity"),
        ("rate=many", "no number of lines a second"),
    ] {
        let answer = get(&vispyr.url("web", &format!("/api/v1/tail?{query}"))).await.unwrap();
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(reason), "{}", answer.text());
        let page = get(&vispyr.url("web", &format!("/tail?{query}"))).await.unwrap();
        assert_eq!(page.status, 200);
        assert_eq!(page.text().contains("role=\"alert\""), !query.starts_with("rate"), "{}", page.text());
    }
    let foreign = http::Request::get(vispyr.url("web", "/api/v1/tail"))
        .header("origin", "http://evil.example")
        .body(http_body_util::Full::default())
        .unwrap();
    assert_eq!(crate::harness::send(foreign).await.unwrap().status, 403);
    let mut tails = Vec::new();
    for _ in 0..16 {
        tails.push(Tail::open(&vispyr, "").await);
    }
    let busy = get(&vispyr.url("web", "/api/v1/tail")).await.unwrap();
    assert_eq!(busy.status, 503);
    assert!(busy.text().contains("16 tails are open"), "{}", busy.text());
    // Who leaves makes room.
    drop(tails);
    let open = || async {
        let stream = TcpStream::connect(vispyr.address("web")).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let request =
            http::Request::get("/api/v1/tail").header("host", "localhost").body(Empty::<Bytes>::new()).ok()?;
        sender.send_request(request).await.ok().filter(|answer| answer.status() == 200).map(drop)
    };
    vispyr.wait("a tail can be opened again", open).await;
}

/// A browser that does not read costs nobody anything: what is sent is acknowledged, and once it reads again it
/// is told what it lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_is_told_what_it_lost() {
    let vispyr = collector().await;
    let mut stream = TcpStream::connect(vispyr.address("web")).await.unwrap();
    let head = "GET /api/v1/tail?signal=logs HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut read = vec![0; 4096];
    let size = tokio::time::timeout(DEADLINE, stream.read(&mut read)).await.unwrap().unwrap();
    let begin = String::from_utf8_lossy(&read[..size]).into_owned();
    assert!(begin.contains("text/event-stream"), "{begin}");
    let long = "long ".repeat(3000);
    let mut sent: u32 = 0;
    for _ in 0..12 {
        let records = (0..80).map(|_| record(&long, 9, "/x")).collect();
        send_logs(&vispyr, "shop", records).await;
        sent += 80;
    }
    let acknowledged = vispyr.metric("vispyr_acknowledged_items_total", &["signal=\"logs\""]).await;
    assert_eq!(acknowledged, f64::from(sent), "all of it is acknowledged");
    // Now it reads: what comes is either an item, or among those that are said to be lost.
    let mut text = String::new();
    let mut accounted = 0;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let mut told = 0;
    while accounted < u64::from(sent) {
        let mut piece = vec![0; 1 << 20];
        let size = tokio::time::timeout_at(deadline, stream.read(&mut piece)).await.expect("the rest comes").unwrap();
        assert_ne!(size, 0, "the connection was closed: {accounted} of {sent}");
        text += &String::from_utf8_lossy(&piece[..size]);
        accounted = 0;
        told = 0;
        let mut is_lost = false;
        let end = text.rfind('\n').unwrap_or(0);
        for line in text[..end].lines() {
            match line.strip_prefix("data: ") {
                Some(data) if is_lost => {
                    let lost: Value = serde_json::from_str(data).unwrap();
                    told += lost["lines"].as_u64().unwrap() + lost["not_examined"].as_u64().unwrap();
                    is_lost = false;
                }
                Some(data) if data.ends_with('}') => accounted += 1,
                _ => is_lost |= line.starts_with("event: lost"),
            }
        }
        accounted += told;
    }
    assert_eq!((accounted, told > 0), (u64::from(sent), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_tail_does_not_hold_up_the_stop() {
    let mut vispyr = collector().await;
    let mut tail = Tail::open(&vispyr, "").await;
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(tail.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_lines_and_ends_after_as_many_as_are_wanted() {
    let vispyr = collector().await;
    let address = vispyr.address("web").to_string();
    let run = |args: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(["tail", "--address", &address]).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let bad = run(&["--where", "severity>=wrn"]).wait_with_output().unwrap();
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(said.contains("character 11 of the filter: \"wrn\" is no severity"), "{said}");
    let two = run(&["--signal", "logs", "--where", "service=shop severity>=warn", "--lines", "2"]);
    let two = tokio::task::spawn_blocking(move || two.wait_with_output().unwrap());
    // It is not known when it has opened its tail.
    while !two.is_finished() {
        send_logs(&vispyr, "shop", vec![record("quiet", 9, "/x"), record("loud", 17, "/x")]).await;
    }
    let two = two.await.unwrap();
    assert!(two.status.success(), "{}", String::from_utf8_lossy(&two.stderr));
    let lines: Vec<Value> =
        String::from_utf8(two.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["body"] == "loud" && line["severity"] == "ERROR"), "{lines:?}");
}
