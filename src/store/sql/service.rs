//! Statements as they run: taking turns, time limits, interrupts.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duckdb::{Connection, InterruptHandle};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::error::SqlError;
use super::execute::Run;
use super::format::{Kind, Summary};
use super::metrics::Metrics;
use super::parse::Parser;
use super::request::Query;

/// Stack of a thread that runs a statement: deep expressions recurse, and 2 MiB are too few.
const STACK: usize = 64 << 20;

/// Statements that wait for their turn, for each that may run.
const WAITING: usize = 8;

/// How long a client may leave a piece of its answer unread while other statements wait for a turn.
const UNREAD: Duration = Duration::from_secs(2);

/// Gives a fresh connection for each statement.
pub trait Connect: Send + Sync + 'static {
    /// A new connection to the instance that holds the tables.
    ///
    /// # Errors
    /// DuckDB's.
    fn connect(&self) -> Result<Connection, duckdb::Error>;

    /// What every answer lacks, in sentences.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Waits until everything is visible that an answer has to be made from.
    ///
    /// # Errors
    /// If that takes too long.
    fn wait_until_whole(&self) -> Result<(), String> {
        Ok(())
    }
}

impl<F> Connect for F
where
    F: Fn() -> Result<Connection, duckdb::Error> + Send + Sync + 'static,
{
    fn connect(&self) -> Result<Connection, duckdb::Error> {
        self()
    }
}

/// A piece of an answer.
#[derive(Debug)]
pub enum Piece {
    /// Bytes in the format asked for.
    Data(Bytes),
    /// The end of a whole answer.
    End(Summary),
    /// The end of one that failed.
    Error(SqlError),
}

/// Runs statements. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    connect: Box<dyn Connect>,
    parser: Option<Parser>,
    config: Config,
    turns: Semaphore,
    waiting: Semaphore,
    running: Mutex<HashMap<String, Running>>,
    metrics: Mutex<Metrics>,
}

impl Inner {
    /// Waits until a turn has been held for [`UNREAD`] without progress and is wanted by others.
    async fn others_wait(&self) {
        let turns = self.config.concurrency.max(1);
        let all = turns * (1 + WAITING);
        loop {
            tokio::time::sleep(UNREAD).await;
            if all.saturating_sub(self.waiting.available_permits()) > turns {
                return;
            }
        }
    }
}

/// A statement that runs now, and how to stop it.
struct Running {
    interrupt: Arc<InterruptHandle>,
    stop: Stop,
    started: Instant,
}

/// Says why a statement is stopped; the first reason stands.
#[derive(Clone, Default)]
struct Stop {
    token: CancellationToken,
    why: Arc<Mutex<Option<SqlError>>>,
}

impl Stop {
    fn because(&self, why: SqlError) {
        self.why.lock().get_or_insert(why);
        self.token.cancel();
    }

    /// The error to report for one that came of being stopped.
    fn explain(&self, error: SqlError) -> SqlError {
        match error {
            SqlError::Fatal(_) => error,
            _ => self.why.lock().clone().unwrap_or(error),
        }
    }
}

impl Service {
    /// A service on the connections that `connect` gives.
    ///
    /// # Errors
    /// DuckDB's, if the instance that parses cannot be opened.
    pub fn new(connect: impl Connect, config: Config) -> Result<Self, duckdb::Error> {
        let parser = if config.gates { Some(Parser::new()?) } else { None };
        let concurrency = config.concurrency.max(1);
        Ok(Service {
            inner: Arc::new(Inner {
                connect: Box::new(connect),
                parser,
                turns: Semaphore::new(concurrency),
                waiting: Semaphore::new(concurrency * (1 + WAITING)),
                running: Mutex::default(),
                metrics: Mutex::default(),
                config,
            }),
        })
    }

    /// The limits that hold.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// How many statements run now.
    pub fn running(&self) -> usize {
        self.inner.running.lock().len()
    }

