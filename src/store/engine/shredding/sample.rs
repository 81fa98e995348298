//! What a sample of variants holds: keys and types, and how often each was seen.
//!
//! The variants are in the Parquet encoding (Parquet's `VariantEncoding.md`). One that does not
//! follow it is counted as far as it does.

use std::collections::BTreeMap;

use super::shape::Scalar;
use crate::store::parquet_file::encoding::{Keys, number, split};

/// Keys that are counted at once. When there are more, the rarest are forgotten.
const MAX_KEYS: usize = 20_000;

/// Levels that are looked at.
const MAX_DEPTH: u32 = 8;

/// The values seen at one place.
#[derive(Debug, Clone, Default)]
pub struct Node {
    scalars: [u64; Scalar::ALL.len()],
    objects: u64,
    arrays: u64,
    fields: BTreeMap<String, Node>,
    element: Option<Box<Node>>,
    /// Keys in and below it. Only the outermost node counts.
    keys: usize,
}

/// What a place has most often.
pub enum Common<'a> {
    /// A scalar, and how often.
    Scalar(Scalar, u64),
    /// An array of these.
    Array(&'a Node),
    /// An object of these fields. Of keys that differ in case only the most frequent one is here:
    /// SQL has no place for the others in one type.
    Object(Vec<(&'a str, &'a Node)>),
}

impl Node {
    /// Counts what is in a variant: its metadata, then its value.
    pub fn add(&mut self, variant: &[u8]) {
        let Some((metadata, value)) = split(variant) else { return };
        let Some(keys) = Keys::read(metadata) else { return };
        let added = self.count(&keys, value, 0);
        self.keys += added.unwrap_or_default();
        self.keep_few();
    }

    /// So many values of one scalar type.
    pub fn of_scalar(scalar: Scalar, times: u64) -> Self {
        let mut node = Node::default();
        node.scalars[scalar as usize] = times;
        node
    }

    /// Arrays of these elements. How many arrays is not known; as many as elements count for no less.
    pub fn of_elements(element: Node) -> Self {
        Node { arrays: element.seen(), element: Some(Box::new(element)), ..Node::default() }
    }

    /// Objects of these fields: as many as the most frequent field.
    pub fn of_fields(fields: Vec<(String, Node)>) -> Self {
        let objects = fields.iter().map(|(_, node)| node.seen()).max().unwrap_or_default();
        Node { objects, fields: fields.into_iter().collect(), ..Node::default() }
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: Node) {
        self.add_up(other);
        self.keys = self.forget(0);
        self.keep_few();
    }

    fn add_up(&mut self, other: Node) {
        for (count, more) in self.scalars.iter_mut().zip(other.scalars) {
            *count += more;
        }
        self.objects += other.objects;
        self.arrays += other.arrays;
        for (key, node) in other.fields {
            self.fields.entry(key).or_default().add_up(node);
        }
        if let Some(element) = other.element {
            self.element.get_or_insert_default().add_up(*element);
        }
    }

    fn keep_few(&mut self) {
        let mut rare = 1;
        while self.keys > MAX_KEYS {
            self.keys = self.forget(rare);
            rare *= 2;
        }
    }

    /// What it has most often; `None` if it has nothing.
    pub fn common(&self) -> Option<Common<'_>> {
        let (scalar, count) = Scalar::ALL.into_iter().zip(self.scalars).max_by_key(|(_, count)| *count)?;
        if count.max(self.objects).max(self.arrays) == 0 {
            return None;
        }
        if count >= self.objects.max(self.arrays) {
            return Some(Common::Scalar(scalar, count));
        }
        match &self.element {
            Some(element) if self.arrays > self.objects => Some(Common::Array(element)),
            _ => Some(Common::Object(self.fields_by_frequency())),
        }
    }

    fn fields_by_frequency(&self) -> Vec<(&str, &Node)> {
        let mut fields: Vec<(&str, &Node)> = self.fields.iter().map(|(key, node)| (key.as_str(), node)).collect();
        fields.sort_by_key(|(_, node)| std::cmp::Reverse(node.seen()));
        let mut names = std::collections::HashSet::new();
        fields.retain(|(key, _)| names.insert(key.to_lowercase()));
        fields
    }

    fn seen(&self) -> u64 {
        self.scalars.iter().sum::<u64>() + self.objects + self.arrays
    }

    /// Counts a value. Answers how many keys are new.
    fn count(&mut self, keys: &Keys<'_>, value: &[u8], depth: u32) -> Option<usize> {
        let (first, rest) = value.split_first()?;
        let header = first >> 2;
        match first & 3 {
            0 => {
                let scalar = match header {
                    1 | 2 => 0,
                    6 => 1,
                    7 => 2,
                    15 => 3,
                    16 => 4,
                    19 => 5,
                    _ => return Some(0),
                };
                *self.scalars.get_mut(scalar)? += 1;
                Some(0)
            }
            1 => {
                *self.scalars.get_mut(4)? += 1;
                Some(0)
            }
            2 => {
                self.objects += 1;
                if depth == MAX_DEPTH {
                    return Some(0);
                }
                let id_width = usize::from(header >> 2 & 3) + 1;
                let (count, rest) = number(rest, if header & 0x10 == 0 { 1 } else { 4 })?;
                let (ids, rest) = rest.split_at_checked(count.checked_mul(id_width)?)?;
                let offset_width = usize::from(header & 3) + 1;
                let (offsets, values) = rest.split_at_checked((count + 1).checked_mul(offset_width)?)?;
                let mut added = 0;
                for (id, offset) in ids.chunks_exact(id_width).zip(offsets.chunks_exact(offset_width)) {
                    let key = keys.get(number(id, id_width)?.0)?;
                    let value = values.get(number(offset, offset_width)?.0..)?;
                    if !self.fields.contains_key(key) {
                        self.fields.insert(key.to_owned(), Node::default());
                        added += 1;
                    }
                    added += self.fields.get_mut(key)?.count(keys, value, depth + 1).unwrap_or_default();
                }
                Some(added)
            }
            _ => {
                self.arrays += 1;
                if depth == MAX_DEPTH {
                    return Some(0);
                }
                let (count, rest) = number(rest, if header & 4 == 0 { 1 } else { 4 })?;
                let offset_width = usize::from(header & 3) + 1;
                let (offsets, values) = rest.split_at_checked((count + 1).checked_mul(offset_width)?)?;
                let element = self.element.get_or_insert_default();
                let mut added = 0;
                for offset in offsets.chunks_exact(offset_width).take(count) {
                    let value = values.get(number(offset, offset_width)?.0..)?;
                    added += element.count(keys, value, depth + 1).unwrap_or_default();
                }
                Some(added)
            }
        }
    }

    /// Drops the keys that were seen no more often than `rare`. Answers how many are left.
    fn forget(&mut self, rare: u64) -> usize {
        self.fields.retain(|_, node| node.seen() > rare);
        let below: usize = self.fields.values_mut().map(|node| node.forget(rare)).sum();
        self.fields.len() + below + self.element.as_mut().map_or(0, |element| element.forget(rare))
    }
}
