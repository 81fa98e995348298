//! The engine in a process of its own, a collector that feeds it, and what their log holds.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use duckdb::Connection;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parking_lot::{Condvar, Mutex};
use prost::Message;
use uuid::Uuid;
use vispyr::signal::{Batch, Compression, Format, Meta, Signal, now_nanos};
use vispyr::store::Config;
use vispyr::store::engine::sealed_file::LEVEL0;
use vispyr::store::engine::{self, Engine};
use vispyr::store::front::file_list::FileList;
use vispyr::store::instance::Limits;
use vispyr::store::protocol::{self, Frame, LogState, Part, Progress, Quarantined, read_frame};
use vispyr::store::reader::files::Files;
use vispyr::store::reader::instance;
use vispyr::store::reader::views::{Shown, Views};
use vispyr::store::schema::Table;
use vispyr::wal::{Position, Record};

/// Longest wait for anything.
pub use crate::harness::DEADLINE;

/// Nanoseconds of an hour.
pub const HOUR: u64 = 3_600_000_000_000;

/// The log of the tests that need only one.
pub const LOG: Uuid = Uuid::from_u128(0x5e);

/// Overrides the memory of DuckDB.
pub const MEMORY_LIMIT: &str = "VISPYR_TEST_MEMORY_LIMIT";

/// Overrides how long rows may find no memory.
pub const MEMORY_PATIENCE: &str = "VISPYR_TEST_MEMORY_PATIENCE";

/// Overrides `[store.retention]`, as TOML.
pub const RETENTION: &str = "VISPYR_TEST_RETENTION";

/// Overrides how long a statement may run.
pub const STATEMENT_LIMIT: &str = "VISPYR_TEST_STATEMENT_LIMIT";

const FOLDER: &str = "VISPYR_TEST_ENGINE";

/// Overrides how soon rows are sealed.
pub const SEAL_INTERVAL: &str = "VISPYR_TEST_SEAL_INTERVAL";

/// Not a test: the engine process that [`EngineProcess`] starts. Answers SQL from its standard
/// input, one statement a line, until that ends.
#[test]
fn engine_process() {
    let Ok(data_dir) = std::env::var(FOLDER).map(PathBuf::from) else { return };
    // Sealed when a test asks for it, mostly.
    let mut config = Config { seal_interval: Duration::from_secs(3600), ..Config::default() };
    if let Ok(interval) = std::env::var(SEAL_INTERVAL) {
        config.seal_interval = humantime::parse_duration(&interval).unwrap();
    }
    if let Ok(bytes) = std::env::var(MEMORY_LIMIT) {
        config.memory_limit = bytes.parse().unwrap();
    }
    if let Ok(patience) = std::env::var(MEMORY_PATIENCE) {
        config.memory_patience = humantime::parse_duration(&patience).unwrap();
    }
    if let Ok(text) = std::env::var(RETENTION) {
        config.retention = toml::from_str(&text).unwrap();
    }
    if let Ok(limit) = std::env::var(STATEMENT_LIMIT) {
        config.statement_limit = humantime::parse_duration(&limit).unwrap();
    }
    vispyr::store::process::panics::end_the_process();
    let engine = match Engine::open(&config, &data_dir, std::env::var_os(engine::CRASHED).is_some()) {
        Ok(engine) => engine,
        Err(e) => {
            println!("\n=refused {e}");
            return;
        }
    };
    let server = engine.serve(&config.ingest_socket(&data_dir)).unwrap();
    let mut asker = Asker::new(&config.dir(&data_dir));
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
            ".verify" => {
                engine.verify();
                Ok("compared".to_owned())
            }
            ".warnings" => Ok(engine.warnings().join("|")),
            ".health" => engine.health().map(|()| "well".to_owned()),
            ".stats" => Ok(serde_json::to_string(&engine.stats()).unwrap()),
            sql => asker.ask(&engine, sql),
        };
        match answer {
            Ok(text) => println!("\n={text}"),
            Err(e) => println!("\n=error {}", e.replace('\n', " ")),
        }
    }
    server.stop();
    engine.close();
}

