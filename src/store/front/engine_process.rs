//! The engine as a child process: started, found ready, ended, started again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::state::{Engine, Kill, State};
use crate::store::engine::{CRASHED, EXIT_FINAL, EXIT_INSERT};
use crate::store::process::restarts::Restarts;
use crate::store::process::{Child, Command, Exit};

/// How long the engine may take to stop when told to. It ends by itself within less.
const STOP_WITHIN: Duration = Duration::from_millis(900);

/// Keeps an engine running until `shutdown`, then stops it. Gives up on one that has never been
/// ready and says that starting it again cannot help: that is for a person to see at once.
pub async fn supervise(state: Arc<State>, command: Command, shutdown: CancellationToken) {
    let Some(mut kills) = state.kill_requests.lock().take() else { return };
    let mut restarts = Restarts::default();
    let mut crashed = false;
    for number in 1_u64.. {
        if !restarts.wait(&shutdown).await {
            return;
        }
        let command = if crashed { command.clone().env(CRASHED, "1") } else { command.clone() };
        let (End { why, by_insert, is_final }, lived) = match Child::start("engine", &command) {
            Ok(mut child) => {
                let end = tokio::select! {
                    end = live(&state, &mut child, number, &mut kills) => end,
                    () = shutdown.cancelled() => {
                        if child.stop(STOP_WITHIN).await {
                            tracing::info!("engine stopped");
                        } else {
                            tracing::info!("the engine was busy and is ended; what is not sealed comes back from the logs");
                        }
                        let why = "the store is stopping".to_owned();
                        state.engine.send_replace(Engine::Down { last: number, why });
                        return;
                    }
                };
                (end, child.age())
            }
            Err(why) => (End { why, by_insert: crashed, is_final: false }, Duration::ZERO),
        };
        crashed = by_insert;
        tracing::error!(why, lived_ms = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX), "engine ended");
        state.engine.send_replace(Engine::Down { last: number, why });
        if is_final && number == 1 {
            return;
        }
        restarts.note(lived);
    }
}

/// How an engine ended.
struct End {
    why: String,
    /// Whether records that it was inserting may have caused it.
    by_insert: bool,
    /// Whether starting it again cannot help.
    is_final: bool,
}

/// From the start to the end of one engine; says how it ended.
async fn live(state: &State, child: &mut Child, number: u64, kills: &mut mpsc::UnboundedReceiver<Kill>) -> End {
    let pid = child.pid();
    match child.ready().await {
        Ok(took) => {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(pid, number, took_ms, "engine ready");
            state.engine.send_replace(Engine::Up { number, pid });
        }
        Err(exit) => return End::of(&exit),
    }
    loop {
        tokio::select! {
            exit = child.wait() => return End::of(&exit),
            Some(kill) = kills.recv() => if kill.number == number {
                // Clients are answered by the reason, so it comes before the sockets close.
                state.engine.send_replace(Engine::Down { last: number, why: kill.why.clone() });
                child.kill().await;
                // No statement runs there: records may have done it.
                return End { why: kill.why, by_insert: true, is_final: false };
            },
        }
    }
}

impl End {
    fn of(exit: &Exit) -> Self {
        let is_code = |code: u8| exit.code() == Some(i32::from(code));
        let why = match () {
            // It has told more itself.
            () if is_code(EXIT_FINAL) => "the engine cannot start".to_owned(),
            () if is_code(EXIT_INSERT) => "rows spoilt the engine".to_owned(),
            () => exit.to_string(),
        };
        End { why, by_insert: exit.is_crash() || is_code(EXIT_INSERT), is_final: is_code(EXIT_FINAL) }
    }
}
