//! What both OTLP receivers check.

use bytes::Bytes;

use super::intake::{Check, Checked};
use super::refusal::Refusal;
use crate::signal::Signal;

/// The walk over a protobuf payload.
pub(super) fn check(signal: Signal) -> Check {
    Box::new(move |decoded, _| walk(signal, decoded))
}

fn walk(signal: Signal, payload: &[u8]) -> Result<Checked, Refusal> {
    let items = count(signal, payload).map_err(|error| Refusal::Malformed(error.to_string()))?;
    Ok(Checked { items, empty: items == 0, ..Checked::default() })
}

/// Until the walk is there: decode and count.
fn count(signal: Signal, payload: &[u8]) -> Result<u64, prost::DecodeError> {
    use opentelemetry_proto::tonic::collector::{
        logs::v1::*, metrics::v1::*, profiles::v1development::*, trace::v1::*,
    };
    use prost::Message as _;
    let n: usize = match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(payload)?
            .resource_spans
            .iter()
            .flat_map(|r| &r.scope_spans)
            .map(|s| s.spans.len())
            .sum(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(payload)?
            .resource_metrics
            .iter()
            .flat_map(|r| &r.scope_metrics)
            .map(|s| s.metrics.len())
            .sum(),
        Signal::Logs => ExportLogsServiceRequest::decode(payload)?
            .resource_logs
            .iter()
            .flat_map(|r| &r.scope_logs)
            .map(|s| s.log_records.len())
            .sum(),
        Signal::Profiles => ExportProfilesServiceRequest::decode(payload)?
            .resource_profiles
            .iter()
            .flat_map(|r| &r.scope_profiles)
            .map(|s| s.profiles.len())
            .sum(),
    };
    Ok(n as u64)
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
