//! What the parts of the front share: whether the engine is up, what it runs, why it ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::Config;
use super::crash_statements::{CrashStatements, fingerprint};

/// Characters of a statement that go to the journal.
const LOGGED: usize = 16 << 10;

/// The engine, as the front knows it. Each start has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// Not there, or not ready. Has the number of the last one, and why it ended.
    Down {
        /// Number of the one that is gone; 0 before the first.
        last: u64,
        /// Why it is gone.
        why: String,
    },
    /// Answers.
    Up {
        /// Its number.
        number: u64,
        /// Its process.
        pid: u32,
    },
}

/// A statement that the engine runs.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// When it was forwarded.
    pub started: Instant,
    /// It was asked to stop, for this reason, at this time.
    pub interrupted: Option<Instant>,
}

/// Ask to end the engine.
#[derive(Debug, Clone)]
pub struct Kill {
    /// Why, for clients and the journal.
    pub why: String,
    /// Ids of the statements to blame; `None` if it may have been any that runs.
    pub suspects: Option<Vec<String>>,
    /// Whether records that were being inserted may have caused it, for want of a statement.
    pub by_insert: bool,
    /// The number of the engine that is meant.
    pub number: u64,
}

/// See the module.
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub config: Config,
    /// The engine now.
    pub engine: watch::Sender<Engine>,
    /// Statements that run now, by id.
    pub running: Mutex<HashMap<String, Statement>>,
    /// Statements that ended the engine before.
    pub crash_statements: Mutex<CrashStatements>,
    kills: mpsc::UnboundedSender<Kill>,
    /// For the supervisor, which takes it.
    pub kill_requests: Mutex<Option<mpsc::UnboundedReceiver<Kill>>>,
}

impl State {
    /// Before the first start of the engine.
    pub fn new(config: Config) -> Self {
        let (kills, requests) = mpsc::unbounded_channel();
        let engine = Engine::Down { last: 0, why: "the store is starting".to_owned() };
        State {
            config,
            engine: watch::Sender::new(engine),
            running: Mutex::default(),
            crash_statements: Mutex::default(),
            kills,
            kill_requests: Mutex::new(Some(requests)),
        }
    }

    /// Asks the supervisor to end the engine.
    pub fn kill(&self, kill: Kill) {
        // It only fails when the supervisor has ended, and with it the engine.
        let _ = self.kills.send(kill);
    }

    /// The number of the engine once it answers, or why it does not within `patience`.
    pub async fn wait_up(&self, patience: Duration) -> Result<u64, String> {
        let mut engine = self.engine.subscribe();
        let up = engine.wait_for(|engine| matches!(engine, Engine::Up { .. }));
        if let Ok(Ok(engine)) = tokio::time::timeout(patience, up).await
            && let Engine::Up { number, .. } = &*engine
        {
            return Ok(*number);
        }
        match &*self.engine.borrow() {
            Engine::Down { why, .. } => Err(why.clone()),
            Engine::Up { .. } => Err("the store is starting".to_owned()),
        }
    }

    /// Why the engine of this number ended, once that is known; `None` if it has not within `patience`.
    pub async fn end_of(&self, number: u64, patience: Duration) -> Option<String> {
        let mut engine = self.engine.subscribe();
        let ended = engine.wait_for(|engine| match engine {
            Engine::Down { last, .. } => *last >= number,
            Engine::Up { number: now, .. } => *now > number,
        });
        match tokio::time::timeout(patience, ended).await {
            Ok(Ok(engine)) => Some(match &*engine {
                Engine::Down { why, .. } => why.clone(),
                Engine::Up { .. } => "the engine was started again".to_owned(),
            }),
            _ => None,
        }
    }

    /// The engine has ended: what ran goes to the journal, and who is to blame is remembered.
    pub fn blame(&self, why: &str, suspects: Option<&[String]>) {
        let running = self.running.lock();
        let mut crash_statements = self.crash_statements.lock();
        for (id, statement) in running.iter() {
            let suspect = suspects.is_none_or(|suspects| suspects.contains(id));
            let deaths = if suspect { crash_statements.record(fingerprint(&statement.text)) } else { 0 };
            let text: String = statement.text.chars().take(LOGGED).collect();
            let ran_ms = u64::try_from(statement.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::error!(statement = text, why, suspect, deaths, ran_ms, "statement ended with the engine");
        }
    }
}
