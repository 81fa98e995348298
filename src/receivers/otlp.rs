//! What both OTLP receivers check.

use super::admission::Reservation;
use super::ingest::{Check, Checked};
use super::json;
use super::refusal::Refusal;
use crate::signal::Signal;
use crate::wire;

/// The walk over a protobuf payload.
pub(super) fn check(signal: Signal, limit: usize) -> Check {
    Box::new(move |decoded, room| walk(signal, decoded, limit, room))
}

fn walk(signal: Signal, payload: &[u8], limit: usize, room: &mut Reservation) -> Result<Checked, Refusal> {
    let summary = wire::check_otlp(signal, payload).map_err(|error| refused(signal, payload, error.to_string()))?;
    if summary.items == 0 && summary.unknown_fields > 0 {
        let nothing = format!("the body holds no {} and fields that are not known", items(signal));
        return Err(refused(signal, payload, nothing));
    }
    let mut checked = Checked::from(summary);
    if summary.damaged_strings > 0 {
        // Bytes of another signal's numbers where this one has text.
        if wire::likely_otlp(signal, payload).is_some() {
            return Err(refused(signal, payload, "strings are not valid UTF-8".to_owned()));
        }
        checked.translate(wire::repair_otlp(signal, payload), limit, room)?;
    }
    if signal == Signal::Traces {
        checked.invalid_ids = wire::spans_with_invalid_ids(payload);
    }
    // A record of another signal can read as an item of this one: a log record that has a body alone is a
    // span that has a name alone. That no item has what the specification requires is no reason alone.
    let lacking = match signal {
        Signal::Traces => Some("no span has a valid trace id and span id"),
        Signal::Metrics => Some("no metric has a name"),
        Signal::Logs | Signal::Profiles => None,
    };
    match lacking.filter(|_| summary.items > 0 && !wire::has_required(signal, payload)) {
        Some(lacking) if wire::likely_otlp(signal, payload).is_some() => {
            Err(refused(signal, payload, lacking.to_owned()))
        }
        _ => Ok(checked),
    }
}

/// A refusal that also names the likely mistake: the body is a request of another signal.
fn refused(signal: Signal, payload: &[u8], why: String) -> Refusal {
    Refusal::Malformed(match wire::likely_otlp(signal, payload) {
        Some(other) => format!("{why}; it is a valid request for {other}, which go to {}", path(other)),
        None => why,
    })
}

fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
        Signal::Profiles => "/v1development/profiles",
    }
}

fn items(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "data points",
        Signal::Logs => "log records",
        Signal::Profiles => "profiles",
    }
}

/// Translates JSON to protobuf, which is what is kept.
pub(super) fn translate(signal: Signal, limit: usize) -> Check {
    Box::new(move |decoded, room| {
        let translate = |body: &[u8]| wire::json::translate(signal, body);
        let walk = |payload: &[u8], room: &mut Reservation| walk(signal, payload, limit, room);
        json::translated(decoded, limit, room, translate, walk, |unknown| nothing_known(signal, unknown))
    })
}

/// Says of a JSON request without items what `unknown` may have been meant as.
fn nothing_known(signal: Signal, unknown: &str) -> String {
    let mut message = format!("the body holds no {}; {unknown:?} is not a known field", items(signal));
    let (roots, name) = (["resourceSpans", "resourceMetrics", "resourceLogs", "resourceProfiles"], unknown);
    for (root, other) in roots.into_iter().zip(Signal::ALL) {
        if name.replace('_', "").eq_ignore_ascii_case(root) {
            message += &match other == signal {
                true => format!(", {root:?} is"),
                false => format!(": {other} go to {}", path(other)),
            };
        }
    }
    message
}
