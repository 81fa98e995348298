//! Statements as they run: time limits, interrupts. One at a time; who waits is the store front's matter.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use self::job::{Job, Stop};
use super::Config;
use super::dialect::Dialect;
use super::error::SqlError;
use super::format::{Kind, Summary};
use super::parse::Parser;
use super::request::Query;

pub use self::source::{FilesOpened, Interrupts, Opened, READ_ONLY, Source, Statement};

mod job;
mod source;

/// Stack of a thread that runs a statement: deep expressions recurse, and 2 MiB are too few.
pub const STACK: usize = 64 << 20;

/// What is wanted of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Its rows, in a format.
    Rows(Kind),
    /// What it takes and gives, as JSON ([`super::describe::Description`]).
    Description,
}

/// A piece of an answer.
#[derive(Debug)]
pub enum Piece {
    /// What comes before the first bytes.
    Start(Start),
    /// Bytes in the format asked for.
    Data(Bytes),
    /// The end of a whole answer.
    End(Summary),
    /// The end of one that failed.
    Error(SqlError),
}

/// What is known of an answer before its first row.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// What it lacks, in sentences.
    pub warnings: Vec<String>,
    /// How many files it is from, where that is known.
    pub files: Option<FilesOpened>,
}

/// Runs statements. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn Source>,
    parser: Option<Parser>,
    config: Config,
    /// What a statement runs on is made for it.
    turn: Semaphore,
}

impl Service {
    /// A service on the connections that `source` gives.
    ///
    /// # Errors
    /// DuckDB's, if the instance that parses cannot be opened.
    pub fn new(source: impl Source, config: Config) -> Result<Self, duckdb::Error> {
        let parser = if config.gates { Some(Parser::new()?) } else { None };
        let inner = Inner { source: Box::new(source), parser, turn: Semaphore::new(1), config };
        Ok(Service { inner: Arc::new(inner) })
    }

    /// The limits that hold.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Whether a statement runs now.
    pub fn is_busy(&self) -> bool {
        self.inner.turn.available_permits() == 0
    }

    /// Starts a statement. Dropping the receiver interrupts it.
    pub fn start(&self, query: Query, kind: Kind) -> mpsc::Receiver<Piece> {
        self.start_in(Dialect::Duckdb, query, Wanted::Rows(kind))
    }

    /// The same for a statement in a dialect, of which something is wanted.
    pub fn start_in(&self, dialect: Dialect, query: Query, wanted: Wanted) -> mpsc::Receiver<Piece> {
        let (pieces, receiver) = mpsc::channel(4);
        let service = self.clone();
        tokio::spawn(async move {
            if let Err(error) = service.turn(dialect, query, wanted, pieces.clone()).await {
                // Nobody listens any more if this fails.
                let _ = pieces.send(Piece::Error(error)).await;
            }
        });
        receiver
    }

    /// Runs a statement and gathers its answer.
    ///
    /// # Errors
    /// What came of it instead.
    pub async fn collect(&self, query: Query, kind: Kind) -> Result<(Vec<u8>, Summary), SqlError> {
        let mut receiver = self.start(query, kind);
        let mut body = Vec::new();
        while let Some(piece) = receiver.recv().await {
            match piece {
                Piece::Start(_) => {}
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End(summary) => return Ok((body, summary)),
                Piece::Error(error) => return Err(error),
            }
        }
        Err(SqlError::Interrupted("the answer broke off".to_owned()))
    }

    /// Waits for its turn, then watches over the thread that runs the statement.
    async fn turn(
        &self,
        dialect: Dialect,
        query: Query,
        wanted: Wanted,
        pieces: mpsc::Sender<Piece>,
    ) -> Result<(), SqlError> {
        let started = Instant::now();
        let limit = self.inner.config.time_limit;
        let turn = tokio::select! {
            turn = tokio::time::timeout(limit, self.inner.turn.acquire()) => turn,
            () = pieces.closed() => return Ok(()),
        };
        let Ok(Ok(turn)) = turn else { return Err(SqlError::Busy(1)) };

        let stop = Stop::default();
        let (ended, mut end) = tokio::sync::oneshot::channel();
        let interrupts = Interrupts::default();
        let job = Job {
            service: self.clone(),
            dialect,
            query,
            wanted,
            started,
            stop: stop.clone(),
            interrupts: interrupts.clone(),
            pieces: pieces.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        std::thread::Builder::new()
            .name("sql".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job.run()));
                let outcome =
                    outcome.unwrap_or_else(|_| Err(SqlError::Fatal("the statement made a thread panic".into())));
                // The watcher below is there until this arrives.
                let _ = ended.send(outcome);
            })
            .map_err(|e| SqlError::Unavailable(format!("no thread for the statement: {e}")))?;

        let deadline = tokio::time::sleep(limit.saturating_sub(started.elapsed()));
        tokio::pin!(deadline);
        let outcome = loop {
            tokio::select! {
                outcome = &mut end => break outcome,
                () = &mut deadline, if !stop.token.is_cancelled() => stop.because(SqlError::TimeLimit(limit)),
                () = pieces.closed(), if !stop.token.is_cancelled() => {
                    stop.because(SqlError::Interrupted("the client went away".to_owned()));
                }
                // Again and again: an interrupt that comes between two phases is forgotten.
                () = tokio::time::sleep(Duration::from_millis(50)), if stop.token.is_cancelled() => {}
            }
            if stop.token.is_cancelled() {
                interrupts.interrupt();
            }
        };
        let outcome = outcome.unwrap_or_else(|_| Err(SqlError::Fatal("the statement's thread is gone".to_owned())));
        let last = match outcome {
            Ok(summary) => Piece::End(summary),
            Err(error) => Piece::Error(stop.explain(error)),
        };
        // The statement is done: a client that does not read must not hold its turn.
        drop(turn);
        let _ = tokio::time::timeout(limit, pieces.send(last)).await;
        Ok(())
    }
}
