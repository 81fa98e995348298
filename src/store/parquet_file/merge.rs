//! Sorted files become one: each is read a little ahead, and the row that comes first is written first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;

use super::conform::views;
use super::order::{self, Key};
use super::read::Reader;
use super::write::Writer;
use super::{FileError, columns};
use crate::store::catalog::statistics::Copied;
use crate::store::engine::sealed_file::Metadata;
use crate::store::engine::shredding::Shredding;
use crate::store::schema::Table;

/// Rows that all inputs together have been read ahead: of spans they take a kilobyte each.
const AHEAD: usize = 1 << 14;

/// Rows that are written at once.
const BATCH: usize = 8192;

/// Writes the rows of `inputs`, files of `table` that are in its [order], into the file `path`; of a
/// dictionary what several say once. Answers how many rows the inputs had, too. `go_on` is asked now and then
/// whether to.
///
/// # Errors
/// [`FileError::Order`] if a file is not sorted. What was written is to be removed then.
pub fn merge(
    table: Table,
    inputs: &[PathBuf],
    shredding: &Shredding,
    path: &Path,
    metadata: Metadata,
    go_on: &dyn Fn() -> bool,
) -> Result<(u64, Copied), FileError> {
    let schema = views(&columns::schema(table, shredding));
    let mut writer = Writer::create(path, table, SchemaRef::clone(&schema), metadata.level)?;
    let ahead = (AHEAD / inputs.len().max(1)).clamp(256, BATCH);
    let mut rows = Rows { table, schema, shredding, batches: Vec::new() };
    let mut inputs = inputs.iter().map(|path| Input::open(table, path, ahead)).collect::<Result<Vec<_>, _>>()?;
    let mut heap = BinaryHeap::new();
    for (n, input) in inputs.iter_mut().enumerate() {
        if let Some(key) = input.next_batch(&mut rows)? {
            heap.push(Reverse((key, n)));
        }
    }
    let mut picks: Vec<(usize, usize)> = Vec::with_capacity(BATCH);
    let (mut read, mut last): (u64, Option<Key>) = (0, None);
    while let Some(Reverse((mut key, n))) = heap.pop() {
        let Some(input) = inputs.get_mut(n) else { break };
        let until = heap.peek().map(|Reverse((key, n))| (*key, *n));
        loop {
            if !last.is_some_and(|last| order::is_same(table, &last, &key)) {
                picks.push((input.batch, input.row));
                last = Some(key);
            }
            read += 1;
            input.row += 1;
            let next = match input.keys.get(input.row) {
                Some(key) => Some(*key),
                None => input.next_batch(&mut rows)?,
            };
            let Some(next) = next else { break };
            key = next;
            if picks.len() >= BATCH || until.is_some_and(|until| until < (key, n)) {
                heap.push(Reverse((key, n)));
                break;
            }
        }
        if picks.len() >= BATCH {
            if !go_on() {
                return Err(FileError::Stopped);
            }
            writer.write(&rows.take(&mut picks)?)?;
            rows.forget(&mut inputs);
        }
    }
    if !picks.is_empty() {
        writer.write(&rows.take(&mut picks)?)?;
    }
    Ok((read, writer.finish(path, metadata)?))
}

/// What has been read and not been written.
struct Rows<'a> {
    table: Table,
    schema: SchemaRef,
    shredding: &'a Shredding,
    batches: Vec<RecordBatch>,
}

impl Rows<'_> {
    /// The rows that were picked, in that order.
    fn take(&self, picks: &mut Vec<(usize, usize)>) -> Result<RecordBatch, FileError> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let taken = interleave_record_batch(&batches, picks)?;
        picks.clear();
        Ok(taken)
    }

    /// Forgets batches that no input stands in.
    fn forget(&mut self, inputs: &mut [Input]) {
        let mut batches = Vec::with_capacity(inputs.len());
        for input in inputs.iter_mut().filter(|input| !input.keys.is_empty()) {
            if let Some(batch) = self.batches.get(input.batch) {
                batches.push(batch.clone());
                input.batch = batches.len() - 1;
            }
        }
        self.batches = batches;
    }
}

/// A file that is being read.
struct Input {
    path: String,
    reader: Reader,
    /// Number of the batch that it stands in.
    batch: usize,
    /// And of the row.
    row: usize,
    /// Keys of that batch; none at the end.
    keys: Vec<Key>,
    last: Option<Key>,
}

impl Input {
    fn open(table: Table, path: &Path, ahead: usize) -> Result<Self, FileError> {
        let reader = Reader::open(table, path, ahead)?;
        Ok(Input { path: path.display().to_string(), reader, batch: 0, row: 0, keys: Vec::new(), last: None })
    }

    /// Reads on; the key of the next row, if there is one.
    fn next_batch(&mut self, rows: &mut Rows<'_>) -> Result<Option<Key>, FileError> {
        self.keys.clear();
        self.row = 0;
        loop {
            let Some(read) = self.reader.next(&rows.schema, rows.shredding, &[])? else { return Ok(None) };
            self.keys = order::keys(rows.table, &read)?;
            let Some((first, last)) = self.keys.first().zip(self.keys.last()) else { continue };
            if self.last.is_some_and(|last| last > *first) || !self.keys.is_sorted() {
                return Err(FileError::Order(self.path.clone()));
            }
            self.last = Some(*last);
            rows.batches.push(read);
            self.batch = rows.batches.len() - 1;
            return Ok(Some(*first));
        }
    }
}
