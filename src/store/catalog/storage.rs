//! Where the bytes go: for the users' view `storage`.

use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError};
use crate::store::schema::Table;

/// What one column of one table takes in all files of the latest snapshot but those of level 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Name of the table.
    pub table: String,
    /// Name of the column; empty for what belongs to none: footers, mostly.
    pub column: String,
    /// Rows of the table.
    pub rows: u64,
    /// Files of the table.
    pub files: u64,
    /// Compressed bytes of the column.
    pub bytes: u64,
}

impl Catalog {
    /// By table and column, in their order.
    ///
    /// # Errors
    /// SQLite's.
    pub fn storage(&self) -> Result<Vec<Storage>, CatalogError> {
        let of_tables = "SELECT table_name, count(*), sum(record_count), sum(file_size_bytes)
             FROM ducklake_data_file JOIN sealed_files USING (data_file_id) JOIN ducklake_table AS t USING (table_id)
             WHERE ducklake_data_file.end_snapshot IS NULL AND level > 0 GROUP BY 1";
        // Of each file, so that none of an earlier version is taken for one without bytes.
        let of_columns = "SELECT table_name, column_id, sum(column_size_bytes)
             FROM ducklake_data_file AS f JOIN sealed_files USING (data_file_id) JOIN ducklake_table AS t USING (table_id)
             JOIN ducklake_file_column_stats AS s USING (data_file_id)
             WHERE f.end_snapshot IS NULL AND level > 0 GROUP BY 1, 2";
        let number = |row: &rusqlite::Row<'_>, n| {
            Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(n)?.unwrap_or(0).cast_unsigned())
        };
        let (tables, columns) = self.ask(|db| {
            let mut statement = db.prepare_cached(of_tables)?;
            let tables = statement.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, number(row, 1)?, number(row, 2)?, number(row, 3)?))
            })?;
            let tables: Vec<_> = tables.collect::<rusqlite::Result<_>>()?;
            let mut statement = db.prepare_cached(of_columns)?;
            let columns = statement
                .query_map([], |row| Ok(((row.get::<_, String>(0)?, row.get::<_, i64>(1)?), number(row, 2)?)))?;
            Ok((tables, columns.collect::<rusqlite::Result<std::collections::HashMap<_, _>>>()?))
        })?;
        let mut storage = Vec::new();
        for table in Table::ALL {
            let Some((name, files, rows, bytes)) = tables.iter().find(|(name, ..)| name == table.name()) else {
                continue;
            };
            let entry = |column: &str, bytes| Storage {
                table: name.clone(),
                column: column.to_owned(),
                rows: *rows,
                files: *files,
                bytes,
            };
            let mut rest = *bytes;
            for field in table.fields().iter().filter(|field| field.parent.is_none()) {
                let bytes = columns.get(&(name.clone(), field.id)).copied().unwrap_or_default();
                rest = rest.saturating_sub(bytes);
                storage.push(entry(field.name, bytes));
            }
            storage.push(entry("", rest));
        }
        Ok(storage)
    }
}