    /// The statements that run now, with the milliseconds since they came.
    pub fn elapsed(&self) -> Vec<(String, u64)> {
        let running = self.inner.running.lock();
        let ms = |one: &Running| u64::try_from(one.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        running.iter().map(|(id, one)| (id.clone(), ms(one))).collect()
    }

    /// What became of the statements so far.
    pub fn metrics(&self) -> Metrics {
        let running = self.running() as u64;
        Metrics { running, ..self.inner.metrics.lock().clone() }
    }

    /// What every answer lacks, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        self.inner.connect.warnings()
    }

    /// Interrupts a statement. False if there is none of that id.
    pub fn interrupt(&self, id: &str, why: &str) -> bool {
        let running = self.inner.running.lock();
        let Some(one) = running.get(id) else { return false };
        one.stop.because(SqlError::Interrupted(why.to_owned()));
        one.interrupt.interrupt();
        true
    }

    /// Starts a statement under an id of the caller's. Dropping the receiver interrupts it.
    pub fn start(&self, id: String, query: Query, kind: Kind) -> mpsc::Receiver<Piece> {
        let (pieces, receiver) = mpsc::channel(4);
        let service = self.clone();
        let started = Instant::now();
        tokio::spawn(async move {
            let error = match service.turn(id, query, kind, pieces.clone()).await {
                Ok(()) => return,
                Err(error) => error,
            };
            service.inner.metrics.lock().add(error.outcome(), started.elapsed());
            // Nobody listens any more if this fails.
            let _ = pieces.send(Piece::Error(error)).await;
        });
        receiver
    }

    /// Runs a statement and gathers its answer.
    ///
    /// # Errors
    /// What came of it instead.
    pub async fn collect(&self, query: Query, kind: Kind) -> Result<(Vec<u8>, Summary), SqlError> {
        let mut receiver = self.start(uuid::Uuid::new_v4().to_string(), query, kind);
        let mut body = Vec::new();
        while let Some(piece) = receiver.recv().await {
            match piece {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End(summary) => return Ok((body, summary)),
                Piece::Error(error) => return Err(error),
            }
        }
        Err(SqlError::Interrupted("the answer broke off".to_owned()))
    }

    /// Waits for a turn, then watches over the thread that runs the statement.
    async fn turn(&self, id: String, query: Query, kind: Kind, pieces: mpsc::Sender<Piece>) -> Result<(), SqlError> {
        let started = Instant::now();
        let limit = self.inner.config.time_limit;
        let inner = Arc::clone(&self.inner);
        let Ok(waiting) = inner.waiting.try_acquire() else {
            return Err(SqlError::Busy(inner.config.concurrency * (1 + WAITING)));
        };
        let turn = tokio::select! {
            turn = tokio::time::timeout(limit, inner.turns.acquire()) => turn,
            () = pieces.closed() => return Ok(()),
        };
        let Ok(Ok(turn)) = turn else {
            return Err(SqlError::Busy(inner.config.concurrency));
        };

        let stop = Stop::default();
        let (ended, mut end) = tokio::sync::oneshot::channel();
        let (connected, connection) = tokio::sync::oneshot::channel();
        let job = Job {
            service: self.clone(),
            query,
            kind,
            started,
            stop: stop.clone(),
            pieces: pieces.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        std::thread::Builder::new()
            .name("sql".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job.run(connected)));
                let outcome =
                    outcome.unwrap_or_else(|_| Err(SqlError::Fatal("the statement made a thread panic".into())));
                // The watcher below is there until this arrives.
                let _ = ended.send(outcome);
            })
            .map_err(|e| SqlError::Unavailable(format!("no thread for the statement: {e}")))?;

        // A refusal ends the thread before it connects.
        let interrupt = connection.await.ok();
        let listed = interrupt.as_ref().map(|interrupt| {
            let running = Running { interrupt: Arc::clone(interrupt), stop: stop.clone(), started };
            inner.running.lock().insert(id.clone(), running);
            Listed { inner: &inner, id: &id }
        });
        let deadline = tokio::time::sleep(limit.saturating_sub(started.elapsed()));
        tokio::pin!(deadline);
        let outcome = loop {
            tokio::select! {
                outcome = &mut end => break outcome,
                () = &mut deadline, if !stop.token.is_cancelled() => stop.because(SqlError::TimeLimit(limit)),
                () = pieces.closed(), if !stop.token.is_cancelled() => {
                    stop.because(SqlError::Interrupted("the client went away".to_owned()));
                }
                // Asked to stop from elsewhere.
                () = stop.token.cancelled(), if !stop.token.is_cancelled() => {}
                // Again and again: an interrupt that comes between two phases is forgotten.
                () = tokio::time::sleep(Duration::from_millis(50)), if stop.token.is_cancelled() => {}
            }
            if let (true, Some(interrupt)) = (stop.token.is_cancelled(), &interrupt) {
                interrupt.interrupt();
            }
        };
        drop(listed);
        let outcome = outcome.unwrap_or_else(|_| Err(SqlError::Fatal("the statement's thread is gone".to_owned())));
        let (word, last) = match outcome {
            Ok(summary) => ("ok", Piece::End(summary)),
            Err(error) => {
                let error = stop.explain(error);
                (error.outcome(), Piece::Error(error))
            }
        };
        inner.metrics.lock().add(word, started.elapsed());
        // The statement is done: a client that does not read must not hold its turn.
        drop((turn, waiting));
        let _ = tokio::time::timeout(limit, pieces.send(last)).await;
        Ok(())
    }
}

