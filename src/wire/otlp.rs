//! The messages of OTLP, as `opentelemetry-proto` 0.33.1 (OTLP 1.10) decodes them.

pub(super) mod common;
mod logs;
mod metrics;
mod profiles;
mod traces;

use super::descriptor::Message;
use crate::signal::Signal;

/// The request message of a signal.
pub(crate) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &traces::REQUEST,
        Signal::Metrics => &metrics::REQUEST,
        Signal::Logs => &logs::REQUEST,
        Signal::Profiles => &profiles::REQUEST,
    }
}
