//! Values of a column in Arrow's types.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::super::types::per_second;

/// Something with the values of an array of any integers, each of which an `i64` can be made of.
macro_rules! integers_of {
    ($array:expr, $values:ident => $make:expr) => {{
        use arrow::datatypes::*;
        match $array.data_type() {
            DataType::Int8 => integers_of!(Int8Type, $array, $values => $make),
            DataType::UInt8 => integers_of!(UInt8Type, $array, $values => $make),
            DataType::Int16 => integers_of!(Int16Type, $array, $values => $make),
            DataType::UInt16 => integers_of!(UInt16Type, $array, $values => $make),
            DataType::Int32 => integers_of!(Int32Type, $array, $values => $make),
            DataType::UInt32 => integers_of!(UInt32Type, $array, $values => $make),
            _ => integers_of!(Int64Type, $array, $values => $make),
        }
    }};
    ($kind:ty, $array:expr, $values:ident => $make:expr) => {{
        let $values = $array.as_primitive::<$kind>().values();
        $make
    }};
}
pub(super) use integers_of;

/// Times of a column.
pub struct Times<'a> {
    values: &'a [i64],
    /// Units of the values to a second.
    per_second: i64,
}

impl<'a> Times<'a> {
    /// Timestamps.
    pub fn of(array: &'a dyn Array) -> Self {
        let unit = match array.data_type() {
            DataType::Timestamp(unit, _) => *unit,
            _ => TimeUnit::Microsecond,
        };
        let values = match unit {
            TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
            TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
            TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
            TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
        };
        Times { values, per_second: per_second(unit) }
    }

    /// Times of the day.
    pub fn of_day(array: &'a dyn Array) -> Self {
        if array.data_type() == &DataType::Time64(TimeUnit::Microsecond) {
            let values = array.as_primitive::<Time64MicrosecondType>().values();
            return Times { values, per_second: 1_000_000 };
        }
        Times { values: array.as_primitive::<Time64NanosecondType>().values(), per_second: 1_000_000_000 }
    }

    /// Microseconds since 1970, or of the day. DuckDB's infinities stay as they are.
    pub fn micros(&self, row: usize) -> i64 {
        match (self.values[row], self.per_second) {
            (infinite, _) if infinite == i64::MAX || infinite == -i64::MAX => infinite,
            (value, 1_000_000) => value,
            (value, 1_000_000_000) => value.div_euclid(1000),
            (value, per_second) => value.saturating_mul(1_000_000 / per_second),
        }
    }
}

/// Whether its values are texts.
pub fn is_text(array: &dyn Array) -> bool {
    matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A text.
pub fn plain(array: &dyn Array, row: usize) -> &str {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ => "",
    }
}

/// Bytes.
pub fn bytes(array: &dyn Array, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => &[],
    }
}
/// The items of a list.
pub fn items(array: &dyn Array, row: usize) -> ArrayRef {
    match array.data_type() {
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        _ => array.as_list::<i32>().value(row),
    }
}
