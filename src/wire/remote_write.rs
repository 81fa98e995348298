//! Prometheus remote write: well formed, and nothing in it that Prometheus would choke on or
//! silently drop.
//!
//! A forwarder that sends on what it has not read would retry for ever, or lose series without a
//! word. So what Prometheus 3.5 does not store is refused by the receiver with a 400 that names the
//! series: an empty or repeated label name, a series without a name (1.0: Prometheus answers 204
//! and drops it; 2.0: 400), references out of range or odd (Prometheus panics). Labels need not be
//! sorted: receivers sort them. So are native histograms whose buckets do not fit together, to which
//! Prometheus answers 500.

mod histograms;
mod labels;
mod messages;
mod v2;

use super::descriptor::Counter;
use super::error::WireError;
use super::fields::{Fields, error};
use super::walk::{Counts, walk};
use labels::Names;
pub(super) use messages::{V1_REQUEST, V2_REQUEST};

/// What a remote-write request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteWriteSummary {
    /// Series.
    pub series: u64,
    /// Float samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
    /// 1.0: metric families described; 2.0: series that carry metadata.
    pub metadata: u64,
    /// Bytes that a full decode would take, roughly.
    pub decoded_cost: u64,
    /// Strings that are not UTF-8.
    pub damaged_strings: u64,
}

impl RemoteWriteSummary {
    fn new(counts: &Counts) -> Self {
        RemoteWriteSummary {
            series: counts.of(Counter::Series),
            samples: counts.of(Counter::Items),
            histograms: counts.of(Counter::Histograms),
            exemplars: counts.of(Counter::Exemplars),
            metadata: counts.of(Counter::Metadata),
            decoded_cost: counts.cost,
            damaged_strings: counts.of(Counter::DamagedStrings),
        }
    }

    /// Samples and histograms: what counts as a data point.
    pub fn items(&self) -> u64 {
        self.samples + self.histograms
    }
}

/// Checks a `prometheus.WriteRequest` (remote write 1.0), decompressed.
///
/// # Errors
/// When prost would not decode it, when it would grow beyond [`super::Limits`] if decoded, or when
/// Prometheus would drop a series of it for its labels or refuse a histogram for its buckets.
pub fn check_remote_write_v1(payload: &[u8]) -> Result<RemoteWriteSummary, WireError> {
    let counts = walk(&messages::V1_REQUEST, payload)?;
    let mut names = Names::default();
    let series = Fields(payload).filter(|(tag, _)| *tag == 1).map(|(_, value)| value.bytes());
    for (index, series) in series.enumerate() {
        names.clear();
        for (_, label) in Fields(series).filter(|(tag, _)| *tag == 1) {
            let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
            for (tag, field) in Fields(label.bytes()) {
                match tag {
                    1 => name = field.bytes(),
                    2 => value = field.bytes(),
                    _ => {}
                }
            }
            names.push(name, value);
        }
        names.check().map_err(|(label, reason)| {
            let mut path = format!("timeseries[{index}]");
            if let Some(label) = label {
                path.push_str(&format!(".labels[{label}]"));
            }
            error(payload, series, path, reason)
        })?;
    }
    if counts.of(Counter::Histograms) > 0 {
        histograms::check(payload, 1, 4)?;
    }
    Ok(RemoteWriteSummary::new(&counts))
}

/// Checks an `io.prometheus.write.v2.Request` (remote write 2.0), decompressed.
///
/// # Errors
/// As [`check_remote_write_v1`]; also when the first symbol is not empty, when references are odd
/// in number or out of range, or when a series has both samples and histograms (Remote-Write 2.0
/// specification, "Protobuf Message").
pub fn check_remote_write_v2(payload: &[u8]) -> Result<RemoteWriteSummary, WireError> {
    let counts = walk(&messages::V2_REQUEST, payload)?;
    v2::check(payload)?;
    if counts.of(Counter::Histograms) > 0 {
        histograms::check(payload, 5, 3)?;
    }
    Ok(RemoteWriteSummary::new(&counts))
}

#[cfg(test)]
mod tests;
