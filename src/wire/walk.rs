//! The walk: one pass over an encoded message that accepts what prost's decode accepts,
//! and counts what is in it, without allocating.
//!
//! The rules are prost's, quirks included, with one exception: a string that is not UTF-8 is
//! accepted and counted ([`super::repair`] mends it). Unknown fields are skipped and counted, but not
//! at the very bottom of the nesting limit; a number may come packed or not; setting another member of a oneof
//! throws away what the first one held, items included. Native recursion is bounded by the
//! nesting limit of 100.
//!
//! The walk is generic over a [`Trace`]. The first pass traces nothing and compiles to nothing;
//! only when it has found a fault does a second pass, over the same code, keep the path.

use super::Limits;
use super::descriptor::{COUNTERS, Counter, Message, action, wire_type};
use super::error::{Reason, WireError};
use super::otlp::common::{ANY_VALUE, KEY_VALUE};
use super::path::PathTrace;
use super::primitive::{count_varints, delimited, is_ascii, is_utf8, varint};

/// Keys, as encoded, of `KeyValue` and of the plain members of `AnyValue`.
const KEY: u8 = 1 << 3 | wire_type::LEN;
const VALUE: u8 = 2 << 3 | wire_type::LEN;
const STRING: u8 = 1 << 3 | wire_type::LEN;
const BOOL: u8 = 2 << 3 | wire_type::VARINT;
const INT: u8 = 3 << 3 | wire_type::VARINT;
const DOUBLE: u8 = 4 << 3 | wire_type::FIXED64;

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    counts: [u64; COUNTERS],
    /// Bytes that a full decode would take.
    pub(crate) cost: u64,
}

impl Counts {
    pub(crate) fn of(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }
}

/// Walks `payload` as the encoding of `message`.
///
/// # Errors
/// When prost would not decode it, or when it would grow beyond [`Limits`].
pub(crate) fn walk(message: &'static Message, payload: &[u8]) -> Result<Counts, WireError> {
    let mut walk = Walk::new(payload, Untraced);
    if !walk.message(message, payload, Limits::NESTING) {
        return Err(explain(message, payload));
    }
    let size = payload.len() as u64;
    let cost = walk.cost + size;
    let limit = Limits::decoded_cost(size);
    if cost > limit {
        return Err(WireError { offset: 0, path: String::new(), reason: Reason::DecodedTooLarge { cost, limit } });
    }
    Ok(Counts { counts: walk.counts, cost })
}

#[cold]
fn explain(message: &'static Message, payload: &[u8]) -> WireError {
    let mut walk = Walk::new(payload, PathTrace::new(message));
    walk.message(message, payload, Limits::NESTING);
    let fault = walk.fault.unwrap_or(Fault { offset: 0, tag: 0, reason: Reason::InvalidVarint });
    WireError { offset: fault.offset, path: walk.trace.path(fault.tag), reason: fault.reason }
}

