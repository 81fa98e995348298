//! The bytes of a record: a header of 64 bytes, then the body (query, content type, payload).
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..4 | magic | `F5 56 57 52`; the first byte never occurs in UTF-8 |
//! | 4..8 | header CRC | CRC32C of bytes 8..64 |
//! | 8..12 | body CRC | CRC32C of the body |
//! | 12..16 | body length | |
//! | 16..24 | position | so that a lost record's number is never given away again |
//! | 24..32 | received | ns since the epoch |
//! | 32..40 | decoded size | |
//! | 40..44 | items | |
//! | 44..48 | query length | |
//! | 48..52 | content type length | |
//! | 52 | version | 1 |
//! | 53, 54 | format, compression | numbers of [`Format`] and [`Compression`] |
//! | 55 | reserved | 0 |
//! | 56..64 | salt | random, of this log |
//!
//! All numbers are little-endian. Two checksums instead of one over everything: with a good
//! header the length can be trusted, so a damaged body costs its record alone, and a segment can
//! be listed without reading the payloads. The salt makes sure that a payload that happens to
//! hold a log record (somebody ships our own files as logs) is never taken for one when the scan
//! looks for the next record behind a damaged one.

use bytes::Bytes;

use crate::signal::{Batch, Compression, Format, Meta, Signal};

/// Bytes of a record header.
pub(super) const HEADER: usize = 64;
/// The longest body that is taken: admission allows 64 MiB by default, so this is generous.
pub(super) const MAX_BODY: usize = 1 << 30;
/// What every record begins with.
pub(super) const MAGIC: [u8; 4] = [0xF5, b'V', b'W', b'R'];
/// The version written.
const VERSION: u8 = 1;

/// A record header, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) body_crc: u32,
    pub(super) body_length: u32,
    pub(super) position: u64,
    pub(super) received: u64,
    pub(super) decoded_size: u64,
    pub(super) items: u32,
    pub(super) query_length: u32,
    pub(super) content_type_length: u32,
    pub(super) format: u8,
    pub(super) compression: u8,
}

/// Why 64 bytes are not a header of this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// Wrong magic, checksum, salt or lengths.
    Damaged,
    /// A good header of a version that we do not know.
    Newer(u8),
}

impl Header {
    /// The header of a batch, with its body's checksum; the position comes later. `None` if the
    /// body is longer than [`MAX_BODY`].
    pub(super) fn new(batch: &Batch) -> Option<Self> {
        let (query, content_type) = (batch.meta.query.as_bytes(), batch.meta.content_type.as_bytes());
        let length = batch.payload.len().checked_add(query.len())?.checked_add(content_type.len())?;
        if length > MAX_BODY {
            return None;
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(query), content_type), &batch.payload);
        Some(Header {
            body_crc: crc,
            body_length: u32::try_from(length).ok()?,
            position: 0,
            received: batch.received,
            decoded_size: batch.decoded_size,
            items: batch.items,
            query_length: u32::try_from(query.len()).ok()?,
            content_type_length: u32::try_from(content_type.len()).ok()?,
            format: batch.format as u8,
            compression: batch.compression as u8,
        })
    }

    /// Bytes of the whole record.
    pub(super) fn record_length(&self) -> u32 {
        HEADER as u32 + self.body_length
    }

    /// Bytes of the payload alone.
    pub(super) fn payload_length(&self) -> u32 {
        self.body_length - self.query_length - self.content_type_length
    }

    /// The 64 bytes.
    pub(super) fn encode(&self, salt: u64) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[0..4].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&self.body_crc.to_le_bytes());
        out[12..16].copy_from_slice(&self.body_length.to_le_bytes());
        out[16..24].copy_from_slice(&self.position.to_le_bytes());
        out[24..32].copy_from_slice(&self.received.to_le_bytes());
        out[32..40].copy_from_slice(&self.decoded_size.to_le_bytes());
        out[40..44].copy_from_slice(&self.items.to_le_bytes());
        out[44..48].copy_from_slice(&self.query_length.to_le_bytes());
        out[48..52].copy_from_slice(&self.content_type_length.to_le_bytes());
        out[52] = VERSION;
        out[53] = self.format;
        out[54] = self.compression;
        out[56..64].copy_from_slice(&salt.to_le_bytes());
        let crc = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The salt of a header that is good otherwise.
    pub(super) fn salt(bytes: &[u8; HEADER]) -> Option<u64> {
        let salt = u64_at(bytes, 56);
        Self::decode(bytes, salt).is_ok().then_some(salt)
    }

    /// Reads and checks a header.
    pub(super) fn decode(bytes: &[u8; HEADER], salt: u64) -> Result<Self, BadHeader> {
        if bytes[0..4] != MAGIC || u32_at(bytes, 4) != crc32c::crc32c(&bytes[8..]) || u64_at(bytes, 56) != salt {
            return Err(BadHeader::Damaged);
        }
        if bytes[52] != VERSION {
            return Err(BadHeader::Newer(bytes[52]));
        }
        let header = Header {
            body_crc: u32_at(bytes, 8),
            body_length: u32_at(bytes, 12),
            position: u64_at(bytes, 16),
            received: u64_at(bytes, 24),
            decoded_size: u64_at(bytes, 32),
            items: u32_at(bytes, 40),
            query_length: u32_at(bytes, 44),
            content_type_length: u32_at(bytes, 48),
            format: bytes[53],
            compression: bytes[54],
        };
        let meta = u64::from(header.query_length) + u64::from(header.content_type_length);
        if meta > u64::from(header.body_length) || header.body_length as usize > MAX_BODY {
            return Err(BadHeader::Damaged);
        }
        Ok(header)
    }

    /// The length that a damaged header claims, if it could be one: where to look first for the
    /// next record.
    pub(super) fn claimed_length(bytes: &[u8; HEADER]) -> Option<u64> {
        let body = u32_at(bytes, 12);
        (body as usize <= MAX_BODY).then_some(HEADER as u64 + u64::from(body))
    }

    /// The batch, if the body is what was written.
    pub(super) fn batch(&self, signal: Signal, body: &Bytes) -> Option<Batch> {
        if body.len() != self.body_length as usize || crc32c::crc32c(body) != self.body_crc {
            return None;
        }
        let (query, content_type) = (self.query_length as usize, self.content_type_length as usize);
        Some(Batch {
            signal,
            format: Format::from_u8(self.format)?,
            compression: Compression::from_u8(self.compression)?,
            items: self.items,
            decoded_size: self.decoded_size,
            received: self.received,
            meta: Meta {
                query: std::str::from_utf8(&body[..query]).ok()?.to_owned(),
                content_type: std::str::from_utf8(&body[query..query + content_type]).ok()?.to_owned(),
            },
            payload: body.slice(query + content_type..),
        })
    }
}

/// Where a record is, and what the metrics need of it. Kept in memory for the segments that are
/// being written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: u64,
    pub(super) received: u64,
    /// Where in the segment.
    pub(super) offset: u32,
    /// Bytes of the record, header included.
    pub(super) length: u32,
    /// Bytes of the payload.
    pub(super) payload: u32,
    pub(super) items: u32,
}

impl Entry {
    /// The entry of a record at `offset`.
    pub(super) fn new(header: &Header, offset: u32) -> Self {
        Entry {
            position: header.position,
            received: header.received,
            offset,
            length: header.record_length(),
            payload: header.payload_length(),
            items: header.items,
        }
    }

    /// One past its last byte.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// The number at `at`, which the caller knows to be inside.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

/// The number at `at`, which the caller knows to be inside.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}
