//! Inflating a body within a limit, into a buffer that is used again. What is kept is the body as
//! it came; the decompressed bytes are only looked at.

use super::admission::Reservation;
use super::refusal::Refusal;
use crate::codec::inflate::{Budget, InflateError, Limits, inflate_into};
use crate::signal::Compression;

pub(crate) use crate::codec::inflate::size_hint;

/// Largest window of a zstd frame that is accepted: 8 MiB, which RFC 9659 sets for bodies over HTTP. A
/// frame of a few bytes can ask for gigabytes. Each destination that is slow to take a large payload holds
/// a window, too.
const ZSTD_WINDOW: u32 = 23;

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
    let (buffer, inflated) =
        inflate_into(buffer, compression, payload, Limits { size: limit, zstd_window: ZSTD_WINDOW }, room);
    let result = match inflated {
        Ok(used) => look(&buffer[..used], room),
        Err(error) => Err(refusal(error, compression, limit)),
    };
    room.shrink(buffer.len());
    admission.keep(buffer);
    result
}

/// What is wrong with a body is said to its sender.
fn refusal(error: InflateError, compression: Compression, limit: usize) -> Refusal {
    match error {
        InflateError::TooLarge => Refusal::TooLarge { limit },
        InflateError::NoMemory => Refusal::Busy("memory"),
        InflateError::Framed => {
            Refusal::Malformed("the body is in snappy's framed format, remote write takes the block format".to_owned())
        }
        InflateError::Corrupt(reason) if compression == Compression::SnappyBlock => {
            Refusal::Malformed(format!("bad snappy body: {reason}"))
        }
        InflateError::Corrupt(reason) => Refusal::Malformed(format!("bad {} body: {reason}", compression.name())),
    }
}

impl Budget for Reservation {
    fn grow(&mut self, more: usize) -> bool {
        Reservation::grow(self, more)
    }

    fn shrink(&mut self, less: usize) {
        Reservation::shrink(self, less);
    }
}

#[cfg(test)]
mod tests;
