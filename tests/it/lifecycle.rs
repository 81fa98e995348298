//! Start, readiness, stop, and what survives: the program as the service manager sees it.

use std::collections::{BTreeMap, HashSet};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::Mutex;

use crate::harness::{DEADLINE, Options, Vispyr, children_of, get, sum_of};

/// Spans in one request of the load.
pub const BATCH: u64 = 20;

/// A request of spans whose ids are `BATCH * n ..`.
fn request(n: u64) -> ExportTraceServiceRequest {
    let now = vispyr::signal::now_nanos();
    let span = |id: u64| Span {
        trace_id: u128::from(id + 1).to_be_bytes().to_vec(),
        span_id: (id + 1).to_be_bytes().to_vec(),
        name: "work".to_owned(),
        start_time_unix_nano: now,
        end_time_unix_nano: now + 1_000,
        ..Span::default()
    };
    let spans = (n * BATCH..(n + 1) * BATCH).map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// Clients that send until told to stop, and remember what was acknowledged.
pub struct Load {
    pub acknowledged: Arc<Mutex<Vec<u64>>>,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    pub fn start(vispyr: &Vispyr) -> Self {
        let to = vispyr.url("otlp_grpc", "");
        let (acknowledged, sent, stop) = (Arc::<Mutex<Vec<u64>>>::default(), Arc::default(), Arc::default());
        let client = |_| {
            let (to, acknowledged) = (to.clone(), Arc::clone(&acknowledged));
            let (sent, stop): (Arc<AtomicU64>, Arc<AtomicBool>) = (Arc::clone(&sent), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut client = None;
                while !stop.load(Ordering::Relaxed) {
                    let Some(connected) = client.as_mut() else {
                        client = TraceServiceClient::connect(to.clone()).await.ok();
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    };
                    let n = sent.fetch_add(1, Ordering::Relaxed);
                    match connected.export(request(n)).await {
                        Ok(_) => acknowledged.lock().push(n),
                        // Not sent again: a request without an answer may or may not be there.
                        Err(_) => client = None,
                    }
                }
            })
        };
        let clients = (0..4).map(client).collect();
        Load { acknowledged, sent, stop, clients }
    }

    pub async fn until(&self, requests: usize) {
        let deadline = Instant::now() + DEADLINE;
        while self.acknowledged.lock().len() < requests {
            assert!(Instant::now() < deadline, "the load gets no answers");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends the clients; which requests were acknowledged, and how many were sent.
    pub async fn end(self) -> (HashSet<u64>, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        let acknowledged = self.acknowledged.lock().iter().copied().collect();
        (acknowledged, self.sent.load(Ordering::Relaxed))
    }
}

/// Every acknowledged request is in the store whole, nothing is there twice, nothing is invented.
pub async fn assert_kept(vispyr: &Vispyr, acknowledged: &HashSet<u64>, sent: u64) {
    // The log is dense: once the store has all of its records, it has everything.
    vispyr.wait("the store has what the log has", || async { drained(vispyr).await.then_some(()) }).await;
    let rows = vispyr.sql("SELECT span_id FROM spans LIMIT 90000").await;
    let mut spans: BTreeMap<u64, u64> = BTreeMap::new();
    for row in &rows {
        let id = u64::from_str_radix(row[0].as_str().unwrap(), 16).unwrap() - 1;
        *spans.entry(id).or_default() += 1;
    }
    let twice: Vec<_> = spans.iter().filter(|(_, times)| **times > 1).take(5).collect();
    assert!(twice.is_empty(), "there twice: {twice:?}");
    let missing: Vec<_> = acknowledged
        .iter()
        .filter(|n| (*n * BATCH..(*n + 1) * BATCH).any(|id| !spans.contains_key(&id)))
        .take(5)
        .collect();
    assert!(missing.is_empty(), "acknowledged but not there: requests {missing:?} of {}", acknowledged.len());
    assert!(spans.keys().all(|id| *id < sent * BATCH), "never sent");
}

/// Whether queries see every record of the traces log.
async fn drained(vispyr: &Vispyr) -> bool {
    let Ok(answer) = get(&vispyr.url("web", "/metrics")).await else { return false };
    let metrics = answer.text();
    let traces = &["signal=\"traces\""];
    // Sealed before this start, or visible since.
    let waiting = sum_of(&metrics, "vispyr_waiting_items", traces);
    let fresh = sum_of(&metrics, "vispyr_store_level0_rows", &["table=\"spans\""]);
    sum_of(&metrics, "vispyr_store_up", &[]) == 1.0 && fresh == waiting
}

#[tokio::test]
async fn starts_answers_and_stops() {
    let mut vispyr = Vispyr::serve().await;
    for (path, status, content_type, contains) in [
        ("/", 200, "text/html; charset=utf-8", "/health"),
        ("/health", 200, "text/html; charset=utf-8", "/api/v1/status"),
        ("/-/healthy", 200, "text/plain; charset=utf-8", "healthy"),
        ("/-/ready", 200, "text/plain; charset=utf-8", "ready"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", "vispyr_store_up 1"),
        ("/api/v1/status", 200, "application/json", "\"version\""),
        ("/nowhere", 404, "text/plain; charset=utf-8", "/"),
    ] {
        let answer = get(&vispyr.url("web", path)).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers["content-type"], content_type, "{path}");
        assert!(answer.text().contains(contains), "{path}: {}", answer.text());
    }
    let log = vispyr.log();
    for name in ["otlp_grpc", "otlp_http", "remote_write", "pyroscope", "web", "sql", "postgres"] {
        assert!(log.contains(&vispyr.address(name).to_string()), "the start message has {name}: {log}");
    }
    assert!(log.contains("Try next"), "{log}");
    let engine = vispyr.engine_pid().expect("an engine runs");
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}: {}", vispyr.log());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!std::path::Path::new(&format!("/proc/{engine}")).exists(), "the engine has ended, too");
    assert!(!vispyr.data_dir().join("run/addresses.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_under_load_loses_nothing() {
    let mut vispyr = Vispyr::serve().await;
    let load = Load::start(&vispyr);
    load.until(100).await;
    let (status, took) = vispyr.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (acknowledged, sent) = load.end().await;
    vispyr.restart().await;
    assert_kept(&vispyr, &acknowledged, sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_everything_loses_nothing_acknowledged() {
    let mut vispyr = Vispyr::serve().await;
    let load = Load::start(&vispyr);
    load.until(50).await;
    vispyr.kill9();
    vispyr.restart().await;
    load.until(150).await;
    vispyr.kill9();
    let (acknowledged, sent) = load.end().await;
    vispyr.restart().await;
    assert_kept(&vispyr, &acknowledged, sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_dies_and_no_receiver_notices() {
    let vispyr = Vispyr::serve().await;
    let load = Load::start(&vispyr);
    load.until(50).await;
    let first = vispyr.engine_pid();
    vispyr.kill9_engine();
    let killed_at = load.acknowledged.lock().len();
    load.until(killed_at + 100).await;
    vispyr.wait("there is another engine", || async { vispyr.engine_pid().filter(|pid| Some(*pid) != first) }).await;
    let (acknowledged, sent) = load.end().await;
    assert_eq!(acknowledged.len() as u64, sent, "every request was acknowledged");
    assert_kept(&vispyr, &acknowledged, sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_does_not_outlive_the_program() {
    let vispyr = Vispyr::serve().await;
    let engine = vispyr.engine_pid().unwrap();
    crate::harness::signal(vispyr.pid(), rustix::process::Signal::KILL);
    let gone = || async {
        let stat = std::fs::read_to_string(format!("/proc/{engine}/stat")).unwrap_or_default();
        // A zombie that nobody has collected is gone as well.
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z')).then_some(())
    };
    vispyr.wait("the engine has ended", gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_adds_up() {
    let vispyr = Vispyr::serve().await;
    let load = Load::start(&vispyr);
    load.until(50).await;
    let (acknowledged, _) = load.end().await;
    let url = vispyr.url("otlp_http", "/v1/traces");
    let bad = crate::harness::post(&url, "application/x-protobuf", vec![0xff; 9]).await.unwrap();
    assert_eq!(bad.status, 400);
    vispyr.wait("the store has everything", || async { drained(&vispyr).await.then_some(()) }).await;
    let metrics = vispyr.metrics().await;
    let items = |name: &str| sum_of(&metrics, name, &["signal=\"traces\""]);
    assert_eq!(items("vispyr_acknowledged_items_total") as u64, acknowledged.len() as u64 * BATCH);
    assert_eq!(sum_of(&metrics, "vispyr_refused_requests_total", &["reason=\"malformed\""]), 1.0, "{metrics}");
    for what in ["requests", "items", "bytes"] {
        let sum = items(&format!("vispyr_acknowledged_{what}_total")) + items(&format!("vispyr_refused_{what}_total"));
        assert_eq!(items(&format!("vispyr_received_{what}_total")), sum, "{what}");
    }
    let to_store = |name: &str| sum_of(&metrics, name, &["signal=\"traces\"", "destination=\"store\""]);
    let delivered = ["forwarded_items_total", "waiting_items", "dropped_items_total", "set_aside_items_total"];
    let delivered: f64 = delivered.iter().map(|name| to_store(&format!("vispyr_{name}"))).sum();
    assert_eq!(items("vispyr_acknowledged_items_total"), delivered, "{metrics}");
    assert_eq!(to_store("vispyr_due_items_total"), delivered, "{metrics}");
}

#[tokio::test]
async fn the_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let env = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    // As systemd does: the pid tells whom the watchdog is for.
    let wrap = ["bash", "-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let mut vispyr = Vispyr::start(Options { env, wrap, ..Options::default() }).await;
    let said = |what: &str| {
        let mut buffer = [0; 1024];
        loop {
            let n = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("{what} was not said: {e}"));
            let message = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if message.lines().any(|line| line == what) {
                return;
            }
        }
    };
    said("READY=1");
    said("WATCHDOG=1");
    said("WATCHDOG=1");
    vispyr.stop().await;
    said("STOPPING=1");
}

#[tokio::test]
async fn sockets_of_the_service_manager_are_used() {
    // Two sockets: one by name, one by its port.
    let named = TcpListener::bind("127.0.0.1:0").unwrap();
    let by_port = TcpListener::bind("127.0.0.1:0").unwrap();
    let [grpc, http] = [&named, &by_port].map(|listener| listener.local_addr().unwrap());
    for listener in [&named, &by_port] {
        rustix::io::fcntl_setfd(listener, rustix::io::FdFlags::empty()).unwrap();
    }
    use std::os::fd::AsRawFd;
    let script = format!("exec 3<&{} 4<&{}; LISTEN_PID=$$ exec \"$0\" \"$@\"", named.as_raw_fd(), by_port.as_raw_fd());
    let env = [("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "otlp_grpc:vispyr-collector.socket")];
    let vispyr = Vispyr::start(Options {
        wrap: ["bash", "-c", &script].map(str::to_owned).to_vec(),
        env: env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        config: format!("[receivers.otlp_http]\nlisten = \"{http}\""),
        ..Options::default()
    })
    .await;
    assert_eq!((vispyr.address("otlp_grpc"), vispyr.address("otlp_http")), (grpc, http));
    drop((named, by_port));
    let mut client = TraceServiceClient::connect(vispyr.url("otlp_grpc", "")).await.unwrap();
    client.export(request(0)).await.unwrap();
    vispyr.wait_count("SELECT count(*) FROM spans", BATCH as i64).await;
    assert!(!children_of(vispyr.pid()).is_empty());
}

#[tokio::test]
async fn collector_and_store_run_apart() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = format!("[store]\nsocket_dir = {:?}", folder.path().join("s"));
    let options = |command| Options { command, config: sockets.clone(), not_ready: true, ..Options::default() };
    let collector = Vispyr::start(options("collector")).await;
    let mut client = TraceServiceClient::connect(collector.url("otlp_grpc", "")).await.unwrap();
    // The store comes later: the log has what arrives until then.
    client.export(request(0)).await.unwrap();
    let store = Vispyr::start(options("store")).await;
    client.export(request(1)).await.unwrap();
    store.wait_count("SELECT count(*) FROM spans", 2 * BATCH as i64).await;
}

#[tokio::test]
async fn the_shop_runs_inside() {
    let vispyr = Vispyr::start(Options { args: vec!["--demo".to_owned()], ..Options::default() }).await;
    let all_signals = || async {
        let metrics = vispyr.metrics().await;
        let came = |signal| sum_of(&metrics, "vispyr_acknowledged_items_total", &[&format!("signal={signal:?}")]) > 0.0;
        ["traces", "metrics", "logs", "profiles"].into_iter().all(came).then_some(())
    };
    vispyr.wait("the shop has sent every signal", all_signals).await;
    assert!(!vispyr.log().contains("vispyr demo"), "what runs already is not proposed");
}

/// The library itself with its version replaced, where the program looks for it first.
#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_duckdb_ends_the_start_with_one_sentence() {
    let Some(libraries) = option_env!("DUCKDB_LIB_DIR").filter(|_| !cfg!(feature = "bundled")) else {
        println!("SKIPPED: DuckDB is compiled in, or it is the system's");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (bin, lib) = (folder.path().join("bin"), folder.path().join("lib/vispyr"));
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(&lib).unwrap();
    let program = bin.join("vispyr");
    std::fs::copy(env!("CARGO_BIN_EXE_vispyr"), &program).unwrap();
    for entry in std::fs::read_dir(libraries).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, lib.join(path.file_name().unwrap())).unwrap();
    }
    let library = lib.join("libduckdb.so");
    let mut bytes = std::fs::read(&library).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, b"v2.0.0\0").collect();
    assert!(!places.is_empty(), "the library does not name its version");
    for at in places {
        bytes[at..at + 6].copy_from_slice(b"v1.4.3");
    }
    std::fs::write(&library, bytes).unwrap();

    let config = folder.path().join("vispyr.toml");
    std::fs::write(&config, crate::harness::DEFAULT_CONFIG).unwrap();
    let mut command = tokio::process::Command::new(&program);
    command.arg("serve").arg("--config").arg(&config).arg("--data-dir").arg(folder.path().join("data"));
    let output = tokio::time::timeout(DEADLINE, command.kill_on_drop(true).output()).await;
    let output = output.expect("it ends by itself").unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    let sentence = "the DuckDB library is v1.4.3, but vispyr needs 2.0";
    assert_eq!(log.matches(sentence).count(), 1, "{log}");
}
