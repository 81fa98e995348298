//! Runs the real program for a test: own data directory, port 0 everywhere, waits for conditions
//! with a deadline, and leaves no process behind.
#![allow(dead_code, reason = "each test module uses a part of it")]

mod http;
mod processes;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use http_body_util::Full;
use serde_json::Value;

pub use self::http::{Answer, get, post, send, sum_of};
use self::processes::kill_tree;
pub use self::processes::{children_of, signal, subcommand_of};

/// How long a condition may take before a test fails: the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_vispyr");

/// What a test wants to differ from the default.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Subcommand; empty means `serve`.
    pub command: &'static str,
    /// Further arguments.
    pub args: Vec<String>,
    /// TOML that is laid over the harness's own config.
    pub config: String,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// A command before the program's own, such as `bash -c ...`.
    pub wrap: Vec<String>,
    /// Puts something into the data directory before the first start.
    pub prepare: Option<fn(&Path)>,
    /// Do not wait for `/-/ready`, only for the addresses.
    pub not_ready: bool,
}

impl Options {
    /// The defaults with this config laid over.
    pub fn config(config: &str) -> Self {
        Options { config: config.to_owned(), ..Options::default() }
    }
}

/// A running `vispyr serve`.
#[derive(Debug)]
pub struct Vispyr {
    folder: tempfile::TempDir,
    options: Options,
    child: Child,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Vispyr {
    /// Starts the program and waits until it is ready.
    pub async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config: toml::Table = toml::from_str(DEFAULT_CONFIG).unwrap();
        lay_over(&mut config, toml::from_str(&options.config).expect("the test's config is TOML"));
        fs::write(folder.path().join("vispyr.toml"), config.to_string()).unwrap();
        if let Some(prepare) = options.prepare {
            prepare(&folder.path().join("data"));
        }
        let child = spawn(folder.path(), &options);
        let mut vispyr = Vispyr { folder, options, child, addresses: BTreeMap::new() };
        vispyr.wait_started().await;
        vispyr
    }

