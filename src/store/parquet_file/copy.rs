//! A file is written again without some of its rows.

use std::path::Path;

use arrow::datatypes::SchemaRef;

use super::conform::views;
use super::read::Reader;
use super::write::Writer;
use super::{FileError, columns};
use crate::store::catalog::statistics::Copied;
use crate::store::engine::sealed_file::Metadata;
use crate::store::engine::shredding::Shredding;
use crate::store::schema::Table;

/// Rows that are moved at once.
const BATCH: usize = 8192;

/// Writes the rows of `input`, a file of `table`, into the file `path` as they are and in their order, but for those
/// whose numbers are among `left_out`, which are in order. Answers how many rows the input had, too. `go_on` is asked
/// now and then whether to.
///
/// # Errors
/// What was written is to be removed then.
pub fn without(
    table: Table,
    input: &Path,
    left_out: &[u64],
    shredding: &Shredding,
    (path, metadata): (&Path, Metadata),
    go_on: &dyn Fn() -> bool,
) -> Result<(u64, Copied), FileError> {
    let schema = views(&columns::schema(table, shredding));
    let mut writer = Writer::create(path, table, SchemaRef::clone(&schema), metadata.level)?;
    let mut reader = Reader::open(table, input, BATCH)?;
    while let Some(rows) = reader.next(&schema, shredding, left_out)? {
        if !go_on() {
            return Err(FileError::Stopped);
        }
        writer.write(&rows)?;
    }
    Ok((reader.rows(), writer.finish(path, metadata)?))
}
