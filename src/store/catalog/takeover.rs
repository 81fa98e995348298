//! A catalog of version 1, which had tables of its own alone, becomes a DuckLake.

use rusqlite::{Connection, Result};

use super::statistics;
use super::{File, NewFile};
use crate::store::schema::Table;

/// The files that it names. They have no field ids: DuckLake finds their columns by name.
pub fn files(db: &Connection) -> Result<Vec<NewFile>> {
    let sql = "SELECT table_name, path, rows, min_time, max_time, bytes, checksum FROM files ORDER BY created, path";
    let mut statement = db.prepare(sql)?;
    let files = statement.query_map([], |row| {
        let file = File::from_row(row)?;
        let columns = Table::from_name(&file.table)
            .map(|table| statistics::of_times(table, file.min_time, file.max_time))
            .unwrap_or_default();
        Ok(NewFile { file, has_field_ids: false, footer: None, columns, is_damaged: false })
    })?;
    files.collect()
}
