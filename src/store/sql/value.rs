//! One value of an Arrow array as text, exact: JSON for JSON, the same without quotes for CSV.
//!
//! | type | JSON |
//! |---|---|
//! | integers, DECIMAL | a number up to 2^53 (15 digits for DECIMAL), beyond that a string: most readers take every number for a double |
//! | FLOAT, DOUBLE | a number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | TIMESTAMP of any kind | `"2026-01-02T03:04:05.123456789Z"`, UTC, as many digits as the type has |
//! | DATE, TIME | `"2026-01-02"`, `"03:04:05.123456"` |
//! | BLOB | a string as of a cast to VARCHAR: `a\xFF` ([`crate::store::blob`]) |
//! | LIST, STRUCT, MAP | an array; an object; an object by the keys as text |
//! | JSON | as it is |
//! | VARIANT | by the type that the value has ([`super::variant`]) |

use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;

use super::variant::Variant;
use crate::store::blob;

/// The largest integer up to which every integer is a double.
pub(super) const MAX_EXACT: i128 = 1 << 53;

/// Writes the value as JSON.
pub fn write_json(out: &mut String, array: &dyn Array, row: usize) {
    if is_null(array, row) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::List(_) => write_list(out, array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => write_list(out, array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(_, _) => write_list(out, array.as_fixed_size_list().value(row).as_ref()),
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            out.push('{');
            for (i, (field, column)) in fields.iter().zip(columns.columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(out, field.name());
                out.push(':');
                write_json(out, column.as_ref(), row);
            }
            out.push('}');
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            out.push('{');
            let mut key = String::new();
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                key.clear();
                write_text(&mut key, keys.as_ref(), i);
                write_string(out, &key);
                out.push(':');
                write_json(out, values.as_ref(), i);
            }
            out.push('}');
        }
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        _ => match number(array, row) {
            Some(Number::Integer(n)) if n.abs() <= MAX_EXACT => {
                let _ = write!(out, "{n}");
            }
            Some(Number::Integer(n)) => {
                let _ = write!(out, "\"{n}\"");
            }
            Some(Number::Decimal(n, scale)) if n.unsigned_abs() < 1_000_000_000_000_000 => write_decimal(out, n, scale),
            Some(Number::Decimal(n, scale)) => {
                out.push('"');
                write_decimal(out, n, scale);
                out.push('"');
            }
            Some(Number::Float(n)) if n.is_finite() => write_float(out, n, array.data_type()),
            Some(Number::Float(n)) => {
                let _ = write!(out, "\"{}\"", not_finite(n));
            }
            None => {
                let mut text = String::new();
                write_text(&mut text, array, row);
                write_string(out, &text);
            }
        },
    }
}