/// Takes a statement off the list of those that run, however its watch ends.
struct Listed<'a> {
    inner: &'a Inner,
    id: &'a str,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.inner.running.lock().remove(self.id);
    }
}

/// What the thread of one statement has.
struct Job {
    service: Service,
    query: Query,
    kind: Kind,
    started: Instant,
    stop: Stop,
    pieces: mpsc::Sender<Piece>,
    runtime: tokio::runtime::Handle,
}

impl Job {
    /// Whether the instance takes no further statement.
    fn is_spoilt(&self) -> bool {
        let probe = self.service.inner.connect.connect().and_then(|fresh| fresh.execute_batch("SELECT 1"));
        probe.is_err_and(|e| matches!(SqlError::from_duckdb(&e, ""), SqlError::Fatal(_)))
    }

    fn run(self, connected: tokio::sync::oneshot::Sender<Arc<InterruptHandle>>) -> Result<Summary, SqlError> {
        let inner = &self.service.inner;
        let run = Run {
            parser: inner.parser.as_ref(),
            max_statement: usize::try_from(inner.config.max_statement.as_u64()).unwrap_or(usize::MAX),
            max_rows: inner.config.max_rows,
            started: self.started,
            warnings: inner.connect.warnings(),
        };
        let sql = run.validate(&self.query)?;
        inner.connect.wait_until_whole().map_err(SqlError::Unavailable)?;
        let connection = inner.connect.connect().map_err(|e| SqlError::from_duckdb(&e, ""))?;
        // The watcher waits for this, so it is there.
        let _ = connected.send(connection.interrupt_handle());
        let outcome = run.execute(&connection, &sql, &self.query, self.kind, &mut |data| {
            let stopped = || SqlError::Interrupted("stopped".to_owned());
            let sending = self.pieces.send(Piece::Data(Bytes::from(data)));
            self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = self.stop.token.cancelled() => Err(stopped()),
                    sent = sending => sent.map_err(|_| stopped()),
                    () = inner.others_wait() => {
                        let why = "the client did not read the answer while other statements waited for a turn";
                        self.stop.because(SqlError::Interrupted(why.to_owned()));
                        Err(stopped())
                    }
                }
            })
        });
        match outcome {
            Err(error) if error.is_internal() && self.is_spoilt() => Err(SqlError::Fatal(error.to_string())),
            outcome => outcome,
        }
    }
}
