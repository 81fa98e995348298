//! Native histograms whose buckets do not fit together. Prometheus answers 500 to them and takes
//! nothing of the request (`Histogram.Validate`); here a 400 names the one that is wrong.
//!
//! Histograms with custom buckets but without their bounds pass: Prometheus 3.0 to 3.5 sends them
//! so over 1.0, and what they count is known all the same. So do schemas that nobody knows yet.

use super::super::error::{Reason, WireError};
use super::super::fields::{Fields, Value, error};

/// The schema of a histogram whose bounds are listed.
const CUSTOM_BUCKETS: i64 = -53;

/// Checks the histograms, field `histograms` of the series, which are field `series` of `payload`.
pub(super) fn check(payload: &[u8], series: u32, histograms: u32) -> Result<(), WireError> {
    let all = Fields(payload).filter(|(tag, _)| *tag == series).map(|(_, value)| value.bytes());
    for (s, series) in all.enumerate() {
        let all = Fields(series).filter(|(tag, _)| *tag == histograms).map(|(_, value)| value.bytes());
        for (h, histogram) in all.enumerate() {
            check_one(histogram).map_err(|what| {
                error(payload, histogram, format!("timeseries[{s}].histograms[{h}]"), Reason::Histogram(what))
            })?;
        }
    }
    Ok(())
}

fn check_one(histogram: &[u8]) -> Result<(), &'static str> {
    let (mut schema, mut bounds) = (0, 0);
    let (mut negative, mut positive) = (Side::default(), Side::default());
    for (tag, value) in Fields(histogram) {
        match tag {
            4 => schema = zigzag(value.number()),
            8 => negative.span(value.bytes())?,
            9 => negative.values += value.numbers().count() as u64,
            10 => negative.values += doubles(value),
            11 => positive.span(value.bytes())?,
            12 => positive.values += value.numbers().count() as u64,
            13 => positive.values += doubles(value),
            16 => bounds += doubles(value),
            _ => {}
        }
    }
    for side in [&negative, &positive] {
        if side.values < side.length {
            return Err("it has fewer buckets than its spans say");
        }
        if side.values > side.length {
            return Err("it has more buckets than its spans say");
        }
    }
    if schema == CUSTOM_BUCKETS && bounds > 0 {
        if negative.length > 0 || positive.start < 0 {
            return Err("it has a bucket before its first bound");
        }
        if positive.length > 0 && positive.next > i64::try_from(bounds).unwrap_or(i64::MAX).saturating_add(1) {
            return Err("it has a bucket after its last bound");
        }
    }
    Ok(())
}

/// The buckets of one side.
#[derive(Default)]
struct Side {
    spans: u64,
    /// Index of the first bucket, and of the one after the last.
    start: i64,
    next: i64,
    /// Buckets that the spans say there are.
    length: u64,
    /// Deltas or counts.
    values: u64,
}

impl Side {
    fn span(&mut self, span: &[u8]) -> Result<(), &'static str> {
        let (mut offset, mut length) = (0, 0);
        for (tag, value) in Fields(span) {
            match tag {
                1 => offset = zigzag(value.number()),
                2 => length = value.number() as u32,
                _ => {}
            }
        }
        if self.spans > 0 && offset < 0 {
            return Err("it has a negative gap between its buckets");
        }
        if self.spans == 0 {
            self.start = offset;
        }
        self.spans += 1;
        self.length += u64::from(length);
        self.next = self.next.saturating_add(offset).saturating_add(i64::from(length));
        Ok(())
    }
}

/// A `sint32`.
fn zigzag(number: u64) -> i64 {
    let number = number as u32;
    i64::from((number >> 1) as i32 ^ -((number & 1) as i32))
}

/// Doubles of one occurrence of a repeated field: the packed ones, or the single one.
fn doubles(value: Value<'_>) -> u64 {
    match value {
        Value::Bytes(packed) => (packed.len() / 8) as u64,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use crate::wire::prompb::{BucketSpan, v1, v2};
    use crate::wire::{check_remote_write_v1, check_remote_write_v2};

    fn histogram(spans: &[(i32, u32)], deltas: &[i64]) -> v1::Histogram {
        v1::Histogram {
            positive_spans: spans.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect(),
            positive_deltas: deltas.to_vec(),
            ..v1::Histogram::default()
        }
    }

    fn custom(bounds: &[f64], spans: &[(i32, u32)], deltas: &[i64]) -> v1::Histogram {
        v1::Histogram { schema: -53, custom_values: bounds.to_vec(), ..histogram(spans, deltas) }
    }

    /// What both versions say of it.
    fn check(histogram: &v1::Histogram) -> Result<(), String> {
        let label = v1::Label { name: "__name__".to_owned(), value: "h".to_owned() };
        let series =
            v1::TimeSeries { labels: vec![label], histograms: vec![histogram.clone()], ..v1::TimeSeries::default() };
        let request = v1::WriteRequest { timeseries: vec![series], metadata: vec![] };
        let first = check_remote_write_v1(&request.encode_to_vec()).map(|_| ()).map_err(|e| e.to_string());
        let histogram = v2::Histogram::decode(&histogram.encode_to_vec()[..]).expect("the same fields");
        let series =
            v2::TimeSeries { labels_refs: vec![1, 2], histograms: vec![histogram], ..v2::TimeSeries::default() };
        let symbols = ["", "__name__", "h"].map(str::to_owned).to_vec();
        let second = check_remote_write_v2(&v2::Request { symbols, timeseries: vec![series] }.encode_to_vec());
        assert_eq!(first.is_ok(), second.is_ok());
        first
    }

    #[test]
    fn buckets_that_do_not_fit_together_are_named() {
        for good in [
            histogram(&[], &[]),
            histogram(&[(-2, 1), (4, 2)], &[1, 0, -1]),
            histogram(&[(-100_000, 1), (200_000, 1)], &[1, 0]),
            histogram(&[(0, 2)], &[1, -3]),
            custom(&[1.0, 2.0], &[(0, 3)], &[3, 1, -1]),
            custom(&[], &[(0, 3)], &[3, 1, -1]),
            v1::Histogram { schema: 9, ..histogram(&[(0, 1)], &[2]) },
            v1::Histogram { positive_counts: vec![0.5, 1.5], ..histogram(&[(0, 2)], &[]) },
        ] {
            assert_eq!(check(&good), Ok(()), "{good:?}");
        }
        for (bad, says) in [
            (histogram(&[(0, 5)], &[3, 1]), "fewer buckets than its spans say"),
            (histogram(&[(0, 1 << 31)], &[1]), "fewer buckets than its spans say"),
            (histogram(&[(0, 1)], &[3, 1]), "more buckets than its spans say"),
            (histogram(&[(0, 1), (-1, 1)], &[3, 1]), "a negative gap between its buckets"),
            (custom(&[1.0], &[(0, 3)], &[3, 1, -1]), "a bucket after its last bound"),
            (custom(&[1.0], &[(-1, 1)], &[3]), "a bucket before its first bound"),
        ] {
            let said = check(&bad).expect_err(says);
            assert!(said.starts_with("timeseries[0].histograms[0]: it has ") && said.contains(says), "{said}");
        }
    }
}
