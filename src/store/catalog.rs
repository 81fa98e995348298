//! Which sealed files there are, and up to which position each log is in them: a DuckLake 1.0 in a
//! SQLite file, so that any DuckDB can attach it and ask, with tables of our own beside it, so that
//! all of them move in one transaction. A file that the catalog does not name does not exist for the
//! store; a record before the position is in them.
//!
//! | module | what |
//! |---|---|
//! | [`open`] | it is opened, or made |
//! | [`files`] | what it says of files |
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
use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use crate::signal::Signal;
use crate::store::engine::quarantine::Changes;
use crate::store::protocol::Quarantined;
use crate::wal::Position;

pub use self::error::CatalogError;
pub use self::files::{File, NewFile, Total};
pub use self::statistics::ColumnStatistics;

mod candidates;
mod ducklake;
mod error;
pub mod expiry;
mod files;
mod level0;
mod open;
mod read_only;
pub mod reader;
pub mod statistics;
pub mod storage;
mod takeover;

/// Version of the catalog's tables, kept in SQLite's `user_version`.
const VERSION: i64 = 3;

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
    /// Whether it names no file and no log: nothing has ever been sealed, or it is not the catalog
    /// that was here.
    ///
    /// # Errors
    /// SQLite's.
    pub fn is_empty(&self) -> Result<bool, CatalogError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM sealed_files) AND NOT EXISTS (SELECT 1 FROM positions)";
        self.ask(|db| db.query_row(sql, [], |row| row.get(0)))
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

    /// These files leave the current snapshot, at once, and damaged ones the catalog.
    ///
    /// # Errors
    /// SQLite's; also if one of them is not current.
    pub fn end(&mut self, paths: &[String], now: u64) -> Result<(), CatalogError> {
        self.share()?;
        self.change(|db| {
            let others = expiry::end_damaged(db, paths, now)?;
            ducklake::end_files(db, &others, ducklake::next_snapshot(db)?)?;
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
