//! Values in PostgreSQL's bytes (its `*_send` functions).

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float32Type, Float64Type};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;

use super::super::interval::Interval;
use super::column::{Times, bytes, integers_of, items, plain};
use super::{Length, Writer, text};
use crate::store::sql::value::{is_null, write_text};

/// From 1970 to 2000, where PostgreSQL counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

/// The version that stands before a `jsonb`.
const JSONB: u8 = 1;

/// Writes a column of this type.
#[expect(clippy::cast_possible_truncation, reason = "the type of the column holds no larger numbers")]
pub fn writer<'a>(array: &'a dyn Array, kind: &Type) -> Writer<'a> {
    match *kind {
        Type::BOOL => {
            let values = array.as_boolean();
            Writer::fixed(move |row| [u8::from(values.value(row))])
        }
        Type::INT2 => integers(array, |n: i64| (n as i16).to_be_bytes()),
        Type::INT4 => integers(array, |n: i64| (n as i32).to_be_bytes()),
        Type::INT8 => integers(array, i64::to_be_bytes),
        Type::FLOAT4 => {
            let values = array.as_primitive::<Float32Type>().values();
            Writer::fixed(move |row| values[row].to_be_bytes())
        }
        Type::FLOAT8 => {
            let values = array.as_primitive::<Float64Type>().values();
            Writer::fixed(move |row| values[row].to_be_bytes())
        }
        Type::DATE => {
            let values = array.as_primitive::<Date32Type>().values();
            Writer::fixed(move |row| {
                let days = match values[row] {
                    i32::MAX => i32::MAX,
                    days if days == -i32::MAX => i32::MIN,
                    days => days.saturating_sub(EPOCH_DAYS),
                };
                days.to_be_bytes()
            })
        }
        Type::TIME => {
            let times = Times::of_day(array);
            Writer::fixed(move |row| times.micros(row).to_be_bytes())
        }
        Type::TIMESTAMPTZ => {
            let times = Times::of(array);
            Writer::fixed(move |row| {
                let micros = match times.micros(row) {
                    i64::MAX => i64::MAX,
                    micros if micros == -i64::MAX => i64::MIN,
                    micros => micros.saturating_sub(EPOCH_MICROS),
                };
                micros.to_be_bytes()
            })
        }
        Type::BYTEA => Writer::any(move |row, out| out.put_slice(bytes(array, row))),
        Type::NUMERIC => Writer::any(move |row, out| {
            let mut text = String::new();
            write_text(&mut text, array, row);
            numeric(&text, out);
        }),
        Type::UUID => {
            Writer::fixed(move |row| *uuid::Uuid::parse_str(plain(array, row)).unwrap_or_default().as_bytes())
        }
        Type::INTERVAL => Writer::any(move |row, out| {
            let Interval { months, days, micros } = Interval::parse(plain(array, row)).unwrap_or_default();
            out.put_i64(micros);
            out.put_i32(days);
            out.put_i32(months);
        }),
        Type::JSONB => {
            let json = text::writer(array, kind);
            Writer::any(move |row, out| {
                out.put_u8(JSONB);
                json.write(row, out);
            })
        }
        _ => text::writer(array, kind),
    }
}

/// Integers of any width.
#[expect(clippy::useless_conversion, reason = "for those that are of that width already")]
fn integers<'a, const N: usize>(array: &'a dyn Array, bytes: impl Fn(i64) -> [u8; N] + Send + Sync + 'a) -> Writer<'a> {
    integers_of!(array, values => Writer::fixed(move |row| bytes(i64::from(values[row]))))
}

/// `numeric_send`: digits of ten thousand each, the place of the first, a sign, digits behind the point.
pub fn numeric(text: &str, out: &mut BytesMut) {
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

/// An array (`array_send`). It has one dimension here: a list of lists is JSON.
pub fn list(array: &dyn Array, item: Type) -> Writer<'_> {
    Writer::any(move |row, out| {
        let items = items(array, row);
        let write = writer(items.as_ref(), &item);
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
                write.write(n, out);
                length.end(out, 0);
            }
        }
    })
}
