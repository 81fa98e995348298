//! One reader, as the front has it: started, told of files, watched, ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, setpriority_process};

use super::{Readers, client};
use crate::store::process::EXIT_SPOILT;
use crate::store::process::child::{self, Child};
use crate::store::process::memory::Memory;
use crate::store::reader::Changes;
use crate::telemetry::process::Usage;

/// How long a reader may take to start. On a machine with much else to do a start takes long, and one that
/// is given up is followed by another.
const START_WITHIN: Duration = Duration::from_secs(120);

/// How long it may take to hear of files.
const HEAR_WITHIN: Duration = Duration::from_secs(20);

/// What the allocator of DuckDB's library reads at its start: memory that is not used goes back to the system after a
/// tenth of a second. There are several readers, and none was measurably slower by it.
const ALLOCATOR: (&str, &str) = ("DUCKDB_JE_MALLOC_CONF", "dirty_decay_ms:100,muzzy_decay_ms:0");

/// Seconds of CPU after which a statement has taken long. By the clock each would soon have, on a machine that others
/// keep busy, and it would go behind those as well and hardly run any more.
const LONG: f64 = 0.25;

/// How often that is looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// The nice value of a reader whose statement takes long.
const SLOW: i32 = 10;

/// A reader that is there. Killed when dropped.
#[derive(Debug)]
pub struct ReaderProcess {
    /// What others watch of it.
    pub watched: Arc<Watched>,
    /// The version of the list of files that it knows.
    pub known: Option<u64>,
    /// When its last statement ended.
    pub idle_since: Instant,
    child: Child,
    socket: PathBuf,
    spill: PathBuf,
}

/// How a reader has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// In words.
    pub why: String,
    /// Whether it came of its statement: it would end the next reader, too.
    pub by_statement: bool,
}

impl End {
    /// Its statement has crashed it.
    pub fn crash() -> Self {
        End { why: "the reader crashed (internal error)".to_owned(), by_statement: true }
    }
}

/// What others see of a reader.
#[derive(Debug)]
pub struct Watched {
    /// Its number.
    pub number: u64,
    pid: u32,
    stepped_back: AtomicBool,
    /// Why it was ended from outside.
    why: Mutex<Option<End>>,
}

impl Watched {
    /// Memory in bytes that is its own alone; nothing once it is gone.
    pub fn memory(&self) -> Option<u64> {
        Some(Memory::of(self.pid)?.own)
    }

    /// Seconds of CPU that it has had; nothing once it is gone.
    pub fn cpu_seconds(&self) -> Option<f64> {
        Some(Usage::of_process(self.pid)?.cpu_seconds)
    }

    /// Waits until its statement has taken long: so that it goes behind others, and others begin beside it.
    pub async fn takes_long(&self) {
        let before = self.cpu_seconds().unwrap_or_default();
        while self.cpu_seconds().is_none_or(|now| now - before < LONG) {
            tokio::time::sleep(LOOKED_AT_EVERY).await;
        }
    }

    /// Gives its threads this nice value. False if the system does not let us, or it is gone.
    fn renice(&self, nice: i32) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        let threads = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).filter_map(Pid::from_raw);
        let mut set = threads.map(|thread| setpriority_process(Some(thread), nice).is_ok()).peekable();
        set.peek().is_some() && set.all(|set| set)
    }

    /// Its statement takes long: statements that do not go before it from here on.
    pub fn step_back(&self) {
        self.stepped_back.store(true, Ordering::Relaxed);
        self.renice(SLOW);
    }

    /// Its statement is over. False if it has to stay behind others; for that one needs a right that we may
    /// not have.
    pub fn step_forward(&self) -> bool {
        !self.stepped_back.swap(false, Ordering::Relaxed) || self.renice(0)
    }

    /// Ends it; the first reason stands. Its process is not waited for by this, so the number of the process is
    /// nobody else's yet.
    pub fn kill(&self, end: End) {
        self.why.lock().get_or_insert(end);
        child::signal(self.pid, Signal::KILL);
    }
}

impl ReaderProcess {
    /// Starts a reader and waits until it answers.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn start(readers: &Readers, number: u64) -> Result<Self, String> {
        let socket = readers.sockets.join(format!("reader-{number}.sock"));
        let spill = readers.spill.join(format!("reader-{number}"));
        let command = readers.command.clone().args(["--number", &number.to_string()]).env(ALLOCATOR.0, ALLOCATOR.1);
        let mut child = Child::start("reader", &command)?;
        let ready = tokio::time::timeout(START_WITHIN, child.ready()).await;
        let pid = child.pid();
        let watched = Arc::new(Watched { number, pid, stepped_back: AtomicBool::new(false), why: Mutex::default() });
        let reader = ReaderProcess { watched, known: None, idle_since: Instant::now(), child, socket, spill };
        let why = match ready {
            Ok(Ok(took)) => {
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(number, pid, took_ms, "reader ready");
                return Ok(reader);
            }
            Ok(Err(exit)) => format!("a reader cannot start: {exit}"),
            Err(_) => format!("a reader did not start within {} s", START_WITHIN.as_secs()),
        };
        reader.end().await;
        Err(why)
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Tells it what has changed. False if it does not take it.
    pub async fn tell(&mut self, version: u64, changes: &Changes) -> bool {
        let Ok(body) = serde_json::to_vec(changes) else { return false };
        let answer = client::ask(&self.socket, client::request(Method::PUT, "/files", body.into()), HEAR_WITHIN).await;
        let heard = answer.is_some_and(|answer| answer.status() == StatusCode::NO_CONTENT);
        if heard {
            self.known = Some(version);
        }
        heard
    }

    /// Whether no statement runs in it.
    pub async fn is_free(&self) -> bool {
        let answer = client::ask(&self.socket, client::get("/api/v1/sql"), Duration::from_millis(500)).await;
        answer.is_some_and(|answer| answer.status().is_success())
    }

    /// Ends it, if it has not ended by itself, and removes what it leaves.
    pub async fn end(mut self) {
        self.child.kill().await;
        self.remove().await;
    }

    /// The same for one whose connection has broken, once it has had a moment to end by itself. How it ended.
    pub async fn end_of_broken(mut self) -> End {
        let by_itself = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await.ok();
        let end = match &by_itself {
            Some(exit) if exit.code() == Some(EXIT_SPOILT) => End::crash(),
            Some(exit) => End { why: exit.to_string(), by_statement: true },
            None => {
                self.child.kill().await;
                End { why: "the reader did not answer any more and was ended".to_owned(), by_statement: false }
            }
        };
        let end = self.watched.why.lock().take().unwrap_or(end);
        self.remove().await;
        end
    }

    async fn remove(self) {
        let (socket, spill) = (self.socket.clone(), self.spill.clone());
        let removed = tokio::task::spawn_blocking(move || {
            let _ = std::fs::remove_file(socket);
            std::fs::remove_dir_all(spill)
        });
        let _ = removed.await;
    }
}
