//! Values of parameters: from PostgreSQL's text and binary to what the statement service takes. DuckDB casts text
//! to the type that stands there, so only what would be something else as text is turned into it.

use bytes::{Buf, Bytes};
use pgwire::api::Type;
use serde_json::Value;

use super::error::{PgError, code};
use super::rows::{BINARY, format_of};
use crate::store::sql::value::{write_date, write_decimal};

/// From 1970 to 2000.
const EPOCH_DAYS: i64 = 10_957;
const DAY: i64 = 86_400_000_000;

/// The values of a `Bind` message. `types` are those that the client or the statement gave them.
///
/// # Errors
/// If one of them is none of its type.
pub fn values(given: &[Option<Bytes>], formats: &[i16], types: &[Option<Type>]) -> Result<Vec<Value>, PgError> {
    let one = |(n, value): (usize, &Option<Bytes>)| {
        let Some(value) = value else { return Ok(Value::Null) };
        let kind = types.get(n).and_then(Option::as_ref);
        let read = if format_of(formats, n) == BINARY { binary(value, kind) } else { text(value, kind) };
        read.map_err(|what| {
            let kind = kind.map_or("unknown", Type::name);
            let code = if format_of(formats, n) == BINARY { code::BAD_BINARY } else { code::BAD_TEXT };
            PgError::new(code, format!("invalid value for parameter ${} of type {kind}: {what}", n + 1))
        })
    };
    given.iter().enumerate().map(one).collect()
}

fn text(value: &[u8], kind: Option<&Type>) -> Result<Value, String> {
    let text = std::str::from_utf8(value).map_err(|_| "it is not valid UTF-8".to_owned())?;
    if text.contains('\0') {
        return Err("it has a NUL character".to_owned());
    }
    let trimmed = text.trim();
    let bad = |_| format!("\"{trimmed}\"");
    Ok(match kind {
        Some(&Type::BOOL) => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Value::Bool(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Value::Bool(false),
            _ => return Err(format!("\"{trimmed}\"")),
        },
        Some(&Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::OID) => {
            trimmed.parse::<i64>().map_err(|e| bad(e.to_string()))?.into()
        }
        Some(&Type::FLOAT4 | &Type::FLOAT8) => number(trimmed.parse::<f64>().map_err(|e| bad(e.to_string()))?),
        Some(&Type::NUMERIC) => exact(trimmed),
        Some(&Type::BYTEA) => match trimmed.strip_prefix("\\x") {
            Some(hex) if hex.len() % 2 == 0 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                let pairs = hex.as_bytes().chunks(2).map(|pair| format!("\\x{}", String::from_utf8_lossy(pair)));
                Value::String(pairs.collect())
            }
            _ => Value::String(text.to_owned()),
        },
        Some(kind) if array_item(kind).is_some() => Value::String(brackets(trimmed)?),
        _ => Value::String(text.to_owned()),
    })
}

