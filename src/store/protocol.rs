//! What the collector and the engine say to each other over `ingest.sock`.
//!
//! Frames: a length (`u32`, little endian, of what follows), a kind, a body. The collector opens
//! with [`Frame::Hello`]; the engine answers [`Frame::Welcome`] with the position that it wants
//! next of each log, or [`Frame::Refused`]. From then on the collector sends [`Frame::Record`]s
//! of each signal in the order of their positions (gaps are records that the log has lost),
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
//! of records that were acknowledged and have not come yet. When what is not sealed takes much of a log's room, it
//! asks for that ([`Frame::SealSoon`]): a log that is full refuses new data until the engine has sealed.
//!
//! All positions here are cursors: everything before them is done.

use uuid::Uuid;

use crate::signal::{Batch, Signal};
use crate::wal::{Position, Record};

mod decode;
mod encode;
mod kind;
mod quarantined;

pub use decode::{frame_length, read_frame};
pub use encode::encode_record;
pub use quarantined::{Part, Quarantined};

/// Version of this protocol: both ends must speak the same, as both come from one binary.
pub const VERSION: u32 = 7;

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
    /// Collector: a log needs the room of what is not sealed yet.
    SealSoon,
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
