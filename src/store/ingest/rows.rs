//! Columns being filled, and their way into DuckDB.
//!
//! Arrow's own builders cannot take rows back; these can, so that a record which turns out to be
//! malformed half-way leaves nothing behind. The vectors become Arrow buffers without a copy.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, TimestampNanosecondArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

/// Rows that DuckDB takes at once. List columns are cut to it, see [`cut`].
pub(crate) const VECTOR: usize = 2048;

thread_local! {
    /// Bytes of text that the rows of the current record may still take.
    static ROOM: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// A record begins, whose rows may take so many bytes of text. Many rows may repeat one long text that
/// the record holds once: the name of a metric, say.
pub(crate) fn begin_record(room: usize) {
    ROOM.set(room);
}

/// Why a record has no rows that has no [room](has_room) left.
pub(crate) const REPEATS: &str = "its rows would repeat long texts, over 128 MiB beyond its size";

/// Whether the rows of the current record have kept to that. If not, texts are missing in them.
pub(crate) fn has_room() -> bool {
    ROOM.get() > 0
}

/// A column being filled.
pub(crate) trait Column: Default {
    /// Forgets all rows from `len` on.
    fn truncate(&mut self, len: usize);
    /// Gives the column out and begins anew.
    fn finish(&mut self) -> Result<ArrayRef, ArrowError>;
}

/// Which rows are not NULL; costs nothing while all of them are.
#[derive(Debug, Default)]
struct Validity {
    /// Empty until the first NULL.
    valid: Vec<bool>,
}

impl Validity {
    fn push(&mut self, len_before: usize, valid: bool) {
        if !valid && self.valid.is_empty() {
            self.valid.resize(len_before, true);
            self.valid.push(false);
        } else if !valid || !self.valid.is_empty() {
            self.valid.push(valid);
        }
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        (!self.valid.is_empty()).then(|| NullBuffer::from(std::mem::take(&mut self.valid)))
    }
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $native:ty, $array:ident) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            values: Vec<$native>,
            validity: Validity,
        }

        impl $name {
            #[inline]
            pub(crate) fn push(&mut self, value: Option<$native>) {
                self.validity.push(self.values.len(), value.is_some());
                self.values.push(value.unwrap_or_default());
            }
        }

        impl Column for $name {
            fn truncate(&mut self, len: usize) {
                self.values.truncate(len);
                self.validity.valid.truncate(len);
            }

            fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
                let values = std::mem::take(&mut self.values);
                Ok(Arc::new($array::new(values.into(), self.validity.finish())))
            }
        }
    };
}

fixed!(/** `TIMESTAMP_NS`. */ Time, i64, TimestampNanosecondArray);
fixed!(/** `BIGINT`. */ I64, i64, Int64Array);
fixed!(/** `INTEGER`. */ I32, i32, Int32Array);
fixed!(/** `UINTEGER`. */ U32, u32, UInt32Array);
fixed!(/** `DOUBLE`. */ F64, f64, Float64Array);
fixed!(/** `BOOLEAN`. */ Bool, bool, BooleanArray);

/// Values of varying length, one after the other.
#[derive(Debug, Default)]
struct Runs<T> {
    values: Vec<T>,
    /// Where each row ends.
    ends: Vec<i64>,
    validity: Validity,
}

impl<T: Copy> Runs<T> {
    #[inline]
    fn push(&mut self, value: Option<&[T]>) {
        self.validity.push(self.ends.len(), value.is_some());
        let value = value.unwrap_or_default();
        let room = ROOM.get().saturating_sub(size_of_val(value));
        ROOM.set(room);
        if room > 0 {
            self.values.extend_from_slice(value);
        }
        self.ends.push(self.values.len() as i64);
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.validity.valid.truncate(len);
        let end = self.ends.last().copied().unwrap_or_default();
        self.values.truncate(usize::try_from(end).unwrap_or_default());
    }

    fn finish(&mut self) -> (Vec<T>, OffsetBuffer<i64>, Option<NullBuffer>) {
        let ends = std::mem::take(&mut self.ends);
        let mut offsets = Vec::with_capacity(ends.len() + 1);
        offsets.push(0);
        offsets.extend_from_slice(&ends);
        // Offsets are ascending by construction.
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (std::mem::take(&mut self.values), offsets, self.validity.finish())
    }
}

/// `VARCHAR`.
#[derive(Debug, Default)]
pub(crate) struct Text(Runs<u8>);

impl Text {
    #[inline]
    pub(crate) fn push(&mut self, value: Option<&str>) {
        self.0.push(value.map(str::as_bytes));
    }

