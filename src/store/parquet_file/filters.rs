//! Which row groups can hold an id: a Bloom filter of each.
//!
//! The rows of spans are in the order of traces within five minutes, those of logs by service, so bounds tell
//! nothing of a trace. The filters are Parquet's own, but the footer names them in an entry of its own and not
//! where others look: DuckDB 1.5, which reads our files through DuckLake, takes such filters of bytes wrongly
//! and finds none of the ids.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::store::schema::Table;

/// Key of our entry in the key-value metadata.
const KEY: &str = "vispyr.filters";

/// The column of ids that has filters, in each table that has it.
pub const COLUMN: &str = "trace_id";

/// Bytes of a block of a filter.
const BLOCK: u64 = 32;

/// Where the filters of a file are.
#[derive(Debug, Default)]
pub struct Filters {
    /// Of each row group, if the file has any.
    places: Vec<Option<Place>>,
    /// The least and the greatest time of each row group, if all its rows have one.
    times: Vec<Option<(i64, i64)>>,
}

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    offset: u64,
    length: u32,
}

/// What is known of the rows of a file that have one of some ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There are none.
    Nothing,
    /// There may be some.
    Some {
        /// In these row groups alone: their numbers. `None` if in any.
        groups: Option<BTreeSet<usize>>,
        /// Not before the first time and not after the second, in nanoseconds since the Unix epoch. `None` if nothing is
        /// known of their times.
        times: Option<(i64, i64)>,
    },
}

impl Place {
    /// Whether the filter in these bytes of a file says that one of some ids may be there. Of each id only the block is
    /// read that it belongs to, some hundredth of the filter.
    fn may_hold_any(self, file: &File, ids: &BTreeSet<Vec<u8>>) -> std::io::Result<bool> {
        // The blocks come last, and the header before them is shorter than one.
        let blocks = u64::from(self.length) / BLOCK;
        let first = self.offset + u64::from(self.length) - blocks * BLOCK;
        for id in ids {
            // As Parquet's specification has it: the upper half of the hash says which.
            let block = ((xxh64(id, 0) >> 32) * blocks) >> 32;
            let mut bytes = [0; BLOCK as usize];
            file.read_exact_at(&mut bytes, first + block * BLOCK)?;
            if Sbbf::new(&bytes).check(id.as_slice()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Filters {
    /// Of the file of `table` with this metadata.
    pub(super) fn told_by(table: Table, metadata: &ParquetMetaData) -> Self {
        let values = metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let json = values.filter(|entry| entry.key == KEY).find_map(|entry| entry.value.as_deref());
        let places: Option<Vec<Option<Place>>> = json.and_then(|json| serde_json::from_str(json).ok());
        let places = places.filter(|places| places.len() == metadata.num_row_groups()).unwrap_or_default();
        let times = metadata.row_groups().iter().map(|group| times(table, group)).collect();
        Filters { places, times }
    }

    /// What is known of the rows of the file, this one, that have one of these ids.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(&self, path: &Path, ids: &BTreeSet<Vec<u8>>) -> Result<Found, ParquetError> {
        if self.places.is_empty() {
            return Ok(Found::Some { groups: None, times: None });
        }
        let file = File::open(path)?;
        let mut groups = BTreeSet::new();
        for (group, place) in self.places.iter().enumerate() {
            let is_there = match place {
                Some(place) => place.may_hold_any(&file, ids)?,
                None => true,
            };
            if is_there {
                groups.insert(group);
            }
        }
        if groups.is_empty() {
            return Ok(Found::Nothing);
        }
        let times: Option<Vec<(i64, i64)>> = groups.iter().map(|group| *self.times.get(*group)?).collect();
        let times = times.and_then(|t| Some((t.iter().map(|t| t.0).min()?, t.iter().map(|t| t.1).max()?)));
        Ok(Found::Some { groups: (groups.len() < self.places.len()).then_some(groups), times })
    }
}

/// The times of the rows of a row group, if all have one.
fn times(table: Table, group: &RowGroupMetaData) -> Option<(i64, i64)> {
    let time = table.time_column();
    let column = group.columns().iter().find(|column| column.column_path().parts() == [time])?;
    match column.statistics()? {
        Statistics::Int64(values) if values.null_count_opt() == Some(0) => {
            Some((*values.min_opt()?, *values.max_opt()?))
        }
        _ => None,
    }
}

/// The same metadata with the filters that only we read named where only we look.
pub(super) fn hidden(metadata: &ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let mut places: Vec<Option<Place>> = Vec::new();
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    for group in metadata.row_groups() {
        let mut chunks = Vec::with_capacity(group.num_columns());
        for chunk in group.columns() {
            if chunk.column_path().parts() != [COLUMN] {
                chunks.push(chunk.clone());
                continue;
            }
            let place = chunk.bloom_filter_offset().zip(chunk.bloom_filter_length()).and_then(|(offset, length)| {
                Some(Place { offset: u64::try_from(offset).ok()?, length: u32::try_from(length).ok()? })
            });
            places.push(place);
            let chunk = chunk.clone().into_builder().set_bloom_filter_offset(None).set_bloom_filter_length(None);
            chunks.push(chunk.build()?);
        }
        groups.push(group.clone().into_builder().set_column_metadata(chunks).build()?);
    }
    if places.is_empty() {
        return Ok(metadata.clone());
    }
    let file = metadata.file_metadata();
    let mut values = file.key_value_metadata().cloned().unwrap_or_default();
    // Numbers are always JSON.
    values.push(KeyValue::new(KEY.to_owned(), serde_json::to_string(&places).unwrap_or_default()));
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(values),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    Ok(ParquetMetaData::new(file, groups))
}
