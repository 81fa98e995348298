//! Writing the Parquet encoding of a variant (Parquet's `VariantEncoding.md`), which DuckDB's
//! `variant_bytes_to_variant` takes: the metadata (a dictionary of all keys), then the value.
//!
//! Why bytes and not Arrow structs cast to `VARIANT`: a struct has one set of fields for a whole
//! batch, so rows would have to be grouped by their sets of keys and types, thousands of them in
//! bad batches; and a struct cannot hold keys that are empty, that repeat or that differ in case
//! only. Encoded here, a row costs about as much as filling struct columns, whatever it holds.
//!
//! Rules: of a repeated key the last value wins (a variant object has each key once). An empty
//! key, which OpenTelemetry forbids, becomes [`EMPTY_KEY`]: when DuckDB 2.0.0 shreds an object
//! with one to Parquet, the value is lost, or the statement fails, or the instance goes down with
//! an internal error. What is nested deeper than the limit becomes JSON text. Integers are always
//! 64 bits wide, so that a shredded column has one type.

use std::collections::HashMap;

use crate::store::ingest::any::{AnyValue, elements, key_value, write_json};
use crate::store::ingest::proto::ProtoError;
use crate::store::parquet_file::encoding::width;

/// What an empty key is called.
pub(crate) const EMPTY_KEY: &str = "(empty)";

/// Above this many keys a dictionary is searched by hash.
const SMALL_DICTIONARY: usize = 24;

/// What can be written besides attributes in their encoded form.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    /// Text.
    Text(&'a str),
    /// An integer.
    Int(i64),
    /// A time without zone, in nanoseconds.
    Time(i64),
    /// Null.
    Null,
    /// Encoded `KeyValue`s.
    Attributes(&'a [&'a [u8]]),
    /// An object; keys need not be in order.
    Object(&'a [(&'a str, Value<'a>)]),
    /// An object of texts: the labels of a series, but for `__name__`.
    Labels(&'a [(&'a str, &'a str)]),
    /// An array.
    Array(&'a [Value<'a>]),
}

/// Writes variants, one after the other, with the same memory.
#[derive(Debug)]
pub(crate) struct Encoder {
    max_depth: u32,
    /// The keys of the variant being written, one after the other.
    keys: Vec<u8>,
    /// Where each key ends.
    key_ends: Vec<usize>,
    /// Position of each key, once there are many.
    index: HashMap<Box<[u8]>, usize>,
    /// The value being written.
    value: Vec<u8>,
    /// The finished variant.
    out: Vec<u8>,
}

impl Encoder {
    /// Values nested deeper than `max_depth` become JSON text.
    pub(crate) fn new(max_depth: u32) -> Self {
        Encoder {
            max_depth,
            keys: Vec::new(),
            key_ends: Vec::new(),
            index: HashMap::new(),
            value: Vec::new(),
            out: Vec::new(),
        }
    }

    /// The variant of `attributes`, encoded `KeyValue`s: an object, an empty one for none.
    pub(crate) fn attributes(&mut self, attributes: &[&[u8]]) -> Result<&[u8], ProtoError> {
        self.encode(Value::Attributes(attributes))
    }

    /// The variant of `value`.
    pub(crate) fn encode(&mut self, value: Value<'_>) -> Result<&[u8], ProtoError> {
        self.keys.clear();
        self.key_ends.clear();
        self.index.clear();
        self.value.clear();
        self.write(value, 0)?;

        self.out.clear();
        let count = self.key_ends.len();
        let width = width(self.keys.len().max(count));
        #[expect(clippy::cast_possible_truncation, reason = "a width is 1 to 4")]
        self.out.push(1 | ((width - 1) << 6) as u8);
        push_le(&mut self.out, count, width);
        push_le(&mut self.out, 0, width);
        for end in &self.key_ends {
            push_le(&mut self.out, *end, width);
        }
        self.out.extend_from_slice(&self.keys);
        self.out.extend_from_slice(&self.value);
        Ok(&self.out)
    }

