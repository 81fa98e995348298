//! What statements run on.

use std::sync::Arc;

use duckdb::{Connection, InterruptHandle};
use parking_lot::Mutex;

use super::super::columns::Column;
use super::super::dialect::Session;
use super::super::error::SqlError;
use super::super::parse::Parser;
use super::super::request::Query;

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
    /// trying again is no use then. To find it can take long, which ends where `go_on` says no.
    fn leave_out(&self, _error: &SqlError, _go_on: &dyn Fn() -> bool) -> bool {
        false
    }
}

/// A statement that has passed the gates.
pub struct Statement<'a> {
    /// The text that is run.
    pub sql: &'a str,
    /// It, and the values of its parameters.
    pub query: &'a Query,
    /// What writes those into it.
    pub parser: Option<&'a Parser>,
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
    /// Columns of the answer, where they are known.
    pub columns: Option<Vec<Column>>,
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

    /// Interrupts all of them.
    pub fn interrupt(&self) {
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
        Ok(Opened { connection, warnings: Vec::new(), files: None, columns: None })
    }

    fn connect(&self) -> Result<Connection, duckdb::Error> {
        self()
    }
}
