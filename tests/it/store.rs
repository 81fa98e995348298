//! The engine behind its real socket, in a process of its own (this test binary, started again),
//! fed by a sender that speaks the ingest protocol for a log that is a function of the position.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::{Condvar, Mutex};
use prost::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vispyr::exporters;
use vispyr::signal::{Batch, Compression, Format, Meta, Signal, now_nanos};
use vispyr::store::Config;
use vispyr::store::engine::{self, Engine, failpoint};
use vispyr::store::protocol::{self, Frame, LogState, Progress, read_frame};
use vispyr::telemetry::Telemetry;
use vispyr::wal::{self, Log, Logs, Position, Record, Start};

/// Longest wait for anything.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The log of the tests that need only one.
pub const LOG: Uuid = Uuid::from_u128(0x5e);

const FOLDER: &str = "VISPYR_TEST_ENGINE";
const HOT_MEMORY: &str = "VISPYR_TEST_HOT_MEMORY";

/// Not a test: the engine process that [`EngineProcess`] starts. Answers SQL from its standard
/// input, one statement a line, until that ends.
#[test]
fn engine_process() {
    let Ok(data_dir) = std::env::var(FOLDER).map(PathBuf::from) else { return };
    let mut config = Config::default();
    if let Ok(bytes) = std::env::var(HOT_MEMORY) {
        config.hot_memory = bytes.parse().unwrap();
    }
    let engine = match Engine::open(&config, &data_dir) {
        Ok(engine) => engine,
        Err(e) => {
            println!("\n=refused {e}");
            return;
        }
    };
    let server = engine.serve(&config.ingest_socket(&data_dir)).unwrap();
    println!("\n=ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let answer = match line.as_str() {
            ".start_flush" => {
                let engine = engine.clone();
                std::thread::spawn(move || engine.flush());
                Ok("asked".to_owned())
            }
            ".flush" => engine.flush().map(|()| "flushed".to_owned()),
            ".stats" => Ok(serde_json::to_string(&engine.stats()).unwrap()),
            sql => query(&engine, sql).map_err(|e| e.to_string()),
        };
        match answer {
            Ok(text) => println!("\n={text}"),
            Err(e) => println!("\n=error {}", e.replace('\n', " ")),
        }
    }
    server.stop();
    engine.close();
}

fn query(engine: &Arc<Engine>, sql: &str) -> Result<String, duckdb::Error> {
    let db = engine.connect()?;
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut text = String::new();
    while let Some(row) = rows.next()? {
        let columns = row.as_ref().column_count();
        let values: Result<Vec<String>, _> = (0..columns)
            .map(|n| row.get::<_, duckdb::types::Value>(n).map(|v| format!("{v:?}").replace('\n', " ")))
            .collect();
        text.push_str(&values?.join(","));
        text.push(';');
    }
    Ok(text)
}

