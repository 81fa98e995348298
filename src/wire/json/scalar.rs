//! Numbers in JSON, checked against the range of their field and written as protobuf.

use super::output::Output;
use crate::wire::descriptor::Kind;

/// A number as JSON has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Number {
    /// A number from a string: an integer, or for doubles whatever JSON allows for a number and
    /// the three names that it does not.
    pub(super) fn parse(text: &str, kind: Kind) -> Option<Self> {
        if !matches!(kind, Kind::Double) {
            let signed = || text.parse().ok().map(Number::Signed);
            return text.parse().ok().map(Number::Unsigned).or_else(signed);
        }
        match text {
            "NaN" => Some(Number::Float(f64::NAN)),
            "Infinity" => Some(Number::Float(f64::INFINITY)),
            "-Infinity" => Some(Number::Float(f64::NEG_INFINITY)),
            // Rust reads "inf" and "nan" in any case, too; these have no digit.
            _ if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Number::Float),
            _ => None,
        }
    }

    fn unsigned(self) -> Option<u64> {
        match self {
            Number::Unsigned(number) => Some(number),
            Number::Signed(number) => u64::try_from(number).ok(),
            Number::Float(number) if number.fract() == 0.0 && (0.0..TWO_TO_64).contains(&number) => Some(number as u64),
            Number::Float(_) => None,
        }
    }

    fn signed(self) -> Option<i64> {
        match self {
            Number::Unsigned(number) => i64::try_from(number).ok(),
            Number::Signed(number) => Some(number),
            Number::Float(number) if number.fract() == 0.0 && (-TWO_TO_63..TWO_TO_63).contains(&number) => {
                Some(number as i64)
            }
            Number::Float(_) => None,
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Unsigned(number) => number as f64,
            Number::Signed(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// Writes the value of a field of this kind, without its key. `None`, with nothing written, if
    /// it is out of range, or not an integer where one is asked for.
    pub(super) fn write(self, kind: Kind, out: &mut Output) -> Option<()> {
        match kind {
            Kind::Int32 | Kind::Enum(_) => {
                let number = i32::try_from(self.signed()?).ok()?;
                out.varint(i64::from(number) as u64);
            }
            Kind::Int64 => out.varint(self.signed()? as u64),
            Kind::Uint32 => out.varint(u32::try_from(self.unsigned()?).ok()?.into()),
            Kind::Uint64 => out.varint(self.unsigned()?),
            Kind::Sint32 => {
                let number = i32::try_from(self.signed()?).ok()?;
                out.varint(zigzag(number.into()));
            }
            Kind::Sint64 => out.varint(zigzag(self.signed()?)),
            Kind::Fixed32 => out.raw(&u32::try_from(self.unsigned()?).ok()?.to_le_bytes()),
            Kind::Fixed64 => out.raw(&self.unsigned()?.to_le_bytes()),
            Kind::Sfixed64 => out.raw(&self.signed()?.to_le_bytes()),
            Kind::Double => out.raw(&self.float().to_le_bytes()),
            Kind::Bool | Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => return None,
        }
        Some(())
    }
}

/// 2^63 and 2^64, the first doubles that do not fit.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

/// What a field of this kind holds, for messages.
pub(super) fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Int32 | Kind::Sint32 => "a 32-bit integer, as a number or a string",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a 64-bit integer, as a number or a string",
        Kind::Uint32 | Kind::Fixed32 => "an unsigned 32-bit integer, as a number or a string",
        Kind::Uint64 | Kind::Fixed64 => "an unsigned 64-bit integer, as a number or a string",
        Kind::Double => r#"a number, "NaN", "Infinity" or "-Infinity""#,
        Kind::Enum(_) => "the number or the name of an enumeration value",
        Kind::String => "a string",
        Kind::Bytes => "a base64 string",
        Kind::Id => "a string of hex digits",
        Kind::Message(_) => "an object",
    }
}