    /// OTLP's "not set": an empty string is NULL.
    #[inline]
    pub(crate) fn push_set(&mut self, value: &str) {
        self.push((!value.is_empty()).then_some(value));
    }
}

impl Column for Text {
    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let (values, offsets, nulls) = self.0.finish();
        Ok(Arc::new(LargeStringArray::try_new(offsets, values.into(), nulls)?))
    }
}

/// `BLOB`: ids, and the encoding of variants.
#[derive(Debug, Default)]
pub(crate) struct Blob(Runs<u8>);

impl Blob {
    #[inline]
    pub(crate) fn push(&mut self, value: Option<&[u8]>) {
        self.0.push(value);
    }

    /// An empty id is NULL.
    #[inline]
    pub(crate) fn push_set(&mut self, value: &[u8]) {
        self.push((!value.is_empty()).then_some(value));
    }
}

impl Column for Blob {
    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let (values, offsets, nulls) = self.0.finish();
        Ok(Arc::new(LargeBinaryArray::try_new(offsets, values.into(), nulls)?))
    }
}

macro_rules! list {
    ($(#[$doc:meta])* $name:ident, $native:ty, $array:ident, $item:ident) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name(Runs<$native>);

        impl $name {
            #[inline]
            pub(crate) fn push(&mut self, value: Option<&[$native]>) {
                self.0.push(value);
            }
        }

        impl Column for $name {
            fn truncate(&mut self, len: usize) {
                self.0.truncate(len);
            }

            fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
                let (values, offsets, nulls) = self.0.finish();
                let item = Arc::new(Field::new_list_field(DataType::$item, true));
                Ok(Arc::new(LargeListArray::try_new(item, offsets, Arc::new($array::from(values)), nulls)?))
            }
        }
    };
}

list!(/** `DOUBLE[]`. */ F64List, f64, Float64Array, Float64);
list!(/** `BIGINT[]`. */ I64List, i64, Int64Array, Int64);

/// The rows `start..start + len` of a column. The crate hands a list column's *whole* child over
/// with every vector of 2,048 rows, whatever the slice, so lists are cut out here.
pub(crate) fn cut(array: &ArrayRef, start: usize, len: usize) -> Result<ArrayRef, ArrowError> {
    let Some(list) = array.as_any().downcast_ref::<LargeListArray>() else {
        return Ok(array.slice(start, len));
    };
    let list = list.slice(start, len);
    let first = list.value_offsets().first().copied().unwrap_or_default();
    let last = list.value_offsets().last().copied().unwrap_or_default();
    let offsets: Vec<i64> = list.value_offsets().iter().map(|offset| offset - first).collect();
    let DataType::LargeList(item) = list.data_type().clone() else {
        return Err(ArrowError::SchemaError("a list column without items".to_owned()));
    };
    let from = usize::try_from(first).unwrap_or_default();
    let to = usize::try_from(last).unwrap_or_default();
    let values = list.values().slice(from, to - from);
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(LargeListArray::try_new(item, offsets, values, list.nulls().cloned())?))
}

/// Defines the rows of one table: a struct with one [`Column`] a field, named as in the schema.
/// Columns of the table that are left out are NULL.
macro_rules! rows {
    ($(#[$doc:meta])* $name:ident of $table:path { $($column:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            len: usize,
            $(pub(crate) $column: $kind,)*
        }

        impl $crate::store::ingest::rows::Rows for $name {
            const TABLE: $crate::store::schema::Table = $table;

            fn len(&self) -> usize {
                self.len
            }

            fn row_done(&mut self) {
                self.len += 1;
            }

            fn truncate(&mut self, len: usize) {
                $($crate::store::ingest::rows::Column::truncate(&mut self.$column, len);)*
                self.len = len;
            }

            fn finish(
                &mut self,
            ) -> Result<Vec<(&'static str, arrow::array::ArrayRef)>, arrow::error::ArrowError> {
                self.len = 0;
                Ok(vec![$((
                    stringify!($column),
                    $crate::store::ingest::rows::Column::finish(&mut self.$column)?,
                ),)*])
            }
        }
    };
}
pub(crate) use rows;

/// The rows of one table, being filled: push to every column, then [`Rows::row_done`].
pub(crate) trait Rows: Default {
    /// Where they go.
    const TABLE: crate::store::schema::Table;
    /// Complete rows.
    fn len(&self) -> usize;
    /// All columns of a row have been pushed.
    fn row_done(&mut self);
    /// Forgets everything after the first `len` rows, an incomplete row too.
    fn truncate(&mut self, len: usize);
    /// Gives the columns out and begins anew.
    fn finish(&mut self) -> Result<Vec<(&'static str, ArrayRef)>, ArrowError>;
}