    fn write(&mut self, value: Value<'_>, depth: u32) -> Result<(), ProtoError> {
        match value {
            Value::Null => self.value.push(0),
            Value::Text(text) => self.text(text),
            Value::Int(value) => self.fixed(6, &value.to_le_bytes()),
            Value::Time(nanos) => self.fixed(19, &nanos.to_le_bytes()),
            Value::Attributes(attributes) => {
                let mut pairs = Vec::with_capacity(attributes.len());
                for attribute in attributes {
                    pairs.push(key_value(attribute)?);
                }
                return self.object(pairs, depth, |encoder, value, depth| encoder.any(value, depth));
            }
            Value::Object(pairs) => {
                return self.object(pairs.to_vec(), depth, |encoder, value, depth| encoder.write(value, depth));
            }
            Value::Labels(labels) => {
                let pairs = labels.iter().copied().filter(|label| label.0 != "__name__").collect();
                return self.object(pairs, depth, |encoder, text, _| {
                    encoder.text(text);
                    Ok(())
                });
            }
            Value::Array(values) => {
                let start = self.value.len();
                let mut ends = Vec::with_capacity(values.len());
                for value in values {
                    self.write(*value, depth + 1)?;
                    ends.push(self.value.len() - start);
                }
                self.container(start, None, &ends);
            }
        }
        Ok(())
    }

    /// Writes an encoded `AnyValue`.
    fn any(&mut self, bytes: &[u8], depth: u32) -> Result<(), ProtoError> {
        match AnyValue::read(bytes)? {
            AnyValue::Empty => self.value.push(0),
            AnyValue::Text(text) => self.text(text),
            AnyValue::Bool(value) => self.value.push(if value { 1 << 2 } else { 2 << 2 }),
            AnyValue::Int(value) => self.fixed(6, &value.to_le_bytes()),
            AnyValue::Double(value) => self.fixed(7, &value.to_le_bytes()),
            AnyValue::Bytes(bytes) => self.long(15, bytes),
            value @ (AnyValue::Array(_) | AnyValue::Map(_)) if depth >= self.max_depth => {
                let mut json = String::new();
                write_json(value, &mut json, depth)?;
                self.text(&json);
            }
            AnyValue::Array(bytes) => {
                let start = self.value.len();
                let mut ends = Vec::new();
                elements(bytes, |element| {
                    self.any(element, depth + 1)?;
                    ends.push(self.value.len() - start);
                    Ok(())
                })?;
                self.container(start, None, &ends);
            }
            AnyValue::Map(bytes) => {
                let mut pairs = Vec::new();
                elements(bytes, |element| {
                    pairs.push(key_value(element)?);
                    Ok(())
                })?;
                return self.object(pairs, depth, |encoder, value, depth| encoder.any(value, depth));
            }
        }
        Ok(())
    }

    fn object<V: Copy>(
        &mut self,
        mut pairs: Vec<(&str, V)>,
        depth: u32,
        mut write: impl FnMut(&mut Self, V, u32) -> Result<(), ProtoError>,
    ) -> Result<(), ProtoError> {
        for (key, _) in &mut pairs {
            if key.is_empty() {
                *key = EMPTY_KEY;
            }
        }
        // Stable: among equal keys the last one stays last, and wins.
        pairs.sort_by_key(|pair| pair.0);
        let start = self.value.len();
        // The keys of the first object cannot be in the dictionary yet.
        let fresh = self.key_ends.is_empty();
        let mut ids = Vec::with_capacity(pairs.len());
        for (i, (key, _)) in pairs.iter().enumerate() {
            if pairs.get(i + 1).is_some_and(|next| next.0 == *key) {
                continue;
            }
            ids.push(if fresh { self.add_key(key.as_bytes()) } else { self.key(key.as_bytes()) });
        }
        let mut ends = Vec::with_capacity(ids.len());
        for (i, (key, value)) in pairs.iter().enumerate() {
            if pairs.get(i + 1).is_some_and(|next| next.0 == *key) {
                continue;
            }
            write(self, *value, depth + 1)?;
            ends.push(self.value.len() - start);
        }
        self.container(start, Some(&ids), &ends);
        Ok(())
    }

