//! Stored tables as relations of SQL: `stored.<table>` is a view over files.

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::Connection;

use super::instance::quoted_path;
use super::sealed_file;
use crate::store::catalog::File;
use crate::store::macros;
use crate::store::schema::Table;
use crate::store::views;

/// Makes the views that users see. Once; they follow the stored ones.
///
/// # Errors
/// DuckDB's.
pub fn create_user_views(db: &Connection) -> Result<(), duckdb::Error> {
    for table in Table::ALL {
        let select = views::select(table, |table| format!("stored.{}", table.name()));
        db.execute_batch(&format!("CREATE VIEW {} AS {select}", table.name()))?;
    }
    macros::create(db)
}

/// Puts the views over these files, all of them or none. `sealed` is their folder.
///
/// # Errors
/// DuckDB's.
pub fn set(db: &Connection, files: &[File], sealed: &Path) -> Result<(), duckdb::Error> {
    let views: Vec<String> = Table::ALL.map(|table| view(table, files, sealed)).into();
    db.execute_batch("BEGIN")?;
    let done = db.execute_batch(&views.join("; "));
    db.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

fn view(table: Table, files: &[File], sealed: &Path) -> String {
    let columns = table.column_list();
    let mut parts: Vec<String> = Vec::new();
    // The files of one scan have the same columns, so that the first one tells them. With
    // `union_by_name` every query would put the schemas of all files together again: four times as
    // long for one trace in 28 files.
    let mut by_columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.table == table.name()) {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let columns = table.column_list_of(sealed_file::schema_in(name));
        by_columns.entry(columns).or_default().push(quoted_path(&sealed.join(&file.path)));
    }
    for (columns, files) in by_columns {
        let files = files.join(", ");
        parts.push(format!("SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false)"));
    }
    if parts.is_empty() {
        parts.push(format!("SELECT {columns} FROM {}", table.empty_relation()));
    }
    format!("CREATE OR REPLACE VIEW stored.{} AS {}", table.name(), parts.join(" UNION ALL "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// A sealed file of one row, with the columns of a version.
    fn sealed(db: &Connection, folder: &Path, table: Table, version: u32) -> File {
        let id = if version == 1 { Uuid::new_v4() } else { sealed_file::new_id() };
        let name = sealed_file::name(id, 1);
        let columns = table.columns().iter().filter(|column| column.since <= version);
        let values: Vec<String> = columns
            .map(|column| match column.name {
                "value_int" => "7::BIGINT AS value_int".to_owned(),
                name => format!("NULL::{} AS {name}", column.sql_type),
            })
            .collect();
        let path = quoted_path(&folder.join(&name));
        db.execute_batch(&format!("COPY (SELECT {}) TO {path} (FORMAT parquet)", values.join(", "))).unwrap();
        File {
            table: table.name().to_owned(),
            path: name,
            rows: 1,
            min_time: None,
            max_time: None,
            bytes: 1,
            checksum: 1,
            level: 1,
        }
    }

    #[test]
    fn files_with_fewer_columns_are_read_beside_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE SCHEMA stored").unwrap();
        for table in [Table::MetricPoints, Table::Logs] {
            // The older one first: it would tell the columns of all.
            let files =
                [sealed(&db, dir.path(), table, 1), sealed(&db, dir.path(), table, crate::store::schema::VERSION)];
            db.execute_batch(&view(table, &files, dir.path())).unwrap();
            let rows: i64 =
                db.query_row(&format!("SELECT count(*) FROM stored.{}", table.name()), [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 2);
        }
        let sum: i64 =
            db.query_row("SELECT sum(value_int)::BIGINT FROM stored.metric_points", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 7);
    }
}
