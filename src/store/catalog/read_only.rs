//! The catalog as another process reads it, whether the store runs or not.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Catalog, CatalogError, VERSION};

/// How long a reader waits for SQLite to let it in.
const PATIENCE: Duration = Duration::from_secs(1);

impl Catalog {
    /// Opens the catalog at `path` for reading alone, whether the store runs or not.
    ///
    /// # Errors
    /// SQLite's, also if there is none; and if it is of another version than this program's.
    pub fn open_read_only(path: &Path) -> Result<Self, CatalogError> {
        Self::open_beside_writer(path).or_else(|error| {
            // Where nothing may be written and nobody writes, SQLite reads without what it shares.
            let is_at_rest = !Path::new(&format!("{}-wal", path.display())).exists();
            if matches!(error, CatalogError::Sqlite { .. }) && is_at_rest {
                open(path, "?immutable=1")
            } else {
                Err(error)
            }
        })
    }

    /// The same for one that may be written at any time from now on.
    ///
    /// # Errors
    /// The same.
    pub fn open_beside_writer(path: &Path) -> Result<Self, CatalogError> {
        open(path, "")
    }

    /// Looks whether SQLite finds it whole.
    ///
    /// # Errors
    /// What SQLite finds.
    pub fn check(&self) -> Result<(), CatalogError> {
        let found: String = self.ask(|db| db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)))?;
        let damaged = || CatalogError::Damaged { path: self.path.clone(), reason: found.clone() };
        (found == "ok").then_some(()).ok_or_else(damaged)
    }
}

fn open(path: &Path, parameters: &str) -> Result<Catalog, CatalogError> {
    let text = path.to_string_lossy();
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let connect = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(format!("file:{escaped}{parameters}"), flags)?;
        db.busy_timeout(PATIENCE)?;
        // The first question needs what is shared with others.
        db.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((db, version))
    };
    let path = path.to_owned();
    match connect() {
        Err(source) => Err(CatalogError::Sqlite { path, source }),
        Ok((db, VERSION)) => Ok(Catalog { path, db, is_shared: true }),
        Ok((_, found)) if found > VERSION => Err(CatalogError::Newer { path, found }),
        Ok((_, found)) => Err(CatalogError::Older { path, found }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::Positions;
    use super::*;
    use crate::store::engine::quarantine::Changes;

    #[test]
    fn it_reads_beside_a_writer_and_after_it_and_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cata?log #1 50%.sqlite");
        assert!(Catalog::open_read_only(&path).is_err() && !path.exists());
        let mut writer = Catalog::open(&path, dir.path(), 1).unwrap();
        let mut reader = Catalog::open_read_only(&path).unwrap();
        assert_eq!(reader.files().unwrap(), []);
        let positions =
            Positions::from([((uuid::Uuid::from_u128(1), crate::signal::Signal::Logs), crate::wal::Position(1))]);
        reader.add(&[], &positions, &Changes::default(), 1).unwrap_err();
        writer.add(&[], &positions, &Changes::default(), 1).unwrap();
        drop((writer, reader));
        assert_eq!(Catalog::open_read_only(&path).unwrap().files().unwrap(), []);
    }

    #[test]
    fn another_version_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        let catalog = Catalog::open(&path, dir.path(), 1).unwrap();
        for (version, words) in [(1, "start the store once"), (VERSION + 1, "newer vispyr")] {
            catalog.db.pragma_update(None, "user_version", version).unwrap();
            let message = Catalog::open_read_only(&path).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
