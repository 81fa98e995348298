//! How long questions take over many spans (10 million by default), how long rows wait while
//! somebody asks, and how long the store takes to come back: the real program, over its ports.
//!
//! `cargo bench --bench ask [MILLIONS]`. It wants some minutes and 100 MB of disk a million spans
//! (logs included).
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use serde_json::Value;
use vispyr::signal::now_nanos;

/// Spans of one request, and of one trace.
const BATCH: u64 = 2048;
const TRACE: u64 = 8;
/// Requests in flight.
const CONCURRENCY: usize = 4;
const HOUR: u64 = 3_600_000_000_000;
/// What the spans are spread over, in the order of time.
const HOURS: u64 = 4;

type Http = Client<HttpConnector, Full<Bytes>>;

#[tokio::main]
async fn main() {
    let millions = std::env::args().skip(1).find_map(|arg| arg.parse::<u64>().ok()).unwrap_or(10);
    let total = millions * 1_000_000 / BATCH * BATCH;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut vispyr = Vispyr::start(folder.path()).await;
    let from = now_nanos() - HOURS * HOUR;

    let started = Instant::now();
    vispyr.fill(total, from).await;
    println!("{total} spans sent and acknowledged in {:.0} s", started.elapsed().as_secs_f64());
    vispyr.wait_count(total).await;
    let took = started.elapsed().as_secs_f64();
    println!("all visible after {took:.0} s: {:.0} spans/s beside the client on one machine", total as f64 / took);

    let p99 = |hours: u64| {
        format!(
            "SELECT attributes.\"http.route\"::VARCHAR AS route, count(*), quantile_cont(duration_ns, 0.99) \
             FROM spans WHERE start_time >= now()::TIMESTAMP - INTERVAL {hours} HOURS GROUP BY route"
        )
    };
    let trace = |n: u64| format!("FROM trace('{:032x}')", id(n / TRACE));
    let mut traces = Vec::new();
    for n in 0..20 {
        let (rows, took) = vispyr.ask(&trace(total / 20 * n)).await;
        assert_eq!(rows, TRACE, "a whole trace");
        traces.push(took);
    }
    print("one trace by id", Some(100), &mut traces);
    for (what, goal, hours) in [("p99 by route over the last hour", Some(200), 1), ("p99 by route over all", None, 5)] {
        let mut routes = Vec::new();
        for _ in 0..7 {
            routes.push(vispyr.ask(&p99(hours)).await.1);
        }
        print(what, goal, &mut routes);
    }

    // The longest insert is that since the start.
    vispyr.stop();
    let mut vispyr = Vispyr::start(folder.path()).await;
    vispyr.wait_count(total).await;
    for (who, readers) in [("nobody asks", 0), ("two ask for p99 over all of them, again and again", 2)] {
        let before = vispyr.insert().await;
        let done = AtomicBool::new(false);
        let (expected, from) = (vispyr.count().await + 400_000 / BATCH * BATCH, now_nanos());
        let write = async {
            vispyr.fill(400_000 / BATCH * BATCH, from).await;
            vispyr.wait_count(expected).await;
            done.store(true, Ordering::Relaxed);
        };
        let read = (0..readers).map(async |_| {
            while !done.load(Ordering::Relaxed) {
                vispyr.ask(&p99(5)).await;
            }
        });
        tokio::join!(write, futures_util::future::join_all(read));
        let after = vispyr.insert().await;
        let mean = 1e3 * (after.1 - before.1) / (after.0 - before.0).max(1.0);
        println!("inserts of rows while {who}: mean {mean:.0} ms, longest so far {:.0} ms (goal 100)", after.2 * 1e3);
    }

    let expected = vispyr.count().await;
    let hot = vispyr.status().await["store"]["hot_bytes"].as_u64().unwrap_or_default();
    let started = Instant::now();
    vispyr.kill_engine();
    vispyr.wait_count(expected).await;
    println!(
        "engine killed: same answer after {:.1} s, {} MiB of rows replayed (goal 3 s)",
        started.elapsed().as_secs_f64(),
        hot >> 20
    );
    vispyr.child.kill().unwrap();
    vispyr.child.wait().unwrap();
    let log = size(&folder.path().join("data/wal"));
    let started = Instant::now();
    let again = Vispyr::start(folder.path()).await;
    println!("all killed: ready after {:.1} s, log of {} MiB", started.elapsed().as_secs_f64(), log >> 20);
    again.wait_count(expected).await;
    println!("the same answer after {:.1} s", started.elapsed().as_secs_f64());
    let sealed = size(&folder.path().join("data/store"));
    println!("store on disk: {:.1} bytes a span", sealed as f64 / expected as f64);
}

