//! One reader, as the front has it: started, told of files, watched, ended.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process, setpriority_process};
use tokio::process::{Child, ChildStdin, Command};

use super::client;
use super::{Command as Program, Readers};
use crate::store::reader::Changes;
use crate::store::reader::process::SPOILT;

/// How long a reader may take to start. On a machine with much else to do a start takes long, and one that
/// is given up is followed by another.
const START_WITHIN: Duration = Duration::from_secs(120);

/// How long it may take to hear of files.
const HEAR_WITHIN: Duration = Duration::from_secs(20);

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
    /// Its standard input. Taken out, as waiting for a child closes what is left in it.
    _lifeline: Option<ChildStdin>,
    socket: PathBuf,
    spill: PathBuf,
}

/// What others see of a reader.
#[derive(Debug)]
pub struct Watched {
    /// Its number.
    pub number: u64,
    pid: u32,
    stepped_back: AtomicBool,
    /// Why it was ended from outside.
    why: Mutex<Option<String>>,
}

impl Watched {
    /// Memory in bytes that is its own alone; nothing once it is gone.
    pub fn memory(&self) -> Option<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?;
        let mut pages = statm.split(' ').skip(1).map(|pages| pages.parse::<u64>().ok());
        let (resident, shared) = (pages.next()??, pages.next()??);
        Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64)
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
    pub fn kill(&self, why: String) {
        self.why.lock().get_or_insert(why);
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
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
        let Program { program, args } = &readers.command;
        let mut child = Command::new(program)
            .args(args)
            .args(["--number", &number.to_string()])
            // It ends when this does, so that it does not outlive us.
            .stdin(Stdio::piped())
            // The service manager speaks to this process alone.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("a reader cannot be started: {error}"))?;
        let lifeline = child.stdin.take();
        let pid = child.id().unwrap_or_default();
        let started = Instant::now();
        let ready = async {
            loop {
                let answer = client::ask(&socket, client::get("/api/v1/sql"), Duration::from_secs(1)).await;
                if answer.is_some_and(|answer| answer.status().is_success()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let failed = tokio::select! {
            status = child.wait() => Some(format!("a reader cannot start: {}", how(status))),
            ready = tokio::time::timeout(START_WITHIN, ready) => {
                ready.is_err().then(|| format!("a reader did not start within {} s", START_WITHIN.as_secs()))
            }
        };
        let watched = Arc::new(Watched { number, pid, stepped_back: AtomicBool::new(false), why: Mutex::default() });
        let reader = ReaderProcess {
            watched,
            known: None,
            idle_since: Instant::now(),
            child,
            _lifeline: lifeline,
            socket,
            spill,
        };
        match failed {
            Some(why) => {
                reader.end().await;
                Err(why)
            }
            None => {
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(number, pid, took_ms, "reader ready");
                Ok(reader)
            }
        }
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

    /// Ends it, if it has not ended by itself, and removes what it leaves. Why it ended.
    pub async fn end(mut self) -> String {
        let by_itself = self.child.try_wait();
        let status = match by_itself {
            Ok(Some(status)) => Ok(status),
            _ => {
                let _ = self.child.start_kill();
                self.child.wait().await
            }
        };
        let (socket, spill) = (self.socket.clone(), self.spill.clone());
        let removed = tokio::task::spawn_blocking(move || {
            let _ = std::fs::remove_file(socket);
            std::fs::remove_dir_all(spill)
        });
        let _ = removed.await;
        let why = self.watched.why.lock().take();
        why.unwrap_or_else(|| how(status))
    }

    /// The same once it has had a moment to end by itself, whose connection has broken.
    pub async fn end_of_broken(mut self) -> String {
        let _ = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await;
        self.end().await
    }
}

/// How a process ended.
fn how(status: std::io::Result<ExitStatus>) -> String {
    match status.map(|status| (status.signal(), status.code())) {
        Err(error) => format!("it cannot be waited for: {error}"),
        Ok((Some(11), _)) => "the reader crashed (segmentation fault)".to_owned(),
        Ok((Some(6), _)) => "the reader crashed (abort)".to_owned(),
        Ok((Some(9), _)) => "the reader was killed".to_owned(),
        Ok((Some(signal @ (4 | 5 | 7 | 8)), _)) => format!("the reader crashed (signal {signal})"),
        Ok((Some(signal), _)) => format!("the reader was ended by signal {signal}"),
        Ok((None, Some(SPOILT))) => "the statement spoilt the reader's database instance".to_owned(),
        Ok((None, code)) => format!("the reader ended with status {}", code.unwrap_or_default()),
    }
}
