//! What the collector and the engine say to each other over `ingest.sock`.
//!
//! Frames: a length (`u32`, little endian, of what follows), a kind, a body. The collector opens
//! with [`Frame::Hello`]; the engine answers [`Frame::Welcome`] with the position that it wants
//! next of each log, or [`Frame::Refused`]. From then on the collector sends [`Frame::Record`]s
//! of each signal in the order of their positions (gaps are records that the log has dropped),
//! and the engine reports as cursors move: [`Frame::Visible`] when queries see the rows, which
//! makes room in the window of bytes in flight, and [`Frame::Sealed`] when the log no longer
//! needs to keep the records.
//!
//! All positions here are cursors: everything before them is done.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::signal::{Batch, Compression, Format, Meta, Signal};
use crate::wal::{Position, Record};

/// Version of this protocol: both ends must speak the same, as both come from one binary.
pub const VERSION: u32 = 2;

/// Payload bytes of one signal that the collector may have sent without having been told that
/// they are visible. One larger record may always go alone.
pub const WINDOW: usize = 8 << 20;

/// Longest frame that is accepted.
pub const MAX_FRAME: usize = 1 << 30;

/// Bytes of the length in front of each frame.
pub const LENGTH_BYTES: usize = 4;

/// Identity and extent of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// Positions mean something only within this log.
    pub id: Uuid,
    /// Oldest record still in it.
    pub oldest: Position,
    /// Position that the next record will get.
    pub next: Position,
}

/// How far the engine has come with one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The record that the engine wants next.
    pub wanted: Position,
    /// Everything before this is in sealed files.
    pub sealed: Position,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Collector: who I am. The logs are in the order of [`Signal::ALL`].
    Hello {
        /// [`VERSION`] of the collector.
        version: u32,
        /// Its four logs.
        logs: [LogState; 4],
    },
    /// Engine: go on from here, for each signal in the order of [`Signal::ALL`].
    Welcome([Progress; 4]),
    /// Engine: not with you, and why. The connection ends.
    Refused(String),
    /// Collector: a record of the log.
    Record(Record),
    /// Engine: every record of this signal before the position is visible to queries.
    Visible(Signal, Position),
    /// Engine: every record of this signal before the position is in a sealed file that the
    /// catalog knows.
    Sealed(Signal, Position),
    /// Engine: this one record can never be stored. Before [`Frame::Welcome`], too, for records that
    /// the log still has.
    SetAside(Signal, Position, String),
}

/// What can be wrong with a frame.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The frame ends too early, or goes on too long.
    #[error("frame of kind {0} has the wrong length")]
    Length(u8),
    /// A kind of frame that this version does not know.
    #[error("unknown kind of frame {0}")]
    Kind(u8),
    /// A number in it that means nothing.
    #[error("frame with an unknown {0}")]
    Value(&'static str),
    /// A length beyond [`MAX_FRAME`].
    #[error("frame of {0} bytes is too long")]
    TooLong(usize),
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
const RECORD: u8 = 4;
const VISIBLE: u8 = 5;
const SEALED: u8 = 6;
const SET_ASIDE: u8 = 7;

impl Frame {
    /// The frame as it goes over the socket.
    pub fn encode(&self) -> Bytes {
        if let Frame::Record(record) = self {
            let (head, payload) = encode_record(record);
            let mut whole = BytesMut::with_capacity(head.len() + payload.len());
            whole.put(head);
            whole.put(payload);
            return whole.freeze();
        }
        let mut b = BytesMut::with_capacity(160);
        b.put_u32_le(0);
        match self {
            Frame::Hello { version, logs } => {
                b.put_u8(HELLO);
                b.put_u32_le(*version);
                for log in logs {
                    b.put_slice(log.id.as_bytes());
                    b.put_u64_le(log.oldest.0);
                    b.put_u64_le(log.next.0);
                }
            }
            Frame::Welcome(progress) => {
                b.put_u8(WELCOME);
                for p in progress {
                    b.put_u64_le(p.wanted.0);
                    b.put_u64_le(p.sealed.0);
                }
            }
            Frame::Refused(why) => {
                b.put_u8(REFUSED);
                b.put_slice(why.as_bytes());
            }
            Frame::Visible(signal, position) => put_cursor(&mut b, VISIBLE, *signal, *position),
            Frame::Sealed(signal, position) => put_cursor(&mut b, SEALED, *signal, *position),
            Frame::SetAside(signal, position, why) => {
                put_cursor(&mut b, SET_ASIDE, *signal, *position);
                b.put_slice(why.as_bytes());
            }
            Frame::Record(_) => {}
        }
        fill_length(&mut b, 0);
        b.freeze()
    }

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
            SET_ASIDE => Frame::SetAside(signal(b)?, Position(b.try_get_u64_le()?), rest_as_text(b)),
            _ => return Err(BodyError::Kind),
        };
        if b.has_remaining() { Err(BodyError::Short) } else { Ok(frame) }
    }
}

