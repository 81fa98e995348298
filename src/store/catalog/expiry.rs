//! What no snapshot needs any more goes, as a DuckLake has it (its specification, "Expire Snapshots"
//! and "Cleanup of Files"): snapshots first, then the rows of files that no snapshot is left to have.
//! Those are scheduled for deletion in the same transaction; then they are unlinked; then they leave
//! that table. So at any moment a file is in a snapshot, or scheduled, or gone, and after a crash what
//! is scheduled is unlinked again.
//!
//! The latest snapshot stays. So identities of snapshots, files and rows are never used again.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::ducklake::{snapshot_time, take_from_table};
use super::files::{CURRENT, FILE, FILES};
use super::{Catalog, CatalogError, File};
use crate::store::retention::plan::Aged;

/// A file that no snapshot has, on its way off the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its identity, of `ducklake_data_file`.
    pub id: i64,
    /// Path below the folder of sealed files.
    pub path: String,
}

/// Bytes of files that are not current any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Of level 0. As fast as they go, others come.
    pub level0: u64,
    /// Of all others.
    pub sealed: u64,
}

/// What a call of [`Catalog::expire`] took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Snapshots.
    pub snapshots: usize,
    /// Files that are scheduled for deletion now.
    pub files: usize,
}

impl Catalog {
    /// The snapshot that readers take now.
    ///
    /// # Errors
    /// SQLite's.
    pub fn latest_snapshot(&self) -> Result<i64, CatalogError> {
        self.ask(|db| db.query_row("SELECT max(snapshot_id) FROM ducklake_snapshot", [], |row| row.get(0)))
    }

    /// Takes away the snapshots before `before`, but never the latest, and schedules the files that no
    /// snapshot has then. `now` is in nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// SQLite's. Nothing has changed then.
    pub fn expire(&mut self, before: i64, now: u64) -> Result<Expired, CatalogError> {
        if !self.ask(|db| is_anything_before(db, before))? {
            return Ok(Expired::default());
        }
        let mut expired = Expired::default();
        self.change(|db| {
            expired = expire(db, before, now)?;
            Ok(())
        })?;
        Ok(expired)
    }

    /// The files that are scheduled for deletion.
    ///
    /// # Errors
    /// SQLite's.
    pub fn scheduled(&self) -> Result<Vec<Scheduled>, CatalogError> {
        // Paths that are not relative are none of ours.
        let sql =
            "SELECT data_file_id, path FROM ducklake_files_scheduled_for_deletion WHERE path_is_relative ORDER BY 1";
        self.ask(|db| {
            let mut statement = db.prepare(sql)?;
            let files = statement.query_map([], |row| Ok(Scheduled { id: row.get(0)?, path: row.get(1)? }))?;
            files.collect()
        })
    }

    /// These are gone from the disk, too.
    ///
    /// # Errors
    /// SQLite's. They are unlinked once more, then.
    pub fn deleted(&mut self, files: &[Scheduled]) -> Result<(), CatalogError> {
        if files.is_empty() {
            return Ok(());
        }
        self.change(|db| {
            let mut delete = db.prepare("DELETE FROM ducklake_files_scheduled_for_deletion WHERE data_file_id = ?")?;
            files.iter().try_for_each(|file| delete.execute([file.id]).map(|_| ()))
        })
    }

    /// The files of the latest snapshot, and of one that is not shown yet.
    ///
    /// # Errors
    /// SQLite's.
    pub fn current(&self) -> Result<Vec<Aged>, CatalogError> {
        self.aged("f.end_snapshot IS NULL")
    }

    /// The same, and those that no snapshot has because they are damaged.
    ///
    /// # Errors
    /// SQLite's.
    pub fn kept(&self) -> Result<Vec<Aged>, CatalogError> {
        self.aged(CURRENT)
    }

    /// The current files of level 0, in the order in which they came.
    ///
    /// # Errors
    /// SQLite's.
    pub fn level0(&self) -> Result<Vec<Aged>, CatalogError> {
        self.aged("f.end_snapshot IS NULL AND level = 0 ORDER BY data_file_id")
    }

    fn aged(&self, which: &str) -> Result<Vec<Aged>, CatalogError> {
        let sql = format!("SELECT {FILE}, created FROM {FILES} WHERE {which}");
        let aged = |row: &Row<'_>| Ok(Aged { file: File::from_row(row)?, created: row.get(8)? });
        self.ask(|db| db.prepare_cached(&sql)?.query_map([], aged)?.collect())
    }

