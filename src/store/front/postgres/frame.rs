//! Messages of clients: cut out of the stream, checked to their last byte, then decoded.
//!
//! `pgwire` decodes what it is given and panics where that is too short. So each message is cut to its length
//! and looked through first: what passes has every field that its type has, and nothing behind them.

use bytes::{Buf, BytesMut};
use pgwire::messages::{DecodeContext, PgWireFrontendMessage as Message, ProtocolVersion};

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No message has such a length.
    #[error("invalid message length {0}")]
    Length(i64),
    /// It is longer than is taken.
    #[error("the message has {size} bytes, {limit} are taken at most (sql.max_statement)")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// Bytes taken.
        limit: usize,
    },
    /// A type that there is not.
    #[error("invalid frontend message type {0}")]
    Type(u8),
    /// It does not have what its type has.
    #[error("invalid message of the type {kind:?}: {1} at byte {2}", kind = char::from(*.0))]
    Content(u8, &'static str, usize),
    /// Text that is none.
    #[error("invalid byte sequence for encoding \"UTF8\" at byte {1} of a message of the type {kind:?}", kind = char::from(*.0))]
    Utf8(u8, usize),
}

/// What a type of message consists of.
enum Part {
    /// One byte, one of these.
    Byte(&'static [u8]),
    /// Text up to a zero.
    Text,
    /// So many bytes.
    Bytes(usize),
    /// A count of two bytes, and as many times so many bytes.
    Items(usize),
    /// A count of two bytes, and as many values: a length of four bytes, -1 for none, and the bytes.
    Values,
    /// Anything.
    Rest,
}

use Part::{Byte, Bytes, Items, Rest, Text, Values};

fn parts(kind: u8) -> Option<&'static [Part]> {
    Some(match kind {
        b'Q' => &[Text],
        b'P' => &[Text, Text, Items(4)],
        b'B' => &[Text, Text, Items(2), Values, Items(2)],
        b'D' | b'C' => &[Byte(b"SP"), Text],
        b'E' => &[Text, Bytes(4)],
        b'H' | b'S' | b'X' | b'c' => &[],
        b'f' => &[Text],
        b'd' | b'p' => &[Rest],
        _ => return None,
    })
}

/// Cuts the next message out of what has arrived; `None` if it has not arrived whole.
///
/// # Errors
/// If there can be no message.
pub fn take(arrived: &mut BytesMut, limit: usize) -> Result<Option<(u8, BytesMut)>, FrameError> {
    let Some(&kind) = arrived.first() else { return Ok(None) };
    if parts(kind).is_none() {
        return Err(FrameError::Type(kind));
    }
    let Some(size) = size(&arrived[1..], limit)? else { return Ok(None) };
    if arrived.len() < size + 1 {
        arrived.reserve(size + 1 - arrived.len());
        return Ok(None);
    }
    Ok(Some((kind, arrived.split_to(size + 1))))
}

