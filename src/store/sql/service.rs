//! Statements as they run: time limits, interrupts. One at a time; who waits is the store front's matter.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use duckdb::{Connection, InterruptHandle};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::describe;
use super::dialect::{Asked, Dialect, Session};
use super::error::SqlError;
use super::execute::Run;
use super::format::{Kind, Summary};
use super::parse::Parser;
use super::request::Query;
use crate::store::engine::failpoint;

/// Stack of a thread that runs a statement: deep expressions recurse, and 2 MiB are too few.
const STACK: usize = 64 << 20;

/// Begins the transaction of a statement.
pub const READ_ONLY: &str = "BEGIN TRANSACTION READ ONLY";

/// What statements are run on.
pub trait Source: Send + Sync + 'static {
    /// A connection in a read-only transaction that sees what the statement asks for. Blocks. What can
    /// take long is to be put into `interrupts`.
    ///
    /// # Errors
    /// Why the statement cannot run.
    fn open(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Result<Opened, SqlError>;

    /// The same to the catalog for PostgreSQL's clients, as a connection of them sees it.
    ///
    /// # Errors
    /// If there is none, or DuckDB's.
    fn open_catalog(&self, _session: &Session, _interrupts: &Interrupts) -> Result<Opened, SqlError> {
        Err(SqlError::Unavailable("there is no catalog here".to_owned()))
    }

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

/// What is wanted of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Its rows, in a format.
    Rows(Kind),
    /// What it takes and gives, as JSON ([`describe::Description`]).
    Description,
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
    /// What a statement runs on is made for it.
    turn: Semaphore,
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

/// What the thread of one statement has.
struct Job {
    service: Service,
    dialect: Dialect,
    query: Query,
    wanted: Wanted,
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

    fn run(self) -> Result<Summary, SqlError> {
        let inner = &self.service.inner;
        let run = Run {
            parser: inner.parser.as_ref(),
            max_statement: usize::try_from(inner.config.max_statement.as_u64()).unwrap_or(usize::MAX),
            max_rows: inner.config.max_rows,
            started: self.started,
        };
        let (sql, asked) = run.validate(&self.dialect, &self.query)?;
        let catalog = match (&self.dialect, asked) {
            (Dialect::Postgres(session), Asked::Catalog) => Some(session),
            _ => None,
        };
        let kind = match self.wanted {
            Wanted::Rows(kind) => kind,
            Wanted::Description => return self.describe(&run, &sql, catalog),
        };
        let statement = Statement { sql: &sql, query: &self.query, parser: inner.parser.as_ref() };
        loop {
            let mut sent = false;
            let opened = match catalog {
                None => inner.source.open(&statement, &self.interrupts),
                Some(session) => inner.source.open_catalog(session, &self.interrupts),
            };
            let outcome = opened.and_then(|opened| {
                let start = Start { warnings: opened.warnings.clone(), files: opened.files };
                let mut start = Some(Piece::Start(start));
                run.execute(&opened, &sql, &self.query, kind, &mut |data| {
                    sent = true;
                    start.take().map_or(Ok(()), |start| self.send(start))?;
                    self.send(Piece::Data(Bytes::from(data)))?;
                    failpoint::reach("reader_streams");
                    Ok(())
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

    /// What the statement takes and gives. Which files there are is of no consequence for that.
    fn describe(&self, run: &Run<'_>, sql: &str, catalog: Option<&Session>) -> Result<Summary, SqlError> {
        let source = &self.service.inner.source;
        let connection = match catalog {
            Some(session) => source.open_catalog(session, &self.interrupts)?.connection,
            None => {
                let connection = source.connect().map_err(|error| SqlError::from_duckdb(&error, sql))?;
                self.interrupts.add(connection.interrupt_handle());
                connection
            }
        };
        let description = describe::describe(&connection, run.parser, sql, (&self.dialect, &self.query))?;
        let json = serde_json::to_vec(&description).unwrap_or_default();
        self.send(Piece::Start(Start::default()))?;
        self.send(Piece::Data(Bytes::from(json)))?;
        let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Summary { rows: 0, truncated: false, elapsed_ms })
    }

    /// Hands a piece on, as soon as the client has read enough of those before.
    fn send(&self, piece: Piece) -> Result<(), SqlError> {
        let stopped = || SqlError::Interrupted("stopped".to_owned());
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.token.cancelled() => Err(stopped()),
                sent = self.pieces.send(piece) => sent.map_err(|_| stopped()),
            }
        })
    }
}
