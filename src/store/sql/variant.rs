//! A `VARIANT` as text, by the same rules as any other value ([`super::value`]).
//!
//! DuckDB's own cast to JSON writes bytes and times in spellings of its own, integers as numbers that
//! most readers round, and Infinity and NaN as what is no JSON, so that a whole map with one of them was
//! no JSON either. So a `VARIANT` leaves DuckDB in its Parquet encoding (`variant_to_parquet_variant`),
//! which keeps all types, and is written here.

use std::fmt::Write;

use super::value::{MAX_EXACT, write_date, write_decimal, write_double, write_string, write_time, write_timestamp};
use crate::store::blob;

/// What stands for a value whose encoding cannot be read.
const UNREADABLE: &str = "unreadable";

/// Arrays and objects in each other; readers of JSON have limits, too.
const MAX_DEPTH: usize = 120;

/// One value in the Parquet encoding of a variant.
#[derive(Debug, Clone, Copy)]
pub struct Variant<'a> {
    metadata: &'a [u8],
    value: &'a [u8],
}

/// A value without structure.
enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Float(f32),
    Decimal(i128, i8),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Days since 1970.
    Date(i32),
    /// Since 1970, with so many decimal digits of a second.
    Timestamp(i64, u32),
    /// Microseconds of the day.
    Time(i64),
    Uuid([u8; 16]),
}

impl<'a> Variant<'a> {
    /// The value with the dictionary of its keys.
    pub fn new(metadata: &'a [u8], value: &'a [u8]) -> Self {
        Variant { metadata, value }
    }

    /// Whether it is null, which is NULL.
    pub fn is_null(self) -> bool {
        self.value == [0]
    }

    /// Writes it as JSON.
    pub fn write_json(self, out: &mut String) {
        let before = out.len();
        if self.json(self.value, 0, out).is_none() {
            out.truncate(before);
            write_string(out, UNREADABLE);
        }
    }

    /// Writes it as bare text; what has structure is JSON.
    pub fn write_text(self, out: &mut String) {
        let before = out.len();
        let written = match self.value.first().map(|byte| byte & 3) {
            Some(0 | 1) => scalar(self.value).map(|value| value.write_text(out)),
            _ => self.json(self.value, 0, out),
        };
        if written.is_none() {
            out.truncate(before);
            out.push_str(UNREADABLE);
        }
    }

    fn json(self, value: &[u8], depth: usize, out: &mut String) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let header = usize::from(*value.first()?);
        match header & 3 {
            2 => {
                let (offset_width, id_width) = (((header >> 2) & 3) + 1, ((header >> 4) & 3) + 1);
                let count_width = if header & 0x40 == 0 { 1 } else { 4 };
                let count = little_endian(value, 1, count_width)?;
                let ids = 1 + count_width;
                let offsets = ids + count.checked_mul(id_width)?;
                let values = offsets + (count + 1).checked_mul(offset_width)?;
                out.push('{');
                for i in 0..count {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(out, self.key(little_endian(value, ids + i * id_width, id_width)?)?);
                    out.push(':');
                    let offset = little_endian(value, offsets + i * offset_width, offset_width)?;
                    self.json(value.get(values + offset..)?, depth + 1, out)?;
                }
                out.push('}');
            }
            3 => {
                let offset_width = ((header >> 2) & 3) + 1;
                let count_width = if header & 0x10 == 0 { 1 } else { 4 };
                let count = little_endian(value, 1, count_width)?;
                let offsets = 1 + count_width;
                let values = offsets + (count + 1).checked_mul(offset_width)?;
                out.push('[');
                for i in 0..count {
                    if i > 0 {
                        out.push(',');
                    }
                    let offset = little_endian(value, offsets + i * offset_width, offset_width)?;
                    self.json(value.get(values + offset..)?, depth + 1, out)?;
                }
                out.push(']');
            }
            _ => scalar(value)?.write_json(out),
        }
        Some(())
    }

    fn key(self, id: usize) -> Option<&'a str> {
        let header = usize::from(*self.metadata.first()?);
        let width = ((header >> 6) & 3) + 1;
        let count = little_endian(self.metadata, 1, width)?;
        if id >= count {
            return None;
        }
        let offsets = 1 + width;
        let keys = offsets + (count + 1).checked_mul(width)?;
        let start = little_endian(self.metadata, offsets + id * width, width)?;
        let end = little_endian(self.metadata, offsets + (id + 1) * width, width)?;
        std::str::from_utf8(self.metadata.get(keys + start..keys + end)?).ok()
    }
}

