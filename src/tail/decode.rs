//! The items of a payload, of every format.

mod otlp;
mod profiles;
mod remote_write;

use std::borrow::Cow;

use prost::Message;

use super::item::{Item, Value};
use crate::codec::inflate::{Limits, inflate};
use crate::signal::{Batch, Format, Signal};
use crate::wire;

/// Bytes of a payload that is decoded, and of what it takes in memory then. Those of larger ones are counted as
/// not looked at.
const MAX_PAYLOAD: u64 = 16 << 20;
const MAX_DECODED: u64 = 128 << 20;

/// Gives each item of a payload to `each`. False if the payload was not looked at: it is too large, or cannot be
/// read.
pub fn items(batch: &Batch, each: &mut dyn FnMut(&Item<'_>)) -> bool {
    if batch.decoded_size > MAX_PAYLOAD {
        return false;
    }
    let Ok(payload) = inflate(&batch.payload, batch.compression, Limits::size(MAX_PAYLOAD), batch.decoded_size) else {
        return false;
    };
    match batch.format {
        Format::Otlp => otlp_items(batch.signal, &payload, each),
        Format::RemoteWriteV1 => remote_write::items(&payload, each),
        // Its strings, each of which may be named again and again, are bounded as the whole is.
        Format::RemoteWriteV2 => wire::remote_write_v2_to_v1(&payload, MAX_PAYLOAD)
            .is_ok_and(|translated| remote_write::items(&translated, each)),
        Format::PyroscopeIngest => profiles::ingested(batch, each),
        Format::PyroscopePush => profiles::pushed(&payload, batch.received, each),
        // No receiver takes these.
        Format::StoreRow => false,
    }
}

fn otlp_items(signal: Signal, payload: &[u8], each: &mut dyn FnMut(&Item<'_>)) -> bool {
    if !wire::check_otlp(signal, payload).is_ok_and(|summary| summary.decoded_cost <= MAX_DECODED) {
        return false;
    }
    fn read<M: Message + Default>(payload: &[u8], give: impl FnOnce(&M)) -> bool {
        M::decode(payload).map(|message| give(&message)).is_ok()
    }
    match signal {
        Signal::Traces => read(payload, |request| otlp::spans(request, each)),
        Signal::Metrics => read(payload, |request| otlp::points(request, each)),
        Signal::Logs => read(payload, |request| otlp::records(request, each)),
        Signal::Profiles => read(payload, |request| profiles::profiles(request, each)),
    }
}

/// The service that the attributes of a resource name.
fn service<'a>(attributes: &[(&str, Value<'a>)]) -> &'a str {
    let found = attributes.iter().find(|(name, _)| *name == "service.name");
    found.and_then(|(_, value)| value.as_text()).unwrap_or_default()
}

/// A label's value.
fn label<'a>(labels: &[(&'a str, Value<'a>)], name: &str) -> Option<&'a str> {
    labels.iter().find(|(of, _)| *of == name)?.1.as_text()
}

/// A text that is not copied.
fn name(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests;
