//! What is sent in one request: whole records, or a part of one.

use std::sync::Arc;
use std::time::Instant;

use crate::exporters::encoding;
use crate::signal::{Batch, Compression, Format};
use crate::wal::Position;
use crate::wire;

/// A record, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The place of the record.
    pub position: Position,
    /// The record, or what is left of it.
    pub batch: Batch,
}

impl Part {
    /// Bytes that it holds in memory.
    pub fn bytes(&self) -> usize {
        self.batch.held_bytes()
    }
}

/// What is sent in one request, and what became of it so far.
#[derive(Debug, Clone)]
pub struct SendUnit {
    /// What goes together.
    pub parts: Arc<[Part]>,
    /// It is the half of something that was refused or failed.
    pub suspect: bool,
    /// It is the half of something that was perhaps too large.
    pub halved: bool,
    /// The destination refused it as it is.
    pub refused: bool,
    /// It did so before, perhaps with another answer since.
    pub refused_before: bool,
    /// The destination refused it when it refused everything, or before that.
    pub doubted: bool,
    /// How often the server failed over it in a row.
    pub strikes: u32,
    /// How often the server put it off: too much of something, although it was halved for that, or
    /// the server was not there.
    pub put_off: u32,
    /// How often it was tried in doubt.
    pub tried_in_doubt: u32,
    /// How much had been accepted when the server first failed over it.
    pub accepted_before: u64,
    /// Not to be sent before.
    pub not_before: Option<Instant>,
    /// When it was sent last.
    pub sent: Option<Instant>,
    /// It goes once more, right after something else was accepted; then it is set aside.
    pub last_chance: bool,
    /// What the destination said of it last.
    pub reason: String,
}

impl SendUnit {
    /// Something that was never sent.
    pub fn new(parts: Vec<Part>) -> Self {
        SendUnit {
            parts: parts.into(),
            suspect: false,
            halved: false,
            refused: false,
            refused_before: false,
            doubted: false,
            strikes: 0,
            put_off: 0,
            tried_in_doubt: 0,
            accepted_before: 0,
            not_before: None,
            sent: None,
            last_chance: false,
            reason: String::new(),
        }
    }

    /// Items in it.
    pub fn items(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.batch.items)).sum()
    }

    /// Bytes that it holds in memory.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(Part::bytes).sum()
    }

    /// Two units of it, the earlier one first; nothing if it is as small as it can be. Several
    /// records are parted between records, one record between its items. Blocks for a large one.
    pub fn halves(&self) -> Option<[SendUnit; 2]> {
        let [first, second] = match &*self.parts {
            [one] => split(one)?.map(|part| vec![part]),
            more => {
                let (first, second) = more.split_at(more.len() / 2);
                [first.to_vec(), second.to_vec()]
            }
        };
        let half = |parts| SendUnit {
            suspect: true,
            halved: self.halved,
            doubted: self.doubted,
            sent: self.sent,
            ..SendUnit::new(parts)
        };
        Some([half(first), half(second)])
    }

    /// Whether halving it divides a record, so that the record has one part more to wait for.
    pub fn divides_a_record(&self) -> bool {
        self.parts.len() == 1
    }
}

/// The two halves of a record by its items, compressed as remote write needs it, or if they are
/// large: they may wait for long.
fn split(part: &Part) -> Option<[Part; 2]> {
    let batch = &part.batch;
    let _turn = encoding::turn(batch.decoded_size);
    // What cannot be decompressed is one item.
    let plain = encoding::inflate(&batch.payload, batch.compression, batch.decoded_size).ok()?;
    let [first, second] = wire::split(batch.signal, batch.format, &plain)?;
    drop(plain);
    let items = items(batch, &first).min(batch.items);
    let half = |plain: Vec<u8>, items| {
        let mut half = Batch { items, decoded_size: plain.len() as u64, payload: plain.into(), ..batch.clone() };
        half.compression = match batch.compression {
            Compression::SnappyBlock => Compression::SnappyBlock,
            Compression::Identity => Compression::Identity,
            _ if half.decoded_size > encoding::LARGE => Compression::Zstd,
            _ => Compression::Identity,
        };
        half.payload = encoding::compress(&[half.payload], half.compression).ok()?;
        Some(Part { position: part.position, batch: half })
    };
    Some([half(first, items)?, half(second, batch.items - items)?])
}

/// Items of half a record, counted as the receiver counted the whole.
fn items(batch: &Batch, plain: &[u8]) -> u32 {
    let items = match batch.format {
        Format::Otlp => wire::check_otlp(batch.signal, plain).map(|summary| summary.items),
        Format::RemoteWriteV1 => wire::check_remote_write_v1(plain).map(|summary| summary.items()),
        Format::RemoteWriteV2 => wire::check_remote_write_v2(plain).map(|summary| summary.items()),
        Format::PyroscopePush => wire::check_push_request(plain).map(|summary| summary.items),
        Format::PyroscopeIngest | Format::StoreRow => Ok(0),
    };
    items.ok().and_then(|items| u32::try_from(items).ok()).unwrap_or(0)
}
