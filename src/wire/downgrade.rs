//! Remote write 2.0 as 1.0, for servers that know no other: the strings in place of the symbols,
//! metadata a message of its own. Start timestamps have no place in 1.0 and go.

use std::collections::BTreeMap;

use prost::Message as _;

use super::prompb::{v1, v2};

/// Why a request is not translated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DowngradeError {
    /// prost cannot decode it, which the receiver has made sure of.
    #[error(transparent)]
    Malformed(#[from] prost::DecodeError),
    /// A symbol takes its bytes once, and in 1.0 as often as it is referred to.
    #[error("it takes {size} bytes as remote write 1.0, more than the limit of {limit}")]
    TooLarge {
        /// Bytes that it would take, at least.
        size: u64,
        /// Bytes that are allowed.
        limit: u64,
    },
}

/// Translates an `io.prometheus.write.v2.Request` to a `prometheus.WriteRequest`, whose strings may
/// take `limit` bytes.
///
/// # Errors
/// The request is malformed, or would take more than that.
pub fn remote_write_v2_to_v1(payload: &[u8], limit: u64) -> Result<Vec<u8>, DowngradeError> {
    let request = v2::Request::decode(payload)?;
    let size = size_of_strings(&request);
    if size > limit {
        return Err(DowngradeError::TooLarge { size, limit });
    }
    let v2::Request { symbols, timeseries } = request;
    let symbol = |reference: u32| symbols.get(reference as usize).cloned().unwrap_or_default();
    let labels = |references: &[u32]| -> Vec<v1::Label> {
        let pairs = references.chunks_exact(2);
        pairs.map(|pair| v1::Label { name: symbol(pair[0]), value: symbol(pair[1]) }).collect()
    };
    let mut metadata = BTreeMap::new();
    let mut translated = Vec::with_capacity(timeseries.len());
    for series in timeseries {
        let labels_of_series = labels(&series.labels_refs);
        let name = labels_of_series.iter().find(|label| label.name == "__name__").map(|label| label.value.clone());
        if let (Some(about), Some(metric_family_name)) = (series.metadata, name) {
            let metadata_of_series = v1::MetricMetadata {
                r#type: about.r#type,
                metric_family_name: metric_family_name.clone(),
                help: symbol(about.help_ref),
                unit: symbol(about.unit_ref),
            };
            if about != v2::Metadata::default() {
                metadata.insert(metric_family_name, metadata_of_series);
            }
        }
        let sample = |sample: v2::Sample| v1::Sample { value: sample.value, timestamp: sample.timestamp };
        let exemplar = |exemplar: v2::Exemplar| v1::Exemplar {
            labels: labels(&exemplar.labels_refs),
            value: exemplar.value,
            timestamp: exemplar.timestamp,
        };
        // The same fields under the same numbers, but for the start timestamp.
        let histogram = |histogram: v2::Histogram| v1::Histogram::decode(&histogram.encode_to_vec()[..]);
        translated.push(v1::TimeSeries {
            labels: labels_of_series,
            samples: series.samples.into_iter().map(sample).collect(),
            exemplars: series.exemplars.into_iter().map(exemplar).collect(),
            histograms: series.histograms.into_iter().map(histogram).collect::<Result<_, _>>()?,
        });
    }
    let metadata = metadata.into_values().collect();
    Ok(v1::WriteRequest { timeseries: translated, metadata }.encode_to_vec())
}

/// Bytes of the strings that take the place of all references, where they are written out.
pub fn size_of_strings(request: &v2::Request) -> u64 {
    let length = |reference: &u32| request.symbols.get(*reference as usize).map_or(0, |symbol| symbol.len() as u64);
    let references = |series: &v2::TimeSeries| {
        let exemplars = series.exemplars.iter().flat_map(|exemplar| &exemplar.labels_refs);
        let about = series.metadata.iter().flat_map(|about| [about.help_ref, about.unit_ref]);
        let labels: u64 = series.labels_refs.iter().chain(exemplars).map(length).sum();
        labels + about.map(|reference| length(&reference)).sum::<u64>()
    };
    request.timeseries.iter().map(references).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::wire::prompb::{BucketSpan, HistogramCount};

    #[test]
    fn everything_that_1_0_knows_is_kept() {
        let symbols = ["", "__name__", "load", "host", "a", "Load.", "trace_id", "1f"].map(str::to_owned).to_vec();
        let histogram = v2::Histogram {
            count: Some(HistogramCount::CountInt(3)),
            sum: 1.5,
            schema: 2,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_deltas: vec![1, -1],
            timestamp: 7,
            start_timestamp: 5,
            ..v2::Histogram::default()
        };
        let series = v2::TimeSeries {
            labels_refs: vec![1, 2, 3, 4],
            samples: vec![v2::Sample { value: 0.5, timestamp: 9, start_timestamp: 1 }],
            histograms: vec![histogram],
            exemplars: vec![v2::Exemplar { labels_refs: vec![6, 7], value: 0.25, timestamp: 8 }],
            metadata: Some(v2::Metadata { r#type: 2, help_ref: 5, unit_ref: 0 }),
            created_timestamp: 1,
        };
        let request = v2::Request { symbols, timeseries: vec![series.clone(), series] };
        let got = remote_write_v2_to_v1(&request.encode_to_vec(), 1 << 20).unwrap();
        crate::wire::check_remote_write_v1(&got).unwrap();
        let got = v1::WriteRequest::decode(&got[..]).unwrap();
        let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
        let want = &got.timeseries[1];
        assert_eq!(want.labels, [label("__name__", "load"), label("host", "a")]);
        assert_eq!(want.samples, [v1::Sample { value: 0.5, timestamp: 9 }]);
        assert_eq!(want.exemplars[0].labels, [label("trace_id", "1f")]);
        assert_eq!((want.histograms[0].sum, want.histograms[0].timestamp), (1.5, 7));
        assert_eq!(want.histograms[0].positive_deltas, [1, -1]);
        assert_eq!(got.timeseries.len(), 2);
        assert_eq!(got.metadata.len(), 1, "once a family");
        assert_eq!((got.metadata[0].help.as_str(), got.metadata[0].r#type), ("Load.", 2));
    }

    #[test]
    fn a_long_symbol_with_many_references_is_not_written_out() {
        let symbols = vec![String::new(), "__name__".to_owned(), "x".repeat(1 << 20)];
        let series = v2::TimeSeries { labels_refs: vec![1, 2], ..v2::TimeSeries::default() };
        let request = |count| {
            let timeseries = vec![series.clone(); count];
            v2::Request { symbols: symbols.clone(), timeseries }.encode_to_vec()
        };
        let limit = 4 << 20;
        assert!(remote_write_v2_to_v1(&request(3), limit).is_ok());
        // As a whole it would be 100 GB.
        let payload = request(100_000);
        crate::wire::check_remote_write_v2(&payload).unwrap();
        let size = 100_000 * ((1 << 20) + 8);
        assert_eq!(remote_write_v2_to_v1(&payload, limit), Err(DowngradeError::TooLarge { size, limit }));
    }
}
