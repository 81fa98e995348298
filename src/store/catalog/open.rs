//! Opening the catalog: its tables are those of this version then.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{Catalog, CatalogError, Changes, NewFile, Positions, VERSION, change_in, ducklake, takeover};

/// How long a transaction waits for another process that writes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

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

    /// Opens it again for others to read, if there was no space for that when it was opened.
    pub(super) fn share(&mut self) -> Result<(), CatalogError> {
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
