//! Rows from Arrow as PostgreSQL writes them, in [`text`] and in [`binary`].

use std::ops::Range;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use super::types::{self, item_of};
use crate::store::sql::value::is_null;

mod binary;
mod column;
mod text;

/// The format of a value in bytes that PostgreSQL has for its type.
pub const BINARY: i16 = 1;

/// The rows of a batch.
pub struct Rows<'a> {
    columns: Vec<Column<'a>>,
    /// The type of the message that each becomes.
    message: u8,
    /// A row without its values, if all rows are of one length.
    template: Option<Vec<u8>>,
}

struct Column<'a> {
    array: &'a dyn Array,
    /// Some values of it are NULL.
    has_nulls: bool,
    writer: Writer<'a>,
}

impl<'a> Rows<'a> {
    /// Of a batch with these columns in these formats: one for each, or one for all, or text. Each becomes a message of
    /// this type: `DataRow`, or `CopyData`, which has the same in it where it is binary.
    pub fn new(batch: &'a RecordBatch, columns: &[types::Column], formats: &[i16], message: u8) -> Self {
        let columns = batch.columns().iter().zip(columns).enumerate().map(|(n, (array, column))| {
            let array: &dyn Array = array.as_ref();
            let has_nulls = array.data_type() == &DataType::Null || array.null_count() > 0;
            Column { array, has_nulls, writer: writer(array, &column.kind, format_of(formats, n)) }
        });
        let columns: Vec<_> = columns.collect();
        let template = template(&columns, message);
        Rows { columns, message, template }
    }

    /// Puts these rows as messages until there are `enough` bytes. How many rows.
    pub fn put(&self, rows: Range<usize>, enough: usize, out: &mut BytesMut) -> usize {
        if let Some(template) = &self.template {
            let count = (enough.saturating_sub(out.len()) / template.len() + 1).min(rows.len());
            self.put_alike(template, rows.start..rows.start + count, out);
            return count;
        }
        let mut put = 0;
        for row in rows {
            if out.len() >= enough {
                break;
            }
            self.put_one(row, out);
            put += 1;
        }
        put
    }

    /// Rows of one length: column by column.
    fn put_alike(&self, template: &[u8], rows: Range<usize>, out: &mut BytesMut) {
        let start = out.len();
        out.reserve(rows.len() * template.len());
        for _ in rows.clone() {
            out.put_slice(template);
        }
        let mut at = start + HEAD;
        for column in &self.columns {
            if let Writer::Fixed(fixed) = &column.writer {
                at += 4;
                (fixed.fill)(rows.clone(), &mut out[at..], template.len());
                at += fixed.width;
            }
        }
    }

    fn put_one(&self, row: usize, out: &mut BytesMut) {
        out.put_u8(self.message);
        let length = Length::begin(out);
        out.put_i16(count(&self.columns));
        for column in &self.columns {
            if column.has_nulls && is_null(column.array, row) {
                out.put_i32(-1);
            } else {
                let length = Length::begin(out);
                column.writer.write(row, out);
                length.end(out, 0);
            }
        }
        length.end(out, 4);
    }

    /// The text of each value of a row; nothing for NULL.
    pub fn texts(&self, row: usize, mut each: impl FnMut(Option<&[u8]>)) {
        let mut value = BytesMut::new();
        for column in &self.columns {
            if column.has_nulls && is_null(column.array, row) {
                each(None);
            } else {
                value.clear();
                column.writer.write(row, &mut value);
                each(Some(&value));
            }
        }
    }
}

/// Bytes of a message before its first value: the type, the length, the number of columns.
const HEAD: usize = 7;

fn template(columns: &[Column<'_>], message: u8) -> Option<Vec<u8>> {
    let mut row = vec![message, 0, 0, 0, 0];
    row.put_i16(count(columns));
    for column in columns {
        let Writer::Fixed(Fixed { width, .. }) = &column.writer else { return None };
        if column.has_nulls {
            return None;
        }
        row.put_i32(i32::try_from(*width).ok()?);
        row.resize(row.len() + width, 0);
    }
    let length = i32::try_from(row.len() - 1).ok()?;
    row[1..5].copy_from_slice(&length.to_be_bytes());
    Some(row)
}

/// PostgreSQL's protocol has no more columns than this, and DuckDB not so many.
fn count(columns: &[Column<'_>]) -> i16 {
    i16::try_from(columns.len()).unwrap_or(i16::MAX)
}

/// Writes values of a column.
enum Writer<'a> {
    /// Each has so many bytes.
    Fixed(Fixed<'a>),
    /// Each has as many as it has.
    Any(Box<Write<'a>>),
}

struct Fixed<'a> {
    width: usize,
    fill: Box<Fill<'a>>,
}

/// Puts the value of a row.
type Write<'a> = dyn Fn(usize, &mut BytesMut) + Send + Sync + 'a;

/// Puts the values of rows, each so many bytes behind the last.
type Fill<'a> = dyn Fn(Range<usize>, &mut [u8], usize) + Send + Sync + 'a;

impl<'a> Writer<'a> {
    fn fixed<const N: usize>(value: impl Fn(usize) -> [u8; N] + Send + Sync + 'a) -> Self {
        let fill = move |rows: Range<usize>, out: &mut [u8], stride: usize| {
            for (row, slot) in rows.zip(out.chunks_mut(stride)) {
                slot[..N].copy_from_slice(&value(row));
            }
        };
        Writer::Fixed(Fixed { width: N, fill: Box::new(fill) })
    }

    fn any(write: impl Fn(usize, &mut BytesMut) + Send + Sync + 'a) -> Self {
        Writer::Any(Box::new(write))
    }

    /// Writes the value of a row.
    fn write(&self, row: usize, out: &mut BytesMut) {
        match self {
            Writer::Fixed(Fixed { width, fill }) => {
                let at = out.len();
                out.put_bytes(0, *width);
                fill(row..row + 1, &mut out[at..], *width);
            }
            Writer::Any(write) => write(row, out),
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

fn writer<'a>(array: &'a dyn Array, kind: &Type, format: i16) -> Writer<'a> {
    match (item_of(kind), format) {
        (Some(item), BINARY) => binary::list(array, item),
        (Some(item), _) => text::list(array, item),
        (None, BINARY) => binary::writer(array, kind),
        (None, _) => text::writer(array, kind),
    }
}

#[cfg(test)]
mod tests;
