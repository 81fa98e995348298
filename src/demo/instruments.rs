//! What an SDK keeps between two collections: counters and histograms by attribute set, with an
//! exemplar of the latest measurement.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, exemplar,
    number_data_point, summary_data_point::ValueAtQuantile,
};

/// Where a measurement was made: becomes an exemplar.
#[derive(Debug, Clone, Copy)]
pub struct Sighting {
    /// When, unix nanoseconds.
    pub time: u64,
    /// In which trace.
    pub trace_id: [u8; 16],
    /// In which span.
    pub span_id: u64,
}

/// Begin and end of what a data point stands for, unix nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// `start_time_unix_nano`.
    pub from: u64,
    /// `time_unix_nano`.
    pub to: u64,
}

fn exemplar((sighting, value): (Sighting, f64)) -> Exemplar {
    Exemplar {
        time_unix_nano: sighting.time,
        span_id: sighting.span_id.to_be_bytes().into(),
        trace_id: sighting.trace_id.into(),
        value: Some(exemplar::Value::AsDouble(value)),
        ..Exemplar::default()
    }
}

/// A number with its attributes.
pub fn number(attributes: Vec<KeyValue>, span: Span, value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: span.from,
        time_unix_nano: span.to,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

/// A histogram with explicit bounds.
#[derive(Debug, Clone)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
    min: f64,
    max: f64,
    seen: Option<(Sighting, f64)>,
}

impl Histogram {
    /// Empty.
    pub fn new(bounds: &'static [f64]) -> Histogram {
        let counts = vec![0; bounds.len() + 1];
        Histogram { bounds, counts, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, seen: None }
    }

    /// Counts a value. A bucket holds what is at most its upper bound.
    pub fn record(&mut self, value: f64, sighting: Option<Sighting>) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.seen = sighting.map(|sighting| (sighting, value)).or(self.seen);
    }

    /// The data point; its exemplar is given once.
    pub fn collect(&mut self, attributes: Vec<KeyValue>, span: Span) -> HistogramDataPoint {
        let count: u64 = self.counts.iter().sum();
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: span.from,
            time_unix_nano: span.to,
            count,
            sum: Some(self.sum),
            bucket_counts: self.counts.clone(),
            explicit_bounds: self.bounds.to_vec(),
            exemplars: self.seen.take().map(exemplar).into_iter().collect(),
            flags: 0,
            min: (count > 0).then_some(self.min),
            max: (count > 0).then_some(self.max),
        }
    }
}

/// A histogram whose buckets grow by a factor of 2^(1/8) (scale 3).
#[derive(Debug, Clone, Default)]
pub struct ExponentialHistogram {
    counts: BTreeMap<i32, u64>,
    zeros: u64,
    sum: f64,
    seen: Option<(Sighting, f64)>,
}

const SCALE: i32 = 3;

impl ExponentialHistogram {
    /// Counts a value that is not negative.
    pub fn record(&mut self, value: f64, sighting: Option<Sighting>) {
        if value > 0.0 {
            // Bucket i holds (base^i, base^(i+1)].
            let index = (value.log2() * f64::from(1 << SCALE)).ceil() as i32 - 1;
            *self.counts.entry(index).or_default() += 1;
        } else {
            self.zeros += 1;
        }
        self.sum += value;
        self.seen = sighting.map(|sighting| (sighting, value)).or(self.seen);
    }

    /// The data point; its exemplar is given once.
    pub fn collect(&mut self, attributes: Vec<KeyValue>, span: Span) -> ExponentialHistogramDataPoint {
        let first = self.counts.keys().next().copied().unwrap_or_default();
        let last = self.counts.keys().next_back().copied().unwrap_or(first - 1);
        let counts = (first..=last).map(|i| self.counts.get(&i).copied().unwrap_or_default()).collect();
        ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: span.from,
            time_unix_nano: span.to,
            count: self.zeros + self.counts.values().sum::<u64>(),
            sum: Some(self.sum),
            scale: SCALE,
            zero_count: self.zeros,
            positive: Some(Buckets { offset: first, bucket_counts: counts }),
            exemplars: self.seen.take().map(exemplar).into_iter().collect(),
            ..ExponentialHistogramDataPoint::default()
        }
    }
}

/// Quantiles of what came since the last collection, count and sum of all.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    recent: Vec<f64>,
    count: u64,
    sum: f64,
}

impl Summary {
    /// Counts a value.
    pub fn record(&mut self, value: f64) {
        self.recent.push(value);
        self.count += 1;
        self.sum += value;
    }

    /// The data point. Without recent values the quantiles are NaN, as client libraries have it.
    pub fn collect(&mut self, attributes: Vec<KeyValue>, span: Span) -> SummaryDataPoint {
        self.recent.sort_by(f64::total_cmp);
        let quantile = |quantile: f64| ValueAtQuantile {
            quantile,
            value: match self.recent.len() {
                0 => f64::NAN,
                n => self.recent[((n - 1) as f64 * quantile).round() as usize],
            },
        };
        let quantile_values = [0.5, 0.9, 0.99].map(quantile).to_vec();
        self.recent.clear();
        SummaryDataPoint {
            attributes,
            start_time_unix_nano: span.from,
            time_unix_nano: span.to,
            count: self.count,
            sum: self.sum,
            quantile_values,
            flags: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 2.5] {
            histogram.record(value, None);
        }
        assert_eq!(histogram.collect(Vec::new(), Span { from: 1, to: 2 }).bucket_counts, [2, 2, 1]);
    }

    #[test]
    fn exponential_buckets_hold_their_values() {
        for value in [0.001, 0.5, 1.0, 1.01, 2.0, 777.0] {
            let mut histogram = ExponentialHistogram::default();
            histogram.record(value, None);
            let buckets = histogram.collect(Vec::new(), Span { from: 1, to: 2 }).positive.unwrap();
            assert_eq!(buckets.bucket_counts, [1]);
            let base = 2_f64.powf(0.125);
            assert!(base.powi(buckets.offset) < value && value <= base.powi(buckets.offset + 1) * 1.000_001, "{value}");
        }
    }
}
