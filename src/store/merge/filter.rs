//! Rows are left out of a file: those for which a person's condition is true.
//!
//! The condition is about the columns that users see, and the file has others: ids are bytes, a
//! resource is a number. DuckDB tells the numbers of the rows; what stays is moved as it is.

use std::collections::{BTreeMap, BTreeSet};

use duckdb::Connection;
use serde::{Deserialize, Serialize};

use super::{Job, MergeError};
use crate::store::engine::sealed_file;
use crate::store::instance::quoted_path;
use crate::store::macros;
use crate::store::schema::Table;
use crate::store::sql::parse::Parser;
use crate::store::views::{self, RESOURCE};

/// What is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// A condition on the columns that users see.
    pub condition: String,
    /// Paths of the files of `resources` below the folder of sealed files: for the column `resource`.
    pub resources: Vec<String>,
    /// Rows are counted and no file is written.
    pub dry_run: bool,
}

/// The numbers of the rows of a job's only input for which the condition is true, in their order; of a job without
/// inputs none.
///
/// # Errors
/// [`MergeError::Condition`], or [`MergeError::Columns`] if the table has not all columns.
pub(super) fn left_out(db: &Connection, job: &Job, table: Table, filter: &Filter) -> Result<Vec<u64>, MergeError> {
    let condition =
        Parser::new()?.condition(&filter.condition).map_err(|error| MergeError::Condition(error.to_string()))?;
    // What the gate writes into a condition.
    let sql = "SELECT count(*) > 0 FROM duckdb_schemas() WHERE schema_name = 'stored'";
    if !db.query_row(sql, [], |row| row.get::<_, bool>(0))? {
        db.execute_batch("CREATE SCHEMA stored")?;
        macros::create_attributes(db)?;
    }
    let known = users_columns(db, table)?;
    let missing: Vec<&str> = condition.columns.difference(&known).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(MergeError::Columns(format!("{} has no column {}", table.name(), missing.join(", "))));
    }
    let needed = if condition.columns.contains("resource") { &filter.resources[..] } else { &[] };
    let files = scan(job, Table::Resources, needed.iter().map(String::as_str));
    let resources =
        format!("(SELECT resource_id, any_value(resource) AS {RESOURCE} FROM {files} GROUP BY resource_id)");
    let rows = scan(job, table, job.inputs.iter().map(|input| input.path.as_str()));
    let both = beside(table, "s.file_row_number AS \"number of row\"", &rows, &resources);
    let sql = format!("SELECT \"number of row\" FROM {both} AS rows_of WHERE ({}) IS TRUE ORDER BY 1", condition.text);
    let mut statement = db.prepare(&sql)?;
    let numbers = statement.query_map([], |row| row.get::<_, i64>(0))?;
    Ok(numbers.map(|number| number.map(i64::cast_unsigned)).collect::<Result<_, _>>()?)
}

/// All rows of some files of `table`, with their numbers in their file, in parentheses.
fn scan<'a>(job: &Job, table: Table, paths: impl Iterator<Item = &'a str>) -> String {
    // The files of one scan have the same columns: the first one tells them.
    let mut versions: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or_default();
        let files = versions.entry(sealed_file::schema_in(name)).or_default();
        files.push(quoted_path(&job.sealed.join(path)));
    }
    if versions.is_empty() {
        return format!("(SELECT *, 0::BIGINT AS file_row_number FROM {})", table.empty_relation());
    }
    let scans = versions.iter().map(|(version, files)| {
        let (columns, files) = (table.column_list_of(*version), files.join(", "));
        format!("SELECT {columns}, file_row_number FROM read_parquet([{files}], hive_partitioning = false)")
    });
    format!("({})", scans.collect::<Vec<_>>().join(" UNION ALL "))
}

/// The columns that users see of the rows of `source`, beside `others`.
fn beside(table: Table, others: &str, source: &str, resources: &str) -> String {
    match (table, views::columns(table)) {
        // What a service's name stands in is part of what is known of the service.
        (Table::Resources, _) => format!(
            "(SELECT {others}, s.*, stored.attribute_text(s.resource.\"service.name\") AS service_name FROM {source} AS s)"
        ),
        (_, "*") => format!("(SELECT {others}, s.* FROM {source} AS s)"),
        (_, columns) if columns.contains(RESOURCE) => format!(
            "(SELECT {others}, {columns} FROM {source} AS s LEFT JOIN {resources} AS r ON s.resource_id = r.resource_id)"
        ),
        (_, columns) => format!("(SELECT {others}, {columns} FROM {source} AS s)"),
    }
}

/// Their names.
fn users_columns(db: &Connection, table: Table) -> Result<BTreeSet<String>, duckdb::Error> {
    let resources = format!("(SELECT NULL::BIGINT AS resource_id, NULL::VARIANT AS {RESOURCE} WHERE false)");
    let sql = format!("DESCRIBE FROM {}", beside(table, "NULL AS none", &table.empty_relation(), &resources));
    let mut statement = db.prepare(&sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    names.filter(|name| name.as_ref().is_ok_and(|name| name != "none") || name.is_err()).collect()
}
