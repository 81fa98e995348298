//! Reading the fields of a message that the walk has accepted.
//!
//! The checks beyond being well formed (label references, string indexes) go over a few fields of
//! an accepted payload; nothing can fail there, so a fault simply ends the iteration.

use super::descriptor::wire_type;
use super::error::{Reason, WireError};
use super::primitive::{delimited, varint};

/// The fields of an encoded message, in order.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// A field's value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// A varint.
    Varint(u64),
    /// A length-delimited value.
    Bytes(&'a [u8]),
    /// Anything else: no check needs it.
    Other,
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited value.
    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The number of a varint.
    pub(super) fn number(self) -> u64 {
        match self {
            Value::Varint(number) => number,
            _ => 0,
        }
    }

    /// The numbers of a repeated varint field: the packed ones, or the single one.
    pub(super) fn numbers(self) -> Numbers<'a> {
        match self {
            Value::Varint(number) => Numbers { single: Some(number), packed: &[] },
            Value::Bytes(packed) => Numbers { single: None, packed },
            Value::Other => Numbers { single: None, packed: &[] },
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    /// Field number and value.
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, body) = varint(self.0)?;
        let (value, rest) = match (key & 7) as u8 {
            wire_type::VARINT => varint(body).map(|(number, rest)| (Value::Varint(number), rest))?,
            wire_type::LEN => delimited(body).map(|(bytes, rest)| (Value::Bytes(bytes), rest))?,
            wire_type::FIXED64 => (Value::Other, body.get(8..)?),
            wire_type::FIXED32 => (Value::Other, body.get(4..)?),
            wire_type::START_GROUP => (Value::Other, skip_group(body)?),
            _ => return None,
        };
        self.0 = rest;
        Some(((key >> 3) as u32, value))
    }
}

/// Skips to behind the end of a group; groups in it are counted, not followed.
fn skip_group(bytes: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut open) = (bytes, 1);
    loop {
        let (key, body) = varint(rest)?;
        rest = match (key & 7) as u8 {
            wire_type::VARINT => varint(body)?.1,
            wire_type::LEN => delimited(body)?.1,
            wire_type::FIXED64 => body.get(8..)?,
            wire_type::FIXED32 => body.get(4..)?,
            wire_type::START_GROUP => {
                open += 1;
                body
            }
            _ if open == 1 => return Some(body),
            _ => {
                open -= 1;
                body
            }
        };
    }
}

/// The numbers of one occurrence of a repeated varint field.
pub(super) struct Numbers<'a> {
    single: Option<u64>,
    packed: &'a [u8],
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.single.take().or_else(|| {
            let (number, rest) = varint(self.packed)?;
            self.packed = rest;
            Some(number)
        })
    }
}

/// An error at the place where `at`, a slice of `payload`, begins.
#[cold]
pub(super) fn error(payload: &[u8], at: &[u8], path: String, reason: Reason) -> WireError {
    let offset = (at.as_ptr() as usize).saturating_sub(payload.as_ptr() as usize).min(payload.len());
    WireError { offset, path, reason }
}
