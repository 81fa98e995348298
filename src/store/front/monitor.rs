//! Looks at the engine from outside: memory that stays past the limit, and a writer that hangs, end with
//! the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::client;
use super::state::{Engine, Kill, State};
use crate::store::process::memory::Memory;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// How long memory may stay over the limit.
const RELIEF: Duration = Duration::from_millis(1500);

/// How long the engine may not answer at all.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs until `shutdown`.
pub async fn run(state: Arc<State>, shutdown: CancellationToken) {
    let memory = memory(&state);
    let health = health(&state);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = memory => {}
        () = health => {}
    }
}

fn up(state: &State) -> Option<(u64, u32)> {
    match &*state.engine.borrow() {
        Engine::Up { number, pid } => Some((*number, *pid)),
        Engine::Down { .. } => None,
    }
}

async fn memory(state: &State) {
    let limit = state.config.engine_memory;
    let mut over_since: Option<Instant> = None;
    loop {
        tokio::time::sleep(EVERY).await;
        state.config.heartbeat.beat();
        let Some((number, pid)) = up(state) else {
            over_since = None;
            continue;
        };
        let Some(resident) = Memory::of(pid).map(|memory| memory.resident).filter(|resident| *resident > limit) else {
            over_since = None;
            continue;
        };
        let since = *over_since.get_or_insert_with(Instant::now);
        if since.elapsed() > RELIEF || resident > limit + limit / 2 {
            let why = format!(
                "the engine took {} MiB of memory, over its limit of {} MiB (store.memory_limit), and was started again",
                resident >> 20,
                limit >> 20
            );
            state.kill(Kill { why, number });
            over_since = None;
            state.end_of(number, Duration::from_secs(5)).await;
        }
    }
}

async fn health(state: &State) {
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let Some((number, _)) = up(state) else { continue };
        let answer = client::ask(&state.config.query_socket, client::get("/-/healthy"), SILENCE).await;
        let why = match answer {
            Some(answer) if answer.status().is_success() => continue,
            Some(answer) => String::from_utf8_lossy(answer.body()).trim().to_owned(),
            None => format!("the engine did not answer for {} s", SILENCE.as_secs()),
        };
        if up(state).is_some_and(|(now, _)| now == number) {
            let why = format!("{why}, and was started again");
            state.kill(Kill { why, number });
            state.end_of(number, Duration::from_secs(5)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::super::{Config, Readers};
    use super::*;

    /// A process that takes the same memory all the time.
    struct Idle(Child);

    impl Idle {
        fn start() -> Self {
            let idle = Idle(Command::new("sleep").arg("600").spawn().unwrap());
            let resident = || Memory::of(idle.0.id()).map(|memory| memory.resident).filter(|resident| *resident > 0);
            let (started, mut last) = (Instant::now(), None);
            // It has its memory once it sleeps.
            while last.is_none() || last != resident() || !idle.sleeps() {
                assert!(started.elapsed() < Duration::from_secs(30));
                last = resident();
                std::thread::yield_now();
            }
            idle
        }

        fn sleeps(&self) -> bool {
            let call = std::fs::read_to_string(format!("/proc/{}/comm", self.0.id())).unwrap();
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
            call.trim() == "sleep" && stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
        }

        fn resident(&self) -> u64 {
            Memory::of(self.0.id()).unwrap().resident
        }
    }

    impl Drop for Idle {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// What the watch asks for under `limit`, and after how long.
    async fn killed(engine: &Idle, limit: u64) -> (Kill, Duration) {
        let dir = std::path::Path::new("/nowhere");
        let config = Config::new(&Default::default(), &Default::default(), dir);
        let state = Arc::new(State::new(Config { engine_memory: limit, ..config }, Readers::nowhere()));
        let mut kills = state.kill_requests.lock().take().unwrap();
        state.engine.send_replace(Engine::Up { number: 3, pid: engine.0.id() });
        let watch = tokio::spawn({
            let state = Arc::clone(&state);
            async move { memory(&state).await }
        });
        let started = Instant::now();
        let kill = tokio::time::timeout(Duration::from_secs(30), kills.recv()).await.unwrap().unwrap();
        watch.abort();
        (kill, started.elapsed())
    }

    #[tokio::test]
    async fn an_engine_over_its_memory_ends() {
        let engine = Idle::start();
        let (kill, after) = killed(&engine, engine.resident() - 4096).await;
        assert_eq!(kill.number, 3);
        assert!(after >= RELIEF, "it has some time to give memory back, not {after:?}");
        assert!(kill.why.contains("over its limit of"), "{}", kill.why);
        // Far over it there is no time for that; a busy machine may take its own.
        let mut at_once = false;
        for _ in 0..5 {
            let (_, after) = killed(&engine, engine.resident() / 2).await;
            at_once |= after < RELIEF;
        }
        assert!(at_once);
    }

    #[tokio::test]
    async fn memory_under_the_limit_is_left_alone() {
        let engine = Idle::start();
        let watched = killed(&engine, engine.resident() + (64 << 20));
        assert!(tokio::time::timeout(RELIEF + Duration::from_millis(500), watched).await.is_err());
    }
}
