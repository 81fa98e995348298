//! The engine as a child process: started, found ready, ended, started again.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::client;
use super::state::{Engine, Kill, State};
use crate::store::engine::{CRASHED, EXIT_FINAL, EXIT_INSERT};

/// An engine that lived this long starts again at once.
const LIVED_WELL: Duration = Duration::from_secs(5);

/// The longest wait before the next start.
const MAX_BACKOFF: Duration = Duration::from_secs(3);

/// How long the engine may take to stop when told to. It ends by itself within less.
const STOP_WITHIN: Duration = Duration::from_millis(900);

/// Why an engine ended that said so by [`EXIT_FINAL`]; it has told more itself.
const CANNOT_START: &str = "the engine cannot start";

/// How a process of the store is started.
#[derive(Debug, Clone)]
pub struct Command {
    /// The program, normally this one.
    pub program: PathBuf,
    /// Its arguments: the subcommand, config and data directory.
    pub args: Vec<OsString>,
}

/// Keeps an engine running until `shutdown`, then stops it. Gives up on one that has never been
/// ready and says that starting it again cannot help: that is for a person to see at once.
pub async fn supervise(state: Arc<State>, command: Command, shutdown: CancellationToken) {
    let Some(mut kills) = state.kill_requests.lock().take() else { return };
    let mut backoff = Duration::ZERO;
    let mut crashed = false;
    for number in 1_u64.. {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(backoff) => {}
        }
        let started = Instant::now();
        let end = match start(&command, crashed) {
            Ok(mut child) => {
                // The engine ends when its standard input does, so that it does not outlive a front
                // that was killed. Taken out, as waiting for a child closes what is left in it.
                let _lifeline = child.stdin.take();
                let end = live(&state, &mut child, number, &mut kills, &shutdown).await;
                if shutdown.is_cancelled() {
                    stop(&mut child).await;
                    state.engine.send_replace(Engine::Down { last: number, why: "the store is stopping".to_owned() });
                    return;
                }
                end
            }
            Err(error) => End { why: format!("the engine cannot be started: {error}"), by_insert: crashed },
        };
        let End { why, by_insert } = end;
        crashed = by_insert;
        tracing::error!(
            why,
            lived_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "engine ended"
        );
        let give_up = why == CANNOT_START && number == 1;
        state.engine.send_replace(Engine::Down { last: number, why });
        if give_up {
            return;
        }
        backoff = match started.elapsed() >= LIVED_WELL {
            true => Duration::ZERO,
            false => (backoff * 2).clamp(Duration::from_millis(100), MAX_BACKOFF),
        };
    }
}

fn start(command: &Command, crashed: bool) -> std::io::Result<Child> {
    tokio::process::Command::new(&command.program)
        .envs(crashed.then_some((CRASHED, "1")))
        .args(&command.args)
        .stdin(Stdio::piped())
        // The service manager speaks to this process alone.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        // Ctrl-C at a terminal reaches a whole group; the engine ends when the front tells it to.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// How an engine ended.
struct End {
    why: String,
    /// Whether records that it was inserting may have caused it.
    by_insert: bool,
}

/// From the start to the end of one engine; says how it ended.
async fn live(
    state: &State,
    child: &mut Child,
    number: u64,
    kills: &mut mpsc::UnboundedReceiver<Kill>,
    shutdown: &CancellationToken,
) -> End {
    let pid = child.id().unwrap_or_default();
    let ready = async {
        let started = Instant::now();
        loop {
            let answer =
                client::ask(&state.config.query_socket, client::get("/-/healthy"), Duration::from_secs(1)).await;
            if answer.is_some_and(|answer| answer.status().is_success()) {
                return started.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        status = child.wait() => return End::of(status),
        () = shutdown.cancelled() => return End::asked_for(),
        took = ready => {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(pid, number, took_ms, "engine ready");
            state.engine.send_replace(Engine::Up { number, pid });
        }
    }
    loop {
        tokio::select! {
            status = child.wait() => return End::of(status),
            () = shutdown.cancelled() => return End::asked_for(),
            Some(kill) = kills.recv() => if kill.number == number {
                // Clients are answered by the reason, so it comes before the sockets close.
                state.engine.send_replace(Engine::Down { last: number, why: kill.why.clone() });
                if let Err(error) = child.kill().await {
                    tracing::error!(%error, pid, "cannot end the engine");
                }
                // No statement runs there: records may have done it.
                return End { why: kill.why, by_insert: true };
            },
        }
    }
}

async fn stop(child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    match tokio::time::timeout(STOP_WITHIN, child.wait()).await {
        Ok(_) => tracing::info!("engine stopped"),
        Err(_) => {
            tracing::info!("the engine is busy and is ended; what is not sealed comes back from the logs");
            let _ = child.kill().await;
        }
    }
}

impl End {
    /// It was told to stop.
    fn asked_for() -> Self {
        End { why: String::new(), by_insert: false }
    }

    /// By its exit status. A signal that only the process itself raises may be the fault of what it
    /// wrote.
    fn of(status: std::io::Result<ExitStatus>) -> Self {
        let (why, by_insert) = match status {
            Err(error) => (format!("the engine cannot be waited for: {error}"), false),
            Ok(status) => match (status.signal(), status.code()) {
                (Some(11), _) => ("the engine crashed (segmentation fault)".to_owned(), true),
                (Some(6), _) => ("the engine crashed (abort)".to_owned(), true),
                (Some(9), _) => ("the engine was killed".to_owned(), false),
                (Some(signal @ (4 | 7 | 8)), _) => (format!("the engine crashed (signal {signal})"), true),
                (Some(signal), _) => (format!("the engine was ended by signal {signal}"), false),
                (None, Some(code)) if code == i32::from(EXIT_FINAL) => (CANNOT_START.to_owned(), false),
                (None, Some(code)) if code == i32::from(EXIT_INSERT) => ("rows spoilt the engine".to_owned(), true),
                (None, code) => (format!("the engine ended with status {}", code.unwrap_or_default()), false),
            },
        };
        End { why, by_insert }
    }
}
