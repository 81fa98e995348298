//! A catalog of an earlier version becomes one of this.

use rusqlite::{Connection, Result, params};

use super::statistics;
use super::{File, NewFile, ducklake};
use crate::store::schema::Table;

/// The level of files that earlier versions wrote.
const LEVEL: u8 = 1;

/// The files that a catalog of version 1 names, which had tables of its own alone. They have no field
/// ids: DuckLake finds their columns by name.
pub fn files(db: &Connection) -> Result<Vec<NewFile>> {
    let sql = format!(
        "SELECT table_name, path, rows, min_time, max_time, bytes, checksum, {LEVEL} FROM files ORDER BY created, path"
    );
    let mut statement = db.prepare(&sql)?;
    let files = statement.query_map([], |row| {
        let file = File::from_row(row)?;
        let columns = Table::from_name(&file.table)
            .map(|table| statistics::of_times(table, file.min_time, file.max_time))
            .unwrap_or_default();
        Ok(NewFile { file, has_field_ids: false, footer: None, columns, is_damaged: false })
    })?;
    files.collect()
}

/// Adds them, with the times that they were made at. The table that named them goes.
pub fn add(db: &Connection, files: &[NewFile]) -> Result<()> {
    for (id, NewFile { file, .. }) in ducklake::add_files(db, files, ducklake::next_snapshot(db)?)?.iter().zip(files) {
        let sql =
            "INSERT INTO sealed_files SELECT ?, min_time, max_time, checksum, created, ? FROM files WHERE path = ?";
        db.execute(sql, params![id, file.level, file.path])?;
    }
    db.execute_batch("DROP TABLE IF EXISTS files")
}

/// Makes `own_tables` of those of version 2, which knew no levels.
pub fn from_2(db: &Connection, own_tables: &str) -> Result<()> {
    db.execute_batch("ALTER TABLE sealed_files RENAME TO sealed_files_2")?;
    db.execute_batch(own_tables)?;
    db.execute(
        "INSERT INTO sealed_files SELECT data_file_id, min_time, max_time, checksum, created, ? FROM sealed_files_2",
        [LEVEL],
    )?;
    db.execute_batch(
        "DROP TABLE sealed_files_2;
         CREATE INDEX files_by_end ON ducklake_data_file (end_snapshot);
         CREATE INDEX statistics_by_file ON ducklake_file_column_stats (data_file_id)",
    )
}
