//! Requests in JSON: what is kept of them is protobuf.

use bytes::Bytes;

use super::admission::Reservation;
use super::ingest::Checked;
use super::refusal::Refusal;
use crate::wire::json::{JsonError, Translated};

/// Translates a body within the memory budget, and has the protobuf checked by `walk`. A body without
/// an item but with a field that is not known is refused with the words of `nothing_known`: its sender
/// meant something.
pub(super) fn translated(
    json: &[u8],
    limit: usize,
    room: &mut Reservation,
    translate: impl FnOnce(&[u8]) -> Result<Translated, JsonError>,
    walk: impl FnOnce(&[u8], &mut Reservation) -> Result<Checked, Refusal>,
    nothing_known: impl FnOnce(&str) -> String,
) -> Result<Checked, Refusal> {
    let most = most_translated(json);
    if most > limit.saturating_mul(2) {
        return Err(Refusal::TooLarge { limit });
    }
    if !room.grow(most) {
        return Err(Refusal::Busy("memory"));
    }
    let Translated { payload, replaced, unknown } =
        translate(json).map_err(|error| Refusal::Malformed(error.to_string()))?;
    if payload.len() > limit {
        return Err(Refusal::TooLarge { limit });
    }
    room.shrink(most.saturating_sub(payload.len()));
    let mut checked = walk(&payload, room)?;
    if let (0, Some(unknown)) = (checked.items, unknown) {
        return Err(Refusal::Malformed(nothing_known(&unknown)));
    }
    checked.replaced += replaced;
    checked.translated = Some(Bytes::from(payload));
    Ok(checked)
}

/// No translation is longer than this. Protobuf is shorter than JSON, but for numbers in lists:
/// `0,` can become a double of eight bytes.
fn most_translated(json: &[u8]) -> usize {
    json.len() + 8 * memchr::memchr_iter(b',', json).count()
}