/// The engine in a process of its own.
pub struct EngineProcess {
    data_dir: PathBuf,
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl EngineProcess {
    /// Starts it and waits until it is ready.
    pub fn start(data_dir: &Path, env: &[(&str, &str)]) -> Self {
        Self::try_start(data_dir, env).unwrap()
    }

    /// Starts it; an error is why it refused to.
    pub fn try_start(data_dir: &Path, env: &[(&str, &str)]) -> Result<Self, String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "store::engine_process", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, data_dir).envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, answers) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(answer) = line.strip_prefix('=')
                    && said.send(answer.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let engine = EngineProcess { data_dir: data_dir.to_owned(), child, stdin, answers };
        match engine.answers.recv_timeout(DEADLINE) {
            Ok(answer) if answer == "ready" => Ok(engine),
            Ok(answer) => Err(answer),
            Err(e) => Err(format!("no answer: {e}")),
        }
    }

    /// The answer to a statement or command; `None` if the engine ended.
    pub fn try_ask(&mut self, sql: &str) -> Option<String> {
        writeln!(self.stdin, "{sql}").ok()?;
        match self.answers.recv_timeout(DEADLINE) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no answer to {sql}"),
        }
    }

    /// The answer to a statement that must succeed.
    pub fn ask(&mut self, sql: &str) -> String {
        let answer = self.try_ask(sql).unwrap_or_else(|| panic!("the engine ended at {sql}"));
        assert!(!answer.starts_with("error"), "{sql}: {answer}");
        answer
    }

    /// A count.
    pub fn count(&mut self, sql: &str) -> u64 {
        number(&self.ask(sql))
    }

    /// Spans, different spans, and different traces.
    pub fn spans(&mut self) -> (u64, u64) {
        let answer = self.ask("SELECT count(*), count(DISTINCT trace_id || span_id) FROM spans");
        let (all, different) = answer.split_once(',').unwrap();
        (number(all), number(different))
    }

    /// The engine's own figures.
    pub fn stats(&mut self) -> engine::stats::Stats {
        serde_json::from_str(&self.ask(".stats")).unwrap()
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        Config::default().ingest_socket(&self.data_dir)
    }

    /// Its sealed files, as paths below `sealed/`, with those that are half written.
    pub fn files(&self) -> Vec<String> {
        files(&self.data_dir.join("store/sealed"))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has died of SIGKILL.
    pub fn wait_for_sigkill(&mut self) {
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
    }

    /// Has it end in order.
    pub fn stop(mut self) {
        drop(std::mem::replace(&mut self.stdin, dead_stdin()));
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn dead_stdin() -> ChildStdin {
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    child.wait().unwrap();
    stdin
}

fn number(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.push(path.strip_prefix(dir).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// What a log holds at a position: always the same, as a log does.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub log: Uuid,
    /// Spans in each record.
    pub spans: u32,
    /// Start of the spans of record 0; each further record is a millisecond later.
    pub start: u64,
}

impl Source {
    pub fn new(spans: u32) -> Self {
        // Well inside one hour, whenever the test runs.
        let hour = 3_600_000_000_000;
        Source { log: LOG, spans, start: (now_nanos() / hour - 1) * hour + hour / 4 }
    }

    pub fn record(&self, position: u64) -> Record {
        let attribute = |key: &str, value| KeyValue {
            key: key.into(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        };
        let span = |n: u32| Span {
            trace_id: u128::from(position + 1).to_be_bytes().to_vec(),
            span_id: u64::from(n + 1).to_be_bytes().to_vec(),
            name: format!("operation {}", n % 7),
            kind: 2,
            start_time_unix_nano: self.start + position * 1_000_000,
            end_time_unix_nano: self.start + position * 1_000_000 + u64::from(n) * 1000,
            attributes: vec![
                attribute("http.route", any_value::Value::StringValue(format!("/route/{}", n % 11))),
                attribute("n", any_value::Value::IntValue(n.into())),
            ],
            ..Span::default()
        };
        let service = any_value::Value::StringValue("test".into());
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: vec![attribute("service.name", service)],
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans { spans: (0..self.spans).map(span).collect(), ..ScopeSpans::default() }],
                ..ResourceSpans::default()
            }],
        };
        traces(position, self.spans, request.encode_to_vec().into())
    }
}

/// A record of the traces' log.
pub fn traces(position: u64, items: u32, payload: Bytes) -> Record {
    Record {
        position: Position(position),
        batch: Batch {
            signal: Signal::Traces,
            format: Format::Otlp,
            compression: Compression::Identity,
            items,
            decoded_size: payload.len() as u64,
            received: now_nanos(),
            meta: Meta::default(),
            payload,
        },
    }
}

/// What the engine has told a sender.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    pub visible: u64,
    pub sealed: u64,
    pub aside: BTreeMap<u64, String>,
    pub over: bool,
}

/// The collector's end of the link, for the traces' log alone.
pub struct Sender {
    stream: UnixStream,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    pub progress: Progress,
}

impl Sender {
    /// Connects, as a log that goes up to `next`.
    pub fn connect(engine: &EngineProcess, log: Uuid, next: u64) -> Self {
        Self::try_connect(&engine.data_dir, log, next).unwrap()
    }

