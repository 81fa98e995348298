//! Which sealed files there are, and up to which position each log is in them: a DuckLake 1.0 in a
//! SQLite file, so that any DuckDB can attach it and ask, with tables of our own beside it, so that
//! all of them move in one transaction. A file that the catalog does not name does not exist for the
//! store; a record before the position needs no replay.
//!
//! | module | what |
//! |---|---|
//! | [`ducklake`] | DuckLake's tables |
//! | [`statistics`] | what is known of the values in a file |
//! | [`takeover`] | a catalog of an earlier version becomes one of this |
//! | [`expiry`] | what no snapshot needs any more goes |
//! | [`candidates`] | which files may be merged |
//! | [`reader`] | what other processes read of it |
//! | [`level0`] | files that are not synced, and how far the logs are in them |
//! | [`storage`] | where the bytes go |
//! | [`read_only`] | the catalog as another process reads it |
//! | [`error`] | what can be wrong |
//!
//! Other processes may read it at any time. SQLite's write-ahead log keeps them from half a
//! transaction, and us from waiting for them. What they read holds back only that the log is begun
//! anew. Another writer would be waited for, [`PATIENCE`] at most.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior, params};
use uuid::Uuid;

use crate::signal::Signal;
use crate::store::engine::quarantine::Changes;
use crate::store::protocol::Quarantined;
use crate::wal::Position;

pub use self::error::CatalogError;
pub use self::statistics::ColumnStatistics;

mod candidates;
mod ducklake;
mod error;
pub mod expiry;
mod level0;
mod read_only;
pub mod reader;
pub mod statistics;
pub mod storage;
mod takeover;

/// Version of the catalog's tables, kept in SQLite's `user_version`.
const VERSION: i64 = 3;

