//! Well-formed payloads out of a string of random bytes, so that proptest can shrink them.

use super::{delimited, put_varint};
use crate::wire::descriptor::{Field, Kind, Message, wire_type};

/// Random decisions; only zeros once it is used up, which ends every loop below.
pub(crate) struct Entropy<'a>(pub(crate) &'a [u8]);

impl Entropy<'_> {
    pub(crate) fn next(&mut self) -> u8 {
        let [first, rest @ ..] = self.0 else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number, small ones and the extremes more often.
    pub(crate) fn number(&mut self) -> u64 {
        match self.next() {
            0..100 => u64::from(self.next()),
            100..130 => u64::MAX - u64::from(self.next()),
            n => {
                let mut value = 0;
                for _ in 0..n % 9 {
                    value = value << 8 | u64::from(self.next());
                }
                value
            }
        }
    }
}

/// The encoding of a message with random fields, mostly known ones.
pub(crate) fn message(message: &'static Message, entropy: &mut Entropy<'_>, depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match entropy.next() {
            0..40 => return out,
            40..48 => unknown(entropy, 3, &mut out),
            n => {
                let field = &message.fields[usize::from(n) % message.fields.len()];
                known(field, entropy, depth, &mut out);
            }
        }
    }
}

fn known(field: &'static Field, entropy: &mut Entropy<'_>, depth: u32, out: &mut Vec<u8>) {
    match field.kind {
        Kind::Message(child) => {
            let content = if depth == 0 { Vec::new() } else { message(child, entropy, depth - 1) };
            out.extend(delimited(field.tag, &content));
        }
        Kind::String => out.extend(delimited(field.tag, text(entropy).as_bytes())),
        Kind::Bytes | Kind::Id => {
            let length = usize::from(entropy.next() % 20);
            out.extend(delimited(field.tag, &vec![entropy.next(); length]));
        }
        kind if field.repeated && !entropy.next().is_multiple_of(3) => {
            let mut content = Vec::new();
            for _ in 0..entropy.next() % 20 {
                scalar(kind.wire_type(), entropy, &mut content);
            }
            out.extend(delimited(field.tag, &content));
        }
        kind => {
            key(field.tag, kind.wire_type(), entropy, out);
            scalar(kind.wire_type(), entropy, out);
        }
    }
}

fn text(entropy: &mut Entropy<'_>) -> String {
    let length = usize::from(entropy.next() % 24);
    (0..length)
        .map(|_| match entropy.next() {
            n @ 0..0x80 => char::from(n),
            n @ 0x80..0xc0 => char::from(n),
            n @ 0xc0..0xf0 => char::from_u32(0x20ac + u32::from(n)).unwrap_or('x'),
            n => char::from_u32(0x1f600 + u32::from(n)).unwrap_or('x'),
        })
        .collect()
}

/// A key, now and then with more bytes than it needs.
fn key(tag: u32, wire: u8, entropy: &mut Entropy<'_>, out: &mut Vec<u8>) {
    put_varint(u64::from(tag) << 3 | u64::from(wire), out);
    for _ in 0..entropy.next().saturating_sub(251) {
        if let Some(last) = out.last_mut() {
            *last |= 0x80;
            out.push(0);
        }
    }
}

fn scalar(wire: u8, entropy: &mut Entropy<'_>, out: &mut Vec<u8>) {
    let number = entropy.number();
    match wire {
        wire_type::VARINT => put_varint(number, out),
        wire_type::FIXED64 => out.extend(number.to_le_bytes()),
        _ => out.extend((number as u32).to_le_bytes()),
    }
}

/// A field that no message has, groups included.
fn unknown(entropy: &mut Entropy<'_>, depth: u32, out: &mut Vec<u8>) {
    let tag = match entropy.next() {
        n @ 0..200 => 40 + u32::from(n),
        n => (1 << 29) - 1 - u32::from(n),
    };
    match entropy.next() % 5 {
        0 if depth > 0 => {
            key(tag, wire_type::START_GROUP, entropy, out);
            for _ in 0..entropy.next() % 4 {
                unknown(entropy, depth - 1, out);
            }
            key(tag, wire_type::END_GROUP, entropy, out);
        }
        1 => {
            let length = usize::from(entropy.next() % 20);
            out.extend(delimited(tag, &vec![entropy.next(); length]));
        }
        n => {
            let wire = [wire_type::VARINT, wire_type::FIXED64, wire_type::FIXED32][usize::from(n % 3)];
            key(tag, wire, entropy, out);
            scalar(wire, entropy, out);
        }
    }
}
