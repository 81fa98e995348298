//! Runs one validated statement on a fresh connection, on a thread of its own.

use std::time::Instant;

use arrow::datatypes::SchemaRef;
use duckdb::{Connection, params_from_iter};

use super::columns::{self, Column};
use super::dialect::{Asked, Dialect};
use super::error::SqlError;
use super::format::{Kind, Summary, Writer};
use super::parse::Parser;
use super::request::Query;
use super::service::Opened;
use super::text;

/// Bytes gathered before they are handed on.
const CHUNK: usize = 64 << 10;

/// One run of a statement.
pub struct Run<'a> {
    /// What validates it; `None` lets everything through, for tests of what is behind the gates.
    pub parser: Option<&'a Parser>,
    /// Bytes of a statement.
    pub max_statement: usize,
    /// Rows of the answer.
    pub max_rows: u64,
    /// When the request came.
    pub started: Instant,
}

impl Run<'_> {
    /// Gates 1 to 3. Returns the text that is to be run, and what it is to be asked of.
    ///
    /// # Errors
    /// The refusal.
    pub fn validate(&self, dialect: &Dialect, query: &Query) -> Result<(String, Asked), SqlError> {
        text::admit(query.sql.as_bytes(), self.max_statement)?;
        let bare = || query.sql.trim_end().trim_end_matches(';').to_owned();
        self.parser.map_or_else(|| Ok((bare(), Asked::Data)), |parser| parser.validate_in(dialect, &query.sql))
    }

    /// Runs `sql`, what [`Self::validate`] gave for the query, on what was opened for it. `send` gets the
    /// answer piece by piece; when it fails, the client is gone and the run ends.
    ///
    /// # Errors
    /// DuckDB's, sorted.
    pub fn execute(
        &self,
        opened: &Opened,
        sql: &str,
        query: &Query,
        kind: Kind,
        send: &mut dyn FnMut(Vec<u8>) -> Result<(), SqlError>,
    ) -> Result<Summary, SqlError> {
        let duckdb_error = |e: duckdb::Error| SqlError::from_duckdb(&e, sql).within(sql, &query.sql);
        let connection = &opened.connection;
        let (columns, prepared) = match &opened.columns {
            Some(known) => (known.clone(), None),
            None => prepare(connection, sql, query).map(|(of, prepared)| (of, Some(prepared))).map_err(duckdb_error)?,
        };
        let wrapped = columns::wrap(sql, &columns);
        let mut statement = match (&wrapped, prepared) {
            (None, Some(prepared)) => prepared,
            (wrapped, _) => connection.prepare(wrapped.as_deref().unwrap_or(sql)).map_err(duckdb_error)?,
        };
        let stream = statement.stream_arrow(params_from_iter(query.params.iter())).map_err(duckdb_error)?;
        let schema = stream.get_schema();
        let columns = complete(columns, &schema);
        let mut writer = Writer::new(kind, columns, &schema, self.started)?;
        let mut rows = 0;
        let mut truncated = false;
        for batch in stream {
            let mut batch = batch.map_err(duckdb_error)?;
            let left = usize::try_from(self.max_rows - rows).unwrap_or(usize::MAX);
            if batch.num_rows() > left {
                truncated = true;
                batch = batch.slice(0, left);
            }
            rows += batch.num_rows() as u64;
            writer.write(&batch)?;
            if writer.pending() >= CHUNK {
                send(writer.take())?;
            }
            if truncated {
                break;
            }
        }
        let summary = writer.finish(truncated, &opened.warnings)?;
        send(writer.take())?;
        Ok(summary)
    }
}

/// The columns of a statement, with their names where it is to be wrapped.
///
/// # Errors
/// DuckDB's, about what is wrong with the statement.
pub fn columns_of(connection: &Connection, sql: &str, query: &Query) -> Result<Vec<Column>, duckdb::Error> {
    prepare(connection, sql, query).map(|(columns, _)| columns)
}

/// The same, and the statement.
fn prepare<'a>(
    connection: &'a Connection,
    sql: &str,
    query: &Query,
) -> Result<(Vec<Column>, duckdb::Statement<'a>), duckdb::Error> {
    let statement = connection.prepare(sql)?;
    let announced = announced(&statement);
    let columns = if announced.iter().any(|column| column.type_name == columns::UNKNOWN) {
        // The types hang on parameters.
        described(connection, sql, query)?
    } else if announced.iter().any(|column| column.form != columns::Form::Plain) {
        let names = described(connection, sql, query)?.into_iter().map(|column| column.name);
        announced.into_iter().zip(names).map(|(column, name)| Column { name, ..column }).collect()
    } else {
        announced
    };
    Ok((columns, statement))
}

/// The columns that a prepared statement announces, without their names.
fn announced(statement: &duckdb::Statement<'_>) -> Vec<Column> {
    (0..statement.column_count()).map(|i| Column::new(&statement.column_logical_type(i))).collect()
}

/// The columns by a `DESCRIBE` of the statement, which binds it and no more. An explanation cannot be
/// described, and has always the same; DuckDB writes no query that begins with the word.
pub(super) fn described(connection: &Connection, sql: &str, query: &Query) -> Result<Vec<Column>, duckdb::Error> {
    if sql.starts_with("EXPLAIN ") {
        return Ok(["explain_key", "explain_value"]
            .map(|name| Column::described(name.into(), "VARCHAR".into()))
            .into());
    }
    let mut describe = connection.prepare(&format!("DESCRIBE {sql}"))?;
    let mut rows = describe.query(params_from_iter(query.params.iter()))?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        columns.push(Column::described(row.get(0)?, row.get(1)?));
    }
    Ok(columns)
}

/// The columns with what the answer itself says about them.
fn complete(mut columns: Vec<Column>, schema: &SchemaRef) -> Vec<Column> {
    if columns.len() != schema.fields().len() {
        columns = schema.fields().iter().map(|field| Column::of_arrow(field)).collect();
    }
    for (column, field) in columns.iter_mut().zip(schema.fields()) {
        if column.name.is_empty() {
            field.name().clone_into(&mut column.name);
        }
    }
    columns
}
