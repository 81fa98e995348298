//! Files whose rows are in another order become sorted ones: each a part of a file, sorted in memory.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, take_record_batch};
use uuid::Uuid;

use super::conform::views;
use super::read::Reader;
use super::{FileError, columns, order, write};
use crate::store::engine::sealed_file::{Flush, Metadata};
use crate::store::engine::shredding::Shredding;
use crate::store::schema::Table;

/// Rows that are read at once.
const BATCH: usize = 1024;

/// Rows of one run at most.
const ROWS: usize = 1 << 17;

/// Bytes of one in memory, about: it is there twice while it is sorted.
const BYTES: usize = 16 << 20;

/// How their names end.
pub const EXTENSION: &str = ".run";

/// Sorted files, which are removed when this is dropped.
#[derive(Debug, Default)]
pub struct Runs {
    /// They.
    pub files: Vec<PathBuf>,
}

impl Drop for Runs {
    fn drop(&mut self) {
        for file in &self.files {
            // What stays is swept at the next start.
            let _ = std::fs::remove_file(file);
        }
    }
}

/// Writes the rows of `inputs`, files of `table`, into sorted files in `folder`. `go_on` is asked now and then whether
/// to.
///
/// # Errors
/// A file cannot be read or written.
pub fn sort(
    table: Table,
    inputs: &[PathBuf],
    shredding: &Shredding,
    folder: &Path,
    go_on: &dyn Fn() -> bool,
) -> Result<Runs, FileError> {
    let schema = views(&columns::schema(table, shredding));
    let (sorting, mut runs) = (Uuid::new_v4(), Runs::default());
    let mut finish = |batches: &mut Vec<RecordBatch>| -> Result<(), FileError> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut rows = concat_batches(&schema, batches.iter())?;
        batches.clear();
        if let Some(numbers) = order::sorted(&order::keys(table, &rows)?) {
            rows = take_record_batch(&rows, &numbers)?;
        }
        let path = folder.join(format!("{sorting}-{}{EXTENSION}", runs.files.len()));
        runs.files.push(path.clone());
        let flush = Flush { id: Uuid::nil(), created: 0, logs: Vec::new() };
        write::write(&path, table, &rows, Metadata::new(&flush, table.name(), 0, (None, None)))?;
        Ok(())
    };
    for input in inputs {
        let mut reader = Reader::open(table, input, BATCH)?;
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while let Some(batch) = reader.next(&schema, shredding, &[])? {
            if !go_on() {
                return Err(FileError::Stopped);
            }
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            batches.push(batch);
            if rows >= ROWS || bytes >= BYTES {
                finish(&mut batches)?;
                (rows, bytes) = (0, 0);
            }
        }
        finish(&mut batches)?;
    }
    Ok(runs)
}
