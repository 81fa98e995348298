//! SQL over PostgreSQL's protocol beside SQL over HTTP, asked of the real program in one run: rows for each
//! CPU-second of the store, the time of a point query, and the memory of connections that do nothing.
//!
//! `cargo bench --bench postgres [MILLIONS]`: so many million samples (10 by default), and a million spans.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, dead_code, reason = "a benchmark")]

#[path = "../ask/data.rs"]
mod data;
#[path = "../ask/program.rs"]
mod program;
mod raw;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_postgres::NoTls;

use self::program::Vispyr;
use self::raw::Raw;
use vispyr::signal::now_nanos;

/// Rows are asked for, and points, so many times by each protocol in turn.
const ROUNDS: usize = 3;
const POINTS: u64 = 200;

/// Connections that do nothing, and the bytes that they may cost together.
const IDLE: usize = 200;
const IDLE_GOAL: u64 = 30 << 20;

const SPANS: u64 = 1_000_000;
const ROWS: &str = "SELECT time, value FROM metric_points";

#[tokio::main]
async fn main() {
    let millions = std::env::args().skip(1).find_map(|arg| arg.parse::<u64>().ok()).unwrap_or(10);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let vispyr = Vispyr::start(folder.path(), "max_rows = 1000000000\ntime_limit = \"300s\"\n").await;
    // Before anything else has taken memory that it may give back meanwhile.
    assert_eq!(vispyr.count("spans").await, 0);
    idle(&vispyr).await;
    let day = Duration::from_secs(24 * 3600).as_nanos() as u64;
    let from = now_nanos() - day;
    let samples = vispyr.send(data::SAMPLES, millions * 1_000_000, from, day).await;
    let spans = vispyr.send(data::SPANS, SPANS, from, day).await;
    vispyr.wait_count("metric_points", samples).await;
    vispyr.wait_count("spans", spans).await;
    vispyr.settle().await;

    rows(&vispyr, samples).await;
    points(&vispyr, spans).await;
}

async fn rows(vispyr: &Vispyr, expected: u64) {
    let mut rates = [(); 2].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        for (n, rates) in rates.iter_mut().enumerate() {
            let (cpu, started) = (vispyr.cpu_of(|_| true), Instant::now());
            let (rows, bytes) = if n == 0 { arrow(vispyr).await } else { binary(vispyr).await };
            let (took, cpu) = (started.elapsed().as_secs_f64(), (vispyr.cpu_of(|_| true) - cpu).as_secs_f64());
            assert_eq!(rows, expected);
            println!(
                "  {}: {rows} rows, {} MiB in {took:.2} s, {cpu:.2} CPU-seconds of the store",
                if n == 0 { "Arrow over HTTP" } else { "binary rows of PostgreSQL" },
                bytes >> 20
            );
            rates.push(rows as f64 / cpu);
        }
    }
    let [arrow, binary] = rates.map(middle);
    println!(
        "rows of time and value: Arrow over HTTP {arrow:.0} a CPU-second, PostgreSQL's binary {binary:.0}: {:.2} of it (goal 0.50)",
        binary / arrow
    );
}

/// Rows and bytes of the answer over HTTP.
async fn arrow(vispyr: &Vispyr) -> (u64, u64) {
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = http::Request::post(format!("http://{}/api/v1/sql", vispyr.address("sql")))
        .header("accept", "application/vnd.apache.arrow.stream")
        .body(Full::new(Bytes::from_static(ROWS.as_bytes())));
    let response = http.request(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut decoder = arrow::ipc::reader::StreamDecoder::new();
    let (mut rows, mut bytes) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.unwrap().into_data() else { continue };
        bytes += data.len() as u64;
        let mut buffer = arrow::buffer::Buffer::from(data);
        while !buffer.is_empty() {
            rows += decoder.decode(&mut buffer).unwrap().map_or(0, |batch| batch.num_rows() as u64);
        }
    }
    (rows, bytes)
}

/// Rows and bytes of the answer over PostgreSQL's protocol.
async fn binary(vispyr: &Vispyr) -> (u64, u64) {
    let address = vispyr.address("postgres");
    tokio::task::spawn_blocking(move || Raw::login(address).rows(ROWS)).await.unwrap()
}

/// One trace by its id, by a prepared statement and over HTTP with a parameter, in turn.
async fn points(vispyr: &Vispyr, spans: u64) {
    let address = vispyr.address("postgres");
    let config = format!("host={} port={} user=bench dbname=vispyr", address.ip(), address.port());
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    let prepared = client.prepare("SELECT * FROM spans WHERE trace_id = $1").await.unwrap();
    let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let url = format!("http://{}/api/v1/sql", vispyr.address("sql"));
    let (mut by_http, mut by_postgres) = (Vec::new(), Vec::new());
    for n in 0..POINTS + 10 {
        let id = format!("{:032x}", data::trace_id(spans / data::TRACE / (POINTS + 10) * n * data::TRACE));
        let started = Instant::now();
        let body = format!("{{\"sql\": \"SELECT * FROM spans WHERE trace_id = $1\", \"params\": [\"{id}\"]}}");
        let request = http::Request::post(&url).header("content-type", "application/json");
        let response = http.request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        let http_took = started.elapsed();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        let started = Instant::now();
        let rows = client.query(&prepared, &[&id]).await.unwrap();
        let postgres_took = started.elapsed();
        assert_eq!(answer["rows"].as_array().unwrap().len(), rows.len());
        // The first ones open files and fill caches.
        if n >= 10 {
            by_http.push(http_took.as_secs_f64() * 1e3);
            by_postgres.push(postgres_took.as_secs_f64() * 1e3);
        }
    }
    let (http, postgres) = (middle(by_http), middle(by_postgres));
    println!(
        "one trace by id, median of {POINTS}: HTTP {http:.1} ms, PostgreSQL {postgres:.1} ms: {:+.1} ms (goal at most +2)",
        postgres - http
    );
}

async fn idle(vispyr: &Vispyr) {
    let address = vispyr.address("postgres");
    let before = resident(vispyr);
    let connections = tokio::task::spawn_blocking(move || {
        let each = |_| {
            let mut raw = Raw::login(address);
            assert_eq!(raw.rows("SELECT 1 AS x").0, 1);
            raw
        };
        (0..IDLE).map(each).collect::<Vec<_>>()
    });
    let connections = connections.await.unwrap();
    let cost = resident(vispyr).saturating_sub(before);
    println!(
        "{} connections that do nothing after a statement: {:.1} MiB (goal {} MiB)",
        connections.len(),
        cost as f64 / f64::from(1 << 20),
        IDLE_GOAL >> 20
    );
}

/// Bytes of resident memory of the process that has the connections. Readers grow with what they are asked.
fn resident(vispyr: &Vispyr) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", vispyr.pids()[0])).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
