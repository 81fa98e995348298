//! Hot generations and the views over them.
//!
//! A generation is one table of each kind in memory. One is open; while it is being sealed the
//! next one takes the rows. `stored.<table>` is everything of a table: the generations and the
//! sealed files. It is replaced in one transaction with the generations that come and go, so that
//! no query sees a row twice or not at all.

use std::path::Path;

use duckdb::Connection;

use super::instance::quoted_path;
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
    let files: Vec<String> = extent
        .files
        .iter()
        .filter(|file| file.table == table.name())
        .map(|file| quoted_path(&extent.sealed.join(&file.path)))
        .collect();
    if !files.is_empty() {
        // All files of a table have the same columns, so that the first one tells them. With
        // `union_by_name` every query would put the schemas of all files together again: four
        // times as long for one trace in 28 files. A version that adds a column will have to give
        // older files a scan of their own.
        let files = files.join(", ");
        parts.push(format!("SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false)"));
    }
    if parts.is_empty() {
        parts.push(format!("SELECT {columns} FROM {}", table.empty_relation()));
    }
    format!("CREATE OR REPLACE VIEW stored.{} AS {}", table.name(), parts.join(" UNION ALL "))
}
