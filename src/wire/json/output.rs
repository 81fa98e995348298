//! Writing protobuf without knowing lengths beforehand.

use crate::wire::descriptor::wire_type;

/// The protobuf written so far.
pub(super) struct Output(Vec<u8>);

/// Where a length-delimited value began.
#[must_use]
pub(super) struct Begun {
    /// Where its key is.
    key: usize,
    /// Where its content is.
    content: usize,
}

impl Output {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Output(Vec::with_capacity(capacity))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn key(&mut self, tag: u32, wire: u8) {
        self.varint(u64::from(tag) << 3 | u64::from(wire));
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// A whole length-delimited field.
    pub(super) fn delimited(&mut self, tag: u32, content: &[u8]) {
        self.key(tag, wire_type::LEN);
        self.varint(content.len() as u64);
        self.raw(content);
    }

    /// Begins a length-delimited field: one byte is kept for its length, which most need.
    pub(super) fn begin(&mut self, tag: u32) -> Begun {
        let key = self.0.len();
        self.key(tag, wire_type::LEN);
        self.0.push(0);
        Begun { key, content: self.0.len() }
    }

    /// Ends a packed list, which is left out when it is empty.
    pub(super) fn end_list(&mut self, begun: Begun) {
        if begun.content == self.0.len() { self.0.truncate(begun.key) } else { self.end(begun) }
    }

    /// Ends it: the length is put in, and what follows moved when it needs more than one byte.
    pub(super) fn end(&mut self, begun: Begun) {
        let start = begun.content;
        let end = self.0.len();
        let mut length = end - start;
        let mut at = start - 1;
        let more = length.checked_ilog2().unwrap_or(0) as usize / 7;
        self.0.resize(end + more, 0);
        self.0.copy_within(start..end, start + more);
        while length >= 0x80 {
            self.0[at] = length as u8 | 0x80;
            length >>= 7;
            at += 1;
        }
        self.0[at] = length as u8;
    }
}
