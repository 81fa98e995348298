//! Decompressing a payload, whole: what a record holds is bounded.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::signal::Compression;
use crate::store::ingest::DecodeError;

/// The payload without its compression. All gzip members and all zstd frames are read.
pub(crate) fn inflate(payload: &[u8], compression: Compression, limit: u64) -> Result<Cow<'_, [u8]>, DecodeError> {
    let failed = |reason: String| DecodeError::Decompress { compression: compression.name(), reason };
    let plain = match compression {
        Compression::Identity => Cow::Borrowed(payload),
        Compression::Gzip => Cow::Owned(read(MultiGzDecoder::new(payload), compression, limit)?),
        Compression::Zlib => Cow::Owned(read(ZlibDecoder::new(payload), compression, limit)?),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(payload).map_err(|error| failed(error.to_string()))?;
            Cow::Owned(read(decoder, compression, limit)?)
        }
        Compression::SnappyFramed => Cow::Owned(read(snap::read::FrameDecoder::new(payload), compression, limit)?),
        Compression::SnappyBlock => {
            let len = snap::raw::decompress_len(payload).map_err(|error| failed(error.to_string()))?;
            if len as u64 > limit {
                return Err(DecodeError::TooLarge(limit));
            }
            let plain = snap::raw::Decoder::new().decompress_vec(payload);
            Cow::Owned(plain.map_err(|error| failed(error.to_string()))?)
        }
    };
    if plain.len() as u64 > limit {
        return Err(DecodeError::TooLarge(limit));
    }
    Ok(plain)
}

fn read(decoder: impl Read, compression: Compression, limit: u64) -> Result<Vec<u8>, DecodeError> {
    let mut plain = Vec::new();
    // One byte more than allowed shows that there is more.
    decoder
        .take(limit.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(|error| DecodeError::Decompress { compression: compression.name(), reason: error.to_string() })?;
    Ok(plain)
}
