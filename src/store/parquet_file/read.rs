//! A file is read, and its rows are in the shape of another.

use std::fs::File;
use std::path::Path;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::FileError;
use super::conform::{conform, views};
use crate::store::engine::shredding::Shredding;
use crate::store::schema::Table;

/// A file that is being read.
pub struct Reader {
    reader: ParquetRecordBatchReader,
    /// The number of the next row.
    next: u64,
}

impl Reader {
    /// Of `path`, a file of `table`, so many rows at a time.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(table: Table, path: &Path, rows: usize) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|error| FileError::io("open", path, error))?;
        let told = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
        let options = ArrowReaderOptions::new().with_schema(views(told.schema()));
        let told = ArrowReaderMetadata::try_new(told.metadata().clone(), options)?;
        // Others have the values of keys a second time.
        let columns = told.schema().fields().iter().enumerate();
        let wanted = columns.filter(|(_, field)| table.columns().iter().any(|column| column.name == field.name()));
        let wanted = ProjectionMask::roots(told.parquet_schema(), wanted.map(|(place, _)| place));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, told);
        let reader = reader.with_projection(wanted).with_batch_size(rows).build()?;
        Ok(Reader { reader, next: 0 })
    }

    /// The next rows as `schema` has them, whose variants are shredded as `shredding` says, but for those whose
    /// numbers are among `left_out`, which are in order. `None` at the end.
    ///
    /// # Errors
    /// They cannot be read, or do not fit.
    pub fn next(
        &mut self,
        schema: &SchemaRef,
        shredding: &Shredding,
        left_out: &[u64],
    ) -> Result<Option<RecordBatch>, FileError> {
        loop {
            let Some(read) = self.reader.next().transpose()? else { return Ok(None) };
            let numbers = self.next..self.next + read.num_rows() as u64;
            self.next = numbers.end;
            let from = left_out.partition_point(|row| *row < numbers.start);
            let upto = left_out.partition_point(|row| *row < numbers.end);
            let rows = match left_out.get(from..upto) {
                None | Some([]) => read,
                Some(gone) => {
                    let stays: BooleanArray = numbers.map(|row| Some(gone.binary_search(&row).is_err())).collect();
                    filter_record_batch(&read, &stays)?
                }
            };
            if rows.num_rows() > 0 {
                return Ok(Some(conform(&rows, schema, shredding)?));
            }
        }
    }

    /// How many rows have been read, those that were left out among them.
    pub fn rows(&self) -> u64 {
        self.next
    }
}