    /// Starts it with the defaults.
    pub async fn serve() -> Self {
        Self::start(Options::default()).await
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The address of `otlp_grpc`, `otlp_http`, `remote_write`, `pyroscope`, `web`, `sql` or `postgres`.
    pub fn address(&self, name: &str) -> SocketAddr {
        *self.addresses.get(name).unwrap_or_else(|| panic!("no address {name:?} in {:?}", self.addresses))
    }

    /// `http://ADDRESS/path` of one of the listeners.
    pub fn url(&self, name: &str, path: &str) -> String {
        format!("http://{}{path}", self.address(name))
    }

    /// Asks the store; the whole answer, whatever its status.
    pub async fn ask(&self, statement: &str, accept: &str) -> Answer {
        let request = ::http::Request::post(self.url("sql", "/api/v1/sql"))
            .header("content-type", "text/plain")
            .header("accept", accept)
            .body(Full::from(statement.to_owned()))
            .unwrap();
        send(request).await.unwrap_or_else(|e| panic!("no answer to {statement}: {e}"))
    }

    /// Asks the store and gives the rows: one array of cells a row.
    pub async fn sql(&self, statement: &str) -> Vec<Vec<Value>> {
        let answer = self.ask(statement, "application/json").await;
        assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
        rows(&answer.json())
    }

    /// The only cell of the only row, as a whole number (also when it comes as a string).
    pub async fn count(&self, statement: &str) -> i64 {
        let rows = self.sql(statement).await;
        assert_eq!(rows.len(), 1, "{statement}: {rows:?}");
        whole(&rows[0][0]).unwrap_or_else(|| panic!("{statement}: not a number: {rows:?}"))
    }

    /// Asks again until the only cell is `expected`. An answer that is not 200 (the store may be
    /// starting again) is asked again, too.
    pub async fn wait_count(&self, statement: &str, expected: i64) {
        let mut last = String::new();
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            let request = ::http::Request::post(self.url("sql", "/api/v1/sql"))
                .header("content-type", "text/plain")
                .header("accept", "application/json")
                .body(Full::from(statement.to_owned()))
                .unwrap();
            last = match send(request).await {
                Ok(answer) if answer.status == 200 => {
                    let rows = rows(&answer.json());
                    if rows.len() == 1 && whole(&rows[0][0]) == Some(expected) {
                        return;
                    }
                    format!("{rows:?}")
                }
                Ok(answer) => answer.text(),
                Err(e) => e,
            };
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{statement}: waited for {expected}, last was {last}\n{}", self.log_tail());
    }

    /// `/metrics` as text.
    pub async fn metrics(&self) -> String {
        let answer = get(&self.url("web", "/metrics")).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// The sum of all samples of `name` whose labels contain every one of `labels`
    /// (`signal="traces"`); 0 if there is none.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum_of(&self.metrics().await, name, labels)
    }

    /// Waits until `condition` says so; `what` is for the message.
    pub async fn wait<F, T>(&self, what: &str, mut condition: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited in vain until {what}\n{}", self.log_tail());
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The engine's process id, if it runs.
    pub fn engine_pid(&self) -> Option<u32> {
        children_of(self.pid()).into_iter().find(|pid| subcommand_of(*pid).as_deref() == Some("engine"))
    }

    /// The process ids of the readers.
    pub fn reader_pids(&self) -> Vec<u32> {
        let readers = children_of(self.pid()).into_iter();
        readers.filter(|pid| subcommand_of(*pid).as_deref() == Some("reader")).collect()
    }

    /// SIGKILL to the program and its engine. Start it again with [`Self::restart`].
    pub fn kill9(&mut self) {
        kill_tree(&mut self.child);
    }

    /// SIGKILL to the engine alone.
    pub fn kill9_engine(&self) {
        if let Some(pid) = self.engine_pid() {
            signal(pid, rustix::process::Signal::KILL);
        }
    }

    /// SIGTERM, then waits for the end: its status and how long it took.
    pub async fn stop(&mut self) -> (ExitStatus, Duration) {
        signal(self.pid(), rustix::process::Signal::TERM);
        self.wait_ended().await
    }

    /// Waits until the program has ended by itself.
    pub async fn wait_ended(&mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begin.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not end\n{}", self.log_tail());
    }

    /// Starts it again (killing it first if it still runs) on the same data and the same ports.
    pub async fn restart(&mut self) {
        kill_tree(&mut self.child);
        let path = self.folder.path().join("vispyr.toml");
        let mut config: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (name, address) in &self.addresses {
            let section = match name.as_str() {
                "web" | "sql" | "postgres" => format!("[{name}]"),
                _ => format!("[receivers.{name}]"),
            };
            let pinned = format!("{section}\nlisten = \"{address}\"\n");
            lay_over(&mut config, toml::from_str(&pinned).unwrap());
        }
        fs::write(&path, config.to_string()).unwrap();
        let _ = fs::remove_file(self.addresses_file());
        self.child = spawn(self.folder.path(), &self.options);
        self.wait_started().await;
    }

    /// Other variables for the next start.
    pub fn set_env(&mut self, env: Vec<(String, String)>) {
        self.options.env = env;
    }

    /// Lays other settings over the config, for the next start.
    pub fn reconfigure(&self, over: &str) {
        let path = self.folder.path().join("vispyr.toml");
        let mut config: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        lay_over(&mut config, toml::from_str(over).expect("the test's config is TOML"));
        fs::write(&path, config.to_string()).unwrap();
    }

    /// What the program has written so far, its start message and logs.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", read("stdout"), read("stderr"))
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }

    fn addresses_file(&self) -> PathBuf {
        self.data_dir().join("run/addresses.json")
    }

    async fn wait_started(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        let file = self.addresses_file();
        loop {
            if let Some(addresses) = read_addresses(&file) {
                self.addresses = addresses;
                let ready = || async { get(&self.url("web", "/-/ready")).await.is_ok_and(|a| a.status == 200) };
                if self.options.not_ready || ready().await {
                    return;
                }
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status} before it was ready:\n{}", self.log_tail());
            }
            assert!(Instant::now() < deadline, "not ready in time:\n{}", self.log_tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Vispyr {
    fn drop(&mut self) {
        kill_tree(&mut self.child);
        if std::thread::panicking() {
            eprintln!("--- the program's log ---\n{}", self.log_tail());
        }
    }
}

/// Port 0 everywhere.
pub const DEFAULT_CONFIG: &str = r#"
[receivers.otlp_grpc]
listen = "127.0.0.1:0"
[receivers.otlp_http]
listen = "127.0.0.1:0"
[receivers.remote_write]
listen = "127.0.0.1:0"
[receivers.pyroscope]
listen = "127.0.0.1:0"
[web]
listen = "127.0.0.1:0"
[sql]
listen = "127.0.0.1:0"
[postgres]
listen = "127.0.0.1:0"
"#;

fn spawn(folder: &Path, options: &Options) -> Child {
    let append = |name| File::options().create(true).append(true).open(folder.join(name)).unwrap();
    let mut command = match options.wrap.as_slice() {
        [] => Command::new(PROGRAM),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(PROGRAM);
            command
        }
    };
    command
        .arg(if options.command.is_empty() { "serve" } else { options.command })
        .arg("--config")
        .arg(folder.join("vispyr.toml"))
        .arg("--data-dir")
        .arg(folder.join("data"))
        .args(&options.args)
        .envs(options.env.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(append("stdout"))
        .stderr(append("stderr"))
        // A group of its own: a Ctrl-C at the test does not reach it twice.
        .process_group(0);
    command.spawn().unwrap()
}

/// Lays `over` over `base`, table by table.
fn lay_over(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn read_addresses(file: &Path) -> Option<BTreeMap<String, SocketAddr>> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

/// The rows of a JSON answer, whether rows are arrays or objects.
fn rows(answer: &Value) -> Vec<Vec<Value>> {
    let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("no rows in {answer}"));
    rows.iter()
        .map(|row| match row {
            Value::Array(cells) => cells.clone(),
            Value::Object(cells) => cells.values().cloned().collect(),
            other => vec![other.clone()],
        })
        .collect()
}

fn whole(cell: &Value) -> Option<i64> {
    cell.as_i64().or_else(|| cell.as_str()?.parse().ok()).or_else(|| cell.as_f64().map(|f| f as i64))
}

/// Rows that are not sealed yet, by what the status says of the store.
pub fn level0_rows(store: &serde_json::Value) -> u64 {
    store["tables"].as_array().unwrap().iter().map(|table| table["level0_rows"].as_u64().unwrap()).sum()
}