    /// The same, if there is an engine.
    pub fn try_connect(data_dir: &Path, log: Uuid, next: u64) -> Option<Self> {
        let mut stream = UnixStream::connect(Config::default().ingest_socket(data_dir)).ok()?;
        let none = |n| LogState { id: Uuid::from_u128(n), oldest: Position(0), next: Position(0) };
        let traces = LogState { id: log, oldest: Position(0), next: Position(next) };
        let hello = Frame::Hello { version: protocol::VERSION, logs: [traces, none(1), none(2), none(3)] };
        stream.write_all(&hello.encode()).ok()?;
        let mut from = BufReader::new(stream.try_clone().unwrap());
        let progress = match read_frame(&mut from).ok()?? {
            Frame::Welcome(progress) => progress,
            other => panic!("{other:?}"),
        };
        let progress = progress[0];
        let first = Heard { visible: progress.sealed.0, sealed: progress.sealed.0, ..Heard::default() };
        let heard = Arc::new((Mutex::new(first), Condvar::new()));
        let hears = heard.clone();
        std::thread::spawn(move || {
            loop {
                let frame = read_frame(&mut from);
                let mut heard = hears.0.lock();
                match frame {
                    Ok(Some(Frame::Visible(Signal::Traces, p))) => heard.visible = p.0,
                    Ok(Some(Frame::Sealed(Signal::Traces, p))) => heard.sealed = p.0,
                    Ok(Some(Frame::SetAside(Signal::Traces, p, why))) => _ = heard.aside.insert(p.0, why),
                    Ok(Some(other)) => panic!("{other:?}"),
                    Ok(None) | Err(_) => heard.over = true,
                }
                hears.1.notify_all();
                if heard.over {
                    return;
                }
            }
        });
        Some(Sender { stream, heard, progress })
    }

    /// Sends a record; false if the engine is gone.
    pub fn send(&mut self, record: Record) -> bool {
        self.stream.write_all(&Frame::Record(record).encode()).is_ok()
    }

    /// Waits for what the engine tells; answers false if it ended before.
    pub fn wait(&self, condition: impl Fn(&Heard) -> bool) -> bool {
        let deadline = Instant::now() + DEADLINE;
        let mut heard = self.heard.0.lock();
        while !condition(&heard) {
            if heard.over {
                return false;
            }
            assert!(!self.heard.1.wait_until(&mut heard, deadline).timed_out(), "waited too long, heard {heard:?}");
        }
        true
    }

    pub fn heard(&self) -> Heard {
        self.heard.0.lock().clone()
    }
}

/// Sends what the engine wants up to `next`, and waits until all of it is visible. False if the
/// engine ended before.
pub fn feed(engine: &EngineProcess, source: &Source, next: u64) -> bool {
    let mut sender = Sender::connect(engine, source.log, next);
    for position in sender.progress.wanted.0..next {
        // As the exporter does: no more in flight than a window.
        if position % 64 == 0 && !sender.wait(|h| h.visible + 256 >= position) {
            return false;
        }
        if !sender.send(source.record(position)) {
            return false;
        }
    }
    sender.wait(|h| h.visible >= next)
}

#[test]
fn rows_are_visible_at_once_sealed_by_hour_and_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let started = Instant::now();
    assert!(feed(&engine, &source, 1));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(feed(&engine, &source, 100));
    assert_eq!(engine.spans(), (1000, 1000));
    let by_route = "SELECT attributes.\"http.route\"::VARCHAR AS route, count(*), sum(attributes.n::INT)::BIGINT,
         min(resource.\"service.name\"::VARCHAR) FROM spans GROUP BY 1 ORDER BY 1"
        .replace('\n', " ");
    let hot = engine.ask(&by_route);
    assert_eq!(engine.files(), [""; 0]);

    assert_eq!(engine.ask(".flush"), "flushed");
    let files = engine.files();
    assert!(files.iter().any(|f| f.starts_with("spans/date=20") && f.ends_with(".parquet")), "{files:?}");
    assert!(files.iter().all(|f| f.contains("/hour=") && !f.ends_with(".part")), "{files:?}");
    assert_eq!(engine.spans(), (1000, 1000));
    assert_eq!(engine.ask(&by_route), hot, "the same, sealed");
    let stats = engine.stats();
    let spans = stats.tables.iter().find(|t| t.table == "spans").unwrap();
    assert_eq!((spans.hot_rows, spans.sealed_rows, spans.sealed_files), (0, 1000, 1));
    assert_eq!(stats.signals[0].items, 1000);

    engine.kill();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (1000, 1000));
    assert_eq!(engine.ask(&by_route), hot);
    let sender = Sender::connect(&engine, LOG, 100);
    assert_eq!((sender.progress.wanted, sender.progress.sealed), (Position(100), Position(100)));
    engine.stop();
}

