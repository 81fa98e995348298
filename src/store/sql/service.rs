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

/// Begins the transaction of a statement.
pub const READ_ONLY: &str = "BEGIN TRANSACTION READ ONLY";

/// How long a client may leave a piece of its answer unread while other statements wait for a turn.
const UNREAD: Duration = Duration::from_secs(2);

/// What statements are run on.
pub trait Source: Send + Sync + 'static {
    /// A connection in a read-only transaction that sees what the statement asks for. Blocks. What can
    /// take long is to be put into `interrupts`.
    ///
    /// # Errors
    /// Why the statement cannot run.
    fn open(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Result<Opened, SqlError>;

    /// A connection to the same instance.
    ///
    /// # Errors
    /// DuckDB's.
    fn connect(&self) -> Result<Connection, duckdb::Error>;

    /// Leaves the file that this error is about out of the statement that runs. False if it is about none:
    /// trying again is no use then.
    fn leave_out(&self, _error: &SqlError) -> bool {
        false
    }
}

/// A statement that has passed the gates.
pub struct Statement<'a> {
    /// The text that is run.
    pub sql: &'a str,
    query: &'a Query,
    parser: Option<&'a Parser>,
}

impl Statement<'_> {
    /// `sql`, a part of this statement, with the values in the place of its parameters. `None` if that
    /// cannot be written.
    pub fn with_parameters(&self, sql: &str) -> Option<String> {
        match &self.query.params[..] {
            [] => Some(sql.to_owned()),
            params => self.parser?.with_parameters(sql, params).ok(),
        }
    }
}

/// What a statement runs on.
pub struct Opened {
    /// In a read-only transaction.
    pub connection: Connection,
    /// What the answer lacks, in sentences.
    pub warnings: Vec<String>,
    /// How many files it opens, where that is known.
    pub files: Option<FilesOpened>,
}

/// How many files a statement opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesOpened {
    /// Those that can hold what it asks for.
    pub opened: usize,
    /// All that there are.
    pub all: usize,
}

/// What has to be interrupted when a statement is to stop. Cheap to clone.
#[derive(Clone, Default)]
pub struct Interrupts(Arc<Mutex<Vec<Arc<InterruptHandle>>>>);

impl Interrupts {
    /// One more.
    pub fn add(&self, handle: Arc<InterruptHandle>) {
        self.0.lock().push(handle);
    }

    fn interrupt(&self) {
        self.0.lock().iter().for_each(|handle| handle.interrupt());
    }
}

/// Connections of an instance whose tables are always the same.
impl<F> Source for F
where
    F: Fn() -> Result<Connection, duckdb::Error> + Send + Sync + 'static,
{
    fn open(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Result<Opened, SqlError> {
        let duckdb_error = |e: duckdb::Error| SqlError::from_duckdb(&e, statement.sql);
        let connection = self().map_err(duckdb_error)?;
        interrupts.add(connection.interrupt_handle());
        connection.execute_batch(READ_ONLY).map_err(duckdb_error)?;
        Ok(Opened { connection, warnings: Vec::new(), files: None })
    }

    fn connect(&self) -> Result<Connection, duckdb::Error> {
        self()
    }
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
    interrupts: Interrupts,
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
    /// A service on the connections that `source` gives.
    ///
    /// # Errors
    /// DuckDB's, if the instance that parses cannot be opened.
    pub fn new(source: impl Source, config: Config) -> Result<Self, duckdb::Error> {
        let parser = if config.gates { Some(Parser::new()?) } else { None };
        let concurrency = config.concurrency.max(1);
        Ok(Service {
            inner: Arc::new(Inner {
                source: Box::new(source),
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

    /// Interrupts a statement. False if there is none of that id.
    pub fn interrupt(&self, id: &str, why: &str) -> bool {
        let running = self.inner.running.lock();
        let Some(one) = running.get(id) else { return false };
        one.stop.because(SqlError::Interrupted(why.to_owned()));
        one.interrupts.interrupt();
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
                Piece::Start(_) => {}
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
        let (admitted, passed) = tokio::sync::oneshot::channel();
        let interrupts = Interrupts::default();
        let job = Job {
            service: self.clone(),
            query,
            kind,
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
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job.run(admitted)));
                let outcome =
                    outcome.unwrap_or_else(|_| Err(SqlError::Fatal("the statement made a thread panic".into())));
                // The watcher below is there until this arrives.
                let _ = ended.send(outcome);
            })
            .map_err(|e| SqlError::Unavailable(format!("no thread for the statement: {e}")))?;

        // A refusal ends the thread before it runs anything.
        let listed = passed.await.ok().map(|()| {
            let running = Running { interrupts: interrupts.clone(), stop: stop.clone(), started };
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
            if stop.token.is_cancelled() {
                interrupts.interrupt();
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
    interrupts: Interrupts,
    pieces: mpsc::Sender<Piece>,
    runtime: tokio::runtime::Handle,
}

impl Job {
    /// Whether the instance takes no further statement.
    fn is_spoilt(&self) -> bool {
        let probe = self.service.inner.source.connect().and_then(|fresh| fresh.execute_batch("SELECT 1"));
        probe.is_err_and(|e| matches!(SqlError::from_duckdb(&e, ""), SqlError::Fatal(_)))
    }

    fn run(self, admitted: tokio::sync::oneshot::Sender<()>) -> Result<Summary, SqlError> {
        let inner = &self.service.inner;
        let run = Run {
            parser: inner.parser.as_ref(),
            max_statement: usize::try_from(inner.config.max_statement.as_u64()).unwrap_or(usize::MAX),
            max_rows: inner.config.max_rows,
            started: self.started,
        };
        let sql = run.validate(&self.query)?;
        // The watcher waits for this, so it is there.
        let _ = admitted.send(());
        let statement = Statement { sql: &sql, query: &self.query, parser: inner.parser.as_ref() };
        loop {
            let mut sent = false;
            let outcome = inner.source.open(&statement, &self.interrupts).and_then(|opened| {
                let start = Start { warnings: opened.warnings.clone(), files: opened.files };
                let mut start = Some(Piece::Start(start));
                run.execute(&opened, &sql, &self.query, self.kind, &mut |data| {
                    sent = true;
                    start.take().map_or(Ok(()), |start| self.send(start))?;
                    self.send(Piece::Data(Bytes::from(data)))
                })
            });
            match outcome {
                Err(error) if !sent && inner.source.leave_out(&error) => {}
                Err(error) if error.is_internal() && self.is_spoilt() => {
                    return Err(SqlError::Fatal(error.to_string()));
                }
                outcome => return outcome,
            }
        }
    }

    /// Hands a piece on, as soon as the client has read enough of those before.
    fn send(&self, piece: Piece) -> Result<(), SqlError> {
        let stopped = || SqlError::Interrupted("stopped".to_owned());
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.token.cancelled() => Err(stopped()),
                sent = self.pieces.send(piece) => sent.map_err(|_| stopped()),
                () = self.service.inner.others_wait() => {
                    let why = "the client did not read the answer while other statements waited for a turn";
                    self.stop.because(SqlError::Interrupted(why.to_owned()));
                    Err(stopped())
                }
            }
        })
    }
}
