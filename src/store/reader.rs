//! A reader: a disposable process that runs one statement of a user at a time, over the files of the
//! store, with a DuckDB of its own that holds no rows.
//!
//! A single SELECT can crash DuckDB, ignore its interrupt or take memory past every limit of its own.
//! So a statement shares its process with no other statement and with no row that is not on disk: what
//! goes wrong ends one reader, and the store front starts another. The kernel keeps a reader from
//! writing files of the store and from the network.
//!
//! | module | what |
//! |---|---|
//! | [`files`] | the files that the front has told of, and the bounds of their values |
//! | [`planner`] | what a statement asks of each table, as DuckDB plans it |
//! | [`predicate`] | whether a file can hold a row that counts |
//! | [`needed`] | which files can |
//! | [`views`] | the tables over the files that are left |
//! | [`instance`] | its DuckDB |
//! | [`pg_catalog`] | another, with the catalog for PostgreSQL's clients |
//! | [`process`] | its process |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duckdb::Connection;
use parking_lot::Mutex;

use crate::store::engine::failpoint;
use crate::store::instance::Limits;
use crate::store::schema::Table;
use crate::store::sql::dialect::Session;
use crate::store::sql::service::{Interrupts, Opened, READ_ONLY, STACK, Source, Statement};
use crate::store::sql::{FilesOpened, SqlError};
use crate::store::views::create_storage;

pub mod files;
pub mod instance;
pub mod needed;
pub mod pg_catalog;
pub mod planner;
pub mod predicate;
pub mod process;
pub mod views;

pub use files::{Bounds, Changes, FileEntry};

use files::Files;
use needed::needed;
use pg_catalog::PgCatalog;
pub use planner::Planner;

use planner::Needs;
use views::Views;

/// How often a statement is planned anew because the time has gone on meanwhile.
const TRIES: usize = 3;

/// A reader's state beside its statement. Cheap to clone.
#[derive(Clone)]
pub struct Reader(Arc<Inner>);

struct Inner {
    root: Mutex<Connection>,
    catalog: PgCatalog,
    planner: Planner,
    state: Mutex<State>,
}

struct State {
    sealed: PathBuf,
    /// Threads of its DuckDB at most, and now.
    threads: (u32, u32),
    files: Files,
    views: Views,
    /// Tables of which rows count for the statement that runs.
    asked: Vec<Table>,
    warnings: Vec<String>,
}

impl Reader {
    /// Opens its DuckDB over the files in `sealed`, of which it knows none yet. `planner` may still be opening.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn open(sealed: &Path, spill: &Path, limits: Limits, planner: Planner) -> Result<Self, duckdb::Error> {
        let root = instance::open(sealed, spill, limits)?;
        let state = State {
            sealed: sealed.to_owned(),
            threads: (limits.threads, limits.threads),
            files: Files::default(),
            views: Views::default(),
            asked: Vec::new(),
            warnings: Vec::new(),
        };
        let inner = Inner { root: Mutex::new(root), catalog: PgCatalog::default(), planner, state: Mutex::new(state) };
        Ok(Reader(Arc::new(inner)))
    }

    /// Takes what has changed since the last statement.
    pub fn change(&self, changes: Changes) {
        if let Some(storage) = &changes.storage
            && let Err(error) = self.0.root.lock().execute_batch(&create_storage(storage))
        {
            tracing::error!(%error, "cannot show where the bytes go");
        }
        self.set_threads(changes.threads);
        let mut state = self.0.state.lock();
        state.warnings = changes.warnings.clone();
        state.files.change(changes);
    }

    /// Takes as many threads as were told.
    fn set_threads(&self, told: Option<u32>) {
        let (most, now) = self.0.state.lock().threads;
        let threads = told.unwrap_or(most).clamp(1, most.max(1));
        if threads == now {
            return;
        }
        match self.0.root.lock().execute_batch(&format!("SET GLOBAL threads = {threads}")) {
            Ok(()) => self.0.state.lock().threads.1 = threads,
            Err(error) => tracing::error!(%error, threads, "cannot change the number of threads"),
        }
    }

    /// Puts the views over the files that can hold what the statement asks for.
    fn show(&self, needs: &Needs) -> Result<FilesOpened, duckdb::Error> {
        let root = self.0.root.lock();
        let mut state = self.0.state.lock();
        let State { sealed, files, views, asked, .. } = &mut *state;
        let mut needed = needed(files, sealed, needs);
        *asked = needed.keys().copied().collect();
        let mut opened = 0;
        for table in Table::ALL {
            opened += views.show(&root, sealed, table, files, needed.remove(&table))?;
        }
        Ok(FilesOpened { opened, all: files.count() })
    }

    /// The same, and begins the statement's transaction, in which it sees them. `needs` is what it was planned to need.
    fn show_and_begin(
        &self,
        mut needs: Needs,
        statement: &Statement<'_>,
        interrupts: &Interrupts,
        connection: &Connection,
    ) -> Result<FilesOpened, SqlError> {
        let duckdb_error = |e: duckdb::Error| SqlError::from_duckdb(&e, statement.sql);
        for tries in 0.. {
            let files = self.show(&needs).map_err(duckdb_error)?;
            connection.execute_batch(READ_ONLY).map_err(duckdb_error)?;
            // From here on the time stands still for the statement. What `today()` was when it was planned may be
            // another day.
            let again = needs.prunes() && self.0.planner.is_of_moment(statement);
            let now = if again { self.0.planner.needs(statement, interrupts) } else { needs.clone() };
            if now == needs || self.holds(&now) {
                return Ok(files);
            }
            connection.execute_batch("ROLLBACK").map_err(duckdb_error)?;
            needs = if tries < TRIES { now } else { Needs::All };
        }
        Err(SqlError::Unavailable("the statement could not be planned".to_owned()))
    }

    /// Whether the views are over all files that the statement needs.
    fn holds(&self, needs: &Needs) -> bool {
        let mut state = self.0.state.lock();
        let State { sealed, files, views, .. } = &mut *state;
        needed(files, sealed, needs).iter().all(|(table, needed)| views.covers(*table, needed))
    }
}