fn binary(value: &[u8], kind: Option<&Type>) -> Result<Value, String> {
    let mut rest = value;
    let short = |_| "it is too short".to_owned();
    let read = match kind {
        Some(&Type::BOOL) => Value::Bool(rest.try_get_u8().map_err(short)? != 0),
        Some(&Type::INT2) => rest.try_get_i16().map_err(short)?.into(),
        Some(&Type::INT4) => rest.try_get_i32().map_err(short)?.into(),
        Some(&Type::OID) => rest.try_get_u32().map_err(short)?.into(),
        Some(&Type::INT8) => rest.try_get_i64().map_err(short)?.into(),
        Some(&Type::FLOAT4) => number(f64::from(rest.try_get_f32().map_err(short)?)),
        Some(&Type::FLOAT8) => number(rest.try_get_f64().map_err(short)?),
        Some(&Type::NUMERIC) => exact(&numeric(&mut rest)?),
        Some(&Type::TIMESTAMPTZ | &Type::TIMESTAMP) => {
            let micros = rest.try_get_i64().map_err(short)?;
            Value::String(match micros {
                i64::MAX => "infinity".to_owned(),
                i64::MIN => "-infinity".to_owned(),
                _ => {
                    let mut text = String::new();
                    write_date(&mut text, micros.div_euclid(DAY) + EPOCH_DAYS);
                    format!("{text} {}", clock(micros.rem_euclid(DAY)))
                }
            })
        }
        Some(&Type::DATE) => {
            let mut text = String::new();
            write_date(&mut text, i64::from(rest.try_get_i32().map_err(short)?) + EPOCH_DAYS);
            Value::String(text)
        }
        Some(&Type::TIME) => Value::String(clock(rest.try_get_i64().map_err(short)?)),
        Some(&Type::INTERVAL) => {
            let micros = rest.try_get_i64().map_err(short)?;
            let (days, months) = (rest.try_get_i32().map_err(short)?, rest.try_get_i32().map_err(short)?);
            Value::String(format!("{months} months {days} days {micros} microseconds"))
        }
        Some(&Type::UUID) => {
            let bytes: [u8; 16] = rest.try_into().map_err(|_| "it does not have 16 bytes".to_owned())?;
            rest = &[];
            Value::String(uuid::Uuid::from_bytes(bytes).to_string())
        }
        Some(&Type::BYTEA) => {
            let bytes = rest.iter().map(|byte| format!("\\x{byte:02X}")).collect();
            rest = &[];
            Value::String(bytes)
        }
        Some(&Type::JSONB) => {
            if rest.try_get_u8().map_err(short)? != 1 {
                return Err("another version of jsonb than 1".to_owned());
            }
            let text = std::str::from_utf8(rest).map_err(|_| "it is not valid UTF-8".to_owned())?;
            rest = &[];
            Value::String(text.to_owned())
        }
        Some(kind) if array_item(kind).is_some() => {
            let list = list(&mut rest)?;
            Value::String(list)
        }
        _ => return text(value, kind),
    };
    if rest.is_empty() { Ok(read) } else { Err("it is too long".to_owned()) }
}

/// JSON has no infinity; DuckDB reads it as text.
fn number(n: f64) -> Value {
    serde_json::Number::from_f64(n).map_or_else(|| Value::String(n.to_string()), Value::Number)
}

/// A number that may have more digits than a double: as one where it is whole and fits, else as text.
fn exact(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from)
}

