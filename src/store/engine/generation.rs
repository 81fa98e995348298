//! Hot generations and the views over them.
//!
//! A generation is one table of each kind in memory. One is open; while it is being sealed the
//! next one takes the rows. `stored.<table>` is everything of a table: the generations and the
//! sealed files. It is replaced in one transaction with the generations that come and go, so that
//! no query sees a row twice or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use duckdb::Connection;

use super::instance::quoted_path;
use super::sealed_file;
use super::transaction::{self, TransactionError};
use crate::signal::now_nanos;
use crate::store::catalog::{File, Positions};
use crate::store::macros;
use crate::store::schema::Table;
use crate::store::views;

/// What one generation holds.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Counts up from 1 in each process.
    pub number: u64,
    /// When it was opened: nanoseconds since the Unix epoch.
    pub opened: u64,
    /// Up to where it has the logs that it took records of.
    pub positions: Positions,
    /// Rows by table, in the order of [`Table::ALL`].
    pub rows: [u64; Table::ALL.len()],
}

impl Generation {
    /// A new one without rows.
    pub fn new(number: u64) -> Self {
        Generation { number, opened: now_nanos(), positions: Positions::new(), rows: [0; Table::ALL.len()] }
    }

    /// Its table, as SQL names it.
    pub fn table(&self, table: Table) -> String {
        hot_table(self.number, table)
    }

    /// Whether it has taken any record, with rows or without.
    pub fn is_untouched(&self) -> bool {
        self.positions.is_empty()
    }
}

fn hot_table(generation: u64, table: Table) -> String {
    format!("hot.{}_{generation}", table.name())
}

/// Makes the views that users see. Once; they follow the stored ones.
pub fn create_user_views(db: &Connection) -> Result<(), duckdb::Error> {
    for table in Table::ALL {
        let select = views::select(table, |table| format!("stored.{}", table.name()));
        db.execute_batch(&format!("CREATE VIEW {} AS {select}", table.name()))?;
    }
    macros::create(db)
}

/// Which tables and files the views are over.
#[derive(Debug, Clone, Copy)]
pub struct Extent<'a> {
    /// Generations in memory.
    pub generations: &'a [u64],
    /// Sealed files.
    pub files: &'a [File],
    /// Their folder.
    pub sealed: &'a Path,
}

/// In one transaction: makes the tables of generation `add`, puts the views over `extent`, drops
/// the tables of generation `remove`.
///
/// # Errors
/// See [`transaction::run`].
pub fn switch(
    db: &Connection,
    add: Option<u64>,
    extent: Extent<'_>,
    remove: Option<u64>,
    before_commit: impl FnOnce(),
) -> Result<(), TransactionError> {
    transaction::run(db, || {
        for table in Table::ALL {
            if let Some(number) = add {
                db.execute_batch(&table.create(&hot_table(number, table)))?;
            }
            db.execute_batch(&view(table, extent))?;
            if let Some(number) = remove {
                db.execute_batch(&format!("DROP TABLE {}", hot_table(number, table)))?;
            }
        }
        before_commit();
        Ok(())
    })
}

fn view(table: Table, extent: Extent<'_>) -> String {
    let columns = table.column_list();
    let mut parts: Vec<String> =
        extent.generations.iter().map(|&number| table.stored_select(&hot_table(number, table))).collect();
    // The files of one scan have the same columns, so that the first one tells them. With
    // `union_by_name` every query would put the schemas of all files together again: four times as
    // long for one trace in 28 files.
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in extent.files.iter().filter(|file| file.table == table.name()) {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let columns = table.column_list_of(sealed_file::schema_in(name));
        files.entry(columns).or_default().push(quoted_path(&extent.sealed.join(&file.path)));
    }
    for (columns, files) in files {
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
        db.execute_batch("CREATE SCHEMA hot; CREATE SCHEMA stored").unwrap();
        for table in [Table::MetricPoints, Table::Logs] {
            db.execute_batch(&table.create(&hot_table(1, table))).unwrap();
            // The older one first: it would tell the columns of all.
            let files =
                [sealed(&db, dir.path(), table, 1), sealed(&db, dir.path(), table, crate::store::schema::VERSION)];
            let extent = Extent { generations: &[1], files: &files, sealed: dir.path() };
            db.execute_batch(&view(table, extent)).unwrap();
            let rows: i64 =
                db.query_row(&format!("SELECT count(*) FROM stored.{}", table.name()), [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 2);
        }
        let sum: i64 =
            db.query_row("SELECT sum(value_int)::BIGINT FROM stored.metric_points", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 7);
    }
}