/// How long a transaction waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a DuckLake has no place for.
const OWN_TABLES: &str = "
    CREATE TABLE sealed_files (
        data_file_id INTEGER PRIMARY KEY,   -- of ducklake_data_file
        min_time INTEGER,                   -- nanoseconds since the Unix epoch, UTC
        max_time INTEGER,
        checksum INTEGER NOT NULL,          -- XXH3 of the whole file
        created INTEGER NOT NULL,           -- nanoseconds since the Unix epoch, UTC
        level INTEGER NOT NULL              -- see File
    ) STRICT;
    CREATE TABLE lost_files (
        data_file_id INTEGER PRIMARY KEY,   -- of a file that is damaged or not there
        reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE taken (
        log_id TEXT NOT NULL,
        signal TEXT NOT NULL,
        position INTEGER NOT NULL,          -- every record before it is in the files, level 0 among them
        PRIMARY KEY (log_id, signal)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE own (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS positions (
        log_id TEXT NOT NULL,
        signal TEXT NOT NULL,
        position INTEGER NOT NULL,          -- every record before it is in files that are on disk
        PRIMARY KEY (log_id, signal)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS quarantined (
        id TEXT PRIMARY KEY,                -- of what can never be stored and has no dead letter yet
        note BLOB NOT NULL                  -- see store::protocol::Quarantined
    ) STRICT, WITHOUT ROWID;
";

/// The columns that [`File::from_row`] takes, of [`FILES`].
const FILE: &str = "table_name, t.path || f.path, record_count, min_time, max_time, file_size_bytes, checksum, level";

/// All files that the catalog has anything of.
const FILES: &str =
    "sealed_files JOIN ducklake_data_file AS f USING (data_file_id) JOIN ducklake_table AS t USING (table_id)";

/// One sealed file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct File {
    /// Table whose rows it holds.
    pub table: String,
    /// Path below the folder of sealed files.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Earliest time in it, nanoseconds since the Unix epoch; `None` for tables without time.
    pub min_time: Option<i64>,
    /// Latest time in it.
    pub max_time: Option<i64>,
    /// Its size.
    pub bytes: u64,
    /// XXH3 of its content.
    pub checksum: u64,
    /// What it was made of: 0 of a batch of records and not synced, 1 of such files, 2 of an hour's,
    /// 3 of a day's.
    pub level: u8,
}

impl File {
    /// Of a row with its members in the order: table, path, rows, times, size, checksum, level.
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(File {
            table: row.get(0)?,
            path: row.get(1)?,
            rows: row.get::<_, i64>(2)?.cast_unsigned(),
            min_time: row.get(3)?,
            max_time: row.get(4)?,
            bytes: row.get::<_, i64>(5)?.cast_unsigned(),
            checksum: row.get::<_, i64>(6)?.cast_unsigned(),
            level: row.get(7)?,
        })
    }
}

/// Files of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Its name.
    pub table: String,
    /// Whether they are those of level 0, or all others.
    pub is_level0: bool,
    /// How many.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A sealed file, and what others need to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// The file.
    pub file: File,
    /// Whether its columns have the numbers of [`crate::store::schema::Field`].
    pub has_field_ids: bool,
    /// Size of its footer in bytes, where it is known.
    pub footer: Option<u64>,
    /// What is known of its values.
    pub columns: Vec<ColumnStatistics>,
    /// Whether it cannot be read: the store names it, no snapshot has it.
    pub is_damaged: bool,
}

/// Positions of logs, by the log's identity and signal.
pub type Positions = HashMap<(Uuid, Signal), Position>;

/// The open catalog.
#[derive(Debug)]
pub struct Catalog {
    path: PathBuf,
    db: Connection,
    /// Whether other processes can read it.
    is_shared: bool,
}

impl Catalog {
    /// Opens the catalog at `path`, or makes an empty one. `sealed` is the folder of its files.
    ///
    /// # Errors
    /// SQLite's, and what is wrong with the catalog.
    pub fn open(path: &Path, sealed: &Path, now: u64) -> Result<Self, CatalogError> {
        let (mut db, is_shared) = connect(path)?;
        let sqlite = |source| CatalogError::Sqlite { path: path.to_owned(), source };
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
        if !(0..=VERSION).contains(&found) {
            return Err(CatalogError::Newer { path: path.to_owned(), found });
        }
        if found > 0 {
            let check: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
            if check != "ok" {
                return Err(CatalogError::Damaged { path: path.to_owned(), reason: check });
            }
        }
        prepare(&mut db, found, sealed, now).map_err(sqlite)?;
        Ok(Catalog { path: path.to_owned(), db, is_shared })
    }

    /// Writes a catalog to `path`, which is not there: all on disk when this returns.
    ///
    /// # Errors
    /// SQLite's.
    pub fn write(
        path: &Path,
        sealed: &Path,
        files: &[NewFile],
        positions: &Positions,
        now: u64,
    ) -> Result<(), CatalogError> {
        let mut catalog = Catalog::open(path, sealed, now)?;
        catalog.add(files, positions, &Changes::default(), now)?;
        // With the last connection the log of SQLite goes into the file, which is whole then.
        let Catalog { path, db, .. } = catalog;
        db.close().map_err(|(_, source)| CatalogError::Sqlite { path, source })
    }

    /// Puts all that is in SQLite's log into the file itself, and empties the log. If others read just now, it stays.
    ///
    /// # Errors
    /// SQLite's.
    pub fn checkpoint(&self) -> Result<(), CatalogError> {
        self.ask(|db| db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
    }

    /// Whether it names no file and no log: nothing has ever been sealed, or it is not the catalog
    /// that was here.
    ///
    /// # Errors
    /// SQLite's.
    pub fn is_empty(&self) -> Result<bool, CatalogError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM sealed_files) AND NOT EXISTS (SELECT 1 FROM positions)";
        self.ask(|db| db.query_row(sql, [], |row| row.get(0)))
    }

    /// All sealed files, by table and path.
    ///
    /// # Errors
    /// SQLite's.
    pub fn files(&self) -> Result<Vec<File>, CatalogError> {
        let sql = format!(
            "SELECT {FILE} FROM {FILES} WHERE f.end_snapshot IS NULL OR f.end_snapshot = f.begin_snapshot ORDER BY 1, 2"
        );
        self.ask(|db| db.prepare(&sql)?.query_map([], File::from_row)?.collect())
    }

    /// The paths of all files that are ours: current ones, and those that only earlier snapshots have
    /// or that are to be deleted.
    ///
    /// # Errors
    /// SQLite's.
    pub fn paths(&self) -> Result<Vec<String>, CatalogError> {
        let sql = "SELECT t.path || f.path FROM ducklake_data_file AS f JOIN ducklake_table AS t USING (table_id)
                   UNION SELECT path FROM ducklake_files_scheduled_for_deletion";
        self.ask(|db| db.prepare(sql)?.query_map([], |row| row.get(0))?.collect())
    }

    /// Current files by table, those of level 0 and others, without those that are lost.
    ///
    /// # Errors
    /// SQLite's.
    pub fn totals(&self) -> Result<Vec<Total>, CatalogError> {
        let sql = format!(
            "SELECT table_name, level = 0, count(*), sum(record_count), sum(file_size_bytes) FROM {FILES}
             WHERE f.end_snapshot IS NULL AND data_file_id NOT IN (SELECT data_file_id FROM lost_files) GROUP BY 1, 2"
        );
        let number = |row: &Row<'_>, n| row.get::<_, i64>(n).map(i64::cast_unsigned);
        let total = |row: &Row<'_>| {
            let (files, rows, bytes) = (number(row, 2)?, number(row, 3)?, number(row, 4)?);
            Ok(Total { table: row.get(0)?, is_level0: row.get(1)?, files, rows, bytes })
        };
        self.ask(|db| db.prepare_cached(&sql)?.query_map([], total)?.collect())
    }

    /// Files that were found damaged or not there, and why: they stay named.
    ///
    /// # Errors
    /// SQLite's.
    pub fn lost(&self) -> Result<Vec<(File, String)>, CatalogError> {
        let sql = format!("SELECT {FILE}, reason FROM {FILES} JOIN lost_files USING (data_file_id) ORDER BY 1, 2");
        self.ask(|db| db.prepare(&sql)?.query_map([], |row| Ok((File::from_row(row)?, row.get(8)?)))?.collect())
    }

    /// Names a file as lost, or as found again if there is no `reason`.
    ///
    /// # Errors
    /// SQLite's; also if there is no such file.
    pub fn mark_lost(&mut self, path: &str, reason: Option<&str>) -> Result<(), CatalogError> {
        self.share()?;
        self.change(|db| {
            let sql = format!("SELECT data_file_id FROM {FILES} WHERE t.path || f.path = ?");
            let id: i64 = db.query_row(&sql, [path], |row| row.get(0))?;
            match reason {
                Some(reason) => db.execute("INSERT OR REPLACE INTO lost_files VALUES (?, ?)", params![id, reason])?,
                None => db.execute("DELETE FROM lost_files WHERE data_file_id = ?", [id])?,
            };
            Ok(())
        })
    }

    /// Up to where each log is in files that are on disk.
    ///
    /// # Errors
    /// SQLite's.
    pub fn positions(&self) -> Result<Positions, CatalogError> {
        self.positions_in("positions")
    }

    fn positions_in(&self, table: &str) -> Result<Positions, CatalogError> {
        self.ask(|db| {
            let mut statement = db.prepare(&format!("SELECT log_id, signal, position FROM {table}"))?;
            let mut rows = statement.query([])?;
            let mut positions = Positions::new();
            while let Some(row) = rows.next()? {
                let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
                let signal = Signal::ALL.into_iter().find(|s| s.name() == name);
                if let (Ok(id), Some(signal)) = (Uuid::parse_str(&id), signal) {
                    positions.insert((id, signal), Position(row.get::<_, i64>(2)?.cast_unsigned()));
                }
            }
            Ok(positions)
        })
    }

    /// Notes of what can never be stored and has no dead letter yet.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, CatalogError> {
        self.ask(|db| {
            let mut statement = db.prepare("SELECT note FROM quarantined")?;
            let notes = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
            let mut read = Vec::new();
            for note in notes {
                match Quarantined::decode(note?.into()) {
                    Ok(note) => read.push(note),
                    Err(error) => tracing::error!(%error, "the catalog of the store has a note that cannot be read"),
                }
            }
            Ok(read)
        })
    }

    /// Makes `files` known, moves the positions, and notes what can never be stored: all of it, on
    /// disk, or nothing. Other processes see the files after [`Self::show`].
    ///
    /// # Errors
    /// SQLite's.
    pub fn add(
        &mut self,
        files: &[NewFile],
        positions: &Positions,
        quarantine: &Changes,
        now: u64,
    ) -> Result<(), CatalogError> {
        self.replace(&[], files, positions, quarantine, now)
    }

    /// The same, in the place of `old`, the paths of files that are current now. Those leave the
    /// current snapshot when [`Self::show`] shows the new ones.
    ///
    /// # Errors
    /// SQLite's; also if one of the old files is not current, so that rows are not there twice.
    pub fn replace(
        &mut self,
        old: &[String],
        files: &[NewFile],
        positions: &Positions,
        quarantine: &Changes,
        now: u64,
    ) -> Result<(), CatalogError> {
        self.share()?;
        self.change(|db| {
            let snapshot = ducklake::next_snapshot(db)?;
            ducklake::end_files(db, old, snapshot)?;
            add_files(db, files, snapshot, now)?;
            move_positions(db, "positions", positions)?;
            note(db, quarantine)
        })
    }

    /// These files leave the current snapshot, at once.
    ///
    /// # Errors
    /// SQLite's; also if one of them is not current.
    pub fn end(&mut self, paths: &[String], now: u64) -> Result<(), CatalogError> {
        self.share()?;
        self.change(|db| {
            ducklake::end_files(db, paths, ducklake::next_snapshot(db)?)?;
            ducklake::show(db, now)
        })
    }

    /// Shows other processes the files that were added, in a new snapshot: they have their names now.
    ///
    /// # Errors
    /// SQLite's. The next call shows them then.
    pub fn show(&mut self, now: u64) -> Result<(), CatalogError> {
        if self.ask(ducklake::has_hidden)? { self.change(|db| ducklake::show(db, now)) } else { Ok(()) }
    }

    /// Opens it again for others to read, if there was no space for that when it was opened.
    fn share(&mut self) -> Result<(), CatalogError> {
        if self.is_shared {
            return Ok(());
        }
        // SQLite keeps the files of a connection to itself as long as that lives.
        let nothing = Connection::open_in_memory();
        let nothing = nothing.map_err(|source| CatalogError::Sqlite { path: self.path.clone(), source })?;
        drop(std::mem::replace(&mut self.db, nothing));
        (self.db, self.is_shared) = connect(&self.path)?;
        Ok(())
    }

    fn change(&mut self, change: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), CatalogError> {
        let changed = change_in(&mut self.db, TransactionBehavior::Immediate, change);
        changed.map_err(|source| CatalogError::Sqlite { path: self.path.clone(), source })
    }

    /// Forgets the positions of these logs, of which nothing comes any more.
    ///
    /// # Errors
    /// SQLite's.
    pub fn forget(&mut self, logs: &[Uuid]) -> Result<(), CatalogError> {
        let changes = Changes { released: logs.to_vec(), ..Changes::default() };
        self.add(&[], &Positions::new(), &changes, 0)
    }

    fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, CatalogError> {
        question(&self.db).map_err(|source| CatalogError::Sqlite { path: self.path.clone(), source })
    }
}

