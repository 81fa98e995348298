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
//! What the engine can never store it tells as [`Frame::Quarantined`], again in each greeting, until
//! the collector has made a dead letter of it ([`Frame::Kept`]). A dead letter that is sent again
//! ([`Frame::Resend`]) is to the engine a log of one record, whose identity is that of the letter; so
//! it is stored once, like every record, however often it is sent. The engine remembers such a log until
//! the dead letter is deleted and can never come again ([`Frame::Released`]).
//!
//! Ten times a second the collector tells how far its logs reach and when ([`Frame::Reach`]), so that the engine knows
//! of records that were acknowledged and have not come yet.
//!
//! All positions here are cursors: everything before them is done.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::signal::{Batch, Compression, Format, Meta, Signal};
use crate::wal::{Position, Record};

mod quarantined;

pub use quarantined::{Part, Quarantined};

/// Version of this protocol: both ends must speak the same, as both come from one binary.
pub const VERSION: u32 = 6;

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

/// How far the logs reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// When that was, by [`crate::signal::monotonic_nanos`]: both ends are on one machine.
    pub at: u64,
    /// The positions that the next records will get, in the order of [`Signal::ALL`].
    pub next: [Position; 4],
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
    /// Collector: how far its logs reach.
    Reach(Reach),
    /// Engine: every record of this signal before the position is visible to queries.
    Visible(Signal, Position),
    /// Engine: every record of this signal before the position is in a sealed file that the
    /// catalog knows.
    Sealed(Signal, Position),
    /// Engine: this can never be stored. Before [`Frame::Welcome`], too, for what was told before and
    /// not kept yet.
    Quarantined(Quarantined),
    /// Collector: there is a dead letter of this now; see [`Quarantined::id`].
    Kept(Uuid),
    /// Collector: a dead letter that is to be stored after all.
    Resend(Resend),
    /// Engine: what has become of a dead letter, by its identity.
    Resent(Uuid, Resent),
    /// Collector: the dead letter of this identity is sealed and deleted. It is told again in each
    /// connection.
    Released(Uuid),
}

/// A dead letter that is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resend {
    /// Its identity: what was stored under it is not stored again.
    pub id: Uuid,
    /// What is in it.
    pub batch: Batch,
}

/// What has become of a dead letter that was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resent {
    /// Queries see it. It may still be lost with the engine, and has to be sent again then.
    Visible,
    /// It is in a sealed file that the catalog knows.
    Sealed,
    /// It cannot be stored, and why.
    Refused(String),
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
const QUARANTINED: u8 = 7;
const KEPT: u8 = 8;
const RESEND: u8 = 9;
const RESENT: u8 = 10;
const RELEASED: u8 = 11;
const REACH: u8 = 12;

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
            Frame::Quarantined(quarantined) => {
                b.put_u8(QUARANTINED);
                quarantined.put(&mut b);
            }
            Frame::Kept(id) => {
                b.put_u8(KEPT);
                b.put_u128(id.as_u128());
            }
            Frame::Resend(Resend { id, batch }) => {
                b.put_u8(RESEND);
                b.put_u128(id.as_u128());
                put_batch(&mut b, batch);
                b.put_slice(&batch.payload);
            }
            Frame::Resent(id, resent) => {
                b.put_u8(RESENT);
                b.put_u128(id.as_u128());
                match resent {
                    Resent::Visible => b.put_u8(0),
                    Resent::Sealed => b.put_u8(1),
                    Resent::Refused(why) => {
                        b.put_u8(2);
                        b.put_slice(why.as_bytes());
                    }
                }
            }
            Frame::Released(id) => {
                b.put_u8(RELEASED);
                b.put_u128(id.as_u128());
            }
            Frame::Reach(reach) => {
                b.put_u8(REACH);
                b.put_u64_le(reach.at);
                for position in reach.next {
                    b.put_u64_le(position.0);
                }
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

/// A record's frame in two parts, so that a large payload is not copied: write one after the
/// other.
pub fn encode_record(record: &Record) -> (Bytes, Bytes) {
    let batch = &record.batch;
    let meta = batch.meta.query.len() + batch.meta.content_type.len();
    let mut b = BytesMut::with_capacity(64 + meta);
    b.put_u32_le(0);
    b.put_u8(RECORD);
    b.put_u64_le(record.position.0);
    put_batch(&mut b, batch);
    fill_length(&mut b, batch.payload.len());
    (b.freeze(), batch.payload.clone())
}

/// All of a batch but its payload, which comes after it.
fn put_batch(b: &mut BytesMut, batch: &Batch) {
    b.put_u8(batch.signal as u8);
    b.put_u8(batch.format as u8);
    b.put_u8(batch.compression as u8);
    b.put_u32_le(batch.items);
    b.put_u64_le(batch.decoded_size);
    b.put_u64_le(batch.received);
    for text in [&batch.meta.query, &batch.meta.content_type] {
        put_text(b, text);
    }
}

fn put_text(b: &mut BytesMut, text: &str) {
    b.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
    b.put_slice(text.as_bytes());
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
    Ok(Record { position: Position(b.try_get_u64_le()?), batch: take_batch(b)? })
}

/// A batch; its payload is all that is left.
fn take_batch(b: &mut Bytes) -> Result<Batch, BodyError> {
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
mod tests;
