//! Reading the primitives of the protobuf encoding from a slice, with the rules of prost: a
//! varint has at most ten bytes and 64 bits.

/// Reads a varint: its value and what follows it.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    match bytes {
        [a, rest @ ..] if *a < 0x80 => Some((u64::from(*a), rest)),
        [a, b, rest @ ..] if *b < 0x80 => Some((u64::from(*a & 0x7f) | u64::from(*b) << 7, rest)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (n, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte < 0x80 {
            // The tenth byte holds the 64th bit and nothing more.
            return if n == 9 && byte > 1 { None } else { Some((value, &bytes[n + 1..])) };
        }
    }
    None
}

/// Counts the varints that fill `bytes`; the error is the rest from an invalid one on.
pub(crate) fn count_varints(mut bytes: &[u8]) -> Result<u64, &[u8]> {
    let mut count = 0;
    loop {
        // Most packed numbers are small: eight of one byte at a time.
        while let Some((chunk, rest)) = bytes.split_first_chunk::<8>() {
            if u64::from_le_bytes(*chunk) & HIGH_BITS != 0 {
                break;
            }
            count += 8;
            bytes = rest;
        }
        if bytes.is_empty() {
            return Ok(count);
        }
        let (_, rest) = varint(bytes).ok_or(bytes)?;
        count += 1;
        bytes = rest;
    }
}

/// Reads a length and that many bytes: these, and what follows.
#[inline]
pub(crate) fn delimited(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(bytes)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether `bytes` are UTF-8. Telemetry is mostly short ASCII, which takes a few loads.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    is_ascii(bytes) || std::str::from_utf8(bytes).is_ok()
}

#[inline]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    let mut seen = 0;
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(_), Some(last)) => {
            for chunk in bytes.chunks_exact(8) {
                let mut word = [0; 8];
                word.copy_from_slice(chunk);
                seen |= u64::from_ne_bytes(word);
            }
            seen |= u64::from_ne_bytes(*last);
        }
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                seen = u64::from(u32::from_ne_bytes(*first) | u32::from_ne_bytes(*last));
            }
            _ => bytes.iter().for_each(|byte| seen |= u64::from(*byte)),
        },
    }
    seen & HIGH_BITS == 0
}
