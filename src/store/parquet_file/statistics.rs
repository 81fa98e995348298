//! What a footer tells of the columns, as the catalog keeps it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

use crate::store::catalog::ColumnStatistics;
use crate::store::catalog::statistics::timestamp;
use crate::store::schema::{Field, Table};

/// What a file of `table` tells.
///
/// # Errors
/// That it cannot be read.
pub fn of_file(table: Table, path: &Path) -> Result<Vec<ColumnStatistics>, ParquetError> {
    Ok(of(table, &ParquetMetaDataReader::new().parse_and_finish(&File::open(path)?)?))
}

/// Of each column of `table` in a file: of those that have no bounds in the catalog the size alone.
pub fn of(table: Table, metadata: &ParquetMetaData) -> Vec<ColumnStatistics> {
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let name = column.column_path().parts().first().map(String::as_str).unwrap_or_default();
        *sizes.entry(name).or_default() += column.compressed_size().max(0).cast_unsigned();
    }
    let fields = table.fields();
    let columns = fields.iter().filter(|field| field.parent.is_none()).map(|field| {
        let bytes = sizes.get(field.name).copied();
        let known = if table.has_bounds(field) { bounded(field, metadata) } else { None };
        ColumnStatistics { field: field.id, bytes, ..known.unwrap_or_default() }
    });
    columns.collect()
}

/// Of a column whose bounds the catalog keeps. It is a column of the first level.
fn bounded(field: &Field, metadata: &ParquetMetaData) -> Option<ColumnStatistics> {
    let mut all: Option<ColumnStatistics> = None;
    for group in metadata.row_groups() {
        let column = group.columns().iter().find(|column| column.column_path().parts() == [field.name])?;
        let statistics = column.statistics();
        let nulls = statistics.and_then(Statistics::null_count_opt);
        let rows = column.num_values().max(0).cast_unsigned();
        let (min, max) = statistics.map(|statistics| bounds(field, statistics)).unwrap_or_default();
        let values = nulls.and_then(|nulls| rows.checked_sub(nulls));
        let group = ColumnStatistics { field: field.id, bytes: None, values, nulls, min, max };
        match &mut all {
            Some(all) => all.add(field, &group),
            None => all = Some(group),
        }
    }
    all
}

fn bounds(field: &Field, statistics: &Statistics) -> (Option<String>, Option<String>) {
    match statistics {
        Statistics::Int64(values) => {
            let text = |value: &i64| match field.sql_type {
                "TIMESTAMP_NS" => timestamp(*value),
                _ => value.to_string(),
            };
            (values.min_opt().map(text), values.max_opt().map(text))
        }
        Statistics::ByteArray(_) => {
            let text = |bytes: &[u8]| match field.sql_type {
                "BLOB" => Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
                // SQLite's functions end a text at NUL.
                _ => std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).map(str::to_owned),
            };
            (statistics.min_bytes_opt().and_then(text), statistics.max_bytes_opt().and_then(text))
        }
        _ => (None, None),
    }
}