/// Cuts the first message out, which has no type.
///
/// # Errors
/// If there can be no message.
pub fn take_first(arrived: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, FrameError> {
    let Some(size) = size(arrived, limit)? else { return Ok(None) };
    if size < 8 {
        return Err(FrameError::Length(i64::try_from(size).unwrap_or_default()));
    }
    Ok((arrived.len() >= size).then(|| arrived.split_to(size)))
}

/// The length at the start, which counts itself.
fn size(arrived: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = arrived.first_chunk() else { return Ok(None) };
    let length = i32::from_be_bytes(*length);
    let size = usize::try_from(length).ok().filter(|size| *size >= 4).ok_or(FrameError::Length(length.into()))?;
    if size > limit { Err(FrameError::TooLarge { size, limit }) } else { Ok(Some(size)) }
}

/// Decodes a message that was cut out.
///
/// # Errors
/// What is wrong with it, and where.
pub fn decode(kind: u8, mut frame: BytesMut) -> Result<Message, FrameError> {
    check(kind, &frame)?;
    let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
    match Message::decode(&mut frame, &context) {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(FrameError::Content(kind, "it is cut short", frame.len())),
        Err(error) => {
            tracing::debug!(%error, "a message that was checked cannot be decoded");
            Err(FrameError::Content(kind, "it cannot be decoded", 0))
        }
    }
}

fn check(kind: u8, frame: &[u8]) -> Result<(), FrameError> {
    let parts = parts(kind).ok_or(FrameError::Type(kind))?;
    let mut rest = frame.get(5..).unwrap_or_default();
    for part in parts {
        let at = frame.len() - rest.len();
        let short = FrameError::Content(kind, "it is cut short", at);
        match part {
            Byte(known) => match rest.split_first() {
                Some((byte, behind)) if known.contains(byte) => rest = behind,
                Some(_) => return Err(FrameError::Content(kind, "a byte that it cannot have", at)),
                None => return Err(short),
            },
            Text => {
                let end = memchr::memchr(0, rest).ok_or(short)?;
                if let Err(error) = std::str::from_utf8(&rest[..end]) {
                    return Err(FrameError::Utf8(kind, at + error.valid_up_to()));
                }
                rest.advance(end + 1);
            }
            Bytes(count) => rest = rest.get(*count..).ok_or(short)?,
            Items(size) => {
                let count = usize::from(u16::from_be_bytes(*rest.first_chunk().ok_or(short.clone())?));
                rest = rest.get(2 + count * size..).ok_or(short)?;
            }
            Values => {
                let count = u16::from_be_bytes(*rest.first_chunk().ok_or(short.clone())?);
                rest.advance(2);
                for _ in 0..count {
                    let length = i32::from_be_bytes(*rest.first_chunk().ok_or(short.clone())?);
                    rest.advance(4);
                    match usize::try_from(length) {
                        Ok(length) => rest = rest.get(length..).ok_or(short.clone())?,
                        Err(_) if length == -1 => {}
                        Err(_) => return Err(FrameError::Content(kind, "a value of negative length", at)),
                    }
                }
            }
            Rest => rest = &[],
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(FrameError::Content(kind, "there is more than it has", frame.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, body: &[u8]) -> BytesMut {
        let mut frame = BytesMut::new();
        frame.put_u8(kind);
        frame.put_i32(i32::try_from(body.len() + 4).unwrap());
        frame.put_slice(body);
        frame
    }

    #[test]
    fn whole_messages_are_taken_and_others_waited_for() {
        let mut arrived = frame(b'Q', b"SELECT 1\0");
        arrived.extend_from_slice(b"S\0\0\0\x04Q\0\0");
        let (kind, message) = take(&mut arrived, 1000).unwrap().unwrap();
        assert!(matches!(decode(kind, message), Ok(Message::Query(query)) if query.query == "SELECT 1"));
        let (kind, message) = take(&mut arrived, 1000).unwrap().unwrap();
        assert!(matches!(decode(kind, message), Ok(Message::Sync(_))));
        assert_eq!((take(&mut arrived, 1000), arrived.len()), (Ok(None), 3));
    }

    #[test]
    fn lengths_and_types_that_there_are_not() {
        let all = |bytes: &[u8]| take(&mut BytesMut::from(bytes), 1000);
        assert_eq!(all(b"Q\0\0\0\x03"), Err(FrameError::Length(3)));
        assert_eq!(all(b"Q\xff\xff\xff\xff"), Err(FrameError::Length(-1)));
        assert_eq!(all(b"Q\x7f\xff\xff\xff"), Err(FrameError::TooLarge { size: 0x7fff_ffff, limit: 1000 }));
        assert_eq!(all(b"!"), Err(FrameError::Type(b'!')));
        assert_eq!(take_first(&mut BytesMut::from(&b"\0\0\0\x07aaaa"[..]), 1000), Err(FrameError::Length(7)));
    }

    #[test]
    fn what_is_wrong_within_is_named_with_its_place() {
        for (kind, body, error) in [
            (b'Q', &b"SELECT 1"[..], FrameError::Content(b'Q', "it is cut short", 5)),
            (b'Q', b"\0x", FrameError::Content(b'Q', "there is more than it has", 6)),
            (b'Q', b"a\xff\0", FrameError::Utf8(b'Q', 6)),
            (b'P', b"\0\0\0\x02\0\0\0\x17", FrameError::Content(b'P', "it is cut short", 7)),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x09x", FrameError::Content(b'B', "it is cut short", 9)),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0", FrameError::Content(b'B', "a value of negative length", 9)),
            (b'D', b"X\0", FrameError::Content(b'D', "a byte that it cannot have", 5)),
            (b'E', b"\0\0\0", FrameError::Content(b'E', "it is cut short", 6)),
            (b'S', b"\0", FrameError::Content(b'S', "there is more than it has", 5)),
        ] {
            assert_eq!(decode(kind, frame(kind, body)).map(|_| ()), Err(error));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_end_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut arrived = BytesMut::from(&bytes[..]);
            while let Ok(Some((kind, message))) = take(&mut arrived, 150) {
                let _ = decode(kind, message);
            }
        }

        #[test]
        fn no_content_ends_it(
            kind in prop::sample::select(&b"QPBDCEHSXcfdp"[..]),
            body in prop::collection::vec(prop_oneof![4 => 0..3_u8, 1 => any::<u8>()], 0..60),
        ) {
            let _ = decode(kind, frame(kind, &body));
        }
    }
}
