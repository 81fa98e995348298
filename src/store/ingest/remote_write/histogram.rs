//! Prometheus' native histograms, which are sparse, as OTLP's exponential histograms, which are
//! dense. Bucket `i` of Prometheus reaches up to `base^i`, that of OTLP up to `base^(i + 1)`.

use prost::Message;

use crate::store::ingest::metrics::count;
use crate::store::ingest::points::{Buckets, Distribution};
use crate::store::ingest::proto::ProtoError;
use crate::wire::prompb::{BucketSpan, HistogramCount, HistogramZeroCount, v2};

/// Buckets between the first and the last of a histogram. Prometheus makes at most a few hundred;
/// a sparse encoding of a few bytes could name four thousand million.
const MAX_BUCKETS: usize = 1 << 16;

/// The schema of a histogram whose bounds are listed.
const CUSTOM_BUCKETS: i32 = -53;

/// `Histogram.reset_hint`: a gauge histogram.
const GAUGE: i32 = 3;

/// A histogram in the store's form.
pub(super) struct Histogram {
    /// Type of the point.
    pub(super) kind: &'static str,
    pub(super) temporality: Option<&'static str>,
    /// Milliseconds.
    pub(super) time: i64,
    /// Milliseconds, 0 for unknown.
    pub(super) start: i64,
    pub(super) stale: bool,
    pub(super) point: Distribution,
}

impl Histogram {
    /// Reads an encoded histogram of either version: 2.0 added a field.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ProtoError> {
        let raw = v2::Histogram::decode(bytes).map_err(|_| ProtoError::Meaning("malformed histogram"))?;
        let custom = raw.schema == CUSTOM_BUCKETS;
        let mut point = Distribution {
            count: Some(match raw.count {
                Some(HistogramCount::CountInt(value)) => count(value),
                Some(HistogramCount::CountFloat(value)) => value,
                None => 0.0,
            }),
            sum: Some(raw.sum),
            ..Distribution::default()
        };
        let positive = dense(&raw.positive_spans, &raw.positive_deltas, &raw.positive_counts)?;
        if custom {
            point.bucket_counts = custom_counts(&positive, raw.custom_values.len() + 1)?;
            point.explicit_bounds = raw.custom_values;
        } else {
            point.scale = Some(raw.schema);
            point.zero_threshold = Some(raw.zero_threshold);
            point.zero_count = Some(match raw.zero_count {
                Some(HistogramZeroCount::ZeroCountInt(value)) => count(value),
                Some(HistogramZeroCount::ZeroCountFloat(value)) => value,
                None => 0.0,
            });
            let negative = dense(&raw.negative_spans, &raw.negative_deltas, &raw.negative_counts)?;
            point.positive = Some(otlp_offset(positive));
            point.negative = Some(otlp_offset(negative));
        }
        Ok(Histogram {
            kind: if custom { "histogram" } else { "exponential_histogram" },
            temporality: (raw.reset_hint != GAUGE).then_some("cumulative"),
            time: raw.timestamp,
            start: raw.start_timestamp,
            stale: raw.sum.to_bits() == super::STALE,
            point,
        })
    }
}

fn otlp_offset(buckets: Buckets) -> Buckets {
    Buckets { offset: buckets.offset.saturating_sub(i32::from(!buckets.counts.is_empty())), ..buckets }
}

/// All buckets from the first to the last. Integer histograms have deltas from bucket to bucket,
/// float histograms have counts.
fn dense(spans: &[BucketSpan], deltas: &[i64], counts: &[f64]) -> Result<Buckets, ProtoError> {
    let mut running = 0i64;
    #[expect(clippy::cast_precision_loss, reason = "documented in the schema")]
    let absolute = deltas.iter().map(|delta| {
        running = running.wrapping_add(*delta);
        running as f64
    });
    let mut values = absolute.chain(counts.iter().copied());
    let mut buckets = Buckets::default();
    for (i, span) in spans.iter().enumerate() {
        if i == 0 {
            buckets.offset = span.offset;
        } else {
            let gap = usize::try_from(span.offset).map_err(|_| ProtoError::Meaning("negative gap between buckets"))?;
            grow(&mut buckets, gap)?;
        }
        let start = buckets.counts.len();
        grow(&mut buckets, usize::try_from(span.length).unwrap_or(usize::MAX))?;
        for slot in buckets.counts.iter_mut().skip(start) {
            *slot = values.next().ok_or(ProtoError::Meaning("fewer buckets than spans say"))?;
        }
    }
    Ok(buckets)
}

fn grow(buckets: &mut Buckets, by: usize) -> Result<(), ProtoError> {
    let len = buckets.counts.len().saturating_add(by);
    if len > MAX_BUCKETS {
        return Err(ProtoError::Meaning("more than 65536 buckets"));
    }
    buckets.counts.resize(len, 0.0);
    Ok(())
}

/// Counts of listed bounds: all of them, from the first.
fn custom_counts(buckets: &Buckets, len: usize) -> Result<Vec<f64>, ProtoError> {
    let mut counts = vec![0.0; len];
    let first = usize::try_from(buckets.offset).map_err(|_| ProtoError::Meaning("bucket before the first bound"))?;
    for (i, value) in buckets.counts.iter().enumerate() {
        *counts.get_mut(first + i).ok_or(ProtoError::Meaning("bucket after the last bound"))? = *value;
    }
    Ok(counts)
}
