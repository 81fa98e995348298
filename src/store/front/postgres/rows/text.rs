//! Values as PostgreSQL's texts (its documentation, "Data Types").

use std::fmt::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Date32Type;
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use super::super::interval::Interval;
use super::Writer;
use super::column::{Times, bytes, integers_of, is_text, items, plain};
use crate::store::sql::value::{is_null, write_date, write_json, write_text};

/// Writes a column of this type.
pub fn writer<'a>(array: &'a dyn Array, kind: &Type) -> Writer<'a> {
    match *kind {
        Type::BOOL => {
            let values = array.as_boolean();
            Writer::any(move |row, out| out.put_u8(if values.value(row) { b't' } else { b'f' }))
        }
        // Writing to a BytesMut cannot fail.
        Type::INT2 | Type::INT4 | Type::INT8 => integers_of!(array, values => Writer::any(move |row, out| {
            let _ = write!(out, "{}", values[row]);
        })),
        Type::DATE => {
            let values = array.as_primitive::<Date32Type>().values();
            Writer::any(move |row, out| match values[row] {
                i32::MAX => out.put_slice(b"infinity"),
                days if days == -i32::MAX => out.put_slice(b"-infinity"),
                days => date(out, i64::from(days)),
            })
        }
        Type::TIME => {
            let times = Times::of_day(array);
            Writer::any(move |row, out| clock(out, times.micros(row)))
        }
        Type::TIMESTAMPTZ => {
            const DAY: i64 = 86_400_000_000;
            let times = Times::of(array);
            Writer::any(move |row, out| match times.micros(row) {
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
        Type::BYTEA => Writer::any(move |row, out| {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.put_slice(b"\\x");
            for byte in bytes(array, row) {
                out.put_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }),
        Type::INTERVAL => Writer::any(move |row, out| {
            let value = plain(array, row);
            let mut text = String::new();
            match Interval::parse(value) {
                Some(interval) => interval.write(&mut text),
                None => text.push_str(value),
            }
            out.put_slice(text.as_bytes());
        }),
        Type::JSONB | Type::JSON if !is_text(array) => Writer::any(move |row, out| {
            let mut json = String::new();
            write_json(&mut json, array, row);
            out.put_slice(json.as_bytes());
        }),
        _ if is_text(array) => Writer::any(move |row, out| out.put_slice(plain(array, row).as_bytes())),
        _ => Writer::any(move |row, out| {
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

/// An array. It has one dimension here: a list of lists is JSON.
pub fn list(array: &dyn Array, item: Type) -> Writer<'_> {
    Writer::any(move |row, out| {
        let items = items(array, row);
        let write = writer(items.as_ref(), &item);
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
            write.write(n, &mut value);
            quoted(&value, out);
        }
        out.put_u8(b'}');
    })
}

/// An item of an array as text, in quotes where it needs them.
pub fn quoted(value: &[u8], out: &mut BytesMut) {
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
