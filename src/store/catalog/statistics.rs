//! What the catalog knows of the values in a sealed file, column by column: a question need not open
//! a file whose bounds say that it cannot hold the answer.

use std::path::Path;

use duckdb::Connection;
use duckdb::types::Value;

use crate::store::engine::partition::date;
use crate::store::instance::quoted_path;
use crate::store::schema::{Field, Table};

/// One column of one file. What is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ColumnStatistics {
    /// [`Field::id`] of the column.
    pub field: i64,
    /// Its compressed size in bytes.
    pub bytes: Option<u64>,
    /// Values that are not NULL.
    pub values: Option<u64>,
    /// Values that are NULL.
    pub nulls: Option<u64>,
    /// The least value or less, as text (DuckLake specification, "Type Encoding for Statistics").
    pub min: Option<String>,
    /// The greatest value or more.
    pub max: Option<String>,
}

impl ColumnStatistics {
    /// With a further row group of the same file.
    pub fn add(&mut self, field: &Field, group: &ColumnStatistics) {
        let TableBounds { min, max, .. } = TableBounds::of(self).with(field, group);
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b);
        *self = ColumnStatistics {
            field: field.id,
            bytes: sum(self.bytes, group.bytes),
            values: sum(self.values, group.values),
            nulls: sum(self.nulls, group.nulls),
            min,
            max,
        };
    }
}

/// What was written into a Parquet file.
#[derive(Debug)]
pub struct Copied {
    /// Rows.
    pub rows: u64,
    /// Size of its footer in bytes.
    pub footer: Option<u64>,
    /// What is known of its columns: of those that have no bounds in the catalog the size alone.
    pub columns: Vec<ColumnStatistics>,
}

/// Writes the rows of a `SELECT` from `table` into a Parquet file. DuckDB has the statistics in hand
/// meanwhile, and tells them.
///
/// # Errors
/// DuckDB's.
pub fn copy(db: &Connection, table: Table, select: &str, file: &Path, options: &str) -> Result<Copied, duckdb::Error> {
    // The other columns of the answer are of a type that the crate does not read.
    let sql = format!(
        "WITH copied AS (COPY ({select}) TO {} ({options}, {}, RETURN_STATS))
         SELECT count, footer_size_bytes, column_statistics FROM copied",
        quoted_path(file),
        table.field_ids()
    );
    db.query_row(&sql, [], |row| {
        let columns = of_copy(table, &row.get::<_, Value>(2)?);
        Ok(Copied { rows: row.get(0)?, footer: row.get(1)?, columns })
    })
}

fn of_copy(table: Table, answer: &Value) -> Vec<ColumnStatistics> {
    let Value::Map(columns) = answer else { return Vec::new() };
    let of_field = |field: &Field| {
        let Some(Value::Map(found)) = columns.get(&Value::Text(format!("\"{}\"", field.name))) else { return None };
        let text = |name: &str| match found.get(&Value::Text(name.to_owned())) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let number = |name| text(name)?.parse::<u64>().ok();
        let nulls = number("null_count");
        Some(ColumnStatistics {
            field: field.id,
            bytes: number("column_size_bytes"),
            values: number("num_values").zip(nulls).and_then(|(all, nulls)| all.checked_sub(nulls)),
            nulls,
            min: text("min").filter(|text| is_comparable(text)),
            max: text("max").filter(|text| is_comparable(text)),
        })
    };
    let fields = table.fields();
    let bounded = fields.iter().filter(|field| table.has_bounds(field)).filter_map(of_field);
    // What a column is made of has names of its own: the parts of a list, of a shredded VARIANT.
    let size = |field: &Field| {
        let name = format!("\"{}\"", field.name);
        let parts = columns.iter().filter(|(key, _)| match key {
            Value::Text(key) => key.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            _ => false,
        });
        // What is only there for its parts has no size.
        let bytes = parts.filter_map(|(_, found)| match found {
            Value::Map(found) => match found.get(&Value::Text("column_size_bytes".to_owned())) {
                Some(Value::Text(text)) => text.parse::<u64>().ok(),
                _ => None,
            },
            _ => None,
        });
        Some(bytes.sum::<u64>()).filter(|bytes| *bytes > 0)
    };
    let sized = others(table, &fields).map(|field| of_size(field, size(field)));
    in_order(bounded.chain(sized))
}

