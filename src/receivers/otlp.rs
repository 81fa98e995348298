//! What both OTLP receivers check.

use bytes::Bytes;

use super::ingest::{Check, Checked};
use super::refusal::Refusal;
use crate::signal::Signal;
use crate::wire;

/// The walk over a protobuf payload.
pub(super) fn check(signal: Signal) -> Check {
    Box::new(move |decoded, _| walk(signal, decoded))
}

fn walk(signal: Signal, payload: &[u8]) -> Result<Checked, Refusal> {
    let summary = wire::check_otlp(signal, payload)?;
    let invalid_ids = if signal == Signal::Traces { wire::spans_with_invalid_ids(payload) } else { 0 };
    Ok(Checked { items: summary.items, empty: summary.items == 0, invalid_ids, ..Checked::default() })
}

/// Translates JSON to protobuf, which is what is kept.
pub(super) fn translate(signal: Signal, limit: usize) -> Check {
    Box::new(move |decoded, room| {
        let most = most_translated(decoded);
        if most > limit.saturating_mul(2) {
            return Err(Refusal::TooLarge { limit });
        }
        if !room.grow(most) {
            return Err(Refusal::Busy("memory"));
        }
        let payload = wire::json::translate(signal, decoded).map_err(|error| Refusal::Malformed(error.to_string()))?;
        if payload.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        room.shrink(most.saturating_sub(payload.len()));
        let mut checked = walk(signal, &payload)?;
        checked.translated = Some(Bytes::from(payload));
        Ok(checked)
    })
}

/// No translation is longer than this. Protobuf is shorter than JSON, but for numbers in lists:
/// `0,` can become a double of eight bytes.
fn most_translated(json: &[u8]) -> usize {
    json.len() + 8 * memchr::memchr_iter(b',', json).count()
}
