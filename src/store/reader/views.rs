//! The stored tables as views over files. A view is made anew only when its files differ.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use duckdb::Connection;

use super::files::Files;
use crate::store::engine::sealed_file;
use crate::store::instance::quoted_path;
use crate::store::schema::Table;

/// What a view is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Numbers of its files.
    pub files: Vec<i64>,
    /// A condition on the stored columns that every row that counts fulfils.
    pub filter: Option<String>,
}

/// What the views are over.
#[derive(Debug, Default)]
pub struct Views {
    shown: HashMap<Table, Shown>,
}

impl Views {
    /// Puts the view of a table over these files.
    ///
    /// # Errors
    /// DuckDB's. The view is then as before.
    pub fn show(
        &mut self,
        db: &Connection,
        sealed: &Path,
        table: Table,
        files: &Files,
        shown: Shown,
    ) -> Result<(), duckdb::Error> {
        if self.shown.get(&table) == Some(&shown) {
            return Ok(());
        }
        db.execute_batch(&view(table, sealed, files, &shown))?;
        self.shown.insert(table, shown);
        Ok(())
    }

    /// Whether the view of a table shows every row of these files that counts.
    pub fn covers(&self, table: Table, needed: &Shown) -> bool {
        let Some(shown) = self.shown.get(&table) else { return false };
        let all_there = needed.files.iter().all(|id| shown.files.binary_search(id).is_ok());
        all_there && (shown.filter.is_none() || shown.filter == needed.filter)
    }
}

fn view(table: Table, sealed: &Path, files: &Files, shown: &Shown) -> String {
    // The files of one scan have the same columns, so that the first one tells them. With
    // `union_by_name` every query would put the schemas of all files together again: four times as
    // long for one trace in 28 files.
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in shown.files.iter().filter_map(|id| files.path(*id)) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let columns = table.column_list_of(sealed_file::schema_in(name));
        groups.entry(columns).or_default().push(quoted_path(&sealed.join(path)));
    }
    let filter = shown.filter.as_ref().map(|filter| format!(" WHERE {filter}")).unwrap_or_default();
    let mut parts: Vec<String> = groups
        .into_iter()
        .map(|(columns, files)| {
            let files = files.join(", ");
            format!("SELECT {columns} FROM read_parquet([{files}], hive_partitioning = false){filter}")
        })
        .collect();
    if parts.is_empty() {
        parts.push(format!("SELECT {} FROM {}", table.column_list(), table.empty_relation()));
    }
    format!("CREATE OR REPLACE VIEW stored.{} AS {}", table.name(), parts.join(" UNION ALL "))
}
