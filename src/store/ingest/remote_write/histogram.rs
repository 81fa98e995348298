//! Prometheus' native histograms, which are sparse, as OTLP's exponential histograms, which are
//! dense. Bucket `i` of Prometheus reaches up to `base^i`, that of OTLP up to `base^(i + 1)`.
//!
//! A few bytes can name buckets hundreds of thousands apart, and rightly so: a value of 1e-50 beside
//! one of 1e50. Such a histogram is stored sparsely, as bounds and counts of the buckets that it
//! has (`explicit_bounds`, `bucket_counts`), with its scale and without offsets.

use prost::Message;

use crate::store::ingest::metrics::count;
use crate::store::ingest::points::{Buckets, Distribution, MAX_BUCKETS};
use crate::store::ingest::proto::ProtoError;
use crate::wire::prompb::{BucketSpan, HistogramCount, HistogramZeroCount, v2};

/// Empty buckets that a dense list may have whatever it holds otherwise: Prometheus' own limit of
/// buckets is 160 by default.
const EMPTY: i64 = 160;

/// Empty buckets for each one that has a count, beyond which the list is no longer dense.
const EMPTY_RATIO: i64 = 4;

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
        let lists = [raw.positive_deltas.len(), raw.negative_deltas.len(), raw.positive_counts.len()];
        let lists = lists.into_iter().chain([raw.negative_counts.len(), raw.custom_values.len()]);
        // A span may be of no bucket at all, and takes two bytes then.
        let lists = lists.chain([raw.positive_spans.len(), raw.negative_spans.len()]);
        if lists.max().is_some_and(|longest| longest > MAX_BUCKETS) {
            return Err(ProtoError::Meaning("more than 65,536 buckets in one point"));
        }
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
        let positive = Runs::read(&raw.positive_spans, &raw.positive_deltas, &raw.positive_counts)?;
        if custom {
            // Prometheus 3.0 to 3.5 leaves the bounds out of 1.0: the counts are there all the same.
            let buckets = if raw.custom_values.is_empty() { None } else { Some(raw.custom_values.len() + 1) };
            point.bucket_counts = positive.all_from_zero(buckets)?;
            point.explicit_bounds = raw.custom_values;
        } else {
            point.scale = Some(raw.schema);
            point.zero_threshold = Some(raw.zero_threshold);
            point.zero_count = Some(match raw.zero_count {
                Some(HistogramZeroCount::ZeroCountInt(value)) => count(value),
                Some(HistogramZeroCount::ZeroCountFloat(value)) => value,
                None => 0.0,
            });
            let negative = Runs::read(&raw.negative_spans, &raw.negative_deltas, &raw.negative_counts)?;
            match (positive.dense(), negative.dense()) {
                (Some(positive), Some(negative)) => {
                    point.positive = Some(positive);
                    point.negative = Some(negative);
                }
                _ => (point.explicit_bounds, point.bucket_counts) = sparse(raw.schema, &positive, &negative)?,
            }
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

/// Buckets in a row: the index of the first one, and the counts.
type Run = (i64, Vec<f64>);

/// The buckets of one side, ascending.
struct Runs(Vec<Run>);

impl Runs {
    /// Integer histograms have deltas from bucket to bucket, float histograms have counts.
    fn read(spans: &[BucketSpan], deltas: &[i64], counts: &[f64]) -> Result<Self, ProtoError> {
        let mut running = 0i64;
        #[expect(clippy::cast_precision_loss, reason = "documented in the schema")]
        let absolute = deltas.iter().map(|delta| {
            running = running.wrapping_add(*delta);
            running as f64
        });
        let mut values = absolute.chain(counts.iter().copied());
        let (mut runs, mut next) = (Vec::with_capacity(spans.len()), 0i64);
        for (i, span) in spans.iter().enumerate() {
            if i > 0 && span.offset < 0 {
                return Err(ProtoError::Meaning("negative gap between buckets"));
            }
            next += i64::from(span.offset);
            let length = usize::try_from(span.length).unwrap_or(usize::MAX);
            let counts: Vec<f64> = values.by_ref().take(length).collect();
            if counts.len() < length {
                return Err(ProtoError::Meaning("fewer buckets than spans say"));
            }
            if length > 0 {
                runs.push((next, counts));
            }
            next += i64::from(span.length);
        }
        if values.next().is_some() {
            return Err(ProtoError::Meaning("more buckets than spans say"));
        }
        Ok(Runs(runs))
    }

    /// All buckets from the first to the last, as OTLP counts them; nothing if most are empty.
    fn dense(&self) -> Option<Buckets> {
        let Some(((first, _), (last, counts))) = self.0.first().zip(self.0.last()) else {
            return Some(Buckets::default());
        };
        let width = last + counts.len() as i64 - first;
        let full: usize = self.0.iter().map(|(_, counts)| counts.len()).sum();
        if width > EMPTY + EMPTY_RATIO * full as i64 {
            return None;
        }
        let mut dense = Vec::with_capacity(usize::try_from(width).ok()?);
        for (start, counts) in &self.0 {
            dense.resize(usize::try_from(start - first).ok()?, 0.0);
            dense.extend_from_slice(counts);
        }
        let offset = i32::try_from(first - 1).unwrap_or(i32::MIN);
        Some(Buckets { offset, counts: dense })
    }

    /// Counts from bucket 0 on, as many as there are bounds for, if those are known.
    fn all_from_zero(&self, buckets: Option<usize>) -> Result<Vec<f64>, ProtoError> {
        let end = self.0.last().map_or(0, |(start, counts)| start + counts.len() as i64);
        if self.0.first().is_some_and(|(start, _)| *start < 0) {
            return Err(ProtoError::Meaning("bucket before the first bound"));
        }
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        if end > buckets.unwrap_or(MAX_BUCKETS) {
            return Err(ProtoError::Meaning("bucket after the last bound"));
        }
        let mut all = vec![0.0; buckets.unwrap_or(end)];
        for (start, counts) in &self.0 {
            let slots = all.iter_mut().skip(usize::try_from(*start).unwrap_or_default());
            slots.zip(counts).for_each(|(slot, count)| *slot = *count);
        }
        Ok(all)
    }
}

/// Bounds and counts of the buckets of both sides, ascending; a gap is a bucket without a count.
fn sparse(schema: i32, positive: &Runs, negative: &Runs) -> Result<(Vec<f64>, Vec<f64>), ProtoError> {
    #[expect(clippy::cast_precision_loss, reason = "indexes are far below 2^53")]
    let bound = |index: i64| (index as f64 * (-f64::from(schema)).exp2()).exp2();
    let indexed = |runs: &Runs| {
        let runs = runs.0.iter();
        runs.flat_map(|(start, counts)| (*start..).zip(counts.iter().copied())).collect::<Vec<(i64, f64)>>()
    };
    let below = indexed(negative).into_iter().rev().map(|(i, count)| (-bound(i), -bound(i - 1), count));
    let above = indexed(positive).into_iter().map(|(i, count)| (bound(i - 1), bound(i), count));
    let (mut bounds, mut counts) = (Vec::new(), Vec::new());
    for (lower, upper, count) in below.chain(above) {
        if bounds.last() != Some(&lower) {
            bounds.push(lower);
            counts.push(0.0);
        }
        bounds.push(upper);
        counts.push(count);
    }
    counts.push(0.0);
    // Beyond the greatest and below the smallest double no value falls into a bucket.
    if !bounds.is_sorted_by(|a, b| a < b) {
        return Err(ProtoError::Meaning("buckets that no double falls into"));
    }
    Ok((bounds, counts))
}