/// The columns of which the catalog knows the size alone.
fn others(table: Table, fields: &[Field]) -> impl Iterator<Item = &Field> {
    fields.iter().filter(move |field| field.parent.is_none() && !table.has_bounds(field))
}

fn of_size(field: &Field, bytes: Option<u64>) -> ColumnStatistics {
    ColumnStatistics { field: field.id, bytes, ..ColumnStatistics::default() }
}

fn in_order(columns: impl Iterator<Item = ColumnStatistics>) -> Vec<ColumnStatistics> {
    let mut columns: Vec<ColumnStatistics> = columns.collect();
    columns.sort_by_key(|column| column.field);
    columns
}

/// SQLite's functions end a text at NUL.
fn is_comparable(text: &str) -> bool {
    !text.contains('\0')
}

/// Of the time column of a file of which no more is known.
pub fn of_times(table: Table, min_time: Option<i64>, max_time: Option<i64>) -> Vec<ColumnStatistics> {
    let fields = table.fields();
    let field = fields.iter().find(|field| field.name == table.time_column());
    let (Some(field), Some(min), Some(max)) = (field, min_time, max_time) else { return Vec::new() };
    let (min, max) = (Some(timestamp(min)), Some(timestamp(max)));
    vec![ColumnStatistics { field: field.id, min, max, ..ColumnStatistics::default() }]
}