/// Writes the value as bare text; nothing for NULL. Nested values are JSON.
pub fn write_text(out: &mut String, array: &dyn Array, row: usize) {
    if is_null(array, row) {
        return;
    }
    if let Some(number) = number(array, row) {
        match number {
            Number::Integer(n) => {
                let _ = write!(out, "{n}");
            }
            Number::Decimal(n, scale) => write_decimal(out, n, scale),
            Number::Float(n) if n.is_finite() => write_float(out, n, array.data_type()),
            Number::Float(n) => out.push_str(not_finite(n)),
        }
        return;
    }
    match array.data_type() {
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Binary => blob::write(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => blob::write(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => blob::write(out, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => blob::write(out, array.as_fixed_size_binary().value(row)),
        DataType::Date32 => write_date(out, i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Time64(TimeUnit::Microsecond) => {
            write_time(out, array.as_primitive::<Time64MicrosecondType>().value(row), 6);
        }
        DataType::Time64(_) => write_time(out, array.as_primitive::<Time64NanosecondType>().value(row), 9),
        DataType::Timestamp(unit, _) => {
            let (value, digits) = match unit {
                TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 0),
                TimeUnit::Millisecond => (array.as_primitive::<TimestampMillisecondType>().value(row), 3),
                TimeUnit::Microsecond => (array.as_primitive::<TimestampMicrosecondType>().value(row), 6),
                TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 9),
            };
            write_timestamp(out, value, digits);
        }
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(_, _)
        | DataType::Struct(_)
        | DataType::Map(_, _)
        | DataType::Boolean => write_json(out, array, row),
        // Not asked of DuckDB (`columns::wrap` casts the rest), so any text is better than none.
        _ => out.push_str(&array_value_to_string(array, row).unwrap_or_default()),
    }
}

/// The `VARIANT` in a row of a column that left DuckDB as `variant_to_parquet_variant`; `None` if the
/// column is none.
pub fn variant(array: &dyn Array, row: usize) -> Option<Variant<'_>> {
    let parts = array.as_struct_opt()?;
    let bytes = |name: &str| -> Option<&[u8]> {
        let column = parts.column_by_name(name)?;
        Some(match column.data_type() {
            DataType::Binary => column.as_binary::<i32>().value(row),
            DataType::LargeBinary => column.as_binary::<i64>().value(row),
            DataType::BinaryView => column.as_binary_view().value(row),
            _ => return None,
        })
    };
    Some(Variant::new(bytes("metadata")?, bytes("value")?))
}

/// Whether it is NULL; a column of the type NULL has no bitmap that says so.
pub fn is_null(array: &dyn Array, row: usize) -> bool {
    array.data_type() == &DataType::Null || array.is_null(row)
}

/// Writes a JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

enum Number {
    Integer(i128),
    Decimal(i128, i8),
    Float(f64),
}

fn number(array: &dyn Array, row: usize) -> Option<Number> {
    macro_rules! integer {
        ($kind:ty) => {
            Number::Integer(i128::from(array.as_primitive::<$kind>().value(row)))
        };
    }
    Some(match array.data_type() {
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Decimal128(_, 0) => Number::Integer(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Decimal128(_, scale) => Number::Decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Float32 => Number::Float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Number::Float(array.as_primitive::<Float64Type>().value(row)),
        _ => return None,
    })
}

fn write_list(out: &mut String, values: &dyn Array) {
    out.push('[');
    for i in 0..values.len() {
        if i > 0 {
            out.push(',');
        }
        write_json(out, values, i);
    }
    out.push(']');
}

/// The shortest digits that read back as the same number, of the width that the column has.
fn write_float(out: &mut String, n: f64, kind: &DataType) {
    #[expect(clippy::cast_possible_truncation, reason = "it was widened from f32, so nothing is lost")]
    let _ = if kind == &DataType::Float32 { write!(out, "{:?}", n as f32) } else { write!(out, "{n:?}") };
}

fn not_finite(n: f64) -> &'static str {
    if n.is_nan() {
        "NaN"
    } else if n > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Writes a double, with the words for what is no number.
pub(super) fn write_double(out: &mut String, n: f64) {
    if n.is_finite() {
        write_float(out, n, &DataType::Float64);
    } else {
        out.push_str(not_finite(n));
    }
}

/// Writes `n` with `scale` of its digits behind the point.
pub fn write_decimal(out: &mut String, n: i128, scale: i8) {
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", n.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let _ = write!(out, "{}{whole}", if n < 0 { "-" } else { "" });
    if scale > 0 {
        let _ = write!(out, ".{fraction}");
    }
}

/// Writes a time since 1970 in UTC; `digits` is the power of ten of its unit.
pub(super) fn write_timestamp(out: &mut String, value: i64, digits: u32) {
    // DuckDB's infinities.
    if value == i64::MAX || value == -i64::MAX {
        out.push_str(if value > 0 { "infinity" } else { "-infinity" });
        return;
    }
    let day = 86_400 * 10_i64.pow(digits);
    write_date(out, value.div_euclid(day));
    out.push('T');
    write_time(out, value.rem_euclid(day), digits);
    out.push('Z');
}

/// Writes a time of the day.
pub(super) fn write_time(out: &mut String, value: i64, digits: u32) {
    let unit = 10_i64.pow(digits);
    let (seconds, fraction) = (value / unit, value % unit);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if digits > 0 {
        let _ = write!(out, ".{fraction:0width$}", width = digits as usize);
    }
}

/// Days since 1970-01-01 as a date of the proleptic Gregorian calendar, as ISO 8601 has it.
pub fn write_date(out: &mut impl Write, days: i64) {
    // Years start in March, so that the leap day comes last.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if (0..=9999).contains(&year) {
        let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    } else {
        let _ = write!(out, "{year:+05}-{month:02}-{day:02}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
    };

    use super::*;

    fn json(array: ArrayRef) -> String {
        let mut out = String::new();
        write_json(&mut out, array.as_ref(), 0);
        out
    }

    #[test]
    fn numbers_are_exact() {
        assert_eq!(json(Arc::new(Int64Array::from(vec![1 << 53]))), "9007199254740992");
        assert_eq!(json(Arc::new(Int64Array::from(vec![(1 << 53) + 1]))), "\"9007199254740993\"");
        assert_eq!(json(Arc::new(Int64Array::from(vec![i64::MIN]))), "\"-9223372036854775808\"");
        let decimal =
            |n, scale| json(Arc::new(Decimal128Array::from(vec![n]).with_precision_and_scale(38, scale).unwrap()));
        assert_eq!(decimal(-5, 2), "-0.05");
        assert_eq!(decimal(12345, 3), "12.345");
        assert_eq!(decimal(1 << 60, 2), "\"11529215046068469.76\"");
        for (n, text) in [(0.1, "0.1"), (1e300, "1e300"), (f64::NAN, "\"NaN\""), (f64::NEG_INFINITY, "\"-Infinity\"")] {
            assert_eq!(json(Arc::new(Float64Array::from(vec![n]))), text);
        }
    }

    #[test]
    fn times_are_iso_8601() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_709_210_096_123_456_789, "2024-02-29T12:34:56.123456789Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (i64::MAX, "infinity"),
        ] {
            assert_eq!(json(Arc::new(TimestampNanosecondArray::from(vec![nanos]))), format!("\"{text}\""));
        }
    }

    #[test]
    fn text_is_escaped_and_blobs_are_as_duckdb_casts_them() {
        assert_eq!(json(Arc::new(StringArray::from(vec!["a\"\\\n\u{1}é"]))), "\"a\\\"\\\\\\n\\u0001é\"");
        assert_eq!(json(Arc::new(BinaryArray::from(vec![&[0u8, 255][..]]))), "\"\\\\x00\\\\xFF\"");
    }
}
