//! Decompressing bit by bit.

use std::io::{self, BufRead, Read};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use crate::signal::Compression;

/// The largest window of a zstd frame that the library reads without being told otherwise, as its
/// logarithm: 128 MiB. For payloads that were checked when they came.
pub const ZSTD_ANY_WINDOW: u32 = 27;

/// Gives the payload without its compression: all gzip members, all zstd frames. A snappy block has
/// no bits and is decompressed at once. `zstd_window` is the logarithm of the largest window of a zstd
/// frame that is accepted: a frame of a few bytes can ask for gigabytes.
///
/// # Errors
/// It does not begin as it should.
pub fn decoder<'a>(
    mut payload: impl BufRead + Send + Sync + 'a,
    compression: Compression,
    zstd_window: u32,
) -> io::Result<Box<dyn Read + Send + Sync + 'a>> {
    Ok(match compression {
        Compression::Identity => Box::new(payload),
        Compression::Gzip => Box::new(MultiGzDecoder::new(payload)),
        Compression::Zlib => Box::new(WholeZlib(ZlibDecoder::new(payload))),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(payload)?;
            decoder.window_log_max(zstd_window)?;
            Box::new(decoder)
        }
        Compression::SnappyFramed => Box::new(snap::read::FrameDecoder::new(payload)),
        Compression::SnappyBlock => {
            let mut block = Vec::new();
            payload.read_to_end(&mut block)?;
            let plain = snap::raw::Decoder::new().decompress_vec(&block).map_err(io::Error::other)?;
            Box::new(io::Cursor::new(plain))
        }
    })
}

/// The first `limit` bytes of what somebody else compressed, quick enough for any thread if that
/// is little.
///
/// # Errors
/// It is damaged before that.
pub fn beginning(payload: &[u8], compression: Compression, limit: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder(payload, compression, ZSTD_ANY_WINDOW)?.take(limit).read_to_end(&mut plain)?;
    Ok(plain)
}

/// A zlib stream behind which nothing may come: its decoder would not see that.
struct WholeZlib<R>(ZlibDecoder<R>);

impl<R: BufRead> Read for WholeZlib<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        if read == 0 && !into.is_empty() {
            let rest = self.0.get_mut().fill_buf()?.len();
            if rest > 0 {
                return Err(io::Error::other(format!("{rest} bytes after its end")));
            }
        }
        Ok(read)
    }
}
