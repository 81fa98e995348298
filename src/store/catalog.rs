//! Which sealed files there are, and up to which position each log is in them: a small SQLite
//! file, so that both move in one transaction. A file that the catalog does not name does not
//! exist for the store; a record before the position needs no replay.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, params};
use uuid::Uuid;

use crate::signal::Signal;
use crate::store::engine::quarantine::Changes;
use crate::store::protocol::Quarantined;
use crate::wal::Position;

/// Version of the catalog's tables, kept in SQLite's `user_version`.
const VERSION: i64 = 1;

const TABLES: &str = "
    CREATE TABLE files (
        path TEXT PRIMARY KEY,          -- below the folder of sealed files
        table_name TEXT NOT NULL,
        rows INTEGER NOT NULL,
        min_time INTEGER,               -- nanoseconds since the Unix epoch, UTC
        max_time INTEGER,
        bytes INTEGER NOT NULL,
        checksum INTEGER NOT NULL,      -- XXH3 of the whole file
        created INTEGER NOT NULL        -- nanoseconds since the Unix epoch, UTC
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX files_by_table ON files (table_name, path);
    CREATE TABLE positions (
        log_id TEXT NOT NULL,
        signal TEXT NOT NULL,
        position INTEGER NOT NULL,      -- every record before it is in the files
        PRIMARY KEY (log_id, signal)
    ) STRICT, WITHOUT ROWID;
";

/// What came later; a catalog of before gets it when it is opened.
const LATER_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS quarantined (
        id TEXT PRIMARY KEY,            -- of what can never be stored and has no dead letter yet
        note BLOB NOT NULL              -- see store::protocol::Quarantined
    ) STRICT, WITHOUT ROWID;
";

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
}

/// Positions of logs, by the log's identity and signal.
pub type Positions = HashMap<(Uuid, Signal), Position>;