/// Opens the file; whether others can read it meanwhile. For that SQLite needs a file of its own
/// beside it. A full disk does not give it that, and the store starts all the same.
fn connect(path: &Path) -> Result<(Connection, bool), CatalogError> {
    match connect_as(path, "NORMAL") {
        Err(error) if error.is_no_space() => {
            let db = connect_as(path, "EXCLUSIVE")?;
            tracing::warn!(%error, "no space for others to read the catalog of the store");
            Ok((db, false))
        }
        opened => Ok((opened?, true)),
    }
}

fn connect_as(path: &Path, locking_mode: &str) -> Result<Connection, CatalogError> {
    let connect = || {
        let db = Connection::open(path)?;
        db.busy_timeout(PATIENCE)?;
        db.pragma_update(None, "locking_mode", locking_mode)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // A transaction that has returned survives a power cut.
        db.pragma_update(None, "synchronous", "FULL")?;
        // The first question takes what is shared with others.
        db.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))?;
        Ok(db)
    };
    connect().map_err(|source| CatalogError::Sqlite { path: path.to_owned(), source })
}

/// Makes the tables that this version has, from nothing or from those of `version`.
fn prepare(db: &mut Connection, version: i64, sealed: &Path, now: u64) -> rusqlite::Result<()> {
    // Mostly there is nothing to write, and so no other writer to wait for.
    let behavior = if version == VERSION { TransactionBehavior::Deferred } else { TransactionBehavior::Immediate };
    change_in(db, behavior, |db| {
        match version {
            0 | 1 => {
                let earlier = if version == 1 { takeover::files(db)? } else { Vec::new() };
                ducklake::create(db, now)?;
                db.execute_batch(OWN_TABLES)?;
                ducklake::declare(db, now)?;
                takeover::add(db, &earlier)?;
            }
            2 => {
                takeover::from_2(db, OWN_TABLES)?;
                ducklake::declare(db, now)?;
            }
            _ => ducklake::declare(db, now)?,
        }
        if version < VERSION {
            db.pragma_update(None, "user_version", VERSION)?;
        }
        ducklake::set_data_path(db, sealed)
    })
}

