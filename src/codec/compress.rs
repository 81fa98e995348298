//! Compressing payloads, and bringing them from one encoding into another.

use std::io::{self, Write};

use bytes::{Buf, Bytes};

use super::decoder::{ZSTD_ANY_WINDOW, decoder};
use crate::signal::Compression;

/// zstd's level: about as fast as gzip's fastest, and half again as small.
const ZSTD_LEVEL: i32 = 1;

/// The pieces, one after the other, compressed as one.
///
/// # Errors
/// Never of the pieces, only of an encoder.
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
///
/// # Errors
/// One of them is damaged.
pub fn transcode(parts: &[(Bytes, Compression, u64)], compression: Compression) -> io::Result<Bytes> {
    let size: u64 = parts.iter().map(|(_, _, size)| size).sum();
    encode(usize::try_from(size).unwrap_or(0), compression, |encoder| {
        parts.iter().try_for_each(|(payload, from, _)| {
            io::copy(&mut decoder(payload.clone().reader(), *from, ZSTD_ANY_WINDOW)?, encoder).map(drop)
        })
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
    use crate::codec::inflate::inflate_checked as inflate;

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
