//! Rows to bytes: JSON, CSV, Arrow IPC.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use serde_json::value::RawValue;

use super::columns::Column;
use super::error::SqlError;
use super::value::{is_null, variant, write_json, write_string, write_text};

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{"columns": [...], "rows": [[...]], "row_count": n, "elapsed_ms": n, "truncated": b}`,
    /// and `"warnings": [...]` where rows are missing
    Json,
    /// RFC 4180, a header line first; NULL is empty, an empty string is `""`.
    Csv,
    /// An Arrow IPC stream. What Arrow has no type for is text: `VARIANT` as JSON.
    Arrow,
}

impl Kind {
    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Kind::Json => "application/json",
            Kind::Csv => "text/csv; charset=utf-8; header=present",
            Kind::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Rows in the answer.
    pub rows: u64,
    /// There were more rows than the limit.
    pub truncated: bool,
    /// Milliseconds from the start to the last row.
    pub elapsed_ms: u64,
}

/// Writes one answer.
pub struct Writer {
    columns: Vec<Column>,
    started: Instant,
    rows: u64,
    body: Body,
}

enum Body {
    Json(String),
    Csv(String),
    Arrow(Box<StreamWriter<Vec<u8>>>, SchemaRef),
}

impl Writer {
    /// Starts an answer with these columns.
    ///
    /// # Errors
    /// [`SqlError::Failed`] if the schema cannot be written as Arrow.
    pub fn new(kind: Kind, columns: Vec<Column>, schema: &SchemaRef, started: Instant) -> Result<Self, SqlError> {
        let body = match kind {
            Kind::Json => {
                let shown = serde_json::to_string(&columns).unwrap_or_default();
                Body::Json(format!("{{\"columns\":{shown},\"rows\":["))
            }
            Kind::Csv => {
                let mut out = String::new();
                for (i, column) in columns.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    csv_field(&mut out, &column.name);
                }
                out.push_str("\r\n");
                Body::Csv(out)
            }
            Kind::Arrow => {
                let fields = schema.fields().iter().zip(&columns);
                let renamed = fields.map(|(field, column)| {
                    let kind = if column.form.is_variant() { DataType::Utf8 } else { field.data_type().clone() };
                    let renamed = Field::new(&column.name, kind, true);
                    renamed.with_metadata(std::collections::HashMap::from([(
                        "duckdb_type".to_owned(),
                        column.type_name.clone(),
                    )]))
                });
                let schema = Arc::new(Schema::new(renamed.collect::<Vec<_>>()));
                let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|e| arrow_error(&e))?;
                Body::Arrow(Box::new(writer), schema)
            }
        };
        Ok(Writer { columns, started, rows: 0, body })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`SqlError::Failed`] if they cannot be written as Arrow.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        for row in 0..batch.num_rows() {
            match &mut self.body {
                Body::Json(out) => {
                    out.push_str(if self.rows + row as u64 > 0 { ",\n[" } else { "\n[" });
                    for (i, (array, column)) in batch.columns().iter().zip(&self.columns).enumerate() {
                        if i > 0 {
                            out.push(',');
                        }
                        json_cell(out, array.as_ref(), row, column);
                    }
                    out.push(']');
                }
                Body::Csv(out) => {
                    let mut cell = String::new();
                    for (i, (array, column)) in batch.columns().iter().zip(&self.columns).enumerate() {
                        if i > 0 {
                            out.push(',');
                        }
                        cell.clear();
                        if csv_cell(&mut cell, array.as_ref(), row, column) {
                            csv_field(out, &cell);
                        }
                    }
                    out.push_str("\r\n");
                }
                Body::Arrow(writer, schema) => {
                    let columns = batch.columns().iter().zip(&self.columns).map(|(array, column)| {
                        if column.form.is_variant() { json_of_variants(array) } else { Arc::clone(array) }
                    });
                    let renamed = RecordBatch::try_new(Arc::clone(schema), columns.collect());
                    renamed.and_then(|batch| writer.write(&batch)).map_err(|e| arrow_error(&e))?;
                    break;
                }
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Bytes written and not taken yet.
    pub fn pending(&self) -> usize {
        match &self.body {
            Body::Json(out) | Body::Csv(out) => out.len(),
            Body::Arrow(writer, _) => writer.get_ref().len(),
        }
    }

    /// Takes what has been written.
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.body {
            Body::Json(out) | Body::Csv(out) => std::mem::take(out).into_bytes(),
            Body::Arrow(writer, _) => std::mem::take(writer.get_mut()),
        }
    }

    /// Ends the answer; `warnings` say what it lacks.
    ///
    /// # Errors
    /// [`SqlError::Failed`] if the end cannot be written as Arrow.
    pub fn finish(&mut self, truncated: bool, warnings: &[String]) -> Result<Summary, SqlError> {
        let elapsed_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let summary = Summary { rows: self.rows, truncated, elapsed_ms };
        match &mut self.body {
            Body::Json(out) => {
                out.push_str(&format!("\n],\"row_count\":{},\"elapsed_ms\":{elapsed_ms}", self.rows));
                if !warnings.is_empty() {
                    let warnings = serde_json::to_string(warnings).unwrap_or_default();
                    out.push_str(&format!(",\"warnings\":{warnings}"));
                }
                out.push_str(&format!(",\"truncated\":{truncated}}}\n"));
            }
            Body::Csv(_) => {}
            Body::Arrow(writer, _) => writer.finish().map_err(|e| arrow_error(&e))?,
        }
        Ok(summary)
    }
}

fn arrow_error(error: &arrow::error::ArrowError) -> SqlError {
    SqlError::Failed { message: format!("the answer cannot be written as Arrow: {error}"), position: None }
}

/// A value; text that is JSON goes in as it is, unless it is not JSON after all (a MAP of VARIANT holds
/// NaN) or nests deeper than most readers bear.
fn json_cell(out: &mut String, array: &dyn Array, row: usize, column: &Column) {
    if column.form.is_variant()
        && let Some(variant) = variant(array, row)
    {
        variant.write_json(out);
        return;
    }
    if column.json
        && !is_null(array, row)
        && let Some(strings) = array.as_string_opt::<i32>()
    {
        let text = strings.value(row);
        if serde_json::from_str::<&RawValue>(text).is_ok() {
            out.push_str(text);
        } else {
            write_string(out, text);
        }
        return;
    }
    write_json(out, array, row);
}

/// A value as bare text; `false` for NULL.
fn csv_cell(out: &mut String, array: &dyn Array, row: usize, column: &Column) -> bool {
    if column.form.is_variant()
        && let Some(variant) = variant(array, row)
    {
        variant.write_text(out);
        return !variant.is_null();
    }
    write_text(out, array, row);
    !is_null(array, row)
}

/// A column of `VARIANT` as JSON text, for Arrow has no type for it that its readers know.
fn json_of_variants(array: &ArrayRef) -> ArrayRef {
    let mut texts = StringBuilder::new();
    let mut json = String::new();
    for row in 0..array.len() {
        json.clear();
        match variant(array.as_ref(), row) {
            Some(variant) if !variant.is_null() => {
                variant.write_json(&mut json);
                texts.append_value(&json);
            }
            _ => texts.append_null(),
        }
    }
    Arc::new(texts.finish())
}

/// A field that is there: quoted if it is empty, since NULL is what is not there.
fn csv_field(out: &mut String, text: &str) {
    if text.is_empty() || text.contains(['"', ',', '\r', '\n']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}