fn clock(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    format!("{:02}:{:02}:{:02}.{fraction:06}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `numeric_recv`.
fn numeric(rest: &mut &[u8]) -> Result<String, String> {
    let mut next = || rest.try_get_u16().map_err(|_| "it is too short".to_owned());
    let (groups, weight, sign, scale) = (next()?, next()?.cast_signed(), next()?, next()?);
    if !matches!(sign, 0 | 0x4000) {
        return Err("it is no finite number".to_owned());
    }
    let mut value: i128 = 0;
    let overflow = || "it has too many digits".to_owned();
    for _ in 0..groups {
        value =
            value.checked_mul(10_000).and_then(|value| value.checked_add(next().ok()?.into())).ok_or_else(overflow)?;
    }
    // The digits stand for so many behind the point; the scale says how many are meant.
    let mut behind = 4 * (i32::from(groups) - 1 - i32::from(weight));
    while behind > i32::from(scale) && value % 10 == 0 {
        (value, behind) = (value / 10, behind - 1);
    }
    while behind < 0 {
        (value, behind) = (value.checked_mul(10).ok_or_else(overflow)?, behind + 1);
    }
    let mut text = String::new();
    write_decimal(&mut text, if sign == 0 { value } else { -value }, i8::try_from(behind).map_err(|_| overflow())?);
    Ok(text)
}

fn array_item(kind: &Type) -> Option<Type> {
    match *kind {
        Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => Some(Type::TEXT),
        Type::UUID_ARRAY => Some(Type::UUID),
        Type::TIMESTAMP_ARRAY => Some(Type::TIMESTAMP),
        Type::OID_ARRAY => Some(Type::OID),
        _ => super::types::item_of(kind),
    }
}

/// `array_recv`, as the text of a list of DuckDB's.
fn list(rest: &mut &[u8]) -> Result<String, String> {
    let short = |_| "it is too short".to_owned();
    let dimensions = rest.try_get_i32().map_err(short)?;
    let _has_null = rest.try_get_i32().map_err(short)?;
    let item = Type::from_oid(rest.try_get_u32().map_err(short)?);
    if dimensions == 0 {
        return Ok("[]".to_owned());
    }
    if dimensions != 1 {
        return Err("arrays of one dimension are taken".to_owned());
    }
    let count = rest.try_get_i32().map_err(short)?;
    let _first = rest.try_get_i32().map_err(short)?;
    let mut items = Vec::new();
    for _ in 0..count {
        let length = rest.try_get_i32().map_err(short)?;
        let Ok(length) = usize::try_from(length) else {
            items.push("NULL".to_owned());
            continue;
        };
        let bytes = rest.get(..length).ok_or("it is too short")?;
        rest.advance(length);
        items.push(match binary(bytes, item.as_ref())? {
            Value::String(text) => quoted(&text),
            other => other.to_string(),
        });
    }
    Ok(format!("[{}]", items.join(", ")))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `{a,"b c",NULL}` as a list of DuckDB's, `["a", "b c", NULL]`.
fn brackets(text: &str) -> Result<String, String> {
    let bad = || format!("\"{text}\" is no array");
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or_else(bad)?;
    let mut items: Vec<(String, bool)> = Vec::new();
    let mut characters = inner.chars();
    let mut item = (String::new(), false);
    let mut any = false;
    while let Some(c) = characters.next() {
        // Blanks around an item are none of it.
        if c.is_ascii_whitespace() && (item.1 || item.0.is_empty()) {
            continue;
        }
        any = true;
        match c {
            '"' => {
                item.1 = true;
                loop {
                    match characters.next().ok_or_else(bad)? {
                        '"' => break,
                        '\\' => item.0.push(characters.next().ok_or_else(bad)?),
                        c => item.0.push(c),
                    }
                }
            }
            ',' => items.push(std::mem::take(&mut item)),
            '{' | '}' => return Err("arrays of one dimension are taken".to_owned()),
            '\\' => item.0.push(characters.next().ok_or_else(bad)?),
            c => item.0.push(c),
        }
    }
    if any {
        items.push(item);
    }
    let written = items.iter().map(|(text, is_quoted)| match text.trim() {
        null if !is_quoted && null.eq_ignore_ascii_case("null") => "NULL".to_owned(),
        bare if !is_quoted => quoted(bare),
        _ => quoted(text),
    });
    Ok(format!("[{}]", written.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn one(value: &[u8], format: i16, kind: Type) -> Result<Value, &'static str> {
        let read = values(&[Some(Bytes::copy_from_slice(value))], &[format], &[Some(kind)]);
        read.map(|mut values| values.remove(0)).map_err(|error| error.code)
    }

    #[test]
    fn text() {
        for (text, kind, value) in [
            ("5", Type::INT4, json!(5)),
            ("t", Type::BOOL, json!(true)),
            ("1.5", Type::FLOAT8, json!(1.5)),
            ("12345678901234567890.5", Type::NUMERIC, json!("12345678901234567890.5")),
            ("\\x00ff", Type::BYTEA, json!("\\x00\\xff")),
            ("{a,\"b \\\"c\",NULL}", Type::TEXT_ARRAY, json!("[\"a\", \"b \\\"c\", NULL]")),
            ("{ \"a\", \" b \" ,c d , null}", Type::TEXT_ARRAY, json!("[\"a\", \" b \", \"c d\", NULL]")),
            ("{}", Type::INT4_ARRAY, json!("[]")),
            ("{ }", Type::INT4_ARRAY, json!("[]")),
            ("2026-11-28T10:00:00Z", Type::TIMESTAMPTZ, json!("2026-11-28T10:00:00Z")),
            (" a ", Type::TEXT, json!(" a ")),
        ] {
            assert_eq!(one(text.as_bytes(), 0, kind), Ok(value), "{text}");
        }
        assert_eq!(one(b"five", 0, Type::INT4), Err("22P02"));
        assert_eq!(one(b"\xff", 0, Type::TEXT), Err("22P02"));
        assert_eq!(one(b"a\0", 0, Type::TEXT), Err("22P02"));
        assert_eq!(values(&[None], &[], &[]), Ok(vec![Value::Null]));
    }

    #[test]
    fn binary() {
        let numeric = |parts: &[u16]| parts.iter().flat_map(|part| part.to_be_bytes()).collect::<Vec<_>>();
        let interval = [&1_i64.to_be_bytes()[..], &2_i32.to_be_bytes(), &3_i32.to_be_bytes()].concat();
        for (bytes, kind, value) in [
            (7_i16.to_be_bytes().to_vec(), Type::INT2, json!(7)),
            (i64::MIN.to_be_bytes().to_vec(), Type::INT8, json!(i64::MIN)),
            (1.5_f32.to_be_bytes().to_vec(), Type::FLOAT4, json!(1.5)),
            (f64::INFINITY.to_be_bytes().to_vec(), Type::FLOAT8, json!("inf")),
            (1_i64.to_be_bytes().to_vec(), Type::TIMESTAMPTZ, json!("2000-01-01 00:00:00.000001")),
            ((-1_i32).to_be_bytes().to_vec(), Type::DATE, json!("1999-12-31")),
            (numeric(&[2, 0, 0, 1, 1, 5000]), Type::NUMERIC, json!("1.5")),
            (numeric(&[1, 1, 0x4000, 0, 3]), Type::NUMERIC, json!(-30000)),
            (numeric(&[0, 0, 0, 0]), Type::NUMERIC, json!(0)),
            (interval, Type::INTERVAL, json!("3 months 2 days 1 microseconds")),
            (vec![1, 255], Type::BYTEA, json!("\\x01\\xFF")),
            (b"\x01{}".to_vec(), Type::JSONB, json!("{}")),
            (b"abc".to_vec(), Type::VARCHAR, json!("abc")),
        ] {
            assert_eq!(one(&bytes, BINARY, kind.clone()), Ok(value), "{kind} {bytes:?}");
        }
        for (bytes, kind) in
            [(&[0][..], Type::INT4), (&[0; 5], Type::INT4), (&[2], Type::JSONB), (&[0; 15], Type::UUID)]
        {
            assert_eq!(one(bytes, BINARY, kind), Err("22P03"));
        }
    }

    #[test]
    fn arrays() {
        let mut array = BytesMut::new();
        [1, 1, 25, 2, 1, 1].iter().for_each(|n| array.put_i32(*n));
        array.put_slice(b"\"");
        array.put_i32(-1);
        assert_eq!(one(&array, BINARY, Type::TEXT_ARRAY), Ok(json!("[\"\\\"\", NULL]")));
    }

    proptest! {
        #[test]
        fn no_value_ends_it(
            bytes in prop::collection::vec(prop_oneof![2 => Just(0_u8), 1 => Just(1), 2 => any::<u8>()], 0..50),
            format in 0..2_i16,
            kind in prop::sample::select(vec![
                Type::BOOL, Type::INT4, Type::NUMERIC, Type::TIMESTAMPTZ, Type::DATE, Type::TIME, Type::INTERVAL,
                Type::UUID, Type::BYTEA, Type::JSONB, Type::TEXT_ARRAY, Type::INT4_ARRAY, Type::TEXT,
            ]),
        ) {
            let _ = one(&bytes, format, kind);
        }
    }
}