#[test]
fn gaps_are_taken_duplicates_ignored_and_another_log_has_its_own_positions() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(1);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 50);
    for position in [0, 1, 1, 0, 10, 5, 11] {
        assert!(sender.send(source.record(position)));
    }
    assert!(sender.wait(|h| h.visible == 12));
    assert_eq!(engine.spans(), (4, 4));

    let other = Source { log: Uuid::from_u128(7), ..source };
    let mut sender = Sender::connect(&engine, other.log, 50);
    assert_eq!(sender.progress.wanted, Position(0));
    assert!(sender.send(other.record(20)));
    assert!(sender.wait(|h| h.visible == 21));
    engine.ask(".flush");
    assert!(sender.wait(|h| h.sealed == 21));
    let again = Sender::connect(&engine, LOG, 50);
    assert_eq!(again.progress.wanted, Position(12), "the first log is where it was");
    assert_eq!(engine.spans(), (5, 5));
}

#[test]
fn an_undecodable_record_costs_itself_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(3);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 10);
    assert!(sender.send(source.record(0)));
    assert!(sender.send(traces(1, 3, Bytes::from_static(b"\x0a\xff\xff"))));
    assert!(sender.send(source.record(2)));
    assert!(sender.wait(|h| h.visible == 3 && h.aside.contains_key(&1)), "{:?}", sender.heard());
    let kept = files(&dir.path().join("store/aside"));
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kept = std::fs::read(dir.path().join("store/aside").join(&kept[0])).unwrap();
    assert!(kept.starts_with(b"{\"signal\":\"traces\",\"position\":1,") && kept.ends_with(b"\n\x0a\xff\xff"));
    assert_eq!(engine.spans(), (6, 6));
    let stats = engine.stats().signals.remove(0);
    assert_eq!((stats.records, stats.items, stats.undecodable_records, stats.undecodable_items), (2, 6, 1, 3));
    engine.ask(".flush");
    assert!(sender.wait(|h| h.sealed == 3));
}

#[test]
fn hostile_times_make_few_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let mut sender = Sender::connect(&engine, LOG, 3000);
    let day = 86_400_000_000_000;
    let starts = [0, 1, u64::MAX, i64::MAX.cast_unsigned(), i64::MAX.cast_unsigned() + 1];
    let far = (1..1000).flat_map(|d| [now_nanos() - (d + 8) * day, now_nanos() + d * day]);
    let mut sent = 0;
    for start in starts.into_iter().chain(far) {
        let source = Source { log: LOG, spans: 1, start };
        let mut record = source.record(0);
        record.position = Position(sent);
        assert!(sender.send(record));
        sent += 1;
    }
    assert!(sender.wait(|h| h.visible == sent));
    let before = engine.count("SELECT count(*) FROM spans");
    assert_eq!(before, sent);
    engine.ask(".flush");
    assert_eq!(engine.count("SELECT count(*) FROM spans"), sent);
    let files = engine.files().iter().filter(|f| f.starts_with("spans/")).count();
    assert!(files <= 2, "{files}");
}

#[test]
fn memory_over_its_budget_is_sealed_and_counts_stay_right_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[(HOT_MEMORY, "8MiB")]);
    assert!(feed(&engine, &source, 20));
    let sealing = {
        assert_eq!(engine.stats().flushes.count, 0);
        let mut sender = Sender::connect(&engine, LOG, 2000);
        std::thread::spawn(move || {
            for position in 20..2000 {
                assert!(position % 64 != 0 || sender.wait(|h| h.visible + 256 >= position));
                assert!(sender.send(source.record(position)));
            }
            assert!(sender.wait(|h| h.visible == 2000));
        })
    };
    let mut last = 0;
    let mut asked = 0;
    while !sealing.is_finished() {
        let (all, different) = engine.spans();
        assert_eq!(all, different, "a row is seen twice");
        assert!(all >= last && all % 200 == 0, "rows went away, or half a record is visible: {last} {all}");
        (last, asked) = (all, asked + 1);
    }
    sealing.join().unwrap();
    assert!(asked > 3);
    assert_eq!(engine.spans(), (400_000, 400_000));
    let stats = engine.stats();
    assert!(stats.flushes.count >= 2, "{stats:?}");
    // Twice the budget, and the batch that went over it.
    assert!(stats.hot_bytes < 28 << 20, "{}", stats.hot_bytes);
}