    /// Puts the header of an object (with `ids`) or an array before the values written since
    /// `start`, which end at `ends`.
    fn container(&mut self, start: usize, ids: Option<&[usize]>, ends: &[usize]) {
        let count = ends.len();
        let large = count > 255;
        let offset_width = width(ends.last().copied().unwrap_or_default());
        let id_width = width(ids.and_then(|ids| ids.iter().max()).copied().unwrap_or_default());
        let count_width = if large { 4 } else { 1 };
        let ids_size = ids.map_or(0, |ids| ids.len() * id_width);
        let header = 1 + count_width + ids_size + (count + 1) * offset_width;

        let end = self.value.len();
        self.value.resize(end + header, 0);
        self.value.copy_within(start..end, start + header);
        let mut at = start;
        #[expect(clippy::cast_possible_truncation, reason = "widths are 1 to 4")]
        let first = match ids {
            Some(_) => 2 | (((offset_width - 1) as u8) << 2) | (((id_width - 1) as u8) << 4) | (u8::from(large) << 6),
            None => 3 | (((offset_width - 1) as u8) << 2) | (u8::from(large) << 4),
        };
        put_le(&mut self.value, &mut at, usize::from(first), 1);
        put_le(&mut self.value, &mut at, count, count_width);
        for id in ids.unwrap_or_default() {
            put_le(&mut self.value, &mut at, *id, id_width);
        }
        put_le(&mut self.value, &mut at, 0, offset_width);
        for end in ends {
            put_le(&mut self.value, &mut at, *end, offset_width);
        }
    }

    fn text(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(len) if len < 64 => {
                self.value.push(1 | (len << 2));
                self.value.extend_from_slice(text.as_bytes());
            }
            _ => self.long(16, text.as_bytes()),
        }
    }

    /// A primitive of varying length. A record is far smaller than 4 GiB.
    fn long(&mut self, kind: u8, bytes: &[u8]) {
        self.value.push(kind << 2);
        push_le(&mut self.value, bytes.len(), 4);
        self.value.extend_from_slice(bytes);
    }

    fn fixed(&mut self, kind: u8, bytes: &[u8]) {
        self.value.push(kind << 2);
        self.value.extend_from_slice(bytes);
    }

    /// The position of `key` in the dictionary, which it enters if it is new.
    fn key(&mut self, key: &[u8]) -> usize {
        if self.key_ends.len() <= SMALL_DICTIONARY {
            let mut start = 0;
            for (i, end) in self.key_ends.iter().enumerate() {
                if self.keys.get(start..*end) == Some(key) {
                    return i;
                }
                start = *end;
            }
        } else {
            if self.index.len() < self.key_ends.len() {
                let mut start = 0;
                for (i, end) in self.key_ends.iter().enumerate() {
                    self.index.insert(self.keys.get(start..*end).unwrap_or_default().into(), i);
                    start = *end;
                }
            }
            if let Some(i) = self.index.get(key) {
                return *i;
            }
            self.index.insert(key.into(), self.key_ends.len());
        }
        self.add_key(key)
    }

    fn add_key(&mut self, key: &[u8]) -> usize {
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.key_ends.len() - 1
    }
}

fn push_le(out: &mut Vec<u8>, value: usize, width: usize) {
    out.extend(value.to_le_bytes().iter().take(width));
}

fn put_le(out: &mut [u8], at: &mut usize, value: usize, width: usize) {
    for (slot, byte) in out.iter_mut().skip(*at).zip(value.to_le_bytes()).take(width) {
        *slot = byte;
    }
    *at += width;
}
