//! Which request a body is when it is not the one that it was sent as: words for a refusal.

use super::{check_otlp, check_remote_write_v1, check_remote_write_v2};
use crate::signal::Signal;

/// The signal whose request this body is, if it is a clean one of another signal than `sent_as`.
pub fn likely_otlp(sent_as: Signal, payload: &[u8]) -> Option<Signal> {
    let clean = |signal: &Signal| {
        check_otlp(*signal, payload)
            .is_ok_and(|found| found.items > 0 && found.damaged_strings == 0 && found.unknown_fields == 0)
    };
    Signal::ALL.into_iter().filter(|signal| *signal != sent_as).find(clean)
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