#[test]
fn a_count_never_changes_while_the_same_rows_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(500);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for round in 1..=3 {
        assert!(feed(&engine, &source, round * 100));
        let before = engine.stats().flushes.count;
        assert_eq!(engine.ask(".start_flush"), "asked");
        let mut counted = 0;
        loop {
            assert_eq!(engine.spans(), (round * 50_000, round * 50_000));
            counted += 1;
            if engine.stats().flushes.count > before {
                break;
            }
        }
        assert!(counted > 0);
        assert_eq!(engine.spans(), (round * 50_000, round * 50_000));
    }
}

#[test]
fn queries_do_not_hold_back_rows() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(feed(&engine, &source, 1000));
    let mut sender = Sender::connect(&engine, LOG, 2000);
    let sending = std::thread::spawn(move || {
        let mut longest = Duration::ZERO;
        for position in 1000..1020 {
            let sent = Instant::now();
            assert!(sender.send(source.record(position)));
            assert!(sender.wait(|h| h.visible > position));
            longest = longest.max(sent.elapsed());
        }
        longest
    });
    let heavy = "SELECT count(*) FROM spans a JOIN spans b USING (span_id, name) WHERE a.duration_ns < 50";
    let mut asked = 0;
    while !sending.is_finished() {
        engine.ask(heavy);
        asked += 1;
    }
    let longest = sending.join().unwrap();
    println!("{asked} heavy queries, longest wait {longest:?}, longest insert {}", engine.stats().inserts.longest);
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[test]
fn a_store_that_may_not_be_used_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let first = EngineProcess::start(dir.path(), &[]);
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("in use by another vispyr"), "{refused}");
    first.stop();
    std::fs::write(dir.path().join("store/VERSION"), "9\n").unwrap();
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("version 9") && refused.contains("use the newer vispyr"), "{refused}");
}

#[test]
fn a_lost_sealed_file_costs_its_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for next in [5, 10] {
        assert!(feed(&engine, &source, next));
        engine.ask(".flush");
    }
    let lost = engine.files().into_iter().find(|f| f.starts_with("spans/")).unwrap();
    engine.stop();
    std::fs::remove_file(dir.path().join("store/sealed").join(lost)).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (50, 50));
    assert_eq!(engine.stats().missing_files, 1);
}

