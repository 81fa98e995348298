//! The running program, and its clients.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use vispyr::signal::now_nanos;

use crate::data::Kind;

/// Requests in flight.
const CONCURRENCY: usize = 4;

/// Items that are sent before they are visible, at most.
const AHEAD: u64 = 8_000_000;

type Http = Client<HttpConnector, Full<Bytes>>;

pub struct Vispyr {
    child: Child,
    http: Http,
    addresses: Value,
}

impl Vispyr {
    /// Starts it with its data in this folder, and with these lines in `[sql]`.
    pub async fn start(folder: &Path, sql: &str) -> Self {
        let config = folder.join("vispyr.toml");
        let ports = ["receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope"];
        let ports = ports.iter().chain(&["web", "postgres", "sql"]);
        let text: String = ports.map(|section| format!("[{section}]\nlisten = \"127.0.0.1:0\"\n")).collect();
        fs::write(&config, text + sql).unwrap();
        let addresses = folder.join("data/run/addresses.json");
        let _ = fs::remove_file(&addresses);
        let child = Command::new(env!("CARGO_BIN_EXE_vispyr"))
            .args(["serve", "--config", config.to_str().unwrap(), "--data-dir"])
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let http = Client::builder(TokioExecutor::new()).build_http();
        let mut vispyr = Vispyr { child, http, addresses: Value::Null };
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            assert!(Instant::now() < deadline, "not ready in time");
            let text = fs::read_to_string(&addresses).unwrap_or_default();
            if let Ok(addresses) = serde_json::from_str(&text) {
                vispyr.addresses = addresses;
                if vispyr.get("web", "/-/ready").await.is_some_and(|(status, _)| status == 200) {
                    return vispyr;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn address(&self, name: &str) -> SocketAddr {
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

    /// Batches that became visible so far: how many, seconds in all, the longest.
    pub async fn inserts(&self) -> (f64, f64, f64) {
        let insert = &self.status().await["store"]["inserts"];
        let field = |name: &str| insert[name].as_f64().unwrap_or_else(|| panic!("no {name} in {insert}"));
        (field("count"), field("seconds"), field("longest"))
    }

    /// Rows of the answer, and the time it took as the client sees it.
    pub async fn ask(&self, statement: &str) -> (u64, Duration) {
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

    async fn number(&self, statement: &str) -> u64 {
        let answer = self.try_ask(statement).await;
        answer.and_then(|answer| answer["rows"][0][0].as_f64()).unwrap_or_default() as u64
    }

    pub async fn count(&self, table: &str) -> u64 {
        self.number(&format!("SELECT count(*) FROM {table}")).await
    }

    pub async fn wait_count(&self, table: &str, expected: u64) {
        let deadline = Instant::now() + Duration::from_secs(3600);
        while self.count(table).await < expected {
            assert!(Instant::now() < deadline, "rows are missing");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.count(table).await, expected);
    }

    /// Bytes of the files of a table.
    pub async fn bytes(&self, table: &str) -> u64 {
        self.number(&format!("SELECT sum(bytes)::DOUBLE FROM storage WHERE table_name = '{table}'")).await
    }

    /// How many files there are.
    pub async fn files(&self) -> String {
        let status = self.status().await;
        let tables = status["store"]["tables"].as_array().cloned().unwrap_or_default();
        let sum = |name: &str| tables.iter().filter_map(|table| table[name].as_u64()).sum::<u64>();
        format!("{} sealed files, {} of level 0", sum("sealed_files"), sum("level0_files"))
    }

    /// Waits until everything is sealed and merged as far as it goes: nothing has changed for some time.
    pub async fn settle(&self) {
        let mut last = (String::new(), Value::Null);
        let mut since = Instant::now();
        let deadline = Instant::now() + Duration::from_secs(3600);
        while since.elapsed() < Duration::from_secs(65) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let status = self.status().await;
            let now = (self.files().await, status["store"]["merges"]["count"].clone());
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Sends about `count` items for an empty table, spread over `span` nanoseconds after `from`; how many.
    pub async fn send(&self, kind: Kind, count: u64, from: u64, span: u64) -> u64 {
        let batches = count / kind.batch;
        let step = span / count;
        let mut flying = tokio::task::JoinSet::new();
        for batch in 0..batches {
            // The log drops what it has no room for.
            while batch % 1000 == 0 && self.count(kind.table).await + AHEAD < batch * kind.batch {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if flying.len() >= CONCURRENCY {
                flying.join_next().await.unwrap().unwrap();
            }
            let (http, url) = (self.http.clone(), self.url(kind));
            flying.spawn(async move {
                let body = Bytes::from((kind.body)(batch * kind.batch, from, step));
                // Refused for lack of room: as any sender, it comes back.
                while !post(&http, kind, &url, body.clone()).await {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            });
        }
        while let Some(done) = flying.join_next().await {
            done.unwrap();
        }
        batches * kind.batch
    }

    /// Sends `rate` items a second of now, and counts requests that are refused.
    pub async fn send_paced(&self, kind: Kind, rate: u64, seconds: u64, refused: &AtomicU64) {
        let pause = Duration::from_secs_f64(kind.batch as f64 / rate as f64);
        let mut ticks = tokio::time::interval(pause);
        let url = self.url(kind);
        for batch in 0..rate * seconds / kind.batch {
            ticks.tick().await;
            let body = Bytes::from((kind.body)(batch * kind.batch, now_nanos() - batch * kind.batch, 1));
            if !post(&self.http, kind, &url, body).await {
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn url(&self, kind: Kind) -> String {
        format!("http://{}{}", self.address(kind.port), kind.path)
    }

    pub fn pids(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        let mut at = 0;
        while let Some(pid) = found.get(at) {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
            found.extend(children.collect::<String>().split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
            at += 1;
        }
        found
    }

    fn name(pid: u32) -> String {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut parts = line.split(|byte| *byte == 0);
        parts.nth(1).map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
    }

    /// CPU time of all processes that store: engine and merger.
    pub fn cpu(&self) -> Duration {
        self.cpu_of(|name| ["engine", "merger"].contains(&name))
    }

    /// CPU time of these processes, and of children of theirs that have ended.
    pub fn cpu_of(&self, counts: impl Fn(&str) -> bool) -> Duration {
        let of = |pid: u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        };
        let pids = self.pids().into_iter().filter(|pid| counts(&Self::name(*pid)));
        Duration::from_millis(10 * pids.map(of).sum::<u64>())
    }

    /// The most memory that a process of each kind has had resident, in bytes.
    pub fn peaks(&self) -> BTreeMap<String, u64> {
        let mut peaks = BTreeMap::new();
        for pid in self.pids() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10;
            let most: &mut u64 = peaks.entry(Self::name(pid)).or_default();
            *most = peak.max(*most);
        }
        peaks
    }

    /// Memory of all processes together now, in bytes; what several share counts once.
    pub fn resident(&self) -> u64 {
        let of = |pid: u32| {
            let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let pss = memory.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
            pss.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10
        };
        self.pids().into_iter().map(of).sum()
    }

    pub fn kill(&self, name: &str) {
        for pid in self.pids().into_iter().filter(|pid| Self::name(*pid) == name) {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
    }

    pub fn kill_all(&mut self) {
        for pid in self.pids() {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
        let _ = self.child.wait();
    }
}

impl Drop for Vispyr {
    fn drop(&mut self) {
        self.kill_all();
    }
}

async fn post(http: &Http, kind: Kind, url: &str, body: Bytes) -> bool {
    let mut request = http::Request::post(url).header("content-type", "application/x-protobuf");
    if kind.port == "remote_write" {
        request = request.header("content-encoding", "snappy").header("x-prometheus-remote-write-version", "0.1.0");
    }
    let response = http.request(request.body(Full::new(body)).unwrap()).await;
    let Ok(response) = response else { return false };
    let good = response.status().is_success();
    let _ = response.into_body().collect().await;
    good
}

/// Bytes of all files below.
pub fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
