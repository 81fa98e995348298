//! Looks at the engine from outside: a statement that ignores its interrupt, memory that stays
//! past the limit, and a writer or readers that hang end with the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::engine_client;
use super::state::{Engine, Kill, State};

/// How often memory is looked at: a single call can take a gigabyte in a
/// third of a second.
const EVERY: Duration = Duration::from_millis(20);

/// How long an interrupt has to bring memory down again.
const RELIEF: Duration = Duration::from_millis(1500);

/// How long the engine may not answer at all.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs until `shutdown`.
pub async fn run(state: Arc<State>, shutdown: CancellationToken) {
    let memory = memory(&state);
    let time = time(&state);
    let health = health(&state);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = memory => {}
        () = time => {}
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
        let Some((number, pid)) = up(state) else {
            over_since = None;
            continue;
        };
        let Some(resident) = resident(pid).filter(|resident| *resident > limit) else {
            over_since = None;
            continue;
        };
        let since = *over_since.get_or_insert_with(Instant::now);
        if since.elapsed() > RELIEF || resident > limit + limit / 2 {
            let why = format!(
                "the engine took {} MiB of memory, over the limit of {} MiB (sql.memory_limit), and was started again",
                resident >> 20,
                limit >> 20
            );
            let (asked, none_runs): (Vec<String>, bool) = {
                let running = state.running.lock();
                let asked = running.iter().filter(|(_, s)| s.interrupted.is_some()).map(|(id, _)| id.clone());
                (asked.collect(), running.is_empty())
            };
            state.kill(Kill { why, suspects: Some(asked), by_insert: none_runs, number });
            over_since = None;
            let _ = state.end_of(number, Duration::from_secs(5)).await;
            continue;
        }
        // The newest that has not been asked yet; one more each time round until memory falls.
        let newest = {
            let mut running = state.running.lock();
            let any_asked =
                running.values().any(|s| s.interrupted.is_some_and(|at| at.elapsed() < Duration::from_millis(300)));
            let newest = running.iter_mut().filter(|(_, s)| s.interrupted.is_none()).max_by_key(|(_, s)| s.started);
            match newest {
                Some((id, statement)) if !any_asked => {
                    statement.interrupted = Some(Instant::now());
                    Some(id.clone())
                }
                _ => None,
            }
        };
        if let Some(id) = newest {
            tracing::warn!(
                id,
                resident_mib = resident >> 20,
                limit_mib = limit >> 20,
                "memory over the limit, interrupting"
            );
            engine_client::interrupt(state, &id, "memory over the limit (sql.memory_limit)").await;
        }
    }
}

async fn time(state: &State) {
    let limit = state.config.sql.time_limit + state.config.grace;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        state.config.heartbeat.beat();
        let Some((number, _)) = up(state) else { continue };
        let late = state.running.lock().values().any(|statement| statement.started.elapsed() > limit);
        if !late {
            continue;
        }
        // A client that reads slowly keeps a statement on our list that the engine is done with.
        let running = engine_client::running(state).await;
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let suspects: Vec<String> = match &running {
            Some(running) => running.iter().filter(|(_, ms)| **ms > limit_ms).map(|(id, _)| id.clone()).collect(),
            None => state
                .running
                .lock()
                .iter()
                .filter(|(_, s)| s.started.elapsed() > limit)
                .map(|(id, _)| id.clone())
                .collect(),
        };
        if suspects.is_empty() {
            continue;
        }
        let limit = humantime::format_duration(state.config.sql.time_limit);
        let why = format!(
            "a statement ran on past the time limit of {limit} (sql.time_limit) and ignored its interrupt; the engine was started again"
        );
        state.kill(Kill { why, suspects: Some(suspects), by_insert: false, number });
        let _ = state.end_of(number, Duration::from_secs(5)).await;
    }
}

