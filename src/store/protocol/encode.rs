//! Frames as they go over the socket: a length, a kind, and what the kind has. Numbers are little-endian.

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::*;
use super::{Frame, LENGTH_BYTES, Resend, Resent};
use crate::signal::{Batch, Signal};
use crate::wal::{Position, Record};

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
            Frame::SealSoon => b.put_u8(SEAL_SOON),
            Frame::Record(_) => {}
        }
        fill_length(&mut b, 0);
        b.freeze()
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
pub(super) fn put_batch(b: &mut BytesMut, batch: &Batch) {
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

pub(super) fn put_text(b: &mut BytesMut, text: &str) {
    b.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
    b.put_slice(text.as_bytes());
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
