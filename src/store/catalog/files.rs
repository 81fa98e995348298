//! What the catalog says of files.

use rusqlite::{Row, params};

use super::{Catalog, CatalogError, ColumnStatistics};

/// The columns that [`File::from_row`] takes, of [`FILES`].
pub(super) const FILE: &str =
    "table_name, t.path || f.path, record_count, min_time, max_time, file_size_bytes, checksum, level";

/// All files that the catalog has anything of.
pub(super) const FILES: &str =
    "sealed_files JOIN ducklake_data_file AS f USING (data_file_id) JOIN ducklake_table AS t USING (table_id)";

/// Those that have not been ended. A damaged one begins and ends with the same snapshot, so that none has it.
pub(super) const CURRENT: &str = "(f.end_snapshot IS NULL OR f.end_snapshot = f.begin_snapshot)";

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
    pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
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

impl Catalog {
    /// All sealed files, by table and path.
    ///
    /// # Errors
    /// SQLite's.
    pub fn files(&self) -> Result<Vec<File>, CatalogError> {
        let sql = format!("SELECT {FILE} FROM {FILES} WHERE {CURRENT} ORDER BY 1, 2");
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
}