impl Scalar<'_> {
    fn write_json(&self, out: &mut String) {
        let exact = match self {
            Scalar::Null => {
                out.push_str("null");
                return;
            }
            Scalar::Bool(_) => true,
            Scalar::Int(n) => i128::from(*n).abs() <= MAX_EXACT,
            Scalar::Decimal(n, scale) => {
                if *scale == 0 {
                    n.abs() <= MAX_EXACT
                } else {
                    n.unsigned_abs() < 1_000_000_000_000_000
                }
            }
            Scalar::Double(n) => n.is_finite(),
            Scalar::Float(n) => n.is_finite(),
            _ => false,
        };
        if exact {
            self.write_text(out);
        } else {
            let mut text = String::new();
            self.write_text(&mut text);
            write_string(out, &text);
        }
    }

    fn write_text(&self, out: &mut String) {
        match self {
            Scalar::Null => {}
            Scalar::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            // Writing to a String cannot fail.
            Scalar::Int(n) => drop(write!(out, "{n}")),
            Scalar::Double(n) => write_double(out, *n),
            Scalar::Float(n) if n.is_finite() => drop(write!(out, "{n:?}")),
            Scalar::Float(n) => write_double(out, f64::from(*n)),
            Scalar::Decimal(n, scale) => write_decimal(out, *n, *scale),
            Scalar::Text(text) => out.push_str(text),
            Scalar::Bytes(bytes) => blob::write(out, bytes),
            Scalar::Date(days) => write_date(out, i64::from(*days)),
            Scalar::Timestamp(value, digits) => write_timestamp(out, *value, *digits),
            Scalar::Time(value) => write_time(out, *value, 6),
            Scalar::Uuid(bytes) => drop(write!(out, "{}", uuid::Uuid::from_bytes(*bytes))),
        }
    }
}

/// Parquet's `VariantEncoding.md`, "Encoding types".
fn scalar(value: &[u8]) -> Option<Scalar<'_>> {
    let header = *value.first()?;
    let rest = &value[1..];
    if header & 3 == 1 {
        return Some(Scalar::Text(std::str::from_utf8(rest.get(..usize::from(header >> 2))?).ok()?));
    }
    let decimal = |n: i128, scale: u8| Some(Scalar::Decimal(n, i8::try_from(scale).ok()?));
    Some(match header >> 2 {
        0 => Scalar::Null,
        1 => Scalar::Bool(true),
        2 => Scalar::Bool(false),
        3 => Scalar::Int(i64::from(i8::from_le_bytes(array(rest)?))),
        4 => Scalar::Int(i64::from(i16::from_le_bytes(array(rest)?))),
        5 => Scalar::Int(i64::from(i32::from_le_bytes(array(rest)?))),
        6 => Scalar::Int(i64::from_le_bytes(array(rest)?)),
        7 => Scalar::Double(f64::from_le_bytes(array(rest)?)),
        8 => return decimal(i128::from(i32::from_le_bytes(array(rest.get(1..)?)?)), rest[0]),
        9 => return decimal(i128::from(i64::from_le_bytes(array(rest.get(1..)?)?)), rest[0]),
        10 => return decimal(i128::from_le_bytes(array(rest.get(1..)?)?), rest[0]),
        11 => Scalar::Date(i32::from_le_bytes(array(rest)?)),
        12 | 13 => Scalar::Timestamp(i64::from_le_bytes(array(rest)?), 6),
        14 => Scalar::Float(f32::from_le_bytes(array(rest)?)),
        15 => Scalar::Bytes(long(rest)?),
        16 => Scalar::Text(std::str::from_utf8(long(rest)?).ok()?),
        17 => Scalar::Time(i64::from_le_bytes(array(rest)?)),
        18 | 19 => Scalar::Timestamp(i64::from_le_bytes(array(rest)?), 9),
        20 => Scalar::Uuid(array(rest)?),
        _ => return None,
    })
}

fn long(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::try_from(u32::from_le_bytes(array(bytes)?)).ok()?;
    bytes.get(4..4 + length)
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.get(..N)?.try_into().ok()
}