/// A record's frame in two parts, so that a large payload is not copied: write one after the
/// other.
pub fn encode_record(record: &Record) -> (Bytes, Bytes) {
    let batch = &record.batch;
    let meta = batch.meta.query.len() + batch.meta.content_type.len();
    let mut b = BytesMut::with_capacity(64 + meta);
    b.put_u32_le(0);
    put_cursor(&mut b, RECORD, batch.signal, record.position);
    b.put_u8(batch.format as u8);
    b.put_u8(batch.compression as u8);
    b.put_u32_le(batch.items);
    b.put_u64_le(batch.decoded_size);
    b.put_u64_le(batch.received);
    for text in [&batch.meta.query, &batch.meta.content_type] {
        b.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
        b.put_slice(text.as_bytes());
    }
    fill_length(&mut b, batch.payload.len());
    (b.freeze(), batch.payload.clone())
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
enum BodyError {
    Short,
    Kind,
    Value(&'static str),
}

impl From<bytes::TryGetError> for BodyError {
    fn from(_: bytes::TryGetError) -> Self {
        BodyError::Short
    }
}

fn decode_record(b: &mut Bytes) -> Result<Record, BodyError> {
    let signal = signal(b)?;
    let position = Position(b.try_get_u64_le()?);
    let format = Format::from_u8(b.try_get_u8()?).ok_or(BodyError::Value("format"))?;
    let compression = Compression::from_u8(b.try_get_u8()?).ok_or(BodyError::Value("compression"))?;
    let items = b.try_get_u32_le()?;
    let decoded_size = b.try_get_u64_le()?;
    let received = b.try_get_u64_le()?;
    let query = text(b)?;
    let content_type = text(b)?;
    let payload = b.split_to(b.len());
    let meta = Meta { query, content_type };
    let batch = Batch { signal, format, compression, items, decoded_size, received, meta, payload };
    Ok(Record { position, batch })
}

fn put_cursor(b: &mut BytesMut, kind: u8, signal: Signal, position: Position) {
    b.put_u8(kind);
    b.put_u8(signal as u8);
    b.put_u64_le(position.0);
}

fn fill_length(b: &mut BytesMut, payload: usize) {
    let length = u32::try_from(b.len() - LENGTH_BYTES + payload).unwrap_or(u32::MAX);
    b[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

fn signal(b: &mut Bytes) -> Result<Signal, BodyError> {
    Signal::ALL.get(usize::from(b.try_get_u8()?)).copied().ok_or(BodyError::Value("signal"))
}

fn text(b: &mut Bytes) -> Result<String, BodyError> {
    let length = b.try_get_u32_le()? as usize;
    if length > b.len() {
        return Err(BodyError::Short);
    }
    Ok(String::from_utf8_lossy(&b.split_to(length)).into_owned())
}

fn rest_as_text(b: &mut Bytes) -> String {
    String::from_utf8_lossy(&b.split_to(b.len())).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_signal() -> impl Strategy<Value = Signal> {
        (0..4usize).prop_map(|n| Signal::ALL[n])
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let numbers = (any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>());
        (any_signal(), 1..6u8, 0..6u8, numbers, ".{0,20}", ".{0,20}", any::<Vec<u8>>()).prop_map(
            |(signal, format, compression, (position, items, decoded_size, received), query, content_type, payload)| {
                let (format, compression) =
                    (Format::from_u8(format).unwrap(), Compression::from_u8(compression).unwrap());
                let meta = Meta { query, content_type };
                let payload = payload.into();
                let batch = Batch { signal, format, compression, items, decoded_size, received, meta, payload };
                Record { position: Position(position), batch }
            },
        )
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let cursor = || (any_signal(), any::<u64>().prop_map(Position));
        let log = (any::<u128>(), any::<u64>(), any::<u64>()).prop_map(|(id, oldest, next)| LogState {
            id: Uuid::from_u128(id),
            oldest: Position(oldest),
            next: Position(next),
        });
        let progress = (any::<u64>(), any::<u64>())
            .prop_map(|(wanted, sealed)| Progress { wanted: Position(wanted), sealed: Position(sealed) });
        prop_oneof![
            (any::<u32>(), [log.clone(), log.clone(), log.clone(), log])
                .prop_map(|(version, logs)| Frame::Hello { version, logs }),
            [progress.clone(), progress.clone(), progress.clone(), progress].prop_map(Frame::Welcome),
            ".{0,40}".prop_map(Frame::Refused),
            any_record().prop_map(Frame::Record),
            cursor().prop_map(|(s, p)| Frame::Visible(s, p)),
            cursor().prop_map(|(s, p)| Frame::Sealed(s, p)),
            (cursor(), ".{0,40}").prop_map(|((s, p), why)| Frame::SetAside(s, p, why)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in proptest::collection::vec(any_frame(), 1..5)) {
            let mut wire: Vec<u8> = Vec::new();
            for frame in &frames {
                wire.extend_from_slice(&frame.encode());
            }
            let mut from = wire.as_slice();
            for frame in &frames {
                prop_assert_eq!(&read_frame(&mut from).unwrap().unwrap(), frame);
            }
            prop_assert!(read_frame(&mut from).unwrap().is_none());
        }

        #[test]
        fn garbage_is_an_error_and_no_panic(garbage in any::<Vec<u8>>(), kind in 0..9u8) {
            let mut body = vec![kind];
            body.extend(garbage);
            let _ = Frame::decode(body.into());
        }

        #[test]
        fn a_cut_frame_is_an_error(frame in any_frame(), cut in 1..8usize) {
            let wire = frame.encode();
            let end = wire.len().saturating_sub(cut).max(LENGTH_BYTES + 1);
            let whole = end == wire.len();
            let answer = Frame::decode(wire.slice(LENGTH_BYTES..end));
            // Text and payload fill what is left of a frame, so those may be shorter.
            let open_ended = matches!(frame, Frame::Refused(_) | Frame::SetAside(..) | Frame::Record(_));
            prop_assert!(whole || open_ended || answer.is_err());
        }
    }

    #[test]
    fn a_length_beyond_reason_is_refused() {
        let wire = u32::MAX.to_le_bytes();
        assert!(matches!(read_frame(&mut wire.as_slice()), Err(ProtocolError::TooLong(_))));
    }
}