/// A small file system of its own, if the machine allows one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).output().ok()?;
        if !mounted.status.success() {
            eprintln!("SKIPPED, no tmpfs can be mounted: {}", String::from_utf8_lossy(&mounted.stderr));
            return None;
        }
        Some(SmallDisk(dir.to_owned()))
    }

    fn remount(&self, options: &str) {
        let mut command = Command::new("mount");
        assert!(command.args(["-o", &format!("remount,{options}")]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_keeps_the_rows_and_is_got_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let Some(disk) = SmallDisk::mount(&store, "size=4m") else { return };
    let source = Source::new(200);
    let mut engine = EngineProcess::start(dir.path(), &[(HOT_MEMORY, "4MiB")]);
    // What is in the way, until it is removed.
    let ballast = store.join("ballast");
    let full = std::fs::write(&ballast, vec![b'x'; 8 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert!(feed(&engine, &source, 50));
    let refused = engine.try_ask(".flush").unwrap();
    assert!(refused.starts_with("error"), "{refused}");
    assert_eq!(engine.spans(), (10_000, 10_000), "rows stay");
    assert_eq!(engine.files(), [""; 0], "nothing half written stays");
    assert!(engine.stats().flush_error.is_some());

    // It takes more, up to twice its budget, and then no more.
    let mut sender = Sender::connect(&engine, LOG, 4000);
    let sending = std::thread::spawn(move || {
        for position in 50..2000 {
            assert!(position % 64 != 0 || sender.wait(|h| h.visible + 256 >= position));
            assert!(sender.send(source.record(position)));
        }
        assert!(sender.wait(|h| h.visible == 2000));
    });
    let deadline = Instant::now() + DEADLINE;
    while engine.stats().hot_bytes < 8 << 20 {
        assert!(Instant::now() < deadline, "{:?}", engine.stats());
    }
    assert!(engine.stats().hot_bytes < 20 << 20, "{:?}", engine.stats());
    let (all, different) = engine.spans();
    assert_eq!(all, different);
    assert!(!sending.is_finished());

    std::fs::remove_file(&ballast).unwrap();
    disk.remount("size=256m");
    sending.join().unwrap();
    assert_eq!(engine.spans(), (400_000, 400_000));
    engine.ask(".flush");
    assert_eq!(engine.stats().flush_error, None);
    assert_eq!(engine.spans(), (400_000, 400_000));
}

#[test]
fn a_read_only_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let Some(_disk) = SmallDisk::mount(&store, "size=1m,ro") else { return };
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("store/LOCK") && refused.contains("Read-only file system"), "{refused}");
}

#[test]
fn every_step_has_a_name_once() {
    let mut steps = failpoint::STEPS.to_vec();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), failpoint::STEPS.len());
}

/// The exporter over real logs, an engine that is killed in between, and the ledger.
#[test]
fn the_exporter_outlives_the_engine_and_its_ledger_adds_up() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let destinations = [(exporters::store::DESTINATION.to_owned(), Start::Oldest)];
    let open = |signal: Signal| {
        let folder = dir.path().join("wal").join(signal.name());
        Log::open(folder, signal, &wal::Config::default(), &destinations).unwrap()
    };
    let logs = Logs::new(Signal::ALL.map(open));
    let telemetry = Telemetry::new();
    let shutdown = CancellationToken::new();
    let source = Source::new(10);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let socket = engine.socket();
    let name = exporters::store::DESTINATION.to_owned();
    let connected = exporters::store::connected(&telemetry);
    let run = exporters::store::run(name, logs.clone(), socket, connected, telemetry.clone(), shutdown.clone());
    let exporter = runtime.spawn(run);
    let append = |from: u64, to: u64| {
        for position in from..to {
            let mut record = source.record(position);
            if position == 7 {
                record.batch.payload = Bytes::from_static(b"\x0a\xff");
            }
            runtime.block_on(logs.of(Signal::Traces).append(record.batch)).unwrap();
        }
    };
    let wait = |what: &str, condition: &mut dyn FnMut() -> bool| {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    };
    append(0, 50);
    wait("visible", &mut || engine.spans() == (490, 490));
    engine.ask(".flush");
    append(50, 80);
    wait("more visible", &mut || engine.spans() == (790, 790));
    engine.kill();
    append(80, 100);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    wait("all visible", &mut || engine.spans() == (990, 990));
    engine.ask(".flush");

    let log = logs.of(Signal::Traces);
    wait("all sealed", &mut || log.stats().cursors[0].position == Position(100));
    let text = telemetry.encode();
    let figure = |name: &str| {
        let line = format!("vispyr_{name}_total{{destination=\"store\",signal=\"traces\"}} ");
        text.lines().find_map(|l| l.strip_prefix(line.as_str())?.parse::<u64>().ok()).unwrap_or(0)
    };
    assert_eq!((figure("forwarded_items"), figure("set_aside_items")), (990, 10), "{text}");
    assert_eq!((figure("forwarded_requests"), figure("set_aside_requests")), (99, 1));
    assert!(figure("retried_requests") >= 30, "{text}");
    assert_eq!(log.stats().cursors[0].lag_items, 0);
    assert_eq!(engine.spans(), (990, 990));
    shutdown.cancel();
    runtime.block_on(exporter).unwrap();
    for signal in Signal::ALL {
        logs.of(signal).close();
    }
}
