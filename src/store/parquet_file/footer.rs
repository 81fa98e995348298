//! The footers of our files, beyond what others read in them.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};

use super::FileError;
use super::filters::{self, Filters};
use super::leaves::{self, Leaves};
use crate::store::schema::Table;

/// Bytes behind a footer: its length, and `PAR1`.
const TAIL: u64 = 8;

/// What a footer tells.
#[derive(Debug, Default)]
pub struct Footer {
    /// Of the keys of its variants.
    pub leaves: Leaves,
    /// Of the ids in its rows.
    pub filters: Filters,
}

impl Footer {
    /// Reads that of a file of `table`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(table: Table, path: &Path) -> Result<Self, ParquetError> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(path)?)?;
        Ok(Footer { leaves: Leaves::told_by(&metadata), filters: Filters::told_by(table, &metadata) })
    }
}

/// Writes the footer of a file anew that has just been written: with columns for shredded keys, and filters that
/// only we read. `metadata` is what its footer says. Answers the length of the new one.
///
/// # Errors
/// The system's.
pub fn complete(path: &Path, metadata: &ParquetMetaData) -> Result<u64, FileError> {
    let io = |action| move |error| FileError::io(action, path, error);
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io("open"))?;
    let mut length = [0; 4];
    let tail = file.seek(SeekFrom::End(-(TAIL.cast_signed()))).map_err(io("read"))?;
    file.read_exact(&mut length).map_err(io("read"))?;
    let begin = tail.saturating_sub(u64::from(u32::from_le_bytes(length)));
    let metadata = filters::hidden(&leaves::with_columns(metadata)?)?;
    file.set_len(begin).map_err(io("write"))?;
    file.seek(SeekFrom::Start(begin)).map_err(io("write"))?;
    let mut writer = BufWriter::new(file);
    ParquetMetaDataWriter::new(&mut writer, &metadata).finish()?;
    writer.flush().map_err(io("write"))?;
    let end = writer.stream_position().map_err(io("write"))?;
    Ok(end.saturating_sub(begin + TAIL))
}
