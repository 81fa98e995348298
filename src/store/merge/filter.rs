//! Rows are left out of a file: those for which a person's condition is true.
//!
//! The condition is about the columns that users see, and the file has others: ids are bytes, a
//! resource is a number. So both stand side by side, the stored ones under other names, and what goes
//! into the new file is as it was.

use std::collections::BTreeSet;

use duckdb::Connection;
use serde::{Deserialize, Serialize};

use super::{Job, MergeError, select};
use crate::store::macros;
use crate::store::schema::Table;
use crate::store::sql::parse::Parser;
use crate::store::views;

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

/// What is done to the rows of a job.
#[derive(Debug)]
pub(super) struct Kept {
    /// SQL that is true for the rows that stay.
    condition: String,
    /// SQL of what each `resource_id` stands for.
    resources: String,
}

impl Kept {
    /// Judges the condition of a job.
    ///
    /// # Errors
    /// [`MergeError::Condition`], or [`MergeError::Columns`] if the table has not all columns.
    pub(super) fn new(db: &Connection, job: &Job, table: Table, filter: &Filter) -> Result<Self, MergeError> {
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
        let files = select::scan(job, Table::Resources, needed.iter().map(String::as_str));
        let resources =
            format!("(SELECT resource_id, any_value(resource) AS resource FROM {files} GROUP BY resource_id)");
        Ok(Kept { condition: format!("({}) IS NOT TRUE", condition.text), resources })
    }

    /// `source` without the rows that are left out. Both have the stored columns and `merged_row`.
    pub(super) fn of(&self, table: Table, source: &str) -> String {
        let stored = || table.columns().iter().map(|column| column.name).chain(["merged_row"]);
        let renamed: Vec<String> = stored().map(|name| format!("s.{name} AS \"stored {name}\"")).collect();
        let back: Vec<String> = stored().map(|name| format!("\"stored {name}\" AS {name}")).collect();
        let both = beside(table, &renamed.join(", "), source, &self.resources);
        format!("(SELECT {} FROM {both} AS rows_of WHERE {})", back.join(", "), self.condition)
    }
}

/// The columns that users see of the rows of `source`, beside `others`.
fn beside(table: Table, others: &str, source: &str, resources: &str) -> String {
    match (table, views::columns(table)) {
        // What a service's name stands in is part of what is known of the service.
        (Table::Resources, _) => format!(
            "(SELECT {others}, s.*, stored.attribute_text(s.resource.\"service.name\") AS service_name FROM {source} AS s)"
        ),
        (_, "*") => format!("(SELECT {others}, s.* FROM {source} AS s)"),
        (_, columns) if columns.contains("r.resource") => format!(
            "(SELECT {others}, {columns} FROM {source} AS s LEFT JOIN {resources} AS r ON s.resource_id = r.resource_id)"
        ),
        (_, columns) => format!("(SELECT {others}, {columns} FROM {source} AS s)"),
    }
}

/// Their names.
fn users_columns(db: &Connection, table: Table) -> Result<BTreeSet<String>, duckdb::Error> {
    let resources = "(SELECT NULL::BIGINT AS resource_id, NULL::VARIANT AS resource WHERE false)";
    let sql = format!("DESCRIBE FROM {}", beside(table, "NULL AS none", &table.empty_relation(), resources));
    let mut statement = db.prepare(&sql)?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    names.filter(|name| name.as_ref().is_ok_and(|name| name != "none") || name.is_err()).collect()
}