/// Why the catalog could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// SQLite's own answer.
    #[error("catalog {}: {source}", path.display())]
    Sqlite {
        /// The catalog's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Its own check has found damage.
    #[error("catalog {}: damaged: {reason}", path.display())]
    Damaged {
        /// The catalog's file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// Written by a later Vispyr.
    #[error("catalog {}: version {found}, this vispyr knows up to {VERSION}: use the newer vispyr", path.display())]
    Newer {
        /// The catalog's file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

impl CatalogError {
    /// Whether it is the content that is at fault: reading it again will not help.
    pub fn is_damage(&self) -> bool {
        match self {
            CatalogError::Damaged { .. } => true,
            CatalogError::Newer { .. } => false,
            CatalogError::Sqlite { source, .. } => match source {
                // A value of another type than was written.
                rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => true,
                rusqlite::Error::SqliteFailure(error, message) => {
                    // The second: a file of this version without one of its tables.
                    matches!(error.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
                        || message.as_ref().is_some_and(|message| message.starts_with("no such"))
                }
                _ => false,
            },
        }
    }
}

/// The open catalog.
#[derive(Debug)]
pub struct Catalog {
    path: PathBuf,
    db: Connection,
}

impl Catalog {
    /// Opens the catalog at `path`, or makes an empty one.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let sqlite = |source| CatalogError::Sqlite { path: path.to_owned(), source };
        let db = Connection::open(path).map_err(sqlite)?;
        // The folder is ours alone. Without this SQLite needs a file for others to share, which a
        // full disk does not give it, and the store would not start.
        db.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(sqlite)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
        // A transaction that has returned survives a power cut.
        db.pragma_update(None, "synchronous", "FULL").map_err(sqlite)?;
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
        match found {
            0 => {
                let sql = format!("BEGIN IMMEDIATE; {TABLES} {LATER_TABLES} PRAGMA user_version = {VERSION}; COMMIT;");
                db.execute_batch(&sql).map_err(sqlite)?;
            }
            VERSION => {
                let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite)?;
                if found != "ok" {
                    return Err(CatalogError::Damaged { path: path.to_owned(), reason: found });
                }
                db.execute_batch(LATER_TABLES).map_err(sqlite)?;
            }
            found => return Err(CatalogError::Newer { path: path.to_owned(), found }),
        }
        Ok(Catalog { path: path.to_owned(), db })
    }

    /// Writes a catalog to `path`, which is not there: all on disk when this returns.
    ///
    /// # Errors
    /// SQLite's.
    pub fn write(path: &Path, files: &[File], positions: &Positions, now: u64) -> Result<(), CatalogError> {
        let mut catalog = Catalog::open(path)?;
        catalog.add(files, positions, &Changes::default(), now)?;
        // With the last connection the log of SQLite goes into the file, which is whole then.
        let Catalog { path, db } = catalog;
        db.close().map_err(|(_, source)| CatalogError::Sqlite { path, source })
    }

    /// Whether it names no file and no log: nothing has ever been sealed, or it is not the catalog
    /// that was here.
    ///
    /// # Errors
    /// SQLite's.
    pub fn is_empty(&self) -> Result<bool, CatalogError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM files) AND NOT EXISTS (SELECT 1 FROM positions)";
        self.ask(|db| db.query_row(sql, [], |row| row.get(0)))
    }

    /// All sealed files, by table and path.
    pub fn files(&self) -> Result<Vec<File>, CatalogError> {
        let sql = "SELECT table_name, path, rows, min_time, max_time, bytes, checksum FROM files ORDER BY 1, 2";
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let files = statement.query_map([], |row| {
                Ok(File {
                    table: row.get(0)?,
                    path: row.get(1)?,
                    rows: row.get::<_, i64>(2)?.cast_unsigned(),
                    min_time: row.get(3)?,
                    max_time: row.get(4)?,
                    bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                    checksum: row.get::<_, i64>(6)?.cast_unsigned(),
                })
            })?;
            files.collect()
        })
    }

    /// Up to where each log is sealed.
    pub fn positions(&self) -> Result<Positions, CatalogError> {
        self.ask(|db| {
            let mut statement = db.prepare("SELECT log_id, signal, position FROM positions")?;
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
    /// disk, or nothing.
    pub fn add(
        &mut self,
        files: &[File],
        positions: &Positions,
        quarantine: &Changes,
        now: u64,
    ) -> Result<(), CatalogError> {
        let path = &self.path;
        let sqlite = |source| CatalogError::Sqlite { path: path.clone(), source };
        let transaction = self.db.transaction().map_err(sqlite)?;
        add_all(&transaction, files, positions, now).map_err(sqlite)?;
        note(&transaction, quarantine).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)
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

fn add_all(db: &Connection, files: &[File], positions: &Positions, now: u64) -> rusqlite::Result<()> {
    let mut insert = db.prepare(
        "INSERT INTO files (path, table_name, rows, min_time, max_time, bytes, checksum, created)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for f in files {
        insert.execute(params![
            f.path,
            f.table,
            f.rows.cast_signed(),
            f.min_time,
            f.max_time,
            f.bytes.cast_signed(),
            f.checksum.cast_signed(),
            now.cast_signed()
        ])?;
    }
    let mut moved = db.prepare(
        "INSERT INTO positions (log_id, signal, position) VALUES (?, ?, ?)
         ON CONFLICT (log_id, signal) DO UPDATE SET position = excluded.position",
    )?;
    for ((id, signal), position) in positions {
        moved.execute(params![id.to_string(), signal.name(), position.0.cast_signed()])?;
    }
    Ok(())
}

fn note(db: &Connection, Changes { added, kept, released }: &Changes) -> rusqlite::Result<()> {
    let mut insert = db.prepare("INSERT OR REPLACE INTO quarantined (id, note) VALUES (?, ?)")?;
    for note in added {
        insert.execute(params![note.id.to_string(), &note.encode()[..]])?;
    }
    let mut delete = db.prepare("DELETE FROM quarantined WHERE id = ?")?;
    for id in kept {
        delete.execute([id.to_string()])?;
    }
    let mut forget = db.prepare("DELETE FROM positions WHERE log_id = ?")?;
    for id in released {
        forget.execute([id.to_string()])?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::store::protocol::Part;

    fn file(path: &str) -> File {
        let (min_time, max_time) = (Some(-5), Some(7));
        File { table: "spans".into(), path: path.into(), rows: 3, min_time, max_time, bytes: 9, checksum: u64::MAX - 1 }
    }

    #[test]
    fn files_and_positions_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        let at = |n| Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(n))]);
        let mut catalog = Catalog::open(&path).unwrap();
        catalog.add(&[file("a"), file("b")], &at(5), &Changes::default(), 1).unwrap();
        drop(catalog);
        let mut catalog = Catalog::open(&path).unwrap();
        assert_eq!(catalog.files().unwrap(), [file("a"), file("b")]);
        assert_eq!(catalog.positions().unwrap(), at(5));
        catalog.add(&[], &at(9), &Changes::default(), 1).unwrap();
        assert_eq!(catalog.positions().unwrap(), at(9));
    }

    #[test]
    fn notes_are_added_and_forgotten_also_in_a_catalog_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        let earlier = Catalog::open(&path).unwrap();
        earlier.db.execute_batch("DROP TABLE quarantined").unwrap();
        drop(earlier);
        let mut catalog = Catalog::open(&path).unwrap();
        let part = Part::Items(vec![1, 5]);
        let note = Quarantined::of_log(Uuid::from_u128(1), Signal::Logs, Position(3), "odd".to_owned(), part);
        let added = Changes { added: vec![note.clone()], ..Changes::default() };
        catalog.add(&[], &Positions::new(), &added, 1).unwrap();
        catalog.add(&[], &Positions::new(), &added, 1).unwrap();
        assert_eq!(catalog.quarantined().unwrap(), std::slice::from_ref(&note));
        let kept = Changes { kept: vec![note.id], ..Changes::default() };
        catalog.add(&[], &Positions::new(), &kept, 1).unwrap();
        assert_eq!(catalog.quarantined().unwrap(), []);
    }

    #[test]
    fn a_failed_addition_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalog = Catalog::open(&dir.path().join("catalog.sqlite")).unwrap();
        let positions = Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(1))]);
        catalog.add(&[file("a")], &Positions::new(), &Changes::default(), 1).unwrap();
        catalog.add(&[file("b"), file("a")], &positions, &Changes::default(), 1).unwrap_err();
        assert_eq!(catalog.files().unwrap(), [file("a")]);
        assert!(catalog.positions().unwrap().is_empty());
    }

    #[test]
    fn a_newer_catalog_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        Catalog::open(&path).unwrap().db.pragma_update(None, "user_version", 7).unwrap();
        let message = Catalog::open(&path).unwrap_err().to_string();
        assert!(message.contains("version 7") && message.contains("newer vispyr"), "{message}");
    }

    #[test]
    fn what_is_not_a_catalog_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        std::fs::write(&path, [b'x'; 4096]).unwrap();
        assert!(Catalog::open(&path).unwrap_err().is_damage());
    }

    #[test]
    fn damage_is_told_from_what_another_try_may_mend() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        Catalog::write(&path, &[file("a")], &Positions::new(), 1).unwrap();
        let catalog = Catalog::open(&path).unwrap();
        assert!(!catalog.is_empty().unwrap());
        catalog.db.execute_batch("DROP TABLE files").unwrap();
        assert!(catalog.files().unwrap_err().is_damage());
        catalog.db.pragma_update(None, "user_version", 7).unwrap();
        drop(catalog);
        assert!(!Catalog::open(&path).unwrap_err().is_damage(), "a later version's");
        assert!(!Catalog::open(&dir.path().join("no/such/folder")).unwrap_err().is_damage());
    }

    #[test]
    fn one_that_names_nothing_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let mut catalog = Catalog::open(&dir.path().join("catalog.sqlite")).unwrap();
        assert!(catalog.is_empty().unwrap());
        let positions = Positions::from([((Uuid::from_u128(1), Signal::Logs), Position(1))]);
        catalog.add(&[], &positions, &Changes::default(), 1).unwrap();
        assert!(!catalog.is_empty().unwrap());
    }
}