async fn health(state: &State) {
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let Some((number, _)) = up(state) else { continue };
        let answer = engine_client::ask(state, engine_client::get("/-/healthy"), SILENCE).await;
        let why = match answer {
            Some(answer) if answer.status().is_success() => continue,
            Some(answer) => String::from_utf8_lossy(answer.body()).trim().to_owned(),
            None => format!("the engine did not answer for {} s", SILENCE.as_secs()),
        };
        if up(state).is_some_and(|(now, _)| now == number) {
            let why = format!("{why}, and was started again");
            let by_insert = state.running.lock().is_empty();
            state.kill(Kill { why, suspects: None, by_insert, number });
            let _ = state.end_of(number, Duration::from_secs(5)).await;
        }
    }
}

/// Resident memory of a process in bytes.
pub fn resident(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::super::Config;
    use super::super::state::Statement;
    use super::*;

    /// A process that takes the same memory all the time.
    struct Idle(Child);

    impl Idle {
        fn start() -> Self {
            let idle = Idle(Command::new("sleep").arg("600").spawn().unwrap());
            let resident = || resident(idle.0.id()).filter(|resident| *resident > 0);
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
            resident(self.0.id()).unwrap()
        }
    }

    impl Drop for Idle {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// What the watch asks for while `engine` runs these statements under `limit`, after how long, and which
    /// statements it has interrupted before.
    async fn killed(engine: &Idle, limit: u64, statements: &[&str]) -> (Kill, Duration, Vec<String>) {
        let dir = std::path::Path::new("/nowhere");
        let config = Config::new(&Default::default(), &Default::default(), dir);
        let state = Arc::new(State::new(Config { engine_memory: limit, ..config }));
        let mut kills = state.kill_requests.lock().take().unwrap();
        for id in statements {
            let statement = Statement { text: format!("SELECT '{id}'"), started: Instant::now(), interrupted: None };
            state.running.lock().insert((*id).to_owned(), statement);
        }
        state.engine.send_replace(Engine::Up { number: 3, pid: engine.0.id() });
        let watch = tokio::spawn({
            let state = Arc::clone(&state);
            async move { memory(&state).await }
        });
        let started = Instant::now();
        let kill = tokio::time::timeout(Duration::from_secs(30), kills.recv()).await.unwrap().unwrap();
        watch.abort();
        let running = state.running.lock();
        let mut asked: Vec<_> = running.iter().filter_map(|(id, one)| Some((one.interrupted?, id.clone()))).collect();
        asked.sort();
        (kill, started.elapsed(), asked.into_iter().map(|(_, id)| id).collect())
    }

    #[tokio::test]
    async fn memory_over_the_limit_without_a_statement_is_for_the_records() {
        let engine = Idle::start();
        let (kill, after, _) = killed(&engine, engine.resident() - 4096, &[]).await;
        assert!(kill.by_insert && kill.number == 3, "{kill:?}");
        assert_eq!(kill.suspects, Some(Vec::new()));
        assert!(after >= RELIEF, "it has some time to give memory back, not {after:?}");
        assert!(kill.why.contains("over the limit of"), "{}", kill.why);
        // Far over it there is no time for that; a busy machine may take its own.
        let mut at_once = false;
        for _ in 0..5 {
            let (kill, after, _) = killed(&engine, engine.resident() / 2, &[]).await;
            assert!(kill.by_insert, "{kill:?}");
            at_once |= after < RELIEF;
        }
        assert!(at_once);
    }

    #[tokio::test]
    async fn with_statements_the_newest_is_stopped_first_and_no_record_is_at_fault() {
        let engine = Idle::start();
        let (kill, _, asked) = killed(&engine, engine.resident() - 4096, &["old", "new"]).await;
        assert_eq!(asked, ["new", "old"]);
        assert!(!kill.by_insert, "{kill:?}");
        let mut suspects = kill.suspects.unwrap();
        suspects.sort();
        assert_eq!(suspects, ["new", "old"]);
    }

    #[tokio::test]
    async fn memory_under_the_limit_is_left_alone() {
        let engine = Idle::start();
        let watched = killed(&engine, engine.resident() + (64 << 20), &["one"]);
        assert!(tokio::time::timeout(RELIEF + Duration::from_millis(500), watched).await.is_err());
    }
}
