//! Splitting a payload in two without decoding it: the fields that stand for items go to one half
//! or the other, everything around them (resource, scope, labels, symbols, dictionary, fields
//! that nobody knows) to both. Halves of halves come to single items.

use super::primitive::{delimited, varint};
use crate::signal::{Format, Signal};

/// Where the items are in a message: the fields that hold them, and what is inside of those;
/// nothing if the field is an item itself.
pub(super) struct Level(pub(super) &'static [(u32, Option<&'static Level>)]);

static ITEMS: Level = Level(&[(2, None)]);
static IN_SCOPES: Level = Level(&[(2, Some(&ITEMS))]);
/// Traces, logs, profiles: resources, scopes, items.
static RESOURCES: Level = Level(&[(1, Some(&IN_SCOPES))]);

static POINTS: Level = Level(&[(1, None)]);
/// Gauge, sum, histogram, exponential histogram, summary.
static METRIC: Level =
    Level(&[(5, Some(&POINTS)), (7, Some(&POINTS)), (9, Some(&POINTS)), (10, Some(&POINTS)), (11, Some(&POINTS))]);
static IN_METRIC_SCOPES: Level = Level(&[(2, Some(&METRIC))]);
static METRIC_RESOURCE: Level = Level(&[(2, Some(&IN_METRIC_SCOPES))]);
static METRICS: Level = Level(&[(1, Some(&METRIC_RESOURCE))]);

/// Samples and histograms; metadata are items of their own.
pub(super) static V1_SERIES: Level = Level(&[(2, None), (4, None)]);
static V1: Level = Level(&[(1, Some(&V1_SERIES)), (3, None)]);
static V2_SERIES: Level = Level(&[(2, None), (3, None)]);
static V2: Level = Level(&[(5, Some(&V2_SERIES))]);
static PUSH: Level = Level(&[(1, Some(&ITEMS))]);

pub(super) fn level(signal: Signal, format: Format) -> Option<&'static Level> {
    Some(match (format, signal) {
        (Format::Otlp, Signal::Metrics) => &METRICS,
        (Format::Otlp, _) => &RESOURCES,
        (Format::RemoteWriteV1, _) => &V1,
        (Format::RemoteWriteV2, _) => &V2,
        (Format::PyroscopePush, _) => &PUSH,
        (Format::PyroscopeIngest | Format::StoreRow, _) => return None,
    })
}

/// The first and the second half of a decompressed payload, by items. Nothing if there are no two
/// items in it, or if its format cannot be split.
pub fn split(signal: Signal, format: Format, payload: &[u8]) -> Option<[Vec<u8>; 2]> {
    let level = level(signal, format)?;
    let items = level.items(payload)?;
    if items < 2 {
        return None;
    }
    let (mut first, mut second) = (Vec::with_capacity(payload.len()), Vec::with_capacity(payload.len()));
    level.split(payload, items / 2, &mut first, &mut second)?;
    Some([first, second])
}

impl Level {
    pub(super) fn of(&self, tag: u32) -> Option<&Option<&'static Level>> {
        self.0.iter().find(|(of, _)| *of == tag).map(|(_, below)| below)
    }

    /// Items in a message. An element without any is one, as it has to go somewhere.
    fn items(&self, mut message: &[u8]) -> Option<usize> {
        let mut items = 0;
        while !message.is_empty() {
            let (field, rest) = Field::read(message)?;
            items += self.weight(&field)?;
            message = rest;
        }
        Some(items)
    }

    fn weight(&self, field: &Field<'_>) -> Option<usize> {
        match (self.of(field.tag), field.content) {
            (Some(Some(below)), Some(content)) => Some(below.items(content)?.max(1)),
            (Some(None), Some(_)) => Some(1),
            _ => Some(0),
        }
    }

    /// Puts the first `count` items into `first`, the others into `second`.
    fn split(&self, message: &[u8], count: usize, first: &mut Vec<u8>, second: &mut Vec<u8>) -> Option<()> {
        let (mut message, mut left) = (message, count);
        while !message.is_empty() {
            let (field, rest) = Field::read(message)?;
            message = rest;
            let weight = self.weight(&field)?;
            match (self.of(field.tag), field.content) {
                (Some(below), Some(content)) => {
                    if weight <= left {
                        first.extend_from_slice(field.whole);
                    } else if let (Some(below), true) = (below, left > 0) {
                        let (mut one, mut other) = (Vec::new(), Vec::new());
                        below.split(content, left, &mut one, &mut other)?;
                        field.put(&one, first);
                        field.put(&other, second);
                    } else {
                        second.extend_from_slice(field.whole);
                    }
                    left = left.saturating_sub(weight);
                }
                _ => {
                    first.extend_from_slice(field.whole);
                    second.extend_from_slice(field.whole);
                }
            }
        }
        Some(())
    }
}

/// One field of a message.
pub(super) struct Field<'a> {
    pub(super) tag: u32,
    /// Key, length and content.
    pub(super) whole: &'a [u8],
    key: u64,
    /// The content of a length-delimited one.
    pub(super) content: Option<&'a [u8]>,
}

impl<'a> Field<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (key, body) = varint(bytes)?;
        let mut content = None;
        let rest = match key & 7 {
            0 => varint(body)?.1,
            1 => body.get(8..)?,
            2 => {
                let (bytes, rest) = delimited(body)?;
                content = Some(bytes);
                rest
            }
            5 => body.get(4..)?,
            // Groups are in none of these formats; with one the payload stays whole.
            _ => return None,
        };
        let whole = &bytes[..bytes.len() - rest.len()];
        Some((Field { tag: u32::try_from(key >> 3).ok()?, whole, key, content }, rest))
    }

    /// The same field with another content.
    pub(super) fn put(&self, content: &[u8], out: &mut Vec<u8>) {
        prost::encoding::encode_varint(self.key, out);
        prost::encoding::encode_varint(content.len() as u64, out);
        out.extend_from_slice(content);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
