//! What the parts of the front share: whether the engine is up and why it ended, the readers, the files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::client;
use super::crash_statements::CrashStatements;
use super::file_list::FileList;
use super::pool::Pool;
use super::{Config, Readers};
use crate::store::sql::Metrics;

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

/// Ask to end the engine.
#[derive(Debug, Clone)]
pub struct Kill {
    /// Why, for the journal.
    pub why: String,
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
    /// The readers.
    pub pool: Arc<Pool>,
    /// The files of the store.
    pub files: Mutex<FileList>,
    /// Statements that ended a reader before.
    pub crash_statements: Mutex<CrashStatements>,
    /// What became of the statements so far.
    pub metrics: Mutex<Metrics>,
    kills: mpsc::UnboundedSender<Kill>,
    /// For the supervisor, which takes it.
    pub kill_requests: Mutex<Option<mpsc::UnboundedReceiver<Kill>>>,
}

impl State {
    /// Before the first start of the engine.
    pub fn new(config: Config, readers: Readers) -> Self {
        let (kills, requests) = mpsc::unbounded_channel();
        let engine = Engine::Down { last: 0, why: "the store is starting".to_owned() };
        State {
            engine: watch::Sender::new(engine),
            pool: Arc::new(Pool::new(readers, config.sql.concurrency)),
            files: Mutex::new(FileList::new(&config.catalog)),
            crash_statements: Mutex::default(),
            metrics: Mutex::default(),
            kills,
            kill_requests: Mutex::new(Some(requests)),
            config,
        }
    }

    /// Asks the supervisor to end the engine.
    pub fn kill(&self, kill: Kill) {
        // It only fails when the supervisor has ended, and with it the engine.
        let _ = self.kills.send(kill);
    }

    /// Waits until the files have what was acknowledged before.
    ///
    /// # Errors
    /// Why they do not have it within `patience`.
    pub async fn wait_until_whole(&self, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        self.wait_up(patience).await?;
        // The engine has a patience of its own, and says then what is missing.
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
        match client::ask(&self.config.query_socket, client::get("/whole"), left).await {
            Some(answer) if answer.status().is_success() => Ok(()),
            Some(answer) => Err(String::from_utf8_lossy(answer.body()).trim().to_owned()),
            None => Err("the engine does not answer".to_owned()),
        }
    }

    async fn wait_up(&self, patience: Duration) -> Result<(), String> {
        let mut engine = self.engine.subscribe();
        let up = engine.wait_for(|engine| matches!(engine, Engine::Up { .. }));
        if matches!(tokio::time::timeout(patience, up).await, Ok(Ok(_))) {
            return Ok(());
        }
        match &*self.engine.borrow() {
            Engine::Down { why, .. } => Err(why.clone()),
            Engine::Up { .. } => Ok(()),
        }
    }

    /// Waits until the engine of this number has ended, `patience` at most.
    pub async fn end_of(&self, number: u64, patience: Duration) {
        let mut engine = self.engine.subscribe();
        let ended = engine.wait_for(|engine| match engine {
            Engine::Down { last, .. } => *last >= number,
            Engine::Up { number: now, .. } => *now > number,
        });
        let _ = tokio::time::timeout(patience, ended).await;
    }
}