/// One transaction. What one that begins as [`Immediate`](TransactionBehavior) reads first cannot have
/// changed when it writes.
fn change_in(
    db: &mut Connection,
    behavior: TransactionBehavior,
    change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(behavior)?;
    change(&transaction)?;
    transaction.commit()
}

fn add_files(db: &Connection, files: &[NewFile], snapshot: i64, now: u64) -> rusqlite::Result<()> {
    let ids = ducklake::add_files(db, files, snapshot)?;
    let mut insert = db.prepare_cached("INSERT INTO sealed_files VALUES (?, ?, ?, ?, ?, ?)")?;
    for (id, NewFile { file, .. }) in ids.iter().zip(files) {
        let checksum = file.checksum.cast_signed();
        insert.execute(params![id, file.min_time, file.max_time, checksum, now.cast_signed(), file.level])?;
    }
    Ok(())
}

/// In `table`, one of those of positions.
fn move_positions(db: &Connection, table: &str, positions: &Positions) -> rusqlite::Result<()> {
    let mut moved = db.prepare_cached(&format!(
        "INSERT INTO {table} (log_id, signal, position) VALUES (?, ?, ?)
         ON CONFLICT (log_id, signal) DO UPDATE SET position = excluded.position",
    ))?;
    for ((id, signal), position) in positions {
        moved.execute(params![id.to_string(), signal.name(), position.0.cast_signed()])?;
    }
    Ok(())
}

fn note(db: &Connection, Changes { added, kept, released }: &Changes) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO quarantined (id, note) VALUES (?, ?)")?;
    for note in added {
        insert.execute(params![note.id.to_string(), &note.encode()[..]])?;
    }
    let mut delete = db.prepare_cached("DELETE FROM quarantined WHERE id = ?")?;
    for id in kept {
        delete.execute([id.to_string()])?;
    }
    for table in ["positions", "taken"] {
        let mut forget = db.prepare_cached(&format!("DELETE FROM {table} WHERE log_id = ?"))?;
        for id in released {
            forget.execute([id.to_string()])?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