/// `goal` in milliseconds.
fn print(what: &str, goal: Option<u64>, times: &mut [Duration]) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, worst) = (ms(times[times.len() / 2]), ms(times[times.len() - 1]));
    let goal = goal.map(|goal| format!(" (goal {goal} ms: {:.2} of it)", median / goal as f64));
    println!("{what}: median {median:.0} ms, worst {worst:.0} ms{}", goal.unwrap_or_default());
}

/// The running program.
struct Vispyr {
    child: Child,
    http: Http,
    grpc: Client<HttpConnector, Full<Bytes>>,
    addresses: Value,
}

impl Vispyr {
    async fn start(folder: &Path) -> Self {
        let config = folder.join("vispyr.toml");
        let ports = ["receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope"];
        let ports = ports.iter().chain(&["sql", "web"]);
        let text: String = ports.map(|section| format!("[{section}]\nlisten = \"127.0.0.1:0\"\n")).collect();
        std::fs::write(&config, text).unwrap();
        let addresses = folder.join("data/run/addresses.json");
        let _ = std::fs::remove_file(&addresses);
        let child = Command::new(env!("CARGO_BIN_EXE_vispyr"))
            .args(["serve", "--config", config.to_str().unwrap(), "--data-dir"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let http = Client::builder(TokioExecutor::new()).build_http();
        let grpc = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let mut vispyr = Vispyr { child, http, grpc, addresses: Value::Null };
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            assert!(Instant::now() < deadline, "not ready in time");
            let text = std::fs::read_to_string(&addresses).unwrap_or_default();
            if let Ok(addresses) = serde_json::from_str(&text) {
                vispyr.addresses = addresses;
                if vispyr.get("web", "/-/ready").await.is_some_and(|(status, _)| status == 200) {
                    return vispyr;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.addresses[name].as_str().unwrap().parse().unwrap()
    }

    async fn get(&self, name: &str, path: &str) -> Option<(u16, Bytes)> {
        let url = format!("http://{}{path}", self.address(name));
        let response = self.http.get(url.parse().unwrap()).await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.into_body().collect().await.ok()?.to_bytes()))
    }

    async fn status(&self) -> Value {
        serde_json::from_slice(&self.get("web", "/api/v1/status").await.unwrap().1).unwrap()
    }

    /// Inserts so far: how many, seconds in all, the longest.
    async fn insert(&self) -> (f64, f64, f64) {
        let insert = &self.status().await["store"]["inserts"];
        let field = |name: &str| insert[name].as_f64().unwrap_or_else(|| panic!("no {name} in {insert}"));
        (field("count"), field("seconds"), field("longest"))
    }

    /// Rows of the answer, and the time it took as the client sees it.
    async fn ask(&self, statement: &str) -> (u64, Duration) {
        let started = Instant::now();
        let answer = self.try_ask(statement).await.expect("an answer");
        (answer["rows"].as_array().unwrap().len() as u64, started.elapsed())
    }

    async fn try_ask(&self, statement: &str) -> Option<Value> {
        let request = http::Request::post(format!("http://{}/api/v1/sql", self.address("sql")))
            .body(Full::new(Bytes::from(statement.to_owned())))
            .unwrap();
        let response = self.http.request(request).await.ok()?;
        let ok = response.status().is_success();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        if !ok {
            println!("  {}", String::from_utf8_lossy(&body));
        }
        ok.then(|| serde_json::from_slice(&body).unwrap())
    }

    async fn count(&self) -> u64 {
        let answer = self.try_ask("SELECT count(*) FROM spans").await;
        answer.and_then(|answer| answer["rows"][0][0].as_u64()).unwrap_or(0)
    }

    async fn wait_count(&self, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(900);
        while self.count().await < expected {
            assert!(Instant::now() < deadline, "rows are missing");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.count().await, expected);
    }

    /// Sends so many spans, in the order of time, from `from` to now.
    async fn fill(&self, spans: u64, from: u64) {
        let step = (now_nanos().max(from + 1) - from) / spans;
        let url =
            format!("http://{}/opentelemetry.proto.collector.trace.v1.TraceService/Export", self.address("otlp_grpc"));
        let mut flying = tokio::task::JoinSet::new();
        for batch in 0..spans / BATCH {
            if flying.len() >= CONCURRENCY {
                flying.join_next().await.unwrap().unwrap();
            }
            let (grpc, url) = (self.grpc.clone(), url.clone());
            flying.spawn(async move {
                let message = request(batch * BATCH, from, step);
                let mut body = vec![0];
                body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
                body.extend_from_slice(&message);
                let body = Bytes::from(body);
                // Refused for lack of room: as any sender, it comes back.
                loop {
                    let request = http::Request::post(&url)
                        .header("content-type", "application/grpc")
                        .header("te", "trailers")
                        .body(Full::new(body.clone()))
                        .unwrap();
                    let response = grpc.request(request).await.unwrap();
                    let head = response.headers().get("grpc-status").cloned();
                    let answer = response.into_body().collect().await.unwrap();
                    let status = head.or_else(|| answer.trailers()?.get("grpc-status").cloned());
                    if status.is_some_and(|status| status == "0") {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        while let Some(done) = flying.join_next().await {
            done.unwrap();
        }
    }

    /// Gracefully.
    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }

    fn kill_engine(&self) {
        let pid = self.child.id();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        for child in children.collect::<String>().split_whitespace() {
            let pid = child.parse().ok().and_then(rustix::process::Pid::from_raw);
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
    }
}

impl Drop for Vispyr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number that looks like chance, the same for the same `n`.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The id of the `n`th trace.
fn id(n: u64) -> u128 {
    u128::from(mix(n)) << 64 | u128::from(mix(!n))
}

fn request(first: u64, from: u64, step: u64) -> Vec<u8> {
    let text = |key: &str, value: String| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Any::StringValue(value)) }),
        ..KeyValue::default()
    };
    let number = |key: &str, value: u64| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Any::IntValue(value.cast_signed())) }),
        ..KeyValue::default()
    };
    let spans = (first..first + BATCH).map(|n| {
        let start = from + n * step;
        let (root, chance) = (n / TRACE * TRACE, mix(n ^ 0xabcd));
        Span {
            trace_id: id(n / TRACE).to_be_bytes().to_vec(),
            span_id: mix(n).to_be_bytes().to_vec(),
            parent_span_id: if n == root { Vec::new() } else { mix(root).to_be_bytes().to_vec() },
            name: format!("GET /api/route{}", chance % 20),
            kind: 2,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1_000_000 + chance % 100_000_000,
            attributes: vec![
                text("http.request.method", "GET".to_owned()),
                text("http.route", format!("/api/route{}", chance % 20)),
                text("url.path", format!("/api/route{}/{}", chance % 20, chance % 10_000)),
                number("http.response.status_code", if chance.is_multiple_of(50) { 500 } else { 200 }),
                text("server.address", "shop.internal".to_owned()),
                number("server.port", 8080),
                text("network.peer.address", format!("10.0.{}.{}", chance % 4, chance % 250)),
            ],
            ..Span::default()
        }
    });
    let resource = Resource {
        attributes: vec![text("service.name", format!("shop-{}", first / BATCH % 10))],
        ..Resource::default()
    };
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }],
    }
    .encode_to_vec()
}

/// Bytes of all files below.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
