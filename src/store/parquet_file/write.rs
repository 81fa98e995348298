//! A file is written.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::{FileError, filters, footer, statistics};
use crate::store::catalog::statistics::Copied;
use crate::store::engine::sealed_file::Metadata;
use crate::store::schema::{Column, Table};

/// Rows of a row group, as DuckDB makes them.
const ROW_GROUP_ROWS: usize = 122_880;

/// Encoded bytes of a row group: what a writer holds in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Rows of a page. A statement that takes few rows of a group, say a trace, leaves out the pages that have none of them.
const PAGE_ROWS: usize = 8192;

/// The same in files that are soon read again, many at once: each that is read has one page of each column in memory.
const PAGE_ROWS_LEVEL_0: usize = 2048;

/// How often a row group looks as if it held a series that it does not hold.
const SERIES_FPP: f64 = 0.01;

/// The same of a trace. It is looked for in all row groups of a day, and each that looks so is read.
const TRACE_FPP: f64 = 0.001;

/// Longer bounds are cut, to something less and something more.
const BOUND_BYTES: usize = 256;

/// Writes one file.
pub struct Writer {
    writer: ArrowWriter<File>,
    table: Table,
    rows: u64,
}

impl Writer {
    /// Begins a file of `table` with these columns, of this level.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path, table: Table, schema: SchemaRef, level: u8) -> Result<Self, FileError> {
        let file = File::create(path).map_err(|error| FileError::io("create", path, error))?;
        let options =
            ArrowWriterOptions::new().with_properties(properties(table, level)).with_skip_arrow_metadata(true);
        Ok(Writer { writer: ArrowWriter::try_new_with_options(file, schema, options)?, table, rows: 0 })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), FileError> {
        self.writer.write(rows)?;
        self.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// Ends the file, which says `metadata` of itself, with the number of its rows. It is not synced.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(mut self, path: &Path, mut metadata: Metadata) -> Result<Copied, FileError> {
        metadata.rows = self.rows;
        let (key, json) = metadata.key_value();
        self.writer.append_key_value_metadata(KeyValue::new(key, json));
        let metadata = self.writer.finish()?;
        let footer = footer::complete(path, &metadata)?;
        Ok(Copied { rows: self.rows, footer: Some(footer), columns: statistics::of(self.table, &metadata) })
    }
}

/// How most columns of a file are compressed. Files of a second and a minute are soon read again, many at once:
/// zstd takes 130 KiB for each column of each, together half a gigabyte.
fn compression(level: u8) -> Compression {
    if level < 2 { Compression::SNAPPY } else { zstd() }
}

fn zstd() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

/// The column that takes long texts, if one of a table's does.
fn long_text(column: &Column) -> Option<ColumnPath> {
    let path = |parts: &[&str]| ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect());
    match column.name {
        "body" => Some(path(&["body"])),
        name if column.is_variant() => Some(path(&[name, "value"])),
        _ => None,
    }
}

fn properties(table: Table, level: u8) -> WriterProperties {
    let page_rows = if level == 0 { PAGE_ROWS_LEVEL_0 } else { PAGE_ROWS };
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(compression(level))
        .set_created_by(format!("vispyr {}", env!("CARGO_PKG_VERSION")))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(page_rows)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        // Nobody who reads them asks for more.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_statistics_truncate_length(Some(BOUND_BYTES));
    for column in table.columns() {
        if let Some(path) = long_text(column) {
            properties = properties.set_column_compression(path, zstd());
        }
        // Its bounds tell nothing of an id that looks like chance.
        let fpp = match column.name {
            "series_id" if !table.is_dictionary() => Some(SERIES_FPP),
            filters::COLUMN => Some(TRACE_FPP),
            _ => None,
        };
        if let Some(fpp) = fpp {
            let path = ColumnPath::new(vec![column.name.to_owned()]);
            properties = properties
                .set_column_bloom_filter_max_ndv(path.clone(), ROW_GROUP_ROWS as u64)
                .set_column_bloom_filter_fpp(path, fpp);
        }
        let encoding = match (column.name, column.sql_type) {
            // Not of traces: of each there are some spans, and DuckDB looks through a dictionary 60 times as fast.
            ("span_id" | "parent_span_id" | "profile_id", _) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            (_, "TIMESTAMP_NS") | ("duration_ns", _) => Encoding::DELTA_BINARY_PACKED,
            // Split into streams of bytes they take a fifth to three fifths more of both, and by a dictionary
            // half again as many bytes.
            (_, "DOUBLE") => Encoding::PLAIN,
            _ => continue,
        };
        let path = ColumnPath::new(vec![column.name.to_owned()]);
        properties = properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
    }
    properties.build()
}

/// Writes rows that are in one piece as a file of level 0.
///
/// # Errors
/// See [`Writer`].
pub fn write(path: &Path, table: Table, rows: &RecordBatch, metadata: Metadata) -> Result<Copied, FileError> {
    let mut writer = Writer::create(path, table, Arc::clone(rows.schema_ref()), 0)?;
    writer.write(rows)?;
    writer.finish(path, metadata)
}
