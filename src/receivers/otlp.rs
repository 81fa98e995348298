//! What both OTLP receivers check.

use bytes::Bytes;

use super::intake::{Check, Checked};
use super::refusal::Refusal;
use crate::signal::Signal;
use crate::wire;

/// The walk over a protobuf payload.
pub(super) fn check(signal: Signal) -> Check {
    Box::new(move |decoded, _| walk(signal, decoded))
}

fn walk(signal: Signal, payload: &[u8]) -> Result<Checked, Refusal> {
    let summary = wire::check_otlp(signal, payload)?;
    Ok(Checked { items: summary.items, empty: summary.items == 0, ..Checked::default() })
}

/// Translates JSON to protobuf, which is what is kept.
pub(super) fn translate(signal: Signal) -> Check {
    Box::new(move |decoded, room| {
        // Protobuf is shorter than JSON, but for lists of numbers.
        if !room.grow(decoded.len()) {
            return Err(Refusal::Busy("memory"));
        }
        let payload: Vec<u8> = Err(Refusal::Internal("JSON is not taken yet".to_owned()))?;
        let mut checked = walk(signal, &payload)?;
        checked.translated = Some(Bytes::from(payload));
        Ok(checked)
    })
}
