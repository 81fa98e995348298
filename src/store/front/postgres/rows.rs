//! Rows from Arrow as PostgreSQL writes them, in text and in binary (PostgreSQL's documentation, "Data Types";
//! its `*_send` functions for the binary forms).

use std::fmt::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use super::interval::Interval;
use super::types::{Column, item_of, per_second};
use crate::store::sql::value::{is_null, write_date, write_json, write_text};

/// The format of a value in bytes that PostgreSQL has for its type.
pub const BINARY: i16 = 1;

/// From 1970 to 2000, where PostgreSQL counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

/// The version that stands before a `jsonb`.
const JSONB: u8 = 1;

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
    if let Some(item) = item_of(kind) {
        return list(array, item, format);
    }
    if format == BINARY { binary(array, kind) } else { text(array, kind) }
}

/// Calls with the number of a row of any integer.
macro_rules! integer {
    ($array:expr, $put:expr) => {{
        let put = $put;
        match $array.data_type() {
            DataType::Int8 => number!($array, Int8Type, put),
            DataType::UInt8 => number!($array, UInt8Type, put),
            DataType::Int16 => number!($array, Int16Type, put),
            DataType::UInt16 => number!($array, UInt16Type, put),
            DataType::Int32 => number!($array, Int32Type, put),
            DataType::UInt32 => number!($array, UInt32Type, put),
            _ => number!($array, Int64Type, put),
        }
    }};
}

macro_rules! number {
    ($array:expr, $kind:ty, $put:expr) => {{
        let values = $array.as_primitive::<$kind>().values();
        let put = $put;
        Box::new(move |row, out: &mut BytesMut| put(i64::from(values[row]), out))
    }};
}

#[expect(clippy::cast_possible_truncation, reason = "the type of the column holds no larger numbers")]
fn binary<'a>(array: &'a dyn Array, kind: &Type) -> Write1<'a> {
    match *kind {
        Type::BOOL => {
            let values = array.as_boolean();
            Box::new(move |row, out| out.put_u8(u8::from(values.value(row))))
        }
        Type::INT2 => integer!(array, |n: i64, out: &mut BytesMut| out.put_i16(n as i16)),
        Type::INT4 => integer!(array, |n: i64, out: &mut BytesMut| out.put_i32(n as i32)),
        Type::INT8 => integer!(array, |n: i64, out: &mut BytesMut| out.put_i64(n)),
        Type::FLOAT4 => {
            let values = array.as_primitive::<Float32Type>().values();
            Box::new(move |row, out| out.put_f32(values[row]))
        }
        Type::FLOAT8 => {
            let values = array.as_primitive::<Float64Type>().values();
            Box::new(move |row, out| out.put_f64(values[row]))
        }
        Type::DATE => {
            let values = array.as_primitive::<Date32Type>().values();
            Box::new(move |row, out| {
                out.put_i32(match values[row] {
                    i32::MAX => i32::MAX,
                    days if days == -i32::MAX => i32::MIN,
                    days => days.saturating_sub(EPOCH_DAYS),
                });
            })
        }
        Type::TIME => {
            let micros = time(array);
            Box::new(move |row, out| out.put_i64(micros(row)))
        }
        Type::TIMESTAMPTZ => {
            let micros = timestamp(array);
            Box::new(move |row, out| {
                out.put_i64(match micros(row) {
                    i64::MAX => i64::MAX,
                    micros if micros == -i64::MAX => i64::MIN,
                    micros => micros.saturating_sub(EPOCH_MICROS),
                });
            })
        }
        Type::BYTEA => Box::new(move |row, out| out.put_slice(bytes(array, row))),
        Type::NUMERIC => Box::new(move |row, out| {
            let mut text = String::new();
            write_text(&mut text, array, row);
            numeric(&text, out);
        }),
        Type::UUID => Box::new(move |row, out| {
            let text = plain(array, row);
            out.put_slice(uuid::Uuid::parse_str(text).unwrap_or_default().as_bytes());
        }),
        Type::INTERVAL => Box::new(move |row, out| {
            let Interval { months, days, micros } = Interval::parse(plain(array, row)).unwrap_or_default();
            out.put_i64(micros);
            out.put_i32(days);
            out.put_i32(months);
        }),
        Type::JSONB => {
            let json = text(array, kind);
            Box::new(move |row, out| {
                out.put_u8(JSONB);
                json(row, out);
            })
        }
        _ => text(array, kind),
    }
}