/// Follows where the walk is.
pub(super) trait Trace {
    /// A message begins, in the field at this index.
    fn enter(&mut self, message: &'static Message, field: usize);
    /// It has ended.
    fn leave(&mut self);
    /// An element of the repeated field with this number begins.
    fn element(&mut self, tag: u32);
}

struct Untraced;

impl Trace for Untraced {
    #[inline(always)]
    fn enter(&mut self, _: &'static Message, _: usize) {}
    #[inline(always)]
    fn leave(&mut self) {}
    #[inline(always)]
    fn element(&mut self, _: u32) {}
}

struct Fault {
    offset: usize,
    /// Number of the field, 0 for the message itself.
    tag: u32,
    reason: Reason,
}

struct Walk<T> {
    base: usize,
    counts: [u64; COUNTERS],
    cost: u64,
    fault: Option<Fault>,
    trace: T,
}

/// Whether `content` is a `KeyValue` as nearly all senders write it, and a valid one: a key, then a
/// value that is a string, a number or a bool, both shorter than 128 bytes and in ASCII. Attributes
/// are most of OTLP: with them in one step a span of 512 costs 74 ns instead of 131. What is not of
/// this form may be valid all the same.
#[inline]
fn is_plain_attribute(content: &[u8]) -> bool {
    let [KEY, key @ 0..=0x7f, rest @ ..] = content else { return false };
    let Some((key, [VALUE, length @ 0..=0x7f, value @ ..])) = rest.split_at_checked(usize::from(*key)) else {
        return false;
    };
    let valid = match value {
        [STRING, length, text @ ..] => usize::from(*length) == text.len() && is_ascii(text),
        [BOOL | INT, number @ ..] => varint(number).is_some_and(|(_, rest)| rest.is_empty()),
        [DOUBLE, number @ ..] => number.len() == 8,
        _ => false,
    };
    valid && usize::from(*length) == value.len() && is_ascii(key)
}

/// What a key that is not in the table led to.
enum Slow<'a> {
    /// It is a known field, its number or wire type encoded at more length than needed.
    Known(u8, &'a [u8]),
    /// It was skipped; what follows it.
    Skipped(&'a [u8]),
    /// It is at fault.
    Failed,
}

impl<T: Trace> Walk<T> {
    fn new(payload: &[u8], trace: T) -> Self {
        Walk { base: payload.as_ptr() as usize, counts: [0; COUNTERS], cost: 0, fault: None, trace }
    }

    /// Notes the fault; always false.
    #[cold]
    #[inline(never)]
    fn fail(&mut self, at: &[u8], tag: u32, reason: Reason) -> bool {
        self.fault = Some(Fault { offset: at.as_ptr() as usize - self.base, tag, reason });
        false
    }

    #[cold]
    #[inline(never)]
    fn fail_delimited(&mut self, body: &[u8], tag: u32) -> bool {
        match varint(body) {
            Some((length, rest)) => self.fail(body, tag, Reason::Overrun { length, left: rest.len() }),
            None => self.fail(body, tag, Reason::InvalidVarint),
        }
    }

    /// Counts a string that is not UTF-8.
    #[cold]
    #[inline(never)]
    fn damaged_string(&mut self) {
        self.counts[Counter::DamagedStrings as usize] += 1;
    }

    /// Walks one message; `left` is how many levels may still open below it. False on a fault.
    fn message(&mut self, message: &'static Message, mut rest: &[u8], left: u32) -> bool {
        self.cost += u64::from(message.size);
        self.counts[message.counter as usize] += 1;
        let items = self.counts[Counter::Items as usize];
        let mut alternative = action::OTHER;

        while let [first, tail @ ..] = rest {
            let at = rest;
            let (key, body) = match (first, tail) {
                (0..=0x7f, _) => (*first, tail),
                (_, [second @ 0..=1, tail @ ..]) => (*first & 0x7f | *second << 7, tail),
                _ => match self.slow_key(message, at, left) {
                    Slow::Known(key, body) => (key, body),
                    Slow::Skipped(tail) => {
                        rest = tail;
                        continue;
                    }
                    Slow::Failed => return false,
                },
            };
            let tag = u32::from(key >> 3);
            let action = message.table[usize::from(key)];
            match action {
                action::OTHER => match self.other(message, at, left) {
                    Some(tail) => rest = tail,
                    None => return false,
                },
                action::VARINT | action::VARINT_ELEMENT => {
                    let Some((_, tail)) = varint(body) else {
                        return self.fail(body, tag, Reason::InvalidVarint);
                    };
                    self.cost += u64::from(action == action::VARINT_ELEMENT) * 8;
                    rest = tail;
                }
                action::FIXED64 | action::FIXED64_ELEMENT => {
                    let Some((_, tail)) = body.split_first_chunk::<8>() else {
                        return self.fail(body, tag, Reason::Overrun { length: 8, left: body.len() });
                    };
                    rest = tail;
                }
                action::FIXED32 | action::FIXED32_ELEMENT => {
                    let Some((_, tail)) = body.split_first_chunk::<4>() else {
                        return self.fail(body, tag, Reason::Overrun { length: 4, left: body.len() });
                    };
                    rest = tail;
                }
                _ => {
                    let Some((content, tail)) = delimited(body) else {
                        if matches!(action, action::STRINGS | action::MESSAGE..) {
                            self.trace.element(tag);
                        }
                        return self.fail_delimited(body, tag);
                    };
                    rest = tail;
                    if action >= action::MESSAGE {
                        let index = usize::from(action - action::MESSAGE);
                        let field = &message.fields[index];
                        let super::descriptor::Kind::Message(child) = field.kind else { continue };
                        if field.oneof && alternative != action {
                            self.counts[Counter::Items as usize] = items;
                            alternative = action;
                        }
                        if left == 0 {
                            self.trace.element(tag);
                            return self.fail(at, tag, Reason::NestingTooDeep);
                        }
                        if std::ptr::eq(child, &KEY_VALUE) && left > 1 && is_plain_attribute(content) {
                            self.cost += u64::from(KEY_VALUE.size + ANY_VALUE.size);
                            continue;
                        }
                        self.trace.enter(child, index);
                        if !self.message(child, content, left - 1) {
                            return false;
                        }
                        self.trace.leave();
                    } else if !self.delimited(action, tag, content) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Checks the content of a length-delimited field that is not a message.
    #[inline(always)]
    fn delimited(&mut self, action: u8, tag: u32, content: &[u8]) -> bool {
        match action {
            action::BYTES => true,
            action::STRING | action::STRINGS => {
                if action == action::STRINGS {
                    self.trace.element(tag);
                    self.cost += size_of::<String>() as u64;
                }
                if !is_utf8(content) {
                    self.damaged_string();
                }
                true
            }
            _ => self.packed(action, tag, content),
        }
    }

    fn packed(&mut self, action: u8, tag: u32, content: &[u8]) -> bool {
        match action {
            action::PACKED_FIXED64 | action::PACKED_FIXED32 => {
                let width = if action == action::PACKED_FIXED64 { 8 } else { 4 };
                let left = content.len() % width;
                self.cost += content.len() as u64;
                left == 0
                    || self.fail(&content[content.len() - left..], tag, Reason::Overrun { length: width as u64, left })
            }
            _ => match count_varints(content) {
                Ok(count) => {
                    self.cost += count * if action == action::PACKED_VARINT_NARROW { 4 } else { 8 };
                    true
                }
                Err(at) => self.fail(at, tag, Reason::InvalidVarint),
            },
        }
    }

    /// A key of three bytes or more, or with a number above 31.
    #[cold]
    #[inline(never)]
    fn slow_key<'a>(&mut self, message: &'static Message, at: &'a [u8], left: u32) -> Slow<'a> {
        if let Some((key, body)) = varint(at)
            && let Ok(key) = u8::try_from(key)
            && message.table[usize::from(key)] != action::OTHER
        {
            return Slow::Known(key, body);
        }
        self.other(message, at, left).map_or(Slow::Failed, Slow::Skipped)
    }

    /// A key that is not in the message's table: an unknown field to skip, or a fault.
    #[cold]
    #[inline(never)]
    fn other<'a>(&mut self, message: &'static Message, at: &'a [u8], left: u32) -> Option<&'a [u8]> {
        let (tag, wire, body) = self.key(at)?;
        if let Some(field) = message.fields.iter().find(|field| field.tag == tag) {
            let expected = field.kind.wire_type();
            self.fail(at, tag, Reason::UnexpectedWireType { actual: wire, expected });
            return None;
        }
        self.counts[Counter::UnknownFields as usize] += 1;
        self.skip(at, tag, wire, body, left)
    }

    /// Reads a key: field number, wire type, and what follows.
    fn key<'a>(&mut self, at: &'a [u8]) -> Option<(u32, u8, &'a [u8])> {
        let Some((key, body)) = varint(at) else {
            self.fail(at, 0, Reason::InvalidVarint);
            return None;
        };
        let wire = (key & 7) as u8;
        let reason = match u32::try_from(key) {
            Err(_) => Reason::InvalidKey(key),
            Ok(_) if wire > wire_type::FIXED32 => Reason::InvalidWireType(wire),
            Ok(key) if key >> 3 == 0 => Reason::InvalidTag,
            Ok(key) => return Some((key >> 3, wire, body)),
        };
        self.fail(at, 0, reason);
        None
    }

    /// Skips an unknown field, groups and what is in them included.
    fn skip<'a>(&mut self, at: &[u8], tag: u32, wire: u8, body: &'a [u8], left: u32) -> Option<&'a [u8]> {
        if left == 0 {
            self.fail(at, 0, Reason::NestingTooDeep);
            return None;
        }
        let width = match wire {
            wire_type::VARINT => match varint(body) {
                Some((_, rest)) => return Some(rest),
                None => {
                    self.fail(body, 0, Reason::InvalidVarint);
                    return None;
                }
            },
            wire_type::LEN => match delimited(body) {
                Some((_, rest)) => return Some(rest),
                None => {
                    self.fail_delimited(body, 0);
                    return None;
                }
            },
            wire_type::FIXED64 => 8,
            wire_type::FIXED32 => 4,
            wire_type::START_GROUP => return self.skip_group(tag, body, left),
            _ => {
                self.fail(at, 0, Reason::UnexpectedEndGroup);
                return None;
            }
        };
        let rest = body.get(width..);
        if rest.is_none() {
            self.fail(body, 0, Reason::Overrun { length: width as u64, left: body.len() });
        }
        rest
    }

    fn skip_group<'a>(&mut self, group: u32, mut rest: &'a [u8], left: u32) -> Option<&'a [u8]> {
        loop {
            let at = rest;
            let (tag, wire, body) = self.key(at)?;
            if wire == wire_type::END_GROUP {
                if tag == group {
                    return Some(body);
                }
                self.fail(at, 0, Reason::UnexpectedEndGroup);
                return None;
            }
            rest = self.skip(at, tag, wire, body, left - 1)?;
        }
    }
}
