//! What the engine can never store, as it tells the collector and as it notes it in its catalog.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use super::decode::{BodyError, signal, take_batch, text};
use super::encode::{put_batch, put_text};
use super::{LogState, ProtocolError};
use crate::signal::{Batch, Signal};
use crate::wal::Position;

/// What can never be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its identity: the same whenever the same is found again in the same record.
    pub id: Uuid,
    /// The log that it is from; nil if that does not have it in this form.
    pub log: Uuid,
    /// Its signal.
    pub signal: Signal,
    /// The record in the log.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
    /// How much of the record it is.
    pub part: Part,
}

/// How much of a record can never be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Record,
    /// The items at these places, counted from 0, ascending. The others are stored.
    Items(Vec<u64>),
    /// This, which the log has not in this form.
    Batch(Batch),
}

impl Quarantined {
    /// A record of a log, or items of it.
    pub fn of_log(log: Uuid, signal: Signal, position: Position, reason: String, part: Part) -> Self {
        let mut hash = Xxh3::new();
        hash.update(log.as_bytes());
        hash.update(&[signal as u8]);
        hash.update(&position.0.to_le_bytes());
        if let Part::Items(items) = &part {
            items.iter().for_each(|item| hash.update(&item.to_le_bytes()));
        }
        let id = uuid::Builder::from_custom_bytes(hash.digest128().to_be_bytes()).into_uuid();
        Quarantined { id, log, signal, position, reason, part }
    }

    /// Items of the dead letter `id` that was sent again; the others of it are stored.
    pub fn of_letter(id: Uuid, items: Vec<u64>, batch: Batch, reason: String) -> Self {
        let note = Self::of_log(id, batch.signal, Position(0), reason, Part::Items(items));
        Quarantined { log: Uuid::nil(), part: Part::Batch(batch), ..note }
    }

    /// What is in no log in this form.
    pub fn of_none(batch: Batch, reason: String) -> Self {
        let (id, log) = (Uuid::new_v4(), Uuid::nil());
        Quarantined { id, log, signal: batch.signal, position: Position(0), reason, part: Part::Batch(batch) }
    }

    /// Whether a collector with these logs can make a dead letter of it.
    pub fn is_for(&self, logs: &[LogState; 4]) -> bool {
        matches!(self.part, Part::Batch(_)) || logs.iter().any(|log| log.id == self.log)
    }

    /// Bytes of the payload that it holds itself.
    pub fn bytes(&self) -> usize {
        if let Part::Batch(batch) = &self.part { batch.payload.len() } else { 0 }
    }

    /// As bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        self.put(&mut bytes);
        bytes.freeze()
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are not what [`Self::encode`] has made.
    pub fn decode(mut bytes: Bytes) -> Result<Self, ProtocolError> {
        Self::take(&mut bytes).map_err(|_| ProtocolError::Value("note of what cannot be stored"))
    }

    pub(super) fn put(&self, b: &mut BytesMut) {
        b.put_u128(self.id.as_u128());
        b.put_u128(self.log.as_u128());
        b.put_u8(self.signal as u8);
        b.put_u64_le(self.position.0);
        put_text(b, &self.reason);
        match &self.part {
            Part::Record => b.put_u8(0),
            Part::Items(items) => {
                b.put_u8(1);
                items.iter().for_each(|item| b.put_u64_le(*item));
            }
            Part::Batch(batch) => {
                b.put_u8(2);
                put_batch(b, batch);
                b.put_slice(&batch.payload);
            }
        }
    }

    pub(super) fn take(b: &mut Bytes) -> Result<Self, BodyError> {
        let (id, log) = (Uuid::from_u128(b.try_get_u128()?), Uuid::from_u128(b.try_get_u128()?));
        let signal = signal(b)?;
        let position = Position(b.try_get_u64_le()?);
        let reason = text(b)?;
        let part = match b.try_get_u8()? {
            0 => Part::Record,
            1 => {
                let mut items = Vec::with_capacity(b.len() / 8);
                while b.has_remaining() {
                    items.push(b.try_get_u64_le()?);
                }
                Part::Items(items)
            }
            2 => Part::Batch(take_batch(b)?),
            _ => return Err(BodyError::Value("part of a record")),
        };
        Ok(Quarantined { id, log, signal, position, reason, part })
    }
}
