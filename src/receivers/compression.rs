//! Inflating a body within a limit, into a buffer that is used again. What is kept is the body as
//! it came; the decompressed bytes are only looked at.

use std::io::Read;

use bytes::Bytes;

use super::admission::Reservation;
use super::refusal::Refusal;
use crate::signal::Compression;

/// First size of the output buffer, and the least it grows by.
const STEP: usize = 256 << 10;

/// Largest window of a zstd frame that is accepted: 16 MiB. A frame of a few bytes can ask for
/// gigabytes; RFC 8878 recommends to support 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 24;

/// Snappy's longest copy is 64 bytes for 3, so that no block grows by more than this.
const SNAPPY_MAX_RATIO: usize = 22;

/// What a framed snappy stream begins with.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Decompresses `payload` and shows the result to `look`. `room` grows by the size of the buffer
/// while that is in use.
pub(crate) fn inflated<T>(
    compression: Compression,
    payload: &[u8],
    limit: usize,
    room: &mut Reservation,
    look: impl FnOnce(&[u8], &mut Reservation) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    if compression == Compression::Identity {
        if payload.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        return look(payload, room);
    }
    let admission = room.admission().clone();
    let buffer = admission.buffer();
    if !room.grow(buffer.len()) {
        return Err(Refusal::Busy("memory"));
    }
    // From here on the reservation follows the size of the buffer.
    let mut output = Output { buffer, used: 0, limit, room };
    let inflated = output.inflate(compression, payload);
    let Output { buffer, used, room, .. } = output;
    let result = inflated.and_then(|()| look(&buffer[..used], room));
    room.shrink(buffer.len());
    admission.keep(buffer);
    result
}

/// As [`inflated`], but keeps the result.
pub(crate) fn inflate(
    compression: Compression,
    payload: &Bytes,
    limit: usize,
    room: &mut Reservation,
) -> Result<Bytes, Refusal> {
    if compression == Compression::Identity {
        return Ok(payload.clone());
    }
    let bytes = inflated(compression, payload, limit, room, |decoded, _| Ok(Bytes::copy_from_slice(decoded)))?;
    if room.grow(bytes.len()) { Ok(bytes) } else { Err(Refusal::Busy("memory")) }
}

/// How large `payload` says it is once decompressed, where that is written in it. Not to be
/// trusted: it only decides where the work is done.
pub(crate) fn size_hint(compression: Compression, payload: &[u8]) -> usize {
    let hint = match compression {
        Compression::Identity => None,
        Compression::Gzip => payload.last_chunk::<4>().and_then(|size| usize::try_from(u32::from_le_bytes(*size)).ok()),
        Compression::SnappyBlock => snap::raw::decompress_len(payload).ok(),
        _ => Some(payload.len().saturating_mul(8)),
    };
    hint.unwrap_or(payload.len()).max(payload.len())
}

/// A buffer whose bytes are all initialised, of which the first `used` are the output.
struct Output<'a> {
    buffer: Vec<u8>,
    used: usize,
    limit: usize,
    room: &'a mut Reservation,
}

impl Output<'_> {
    fn inflate(&mut self, compression: Compression, payload: &[u8]) -> Result<(), Refusal> {
        let corrupt = |error: std::io::Error| Refusal::Malformed(format!("bad {} body: {error}", compression.name()));
        match compression {
            Compression::Identity => Ok(()),
            Compression::Gzip => self.fill(flate2::bufread::MultiGzDecoder::new(payload), corrupt),
            Compression::Zlib => {
                let mut decoder = flate2::bufread::ZlibDecoder::new(payload);
                self.fill(&mut decoder, corrupt)?;
                match payload.len() as u64 - decoder.total_in() {
                    0 => Ok(()),
                    rest => Err(Refusal::Malformed(format!("bad deflate body: {rest} bytes after its end"))),
                }
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(payload).map_err(corrupt)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(corrupt)?;
                self.fill(decoder, corrupt)
            }
            Compression::SnappyFramed => self.fill(snap::read::FrameDecoder::new(payload), corrupt),
            Compression::SnappyBlock => self.snappy_block(payload),
        }
    }

    fn fill(&mut self, mut decoder: impl Read, corrupt: impl Fn(std::io::Error) -> Refusal) -> Result<(), Refusal> {
        loop {
            if self.used == self.buffer.len() {
                if self.used > self.limit {
                    return Err(Refusal::TooLarge { limit: self.limit });
                }
                // One byte more than the limit shows that it is exceeded.
                self.grow((self.used * 2).max(STEP).min(self.limit + 1))?;
            }
            match decoder.read(&mut self.buffer[self.used..]) {
                Ok(0) => break,
                Ok(n) => self.used += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(corrupt(error)),
            }
        }
        if self.used > self.limit { Err(Refusal::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    fn snappy_block(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        if payload.starts_with(SNAPPY_STREAM) {
            return Err(Refusal::Malformed(
                "the body is in snappy's framed format, remote write takes the block format".to_owned(),
            ));
        }
        let corrupt = |error: snap::Error| Refusal::Malformed(format!("bad snappy body: {error}"));
        let size = snap::raw::decompress_len(payload).map_err(corrupt)?;
        if size > self.limit {
            return Err(Refusal::TooLarge { limit: self.limit });
        }
        if size > payload.len().saturating_mul(SNAPPY_MAX_RATIO) {
            return Err(Refusal::Malformed(format!(
                "bad snappy body: {} bytes cannot hold the {size} that they promise",
                payload.len()
            )));
        }
        if size > self.buffer.len() {
            self.grow(size)?;
        }
        self.used = snap::raw::Decoder::new().decompress(payload, &mut self.buffer[..size]).map_err(corrupt)?;
        Ok(())
    }

    fn grow(&mut self, size: usize) -> Result<(), Refusal> {
        let more = size.saturating_sub(self.buffer.len());
        if !self.room.grow(more) {
            return Err(Refusal::Busy("memory"));
        }
        self.buffer.resize(size, 0);
        Ok(())
    }
}
