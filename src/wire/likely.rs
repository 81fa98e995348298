//! Which request a body is when it is not the one that it was sent as: words for a refusal.

use super::fields::Fields;
use super::ids::has_valid_ids;
use super::{check_otlp, check_remote_write_v1, check_remote_write_v2};
use crate::signal::Signal;

/// The signal whose request this body is, if it is a clean one of another signal than `sent_as`.
pub fn likely_otlp(sent_as: Signal, payload: &[u8]) -> Option<Signal> {
    let clean = |signal: &Signal| {
        check_otlp(*signal, payload)
            .is_ok_and(|found| found.items > 0 && found.damaged_strings == 0 && found.unknown_fields == 0)
            && has_required(*signal, payload)
    };
    Signal::ALL.into_iter().filter(|signal| *signal != sent_as).find(clean)
}

/// Whether some item of a request that the walk has accepted has what the OTLP specification requires: a
/// span its ids, a metric its name, a profile the dictionary. A log record requires nothing, but what reads
/// as one without a body, or with ids of a wrong length, may be anything.
pub fn has_required(signal: Signal, payload: &[u8]) -> bool {
    match signal {
        Signal::Traces => items(payload).any(has_valid_ids),
        Signal::Metrics => items(payload).any(|metric| !last(metric, 1).is_empty()),
        Signal::Logs => {
            let is_record = |record| matches!(last(record, 9).len(), 0 | 16) && matches!(last(record, 10).len(), 0 | 8);
            items(payload).all(is_record) && items(payload).any(|record| !last(record, 5).is_empty())
        }
        Signal::Profiles => !last(payload, 2).is_empty(),
    }
}

/// The spans, metrics, log records or profiles of a request: the same field numbers lead to all of them.
pub(super) fn items(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let within = |message, tag| Fields(message).filter(move |(of, _)| *of == tag).map(|(_, value)| value.bytes());
    within(payload, 1).flat_map(move |resource| within(resource, 2)).flat_map(move |scope| within(scope, 2))
}

/// The bytes of a field. Of one that occurs twice, the last one counts.
pub(super) fn last(message: &[u8], tag: u32) -> &[u8] {
    Fields(message).filter(|(of, _)| *of == tag).last().map_or(&[][..], |(_, value)| value.bytes())
}

/// What a body is that holds nothing of the remote write version that it was sent as.
pub fn likely_remote_write(payload: &[u8]) -> Option<&'static str> {
    if check_remote_write_v1(payload).is_ok_and(|found| found.series + found.metadata > 0) {
        return Some("remote write 1.0 (proto=prometheus.WriteRequest)");
    }
    if check_remote_write_v2(payload).is_ok_and(|found| found.series > 0) {
        return Some("remote write 2.0 (proto=io.prometheus.write.v2.Request)");
    }
    None
}
