//! Compressing and decompressing payloads, for the cases in which they cannot go as they came.
//! All of it blocks, and is called off the async threads.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use parking_lot::{Mutex, MutexGuard};

use crate::signal::Compression;

/// zstd's level: about as fast as gzip's fastest, and half again as small.
const ZSTD_LEVEL: i32 = 1;

/// Payloads larger than this once decompressed are not decompressed as a whole where that can be
/// helped, and else one at a time: a body of some KiB may become 64 MiB, for every destination.
pub const LARGE: u64 = 1 << 20;

/// One large payload at a time is decompressed as a whole.
static LARGE_TURN: Mutex<()> = Mutex::new(());

/// A turn for work that holds a payload of this size decompressed. Blocks while others have it.
pub fn turn(decoded_size: u64) -> Option<MutexGuard<'static, ()>> {
    (decoded_size > LARGE).then(|| LARGE_TURN.lock())
}

/// The payload without its compression. The receivers have checked that it is good and how large
/// it becomes, so an error here means damage.
pub fn inflate(payload: &Bytes, compression: Compression, decoded_size: u64) -> io::Result<Bytes> {
    match compression {
        Compression::Identity => return Ok(payload.clone()),
        Compression::SnappyBlock => {
            return Ok(snap::raw::Decoder::new().decompress_vec(payload).map_err(io::Error::other)?.into());
        }
        _ => {}
    }
    let size = usize::try_from(decoded_size).unwrap_or(0);
    // One byte more: with it the decoder can say that there is nothing more.
    let mut plain = Vec::with_capacity(size.saturating_add(1).min(64 << 20));
    decoder(payload.clone(), compression)?.read_to_end(&mut plain)?;
    Ok(plain.into())
}

/// Gives the payload without its compression, bit by bit. A snappy block has no bits.
pub fn decoder(payload: Bytes, compression: Compression) -> io::Result<Box<dyn Read + Send + Sync>> {
    Ok(match compression {
        Compression::Identity => Box::new(payload.reader()),
        Compression::Gzip => Box::new(MultiGzDecoder::new(payload.reader())),
        Compression::Zlib => Box::new(ZlibDecoder::new(payload.reader())),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(payload.reader())?),
        Compression::SnappyFramed => Box::new(snap::read::FrameDecoder::new(payload.reader())),
        Compression::SnappyBlock => Box::new(inflate(&payload, compression, 0)?.reader()),
    })
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
    match compression {
        Compression::Identity => Ok(whole(chunks)),
        Compression::SnappyBlock => {
            Ok(snap::raw::Encoder::new().compress_vec(&whole(chunks)).map_err(io::Error::other)?.into())
        }
        _ => {
            let size: usize = chunks.iter().map(Bytes::len).sum();
            encode(size, compression, |encoder| chunks.iter().try_for_each(|chunk| encoder.write_all(chunk)))
        }
    }
}

/// Payloads, one after the other, in another compression, without any of them being decompressed
/// as a whole.
pub fn transcode(parts: &[(Bytes, Compression, u64)], compression: Compression) -> io::Result<Bytes> {
    let size: u64 = parts.iter().map(|(_, _, size)| size).sum();
    encode(usize::try_from(size).unwrap_or(0), compression, |encoder| {
        parts
            .iter()
            .try_for_each(|(payload, from, _)| io::copy(&mut decoder(payload.clone(), *from)?, encoder).map(drop))
    })
}

/// What `feed` writes, compressed; `size` is about how much that is.
fn encode(
    size: usize,
    compression: Compression,
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Bytes> {
    let mut out = Vec::with_capacity((size / 4).min(64 << 10) + 128);
    match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
            feed(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zlib => {
            let mut encoder = flate2::write::ZlibEncoder::new(&mut out, flate2::Compression::fast());
            feed(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(&mut out, ZSTD_LEVEL)?;
            feed(&mut encoder)?;
            encoder.finish()?;
        }
        Compression::SnappyFramed => {
            let mut encoder = snap::write::FrameEncoder::new(&mut out);
            feed(&mut encoder)?;
            encoder.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        }
        Compression::Identity => feed(&mut out)?,
        Compression::SnappyBlock => {
            let mut plain = Vec::with_capacity(size);
            feed(&mut plain)?;
            out = snap::raw::Encoder::new().compress_vec(&plain).map_err(io::Error::other)?;
        }
    }
    // A dead destination may hold it for long.
    out.shrink_to_fit();
    Ok(out.into())
}

fn whole(chunks: &[Bytes]) -> Bytes {
    match chunks {
        [one] => one.clone(),
        more => more.concat().into(),
    }
}

#[cfg(test)]
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