impl Source for Reader {
    fn open(&self, statement: &Statement<'_>, interrupts: &Interrupts) -> Result<Opened, SqlError> {
        let duckdb_error = |e: duckdb::Error| SqlError::from_duckdb(&e, statement.sql);
        let connection = self.0.root.lock().try_clone().map_err(duckdb_error)?;
        interrupts.add(connection.interrupt_handle());
        let planner = &self.0.planner;
        let needs = planner.needs(statement, interrupts);
        failpoint::reach("reader_planned");
        let (files, columns) = std::thread::scope(|scope| {
            // The columns hang on no file, so they are told while the files are looked for.
            let thread = std::thread::Builder::new().name("columns".to_owned()).stack_size(STACK);
            let columns = thread.spawn_scoped(scope, || planner.columns(statement, interrupts)).ok();
            let files = self.show_and_begin(needs, statement, interrupts, &connection);
            (files, columns.and_then(|columns| columns.join().ok()).flatten())
        });
        let files = Some(files?);
        let warnings = self.0.state.lock().warnings.clone();
        failpoint::reach("reader_opened");
        Ok(Opened { connection, warnings, files, columns })
    }

    fn open_catalog(&self, session: &Session, interrupts: &Interrupts) -> Result<Opened, SqlError> {
        let duckdb_error = |error: duckdb::Error| SqlError::from_duckdb(&error, "");
        let root = self.0.root.lock().try_clone().map_err(duckdb_error)?;
        let connection = self.0.catalog.connect(&root, session).map_err(duckdb_error)?;
        interrupts.add(connection.interrupt_handle());
        connection.execute_batch(READ_ONLY).map_err(duckdb_error)?;
        Ok(Opened { connection, warnings: Vec::new(), files: None, columns: None })
    }

    fn connect(&self) -> Result<Connection, duckdb::Error> {
        self.0.root.lock().try_clone()
    }

    fn leave_out(&self, error: &SqlError, go_on: &dyn Fn() -> bool) -> bool {
        let mut state = self.0.state.lock();
        let State { sealed, files, views, asked, warnings, .. } = &mut *state;
        let mut lost = files.named_in(&error.to_string());
        if lost.is_none() && error.may_be_of_damage() {
            lost = asked.iter().flat_map(|table| views.files(*table)).find(|id| files.is_damaged(sealed, *id, go_on));
        }
        let Some(lost) = lost.and_then(|id| files.leave_out(id)) else { return false };
        tracing::error!(file = lost, %error, "a file of the store cannot be read and is left out");
        warnings.push(format!("the file {lost} cannot be read, its rows are missing: {error}"));
        true
    }
}
