//! OTLP's `AnyValue` and `KeyValue`, read where they lie in the payload.

use std::fmt::Write as _;

use crate::store::blob;
use crate::store::ingest::proto::{Field, ProtoError, fields};

/// How many `AnyValue`s may be nested before the record counts as malformed. The receivers refuse
/// such payloads earlier (100 levels of messages); this bounds the recursion here.
pub(crate) const MAX_NESTING: u32 = 256;

/// An attribute value: decoded as far as its own level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AnyValue<'a> {
    /// Not set.
    Empty,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// An encoded `ArrayValue`.
    Array(&'a [u8]),
    /// An encoded `KeyValueList`.
    Map(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    /// Reads an encoded `AnyValue`.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, ProtoError> {
        let mut value = AnyValue::Empty;
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            // The last one wins, as for every `oneof`.
            value = match number {
                1 => AnyValue::Text(field.text()?),
                2 => AnyValue::Bool(field.varint()? != 0),
                3 => AnyValue::Int(field.int64()?),
                4 => AnyValue::Double(field.double()?),
                5 => AnyValue::Array(field.bytes()?),
                6 => AnyValue::Map(field.bytes()?),
                7 => AnyValue::Bytes(field.bytes()?),
                _ => continue,
            };
        }
        Ok(value)
    }

    /// Its type as OpenTelemetry calls it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            AnyValue::Empty => "empty",
            AnyValue::Text(_) => "string",
            AnyValue::Bool(_) => "bool",
            AnyValue::Int(_) => "int",
            AnyValue::Double(_) => "double",
            AnyValue::Bytes(_) => "bytes",
            AnyValue::Array(_) => "array",
            AnyValue::Map(_) => "map",
        }
    }

    /// The value as text: strings as they are, bytes as [`blob`] spells them, everything else as JSON.
    pub(crate) fn to_text(self) -> Result<String, ProtoError> {
        let mut out = String::new();
        match self {
            AnyValue::Text(text) => out.push_str(text),
            AnyValue::Bytes(bytes) => blob::write(&mut out, bytes),
            other => write_json(other, &mut out, 0)?,
        }
        Ok(out)
    }
}

/// The elements of an encoded `ArrayValue`, or the `KeyValue`s of an encoded `KeyValueList`.
pub(crate) fn elements<'a>(
    bytes: &'a [u8],
    mut each: impl FnMut(&'a [u8]) -> Result<(), ProtoError>,
) -> Result<(), ProtoError> {
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        if number == 1 {
            each(field.bytes()?)?;
        }
    }
    Ok(())
}

/// Reads an encoded `KeyValue`. The value stays encoded; it is empty if there is none.
pub(crate) fn key_value(bytes: &[u8]) -> Result<(&str, &[u8]), ProtoError> {
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match (number, field) {
            (1, Field::Bytes(_)) => key = field.text()?,
            (2, Field::Bytes(bytes)) => value = bytes,
            (1 | 2, _) => return Err(ProtoError::WireType),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Appends the value as JSON, as answers of the store spell it: bytes are texts of [`blob`], numbers that
/// JSON does not have are the strings `NaN`, `Infinity`, `-Infinity`.
pub(crate) fn write_json(value: AnyValue<'_>, json: &mut String, depth: u32) -> Result<(), ProtoError> {
    if depth > MAX_NESTING {
        return Err(ProtoError::Depth);
    }
    match value {
        AnyValue::Empty => json.push_str("null"),
        AnyValue::Text(text) => write_json_string(text, json),
        AnyValue::Bool(value) => json.push_str(if value { "true" } else { "false" }),
        // Writing to a String cannot fail.
        AnyValue::Int(value) => drop(write!(json, "{value}")),
        AnyValue::Double(value) if value.is_finite() => drop(write!(json, "{value:?}")),
        AnyValue::Double(value) if value.is_nan() => json.push_str("\"NaN\""),
        AnyValue::Double(value) => json.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" }),
        AnyValue::Bytes(bytes) => {
            let mut text = String::new();
            blob::write(&mut text, bytes);
            write_json_string(&text, json);
        }
        AnyValue::Array(bytes) => {
            let open = json.len();
            elements(bytes, |element| {
                json.push(',');
                write_json(AnyValue::read(element)?, json, depth + 1)
            })?;
            close(json, open, '[', ']');
        }
        AnyValue::Map(bytes) => {
            let open = json.len();
            elements(bytes, |element| {
                let (key, value) = key_value(element)?;
                json.push(',');
                write_json_string(key, json);
                json.push(':');
                write_json(AnyValue::read(value)?, json, depth + 1)
            })?;
            close(json, open, '{', '}');
        }
    }
    Ok(())
}

/// Every element was written with a comma before it; the first one becomes the bracket.
fn close(json: &mut String, open: usize, left: char, right: char) {
    if json.len() == open {
        json.push(left);
    } else {
        json.replace_range(open..=open, left.encode_utf8(&mut [0; 4]));
    }
    json.push(right);
}

fn write_json_string(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if u32::from(c) < 0x20 => drop(write!(json, "\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}