/// Asks as a reader does, without the gates.
struct Asker {
    db: Connection,
    sealed: PathBuf,
    list: FileList,
    views: Views,
}

impl Asker {
    fn new(store: &Path) -> Self {
        let sealed = store.join("sealed");
        let limits = Limits { memory: 512 << 20, threads: 2 };
        let db = instance::open(&sealed, &store.join("tmp"), limits).unwrap();
        Asker { db, sealed, list: FileList::new(&store.join("catalog.sqlite")), views: Views::default() }
    }

    fn ask(&mut self, engine: &Engine, sql: &str) -> Result<String, String> {
        engine.wait_until_compared().map_err(|error| error.to_string())?;
        self.list.refresh().map_err(|error| error.to_string())?;
        let mut files = Files::default();
        files.change(self.list.since(None).1);
        for table in Table::ALL {
            let shown =
                Shown { files: files.of(table).map(|file| file.id).collect(), resources: true, ..Shown::default() };
            self.views
                .show(&self.db, &self.sealed, table, &mut files, Some(shown))
                .map_err(|error| error.to_string())?;
        }
        query(&self.db, sql).map_err(|error| error.to_string())
    }
}

fn query(db: &Connection, sql: &str) -> duckdb::Result<String> {
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
        command.args(["--exact", "store::rig::engine_process", "--nocapture", "--test-threads=1"]);
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

    /// The engine's own metrics.
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

    /// Its files of level 0.
    pub fn level0_files(&self) -> Vec<String> {
        let mut files = all_files(&self.data_dir.join("store/sealed"));
        files.retain(|file| file.ends_with(LEVEL0));
        files
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

    /// Waits until it has ended; how.
    pub fn wait_for_end(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
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

/// Every file below a folder but those of level 0.
pub fn files(dir: &Path) -> Vec<String> {
    let mut files = all_files(dir);
    files.retain(|file| !file.ends_with(LEVEL0));
    files
}

fn all_files(dir: &Path) -> Vec<String> {
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
    /// Well inside one hour, whenever the test runs. All of one program are of the same one: a test that makes
    /// two may run over the end of an hour.
    pub fn new(spans: u32) -> Self {
        static START: LazyLock<u64> = LazyLock::new(|| (now_nanos() / HOUR - 1) * HOUR + HOUR / 4);
        Source { log: LOG, spans, start: *START }
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
    pub aside: Vec<Quarantined>,
    pub over: bool,
}

impl Heard {
    /// Whether the record is one that can never be stored.
    pub fn is_aside(&self, position: u64) -> bool {
        self.aside.iter().any(|note| note.position.0 == position && note.part == Part::Record)
    }
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
        let mut aside = Vec::new();
        let progress = loop {
            match read_frame(&mut from).ok()?? {
                Frame::Welcome(progress) => break progress,
                Frame::Quarantined(note) => aside.push(note),
                other => panic!("{other:?}"),
            }
        };
        let progress = progress[0];
        let first = Heard { visible: progress.sealed.0, sealed: progress.sealed.0, aside, ..Heard::default() };
        let heard = Arc::new((Mutex::new(first), Condvar::new()));
        let hears = heard.clone();
        std::thread::spawn(move || {
            loop {
                let frame = read_frame(&mut from);
                let mut heard = hears.0.lock();
                match frame {
                    Ok(Some(Frame::Visible(Signal::Traces, p))) => heard.visible = p.0,
                    Ok(Some(Frame::Sealed(Signal::Traces, p))) => heard.sealed = p.0,
                    Ok(Some(Frame::Quarantined(note))) => heard.aside.push(note),
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

    /// Has made a dead letter of it.
    pub fn keep(&mut self, note: &Quarantined) {
        self.stream.write_all(&Frame::Kept(note.id).encode()).unwrap();
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
