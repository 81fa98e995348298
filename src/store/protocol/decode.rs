//! Reading frames.

use bytes::{Buf, Bytes};
use uuid::Uuid;

use super::kind::*;
use super::{Frame, LENGTH_BYTES, LogState, MAX_FRAME, Progress, ProtocolError, Quarantined, Reach, Resend, Resent};
use crate::signal::{Batch, Compression, Format, Meta, Signal};
use crate::wal::{Position, Record};

impl Frame {
    /// Reads a frame without its length.
    pub fn decode(mut body: Bytes) -> Result<Frame, ProtocolError> {
        let kind = body.try_get_u8().map_err(|_| ProtocolError::Length(0))?;
        Self::decode_body(kind, &mut body).map_err(|e| match e {
            BodyError::Short => ProtocolError::Length(kind),
            BodyError::Value(what) => ProtocolError::Value(what),
            BodyError::Kind => ProtocolError::Kind(kind),
        })
    }

    fn decode_body(kind: u8, b: &mut Bytes) -> Result<Frame, BodyError> {
        let frame = match kind {
            HELLO => {
                let version = b.try_get_u32_le()?;
                let mut logs = [LogState { id: Uuid::nil(), oldest: Position(0), next: Position(0) }; 4];
                for log in &mut logs {
                    log.id = Uuid::from_u128(b.try_get_u128()?);
                    log.oldest = Position(b.try_get_u64_le()?);
                    log.next = Position(b.try_get_u64_le()?);
                }
                Frame::Hello { version, logs }
            }
            WELCOME => {
                let mut progress = [Progress::default(); 4];
                for p in &mut progress {
                    p.wanted = Position(b.try_get_u64_le()?);
                    p.sealed = Position(b.try_get_u64_le()?);
                }
                Frame::Welcome(progress)
            }
            REFUSED => Frame::Refused(rest_as_text(b)),
            RECORD => Frame::Record(decode_record(b)?),
            VISIBLE => Frame::Visible(signal(b)?, Position(b.try_get_u64_le()?)),
            SEALED => Frame::Sealed(signal(b)?, Position(b.try_get_u64_le()?)),
            QUARANTINED => Frame::Quarantined(Quarantined::take(b)?),
            KEPT => Frame::Kept(Uuid::from_u128(b.try_get_u128()?)),
            RELEASED => Frame::Released(Uuid::from_u128(b.try_get_u128()?)),
            REACH => {
                let mut reach = Reach { at: b.try_get_u64_le()?, ..Reach::default() };
                for position in &mut reach.next {
                    *position = Position(b.try_get_u64_le()?);
                }
                Frame::Reach(reach)
            }
            SEAL_SOON => Frame::SealSoon,
            RESEND => Frame::Resend(Resend { id: Uuid::from_u128(b.try_get_u128()?), batch: take_batch(b)? }),
            RESENT => {
                let id = Uuid::from_u128(b.try_get_u128()?);
                let resent = match b.try_get_u8()? {
                    0 => Resent::Visible,
                    1 => Resent::Sealed,
                    2 => Resent::Refused(rest_as_text(b)),
                    _ => return Err(BodyError::Value("fate of a dead letter")),
                };
                Frame::Resent(id, resent)
            }
            _ => return Err(BodyError::Kind),
        };
        if b.has_remaining() { Err(BodyError::Short) } else { Ok(frame) }
    }
}

/// Reads one frame, length and all; `None` at the orderly end of the connection.
pub fn read_frame(from: &mut impl std::io::Read) -> Result<Option<Frame>, ProtocolError> {
    let mut length = [0; LENGTH_BYTES];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let mut body = vec![0; frame_length(length)?];
    from.read_exact(&mut body)?;
    Frame::decode(body.into()).map(Some)
}

/// The length that stands in front of a frame, checked.
pub fn frame_length(bytes: [u8; LENGTH_BYTES]) -> Result<usize, ProtocolError> {
    let length = u32::from_le_bytes(bytes) as usize;
    if length > MAX_FRAME { Err(ProtocolError::TooLong(length)) } else { Ok(length) }
}

/// Why a body cannot be read, before the kind of frame is added.
pub(super) enum BodyError {
    Short,
    Kind,
    Value(&'static str),
}

impl From<bytes::TryGetError> for BodyError {
    fn from(_: bytes::TryGetError) -> Self {
        BodyError::Short
    }
}

pub(super) fn decode_record(b: &mut Bytes) -> Result<Record, BodyError> {
    Ok(Record { position: Position(b.try_get_u64_le()?), batch: take_batch(b)? })
}

/// A batch; its payload is all that is left.
pub(super) fn take_batch(b: &mut Bytes) -> Result<Batch, BodyError> {
    let signal = signal(b)?;
    let format = Format::from_u8(b.try_get_u8()?).ok_or(BodyError::Value("format"))?;
    let compression = Compression::from_u8(b.try_get_u8()?).ok_or(BodyError::Value("compression"))?;
    let items = b.try_get_u32_le()?;
    let decoded_size = b.try_get_u64_le()?;
    let received = b.try_get_u64_le()?;
    let query = text(b)?;
    let content_type = text(b)?;
    let payload = b.split_to(b.len());
    let meta = Meta { query, content_type };
    Ok(Batch { signal, format, compression, items, decoded_size, received, meta, payload })
}

pub(super) fn signal(b: &mut Bytes) -> Result<Signal, BodyError> {
    Signal::ALL.get(usize::from(b.try_get_u8()?)).copied().ok_or(BodyError::Value("signal"))
}

pub(super) fn text(b: &mut Bytes) -> Result<String, BodyError> {
    let length = b.try_get_u32_le()? as usize;
    if length > b.len() {
        return Err(BodyError::Short);
    }
    Ok(String::from_utf8_lossy(&b.split_to(length)).into_owned())
}

pub(super) fn rest_as_text(b: &mut Bytes) -> String {
    String::from_utf8_lossy(&b.split_to(b.len())).into_owned()
}