    /// Keeps a text for later starts.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remember(&mut self, key: &str, value: &str) -> Result<(), CatalogError> {
        self.change(|db| db.execute("INSERT OR REPLACE INTO own VALUES (?, ?)", [key, value]).map(|_| ()))
    }

    /// The text that was kept last.
    ///
    /// # Errors
    /// SQLite's.
    pub fn remembered(&self, key: &str) -> Result<Option<String>, CatalogError> {
        self.ask(|db| db.query_row("SELECT value FROM own WHERE key = ?", [key], |row| row.get(0)).optional())
    }

    /// Bytes of files that have left the latest snapshot and are still on the disk, as far as they are
    /// not scheduled yet.
    ///
    /// # Errors
    /// SQLite's.
    pub fn ended(&self) -> Result<Ended, CatalogError> {
        let sql = "SELECT coalesce(sum(file_size_bytes) FILTER (WHERE level = 0), 0),
                coalesce(sum(file_size_bytes) FILTER (WHERE level > 0), 0)
             FROM ducklake_data_file JOIN sealed_files USING (data_file_id) WHERE end_snapshot > begin_snapshot";
        let bytes = |row: &Row<'_>, n| Ok::<_, rusqlite::Error>(row.get::<_, i64>(n)?.cast_unsigned());
        self.ask(|db| db.query_row(sql, [], |row| Ok(Ended { level0: bytes(row, 0)?, sealed: bytes(row, 1)? })))
    }
}

/// Deletes files that are scheduled. Answers those that are gone; the others stay scheduled.
pub fn unlink(sealed: &Path, files: Vec<Scheduled>) -> Vec<Scheduled> {
    let gone = |file: &Scheduled| match std::fs::remove_file(sealed.join(&file.path)) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            tracing::warn!(%error, file = file.path, "cannot delete a file that nobody needs any more");
            false
        }
    };
    files.into_iter().filter(gone).collect()
}

fn is_anything_before(db: &Connection, before: i64) -> Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM ducklake_snapshot
            WHERE snapshot_id < min(?, (SELECT max(snapshot_id) FROM ducklake_snapshot)))",
        [before],
        |row| row.get(0),
    )
}

fn expire(db: &Connection, before: i64, now: u64) -> Result<Expired> {
    let latest: i64 = db.query_row("SELECT max(snapshot_id) FROM ducklake_snapshot", [], |row| row.get(0))?;
    let first = before.min(latest);
    let snapshots = db.execute("DELETE FROM ducklake_snapshot WHERE snapshot_id < ?", [first])?;
    db.execute("DELETE FROM ducklake_snapshot_changes WHERE snapshot_id < ?", [first])?;
    // A file that ends with a snapshot that is not shown yet is in the latest. One that begins and ends
    // with the same was never in any: it is damaged, and kept until it is dropped.
    let unneeded =
        "SELECT data_file_id FROM ducklake_data_file AS f WHERE end_snapshot > begin_snapshot AND NOT EXISTS (
        SELECT 1 FROM ducklake_snapshot WHERE snapshot_id >= f.begin_snapshot AND snapshot_id < f.end_snapshot)";
    let files = schedule(db, unneeded, now)?;
    Ok(Expired { snapshots, files })
}

