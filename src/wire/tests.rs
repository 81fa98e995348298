//! The walk held against prost: what one accepts the other accepts, and they count the same.

mod against_prost;
mod cost;
mod every_field;
pub(crate) mod generate;
mod nesting;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::{DecodeError, Message};

use super::{Reason, Summary, WireError, check_otlp, repair_otlp};
use super::{descriptor, pprof, pprof_proto, prompb, push, pushpb, remote_write, repair, walk};
use crate::signal::Signal;

/// Decodes with prost and counts the items.
fn decode(signal: Signal, payload: &[u8]) -> Result<u64, DecodeError> {
    let count = match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(payload)?
            .resource_spans
            .iter()
            .flat_map(|resource| &resource.scope_spans)
            .map(|scope| scope.spans.len())
            .sum::<usize>(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(payload)?
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .map(data_points)
            .sum(),
        Signal::Logs => ExportLogsServiceRequest::decode(payload)?
            .resource_logs
            .iter()
            .flat_map(|resource| &resource.scope_logs)
            .map(|scope| scope.log_records.len())
            .sum(),
        Signal::Profiles => ExportProfilesServiceRequest::decode(payload)?
            .resource_profiles
            .iter()
            .flat_map(|resource| &resource.scope_profiles)
            .map(|scope| scope.profiles.len())
            .sum(),
    };
    Ok(count as u64)
}

fn data_points(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}

/// Asserts that the walk and prost agree about this payload; true if they accept it.
fn agree(signal: Signal, payload: &[u8]) -> bool {
    let (ours, mut theirs) = (check_otlp(signal, payload), decode(signal, payload));
    // The one thing that the walk takes and prost does not: strings that are not UTF-8.
    if ours.as_ref().is_ok_and(|summary| summary.damaged_strings > 0) {
        assert!(theirs.is_err(), "{signal}: {payload:02x?}");
        let repaired = repair_otlp(signal, payload);
        assert_eq!(check_otlp(signal, &repaired).map(|summary| summary.damaged_strings), Ok(0), "{payload:02x?}");
        theirs = decode(signal, &repaired);
    }
    match (&ours, &theirs) {
        (Ok(Summary { items, .. }), Ok(count)) => {
            assert_eq!(items, count, "{signal}: {payload:02x?}");
            true
        }
        (Err(WireError { reason: Reason::DecodedTooLarge { .. }, .. }), _) => false,
        (Err(error), Err(_)) => {
            assert!(error.offset <= payload.len(), "{error}");
            false
        }
        _ => panic!("{signal}: walk says {ours:?}, prost says {theirs:?}: {payload:02x?}"),
    }
}

/// Whether prost decodes it.
type Accepts = fn(&[u8]) -> bool;

/// The messages that are not OTLP's, and what prost says about them.
const OTHERS: [(&descriptor::Message, Accepts); 4] = [
    (&remote_write::V1_REQUEST, |bytes| prompb::v1::WriteRequest::decode(bytes).is_ok()),
    (&remote_write::V2_REQUEST, |bytes| prompb::v2::Request::decode(bytes).is_ok()),
    (&pprof::PROFILE, |bytes| pprof_proto::Profile::decode(bytes).is_ok()),
    (&push::REQUEST, |bytes| pushpb::PushRequest::decode(bytes).is_ok()),
];

/// As [`agree`], for one of [`OTHERS`].
fn others_agree(message: &'static descriptor::Message, prost: Accepts, payload: &[u8]) -> bool {
    let (ours, mut theirs) = (walk::walk(message, payload), prost(payload));
    if ours.as_ref().is_ok_and(|counts| counts.of(descriptor::Counter::DamagedStrings) > 0) {
        assert!(!theirs, "{}: {payload:02x?}", message.name);
        theirs = prost(&repair::repair(message, payload));
    }
    if !matches!(&ours, Err(WireError { reason: Reason::DecodedTooLarge { .. }, .. })) {
        assert_eq!(ours.is_ok(), theirs, "{}: walk says {ours:?}: {payload:02x?}", message.name);
    }
    theirs
}

/// Appends a varint.
fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length-delimited field.
pub(crate) fn delimited(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(u64::from(tag) << 3 | 2, &mut out);
    put_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}