fn text<'a>(array: &'a dyn Array, kind: &Type) -> Write1<'a> {
    match *kind {
        Type::BOOL => {
            let values = array.as_boolean();
            Box::new(move |row, out| out.put_u8(if values.value(row) { b't' } else { b'f' }))
        }
        // Writing to a BytesMut cannot fail.
        Type::INT2 | Type::INT4 | Type::INT8 => {
            integer!(array, |n: i64, out: &mut BytesMut| {
                let _ = write!(out, "{n}");
            })
        }
        Type::DATE => {
            let values = array.as_primitive::<Date32Type>().values();
            Box::new(move |row, out| match values[row] {
                i32::MAX => out.put_slice(b"infinity"),
                days if days == -i32::MAX => out.put_slice(b"-infinity"),
                days => date(out, i64::from(days)),
            })
        }
        Type::TIME => {
            let micros = time(array);
            Box::new(move |row, out| clock(out, micros(row)))
        }
        Type::TIMESTAMPTZ => {
            const DAY: i64 = 86_400_000_000;
            let micros = timestamp(array);
            Box::new(move |row, out| match micros(row) {
                i64::MAX => out.put_slice(b"infinity"),
                micros if micros == -i64::MAX => out.put_slice(b"-infinity"),
                micros => {
                    let days = micros.div_euclid(DAY);
                    // In PostgreSQL the year 1 BC stands before the year 1, and the era behind all.
                    let before = days < YEAR_1;
                    date_of(out, days);
                    out.put_u8(b' ');
                    clock(out, micros.rem_euclid(DAY));
                    out.put_slice(if before { b"+00 BC" } else { b"+00" });
                }
            })
        }
        Type::BYTEA => Box::new(move |row, out| {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.put_slice(b"\\x");
            for byte in bytes(array, row) {
                out.put_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }),
        Type::INTERVAL => Box::new(move |row, out| {
            let value = plain(array, row);
            let mut text = String::new();
            match Interval::parse(value) {
                Some(interval) => interval.write(&mut text),
                None => text.push_str(value),
            }
            out.put_slice(text.as_bytes());
        }),
        Type::JSONB | Type::JSON if !is_text(array) => Box::new(move |row, out| {
            let mut json = String::new();
            write_json(&mut json, array, row);
            out.put_slice(json.as_bytes());
        }),
        _ if is_text(array) => Box::new(move |row, out| out.put_slice(plain(array, row).as_bytes())),
        _ => Box::new(move |row, out| {
            let mut text = String::new();
            write_text(&mut text, array, row);
            out.put_slice(text.as_bytes());
        }),
    }
}

/// Days from 1970 to the first of the year 1.
const YEAR_1: i64 = -719_162;

fn date(out: &mut BytesMut, days: i64) {
    date_of(out, days);
    if days < YEAR_1 {
        out.put_slice(b" BC");
    }
}

/// The date without its era: the year 0 is 1 BC.
fn date_of(out: &mut BytesMut, days: i64) {
    if days >= YEAR_1 {
        let mut text = String::new();
        write_date(&mut text, days);
        out.put_slice(text.trim_start_matches('+').as_bytes());
        return;
    }
    let mut text = String::new();
    write_date(&mut text, days);
    let (year, rest) = text.split_at(text.len() - 6);
    let year = 1 - year.parse::<i64>().unwrap_or_default();
    let _ = write!(out, "{year:04}{rest}");
}

fn clock(out: &mut BytesMut, micros: i64) {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let two = |n: i64| [b'0' + u8::try_from(n / 10 % 10).unwrap_or(0), b'0' + u8::try_from(n % 10).unwrap_or(0)];
    out.put_slice(&two(seconds / 3600));
    out.put_u8(b':');
    out.put_slice(&two(seconds / 60 % 60));
    out.put_u8(b':');
    out.put_slice(&two(seconds % 60));
    if fraction > 0 {
        let mut digits = [b'.', 0, 0, 0, 0, 0, 0];
        let mut rest = fraction;
        for digit in digits[1..].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        out.put_slice(&digits[..end]);
    }
}