/// A time in nanoseconds since the Unix epoch, as a DuckLake writes a `timestamp_ns`.
pub fn timestamp(nanos: i64) -> String {
    const DAY: i64 = 86_400_000_000_000;
    let (year, month, day) = date(nanos.div_euclid(DAY));
    let of_day = nanos.rem_euclid(DAY);
    let (seconds, fraction) = (of_day / 1_000_000_000, of_day % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:09}");
    // As DuckDB has it.
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What a whole table holds in one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableBounds {
    /// Whether any value is NULL.
    pub contains_null: Option<bool>,
    /// See [`ColumnStatistics::min`].
    pub min: Option<String>,
    /// See [`ColumnStatistics::max`].
    pub max: Option<String>,
}

impl TableBounds {
    /// Of a table with this file alone.
    pub fn of(file: &ColumnStatistics) -> Self {
        let contains_null = file.nulls.map(|nulls| nulls > 0);
        TableBounds { contains_null, min: file.min.clone(), max: file.max.clone() }
    }

    /// With one more file. What either does not know is not known of both.
    pub fn with(self, field: &Field, file: &ColumnStatistics) -> Self {
        let other = Self::of(file);
        let contains_null = match (self.contains_null, other.contains_null) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
        if file.values == Some(0) {
            return TableBounds { contains_null, ..self };
        }
        let is_number = matches!(field.sql_type, "BIGINT" | "INTEGER" | "UINTEGER");
        let less = |a: &String, b: &String| match (is_number, a.parse::<i64>(), b.parse::<i64>()) {
            (true, Ok(a), Ok(b)) => a < b,
            // Times, hex and text are in the order of their bytes.
            _ => a < b,
        };
        let min = self.min.zip(other.min).map(|(a, b)| if less(&b, &a) { b } else { a });
        let max = self.max.zip(other.max).map(|(a, b)| if less(&a, &b) { b } else { a });
        TableBounds { contains_null, min, max }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::store::parquet_file::statistics::of_file;

    fn stats(values: u64, nulls: u64, bounds: Option<(&str, &str)>) -> ColumnStatistics {
        let (min, max) = bounds.map(|(min, max)| (min.to_owned(), max.to_owned())).unzip();
        ColumnStatistics { field: 1, bytes: None, values: Some(values), nulls: Some(nulls), min, max }
    }

    #[test]
    fn times_are_written_as_duckdb_reads_them() {
        let db = duckdb::Connection::open_in_memory().unwrap();
        for nanos in [0, -1, 1_795_904_837_812_118_766, i64::MAX - 1, i64::MIN + 2] {
            let sql = format!("SELECT epoch_ns('{}'::TIMESTAMP_NS)", timestamp(nanos));
            let read: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
            assert_eq!(read, nanos);
        }
    }

    #[test]
    fn a_table_s_bounds_hold_all_files_or_are_not_known() {
        let field = Table::Series.fields()[0];
        let first = TableBounds::of(&stats(2, 0, Some(("-3", "9"))));
        let both = first.clone().with(&field, &stats(1, 1, Some(("10", "10"))));
        assert_eq!(both, TableBounds { contains_null: Some(true), min: Some("-3".into()), max: Some("10".into()) });
        assert_eq!(first.clone().with(&field, &stats(0, 4, None)).max, Some("9".to_owned()), "no value, no change");
        assert_eq!(first.with(&field, &ColumnStatistics::default()), TableBounds::default(), "nothing is known");
    }

    /// The answer of the library itself: what it looks like is its own.
    #[test]
    fn what_copy_answers_is_understood() {
        let dir = tempfile::tempdir().unwrap();
        let db = duckdb::Connection::open_in_memory().unwrap();
        let path = dir.path().join("x.parquet");
        let values = "SELECT make_timestamp_ns(1795904837812118766 + n) AS time, NULL::TIMESTAMP_NS AS observed_time,
             NULL::INTEGER AS severity_number, NULL::VARCHAR AS severity_text, 'x' AS body,
             'shop' || n AS service_name, -n::BIGINT AS resource_id, NULL::VARCHAR AS scope_name,
             NULL::VARCHAR AS event_name, {'a': n}::VARIANT AS attributes, ('\\x00' || n)::BLOB AS trace_id,
             NULL::BLOB AS span_id, NULL::VARCHAR AS body_type FROM range(3) AS t(n)";
        let copied = copy(&db, Table::Logs, values, &path, "FORMAT parquet, KV_METADATA {x: '()'}").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 8;
        assert_eq!(u64::from(u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap())), copied.footer.unwrap());
        assert_eq!(copied.rows, 3);
        // Of the others the size alone is known.
        let is_bounded =
            |column: &ColumnStatistics| Table::Logs.has_bounds(&Table::Logs.fields()[column.field as usize - 1]);
        let (bounded, others): (Vec<_>, Vec<_>) = copied.columns.clone().into_iter().partition(is_bounded);
        assert_eq!(others.len() + bounded.len(), Table::Logs.columns().len());
        assert!(others.iter().all(|column| column.bytes > Some(0)
            && *column == of_size(&Table::Logs.fields()[column.field as usize - 1], column.bytes)));
        let bytes: u64 = copied.columns.iter().filter_map(|column| column.bytes).sum();
        assert!(bytes < copied.footer.map(|footer| std::fs::metadata(&path).unwrap().len() - footer).unwrap());
        let bounds: Vec<_> = bounded
            .into_iter()
            .map(|column| (column.field, column.values, column.nulls, column.min, column.max))
            .collect();
        let known = |field, min: &str, max: &str| (field, Some(3), Some(0), Some(min.to_owned()), Some(max.to_owned()));
        let time = |n: i64| timestamp(1_795_904_837_812_118_766 + n);
        let expected = [
            known(1, &time(0), &time(2)),
            (2, Some(0), Some(3), None, None),
            known(6, "shop0", "shop2"),
            known(11, "0030", "0032"),
        ];
        assert_eq!(bounds, expected);
        assert_eq!(of_file(Table::Logs, &path).unwrap(), copied.columns);
    }

    #[test]
    fn row_groups_are_put_together() {
        let dir = tempfile::tempdir().unwrap();
        let db = duckdb::Connection::open_in_memory().unwrap();
        let path = dir.path().join("x.parquet");
        let values = "SELECT (7 - n)::BIGINT AS frame_id, make_timestamp_ns(n) AS time, 'f' AS function, 'f' AS file,
             n AS line, 'm' AS mapping FROM range(10000) AS t(n)";
        let copied = copy(&db, Table::Frames, values, &path, "FORMAT parquet, ROW_GROUP_SIZE 2048").unwrap();
        let found = of_file(Table::Frames, &path).unwrap();
        assert_eq!(found, copied.columns);
        let id = &found[0];
        assert_eq!((id.min.as_deref(), id.max.as_deref(), id.values), (Some("-9992"), Some("7"), Some(10_000)));
    }
}
