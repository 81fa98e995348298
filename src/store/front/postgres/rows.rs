//! Rows from Arrow as PostgreSQL writes them, in [`text`] and in [`binary`].

use arrow::array::{Array, RecordBatch};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use super::types::{Column, item_of};
use crate::store::sql::value::is_null;

mod binary;
mod column;
mod text;

/// The format of a value in bytes that PostgreSQL has for its type.
pub const BINARY: i16 = 1;

/// Writes one value of a column.
type Write1<'a> = Box<dyn Fn(usize, &mut BytesMut) + Send + Sync + 'a>;

/// The columns of a batch.
pub struct Rows<'a> {
    columns: Vec<(&'a dyn Array, Write1<'a>)>,
}

impl<'a> Rows<'a> {
    /// Of a batch with these columns in these formats: one for each, or one for all, or text.
    pub fn new(batch: &'a RecordBatch, columns: &[Column], formats: &[i16]) -> Self {
        let writers = batch.columns().iter().zip(columns).enumerate().map(|(n, (array, column))| {
            let array: &dyn Array = array.as_ref();
            (array, writer(array, &column.kind, format_of(formats, n)))
        });
        Rows { columns: writers.collect() }
    }

    /// Puts a row as a `DataRow` message.
    pub fn put(&self, row: usize, out: &mut BytesMut) {
        out.put_u8(b'D');
        let length = Length::begin(out);
        // PostgreSQL's protocol has no more columns than this, and DuckDB not so many.
        out.put_i16(i16::try_from(self.columns.len()).unwrap_or(i16::MAX));
        for (array, write) in &self.columns {
            if is_null(*array, row) {
                out.put_i32(-1);
            } else {
                let length = Length::begin(out);
                write(row, out);
                length.end(out, 0);
            }
        }
        length.end(out, 4);
    }

    /// The text of each value of a row; nothing for NULL.
    pub fn texts(&self, row: usize, mut each: impl FnMut(Option<&[u8]>)) {
        let mut value = BytesMut::new();
        for (array, write) in &self.columns {
            if is_null(*array, row) {
                each(None);
            } else {
                value.clear();
                write(row, &mut value);
                each(Some(&value));
            }
        }
    }
}

/// The format of a column (`Bind`, "result-column format codes").
pub fn format_of(formats: &[i16], column: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(column).copied().unwrap_or_default(),
    }
}

/// A length of four bytes before what it counts.
struct Length(usize);

impl Length {
    fn begin(out: &mut BytesMut) -> Self {
        let at = out.len();
        out.put_i32(0);
        Length(at)
    }

    /// `own` bytes of it count, too.
    fn end(self, out: &mut BytesMut, own: usize) {
        let length = i32::try_from(out.len() - self.0 - 4 + own).unwrap_or(i32::MAX);
        out[self.0..self.0 + 4].copy_from_slice(&length.to_be_bytes());
    }
}

fn writer<'a>(array: &'a dyn Array, kind: &Type, format: i16) -> Write1<'a> {
    match (item_of(kind), format) {
        (Some(item), BINARY) => binary::list(array, item),
        (Some(item), _) => text::list(array, item),
        (None, BINARY) => binary::writer(array, kind),
        (None, _) => text::writer(array, kind),
    }
}

#[cfg(test)]
mod tests;