/// Microseconds of the day of a row.
fn time<'a>(array: &'a dyn Array) -> Box<dyn Fn(usize) -> i64 + Send + Sync + 'a> {
    if array.data_type() == &DataType::Time64(TimeUnit::Microsecond) {
        let values = array.as_primitive::<Time64MicrosecondType>().values();
        return Box::new(move |row| values[row]);
    }
    let values = array.as_primitive::<Time64NanosecondType>().values();
    Box::new(move |row| values[row] / 1000)
}

/// Microseconds since 1970 of a row; DuckDB's infinities stay as they are.
fn timestamp<'a>(array: &'a dyn Array) -> Box<dyn Fn(usize) -> i64 + Send + Sync + 'a> {
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

fn is_text(array: &dyn Array) -> bool {
    matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn plain(array: &dyn Array, row: usize) -> &str {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        _ => "",
    }
}

fn bytes(array: &dyn Array, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => &[],
    }
}

/// `numeric_send`: digits of ten thousand each, the place of the first, a sign, digits behind the point.
fn numeric(text: &str, out: &mut BytesMut) {
    const NEGATIVE: u16 = 0x4000;
    const NOT_A_NUMBER: u16 = 0xC000;
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |digits| (NEGATIVE, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|digit| digit.is_ascii_digit()) {
        for part in [0, 0, NOT_A_NUMBER, 0] {
            out.put_u16(part);
        }
        return;
    }
    let whole = whole.trim_start_matches('0');
    let lead = (4 - whole.len() % 4) % 4;
    let trail = (4 - fraction.len() % 4) % 4;
    let all = ["0".repeat(lead).as_str(), whole, fraction, "0".repeat(trail).as_str()].concat();
    let mut groups: Vec<u16> = all
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0')))
        .collect();
    let mut weight = i16::try_from((whole.len() + lead) / 4).unwrap_or(i16::MAX) - 1;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..zeros);
    weight -= i16::try_from(zeros).unwrap_or(0);
    if groups.is_empty() {
        weight = 0;
    }
    out.put_u16(u16::try_from(groups.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(if groups.is_empty() { 0 } else { sign });
    out.put_u16(u16::try_from(fraction.len()).unwrap_or(u16::MAX));
    groups.into_iter().for_each(|group| out.put_u16(group));
}

/// Arrays have one dimension here: a list of lists is JSON.
fn list(array: &dyn Array, item: Type, format: i16) -> Write1<'_> {
    let items = move |row: usize| match array.data_type() {
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        _ => array.as_list::<i32>().value(row),
    };
    if format != BINARY {
        return Box::new(move |row, out| {
            let items = items(row);
            let write = text(items.as_ref(), &item);
            let mut value = BytesMut::new();
            out.put_u8(b'{');
            for n in 0..items.len() {
                if n > 0 {
                    out.put_u8(b',');
                }
                if is_null(items.as_ref(), n) {
                    out.put_slice(b"NULL");
                    continue;
                }
                value.clear();
                write(n, &mut value);
                quoted(&value, out);
            }
            out.put_u8(b'}');
        });
    }
    Box::new(move |row, out| {
        let items = items(row);
        let write = binary(items.as_ref(), &item);
        out.put_i32(i32::from(!items.is_empty()));
        out.put_i32(i32::from(items.null_count() > 0));
        out.put_u32(item.oid());
        if items.is_empty() {
            return;
        }
        out.put_i32(i32::try_from(items.len()).unwrap_or(i32::MAX));
        // The first has the number 1.
        out.put_i32(1);
        for n in 0..items.len() {
            if is_null(items.as_ref(), n) {
                out.put_i32(-1);
            } else {
                let length = Length::begin(out);
                write(n, out);
                length.end(out, 0);
            }
        }
    })
}

/// An item of an array as text, in quotes where it needs them.
fn quoted(value: &[u8], out: &mut BytesMut) {
    let special = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\');
    if !value.is_empty() && !value.iter().any(special) && !value.eq_ignore_ascii_case(b"null") {
        out.put_slice(value);
        return;
    }
    out.put_u8(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

#[cfg(test)]
mod tests;
