//! Values of a column in Arrow's types.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
};
use bytes::BytesMut;

use super::super::types::per_second;
use super::Write1;

/// Writes a column of any integers.
pub fn integers<'a>(array: &'a dyn Array, put: impl Fn(i64, &mut BytesMut) + Send + Sync + 'a) -> Write1<'a> {
    match array.data_type() {
        DataType::Int8 => integers_of::<Int8Type>(array, put),
        DataType::UInt8 => integers_of::<UInt8Type>(array, put),
        DataType::Int16 => integers_of::<Int16Type>(array, put),
        DataType::UInt16 => integers_of::<UInt16Type>(array, put),
        DataType::Int32 => integers_of::<Int32Type>(array, put),
        DataType::UInt32 => integers_of::<UInt32Type>(array, put),
        _ => integers_of::<Int64Type>(array, put),
    }
}

fn integers_of<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    put: impl Fn(i64, &mut BytesMut) + Send + Sync + 'a,
) -> Write1<'a>
where
    i64: From<T::Native>,
{
    let values = array.as_primitive::<T>().values();
    Box::new(move |row, out: &mut BytesMut| put(i64::from(values[row]), out))
}

/// Microseconds of the day of a row.
pub fn time<'a>(array: &'a dyn Array) -> Box<dyn Fn(usize) -> i64 + Send + Sync + 'a> {
    if array.data_type() == &DataType::Time64(TimeUnit::Microsecond) {
        let values = array.as_primitive::<Time64MicrosecondType>().values();
        return Box::new(move |row| values[row]);
    }
    let values = array.as_primitive::<Time64NanosecondType>().values();
    Box::new(move |row| values[row] / 1000)
}

/// Microseconds since 1970 of a row; DuckDB's infinities stay as they are.
pub fn timestamp<'a>(array: &'a dyn Array) -> Box<dyn Fn(usize) -> i64 + Send + Sync + 'a> {
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
    let per_second = per_second(unit);
    Box::new(move |row| match values[row] {
        infinite if infinite == i64::MAX || infinite == -i64::MAX => infinite,
        value if per_second > 1_000_000 => value.div_euclid(per_second / 1_000_000),
        value => value.saturating_mul(1_000_000 / per_second),
    })
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