/// Takes away those of these files that no snapshot has ever had, as they are damaged: no statement reads them, so
/// they are scheduled for deletion. Answers the others.
pub(super) fn end_damaged(db: &Connection, paths: &[String], now: u64) -> Result<Vec<String>> {
    let mut find = db.prepare_cached(&format!(
        "SELECT data_file_id, table_id, record_count, file_size_bytes FROM {FILES}
         WHERE f.end_snapshot = f.begin_snapshot AND t.path || f.path = ?"
    ))?;
    let mut others = Vec::new();
    for path in paths {
        let found: Option<(i64, i64, i64, i64)> =
            find.query_row([path], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional()?;
        let Some((id, table, rows, bytes)) = found else {
            others.push(path.clone());
            continue;
        };
        schedule(db, &id.to_string(), now)?;
        take_from_table(db, table, rows, bytes)?;
    }
    Ok(others)
}

/// Schedules files for deletion, by a question for their identities. How many they are.
fn schedule(db: &Connection, unneeded: &str, now: u64) -> Result<usize> {
    let files = db.execute(
        &format!(
            "INSERT INTO ducklake_files_scheduled_for_deletion
             SELECT data_file_id, t.path || f.path, 1, ? FROM ducklake_data_file AS f
             JOIN (SELECT DISTINCT table_id, path FROM ducklake_table) AS t USING (table_id)
             WHERE data_file_id IN ({unneeded})"
        ),
        params![snapshot_time(now)],
    )?;
    if files > 0 {
        for table in PARTS {
            // One of them is what finds them: it goes last.
            db.execute(&format!("DELETE FROM {table} WHERE data_file_id IN ({unneeded})"), [])?;
        }
    }
    Ok(files)
}

/// The tables with rows of a file, `ducklake_data_file` last.
const PARTS: [&str; 6] = [
    "sealed_files",
    "lost_files",
    "ducklake_file_column_stats",
    "ducklake_file_variant_stats",
    "ducklake_file_partition_value",
    "ducklake_data_file",
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use super::super::{NewFile, Positions, statistics};
    use super::*;
    use crate::store::engine::quarantine::Changes;
    use crate::store::schema::Table;

    struct Lake {
        dir: tempfile::TempDir,
        catalog: Catalog,
    }

    impl Lake {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let catalog = Catalog::open(&dir.path().join("catalog.sqlite"), dir.path(), 1).unwrap();
            fs::create_dir(dir.path().join("spans")).unwrap();
            Lake { dir, catalog }
        }

        /// A file of three rows in a snapshot of its own, which it answers.
        fn add(&mut self, name: &str) -> i64 {
            let (table, path) = ("spans".to_owned(), format!("spans/{name}"));
            fs::write(self.dir.path().join(&path), "rows").unwrap();
            let (min_time, max_time) = (Some(-5), Some(7));
            let file = File { table, path, rows: 3, min_time, max_time, bytes: 4, checksum: 1, level: 1 };
            let columns = statistics::of_times(Table::Spans, min_time, max_time);
            let new = NewFile { file, has_field_ids: true, footer: None, columns, is_damaged: false };
            self.catalog.add(&[new], &Positions::new(), &Changes::default(), 1).unwrap();
            self.catalog.show(1).unwrap();
            self.catalog.latest_snapshot().unwrap()
        }

        fn number(&self, sql: &str) -> i64 {
            self.catalog.ask(|db| db.query_row(sql, [], |row| row.get(0))).unwrap()
        }

        fn names(&self) -> Vec<String> {
            self.catalog.files().unwrap().into_iter().map(|file| file.path).collect()
        }
    }

    #[test]
    fn snapshots_and_their_files_go_together_and_the_latest_stays() {
        let mut lake = Lake::new();
        let (a, b) = (lake.add("a"), lake.add("b"));
        lake.catalog.end(&["spans/a".to_owned()], 1).unwrap();
        let without = lake.catalog.latest_snapshot().unwrap();
        assert!(a < b && b < without);
        assert_eq!(lake.catalog.ended().unwrap(), Ended { level0: 0, sealed: 4 });

        // Snapshot b has a, too.
        assert_eq!(lake.catalog.expire(b, 9).unwrap(), Expired { snapshots: 3, files: 0 });
        assert_eq!(lake.catalog.scheduled().unwrap(), []);
        assert_eq!(lake.catalog.expire(i64::MAX, 9).unwrap(), Expired { snapshots: 1, files: 1 });
        assert_eq!(lake.number("SELECT count(*) FROM ducklake_snapshot"), 1);
        assert_eq!(lake.number("SELECT count(*) FROM ducklake_snapshot_changes"), 1);
        assert_eq!(lake.names(), ["spans/b"]);
        for table in PARTS {
            assert_eq!(lake.number(&format!("SELECT count(*) FROM {table} WHERE data_file_id = 0")), 0, "{table}");
        }
        assert_eq!(lake.catalog.ended().unwrap(), Ended::default());
        assert_eq!(lake.catalog.expire(i64::MAX, 9).unwrap(), Expired::default());

        let scheduled = lake.catalog.scheduled().unwrap();
        assert_eq!(scheduled, [Scheduled { id: 0, path: "spans/a".to_owned() }]);
        let start =
            "SELECT schedule_start = '1970-01-01 00:00:00.000000+00' FROM ducklake_files_scheduled_for_deletion";
        assert_eq!(lake.number(start), 1);
        // It is unlinked again if a crash came before it left the table.
        for _ in 0..2 {
            assert_eq!(unlink(lake.dir.path(), scheduled.clone()), scheduled);
        }
        lake.catalog.deleted(&scheduled).unwrap();
        assert_eq!(lake.catalog.scheduled().unwrap(), []);
        assert!(!lake.dir.path().join("spans/a").exists() && lake.dir.path().join("spans/b").exists());
    }

    #[test]
    fn no_identity_is_used_again() {
        let mut lake = Lake::new();
        lake.add("a");
        lake.add("b");
        lake.catalog.end(&["spans/a".to_owned(), "spans/b".to_owned()], 1).unwrap();
        let latest = lake.catalog.latest_snapshot().unwrap();
        assert_eq!(lake.catalog.expire(i64::MAX, 9).unwrap().files, 2);
        assert_eq!(lake.add("c"), latest + 1);
        let sql = "SELECT data_file_id * 100 + row_id_start FROM ducklake_data_file";
        assert_eq!(lake.number(sql), 206, "the third file, after six rows");
        assert_eq!(lake.number("SELECT record_count FROM ducklake_table_stats WHERE next_row_id = 9"), 3);
        assert_eq!(lake.number("SELECT file_size_bytes FROM ducklake_table_stats WHERE next_row_id = 9"), 4);
    }

    #[test]
    fn what_cannot_be_deleted_stays_scheduled() {
        let mut lake = Lake::new();
        lake.add("a");
        lake.catalog.end(&["spans/a".to_owned()], 1).unwrap();
        lake.catalog.expire(i64::MAX, 9).unwrap();
        // A folder in its place: unlink refuses it, for root as well.
        let path = lake.dir.path().join("spans/a");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(unlink(lake.dir.path(), lake.catalog.scheduled().unwrap()), []);
        assert_eq!(lake.catalog.scheduled().unwrap().len(), 1);
    }
}
