//! Compressing and decompressing payloads, for the cases in which they cannot go as they came.
//! All of it blocks, and is called off the async threads.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::signal::Compression;

/// zstd's level: about as fast as gzip's fastest, and half again as small.
const ZSTD_LEVEL: i32 = 1;

/// The payload without its compression. The receivers have checked that it is good and how large
/// it becomes, so an error here means damage.
pub fn inflate(payload: &Bytes, compression: Compression, decoded_size: u64) -> io::Result<Bytes> {
    let size = usize::try_from(decoded_size).unwrap_or(0);
    let mut plain = Vec::with_capacity(size.min(64 << 20));
    match compression {
        Compression::Identity => return Ok(payload.clone()),
        Compression::Gzip => MultiGzDecoder::new(&payload[..]).read_to_end(&mut plain)?,
        Compression::Zlib => ZlibDecoder::new(&payload[..]).read_to_end(&mut plain)?,
        Compression::Zstd => zstd::Decoder::with_buffer(&payload[..])?.read_to_end(&mut plain)?,
        Compression::SnappyFramed => snap::read::FrameDecoder::new(&payload[..]).read_to_end(&mut plain)?,
        Compression::SnappyBlock => {
            return Ok(snap::raw::Decoder::new().decompress_vec(payload).map_err(io::Error::other)?.into());
        }
    };
    Ok(plain.into())
}

/// The first `limit` bytes of what somebody else compressed, quick enough for any thread if that
/// is little.
pub fn beginning(payload: &[u8], compression: Compression, limit: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match compression {
        Compression::Gzip => MultiGzDecoder::new(payload).take(limit).read_to_end(&mut plain)?,
        Compression::Zstd => zstd::Decoder::with_buffer(payload)?.take(limit).read_to_end(&mut plain)?,
        Compression::SnappyFramed => snap::read::FrameDecoder::new(payload).take(limit).read_to_end(&mut plain)?,
        other => return Err(io::Error::other(format!("{} is not expected here", other.name()))),
    };
    Ok(plain)
}

/// The pieces, one after the other, compressed as one.
pub fn compress(chunks: &[Bytes], compression: Compression) -> io::Result<Bytes> {
    let size: usize = chunks.iter().map(Bytes::len).sum();
    let out = Vec::with_capacity(size / 4 + 128);
    let compressed = match compression {
        Compression::Identity => return Ok(whole(chunks)),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
            chunks.iter().try_for_each(|chunk| encoder.write_all(chunk))?;
            encoder.finish()?
        }
        Compression::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::fast());
            chunks.iter().try_for_each(|chunk| encoder.write_all(chunk))?;
            encoder.finish()?
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            chunks.iter().try_for_each(|chunk| encoder.write_all(chunk))?;
            encoder.finish()?
        }
        Compression::SnappyFramed => {
            let mut encoder = snap::write::FrameEncoder::new(out);
            chunks.iter().try_for_each(|chunk| encoder.write_all(chunk))?;
            encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))?
        }
        Compression::SnappyBlock => snap::raw::Encoder::new().compress_vec(&whole(chunks)).map_err(io::Error::other)?,
    };
    Ok(compressed.into())
}

fn whole(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [one] => one.clone(),
        more => more.concat().into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_in_pieces_comes_back_whole() {
        let chunks = [Bytes::from(vec![7; 3000]), Bytes::from_static(b"and"), Bytes::from(vec![9; 70_000])];
        let plain = whole(&chunks);
        for n in 0..6 {
            let compression = Compression::from_u8(n).unwrap();
            let compressed = compress(&chunks, compression).unwrap();
            assert_eq!(inflate(&compressed, compression, plain.len() as u64).unwrap(), plain, "{compression:?}");
            if compression == Compression::SnappyBlock || compression == Compression::Identity {
                continue;
            }
            // Cut short it is damage, not less.
            assert!(inflate(&compressed.slice(..compressed.len() - 3), compression, 0).is_err(), "{compression:?}");
        }
    }

    #[test]
    fn all_members_are_read() {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::SnappyFramed] {
            let one = compress(&[Bytes::from_static(b"one")], compression).unwrap();
            let two = compress(&[Bytes::from_static(b"two")], compression).unwrap();
            let both = whole(&[one, two]);
            assert_eq!(inflate(&both, compression, 6).unwrap(), b"onetwo"[..], "{compression:?}");
        }
    }
}