fn little_endian(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + width)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::*;

    /// An expression as JSON and as text, by way of DuckDB.
    fn shown(expression: &str) -> (String, String) {
        let db = Connection::open_in_memory().expect("open");
        let sql = format!("SELECT variant_to_parquet_variant(({expression})::VARIANT)");
        let mut statement = db.prepare(&sql).expect(expression);
        let batch = statement.query_arrow([]).expect(expression).next().expect("a batch");
        let (mut json, mut text) = (String::new(), String::new());
        let variant = super::super::value::variant(batch.column(0).as_ref(), 0).expect("a variant");
        variant.write_json(&mut json);
        variant.write_text(&mut text);
        (json, text)
    }

    #[test]
    fn values_are_written_as_in_columns_of_their_type() {
        for (expression, json, text) in [
            ("NULL", "null", ""),
            ("true", "true", "true"),
            ("5::BIGINT", "5", "5"),
            ("-5::TINYINT", "-5", "-5"),
            ("9007199254740992", "9007199254740992", "9007199254740992"),
            ("9007199254740993", "\"9007199254740993\"", "9007199254740993"),
            ("7.5::DOUBLE", "7.5", "7.5"),
            ("0.1::FLOAT", "0.1", "0.1"),
            ("'Infinity'::DOUBLE", "\"Infinity\"", "Infinity"),
            ("'-Infinity'::FLOAT", "\"-Infinity\"", "-Infinity"),
            ("'NaN'::DOUBLE", "\"NaN\"", "NaN"),
            ("1.50::DECIMAL(9,2)", "1.50", "1.50"),
            ("'a\"b'", "\"a\\\"b\"", "a\"b"),
            ("repeat('x', 100)", &format!("\"{}\"", "x".repeat(100)), &"x".repeat(100)),
            ("'\\x01\\xFF'::BLOB", r#""\\x01\\xFF""#, "\\x01\\xFF"),
            (
                "make_timestamp_ns(1767225600123456789)",
                "\"2026-01-01T00:00:00.123456789Z\"",
                "2026-01-01T00:00:00.123456789Z",
            ),
            ("TIMESTAMP '2026-01-01 00:00:00.5'", "\"2026-01-01T00:00:00.500000Z\"", "2026-01-01T00:00:00.500000Z"),
            ("DATE '2026-01-01'", "\"2026-01-01\"", "2026-01-01"),
            ("TIME '10:00'", "\"10:00:00.000000\"", "10:00:00.000000"),
            (
                "'12345678-1234-1234-1234-123456789abc'::UUID",
                "\"12345678-1234-1234-1234-123456789abc\"",
                "12345678-1234-1234-1234-123456789abc",
            ),
            ("[1, NULL, 3]", "[1,null,3]", "[1,null,3]"),
            (
                "{'n': 1, 'hot': 'Infinity'::DOUBLE, 'b': '\\x01\\x02'::BLOB, 'l': [{'t': 'x'}]}",
                "{\"n\":1,\"hot\":\"Infinity\",\"b\":\"\\\\x01\\\\x02\",\"l\":[{\"t\":\"x\"}]}",
                "{\"n\":1,\"hot\":\"Infinity\",\"b\":\"\\\\x01\\\\x02\",\"l\":[{\"t\":\"x\"}]}",
            ),
        ] {
            assert_eq!(shown(expression), (json.to_owned(), text.to_owned()), "{expression}");
        }
    }

    #[test]
    fn many_keys_and_long_values_are_read() {
        let keys: Vec<String> = (0..300).map(|i| format!("'k{i:03}': repeat('v', {i})")).collect();
        let (json, _) = shown(&format!("{{{}}}", keys.join(", ")));
        let read: serde_json::Value = serde_json::from_str(&json).expect("json");
        assert_eq!(read["k299"].as_str().map(str::len), Some(299));
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(300));
    }

    #[test]
    fn what_is_cut_short_is_no_panic() {
        let (metadata, value) = ([1, 1, 0, 1, b'a'], [2, 1, 0, 0, 9, 0x18, 1, 0, 0, 0, 0, 0, 0, 0]);
        for length in 0..value.len() {
            for keys in 0..=metadata.len() {
                let mut out = String::new();
                Variant::new(&metadata[..keys], &value[..length]).write_json(&mut out);
                Variant::new(&metadata[..keys], &value[..length]).write_text(&mut out);
                assert!(out.contains(UNREADABLE), "{out}");
            }
        }
    }
}
