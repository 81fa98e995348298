//! One statement on its thread.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::describe;
use super::super::dialect::{Asked, Dialect, Session};
use super::super::error::SqlError;
use super::super::execute::Run;
use super::super::format::Summary;
use super::super::request::Query;
use super::source::{Interrupts, Statement};
use super::{Piece, Service, Start, Wanted};
use crate::store::engine::failpoint;

/// Says why a statement is stopped; the first reason stands.
#[derive(Clone, Default)]
pub struct Stop {
    /// Cancelled with the first reason.
    pub token: CancellationToken,
    why: Arc<Mutex<Option<SqlError>>>,
}

impl Stop {
    /// Stops it.
    pub fn because(&self, why: SqlError) {
        self.why.lock().get_or_insert(why);
        self.token.cancel();
    }

    /// The error to report for one that came of being stopped.
    pub fn explain(&self, error: SqlError) -> SqlError {
        match error {
            SqlError::Fatal(_) => error,
            _ => self.why.lock().clone().unwrap_or(error),
        }
    }
}

/// What the thread of one statement has.
pub struct Job {
    /// What it is for.
    pub service: Service,
    /// What the text is written in.
    pub dialect: Dialect,
    /// The text, and the values of its parameters.
    pub query: Query,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// When it came.
    pub started: Instant,
    /// Why it is stopped, if it is.
    pub stop: Stop,
    /// What is interrupted then.
    pub interrupts: Interrupts,
    /// Where the answer goes.
    pub pieces: mpsc::Sender<Piece>,
    /// Where sending waits.
    pub runtime: tokio::runtime::Handle,
}

impl Job {
    /// Whether the instance takes no further statement.
    fn is_spoilt(&self) -> bool {
        let probe = self.service.inner.source.connect().and_then(|fresh| fresh.execute_batch("SELECT 1"));
        probe.is_err_and(|e| matches!(SqlError::from_duckdb(&e, ""), SqlError::Fatal(_)))
    }

    /// Runs the statement. Blocks.
    ///
    /// # Errors
    /// What came of it instead.
    pub fn run(self) -> Result<Summary, SqlError> {
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
                Err(error) if !sent && inner.source.leave_out(&error, &|| !self.stop.token.is_cancelled()) => {}
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
