//! Some of the items of a payload, without decoding it: everything around them (resource, scope,
//! labels, symbols, dictionary) stays, the other items go.

use super::split::{Field, Level, V1_SERIES, level};
use crate::signal::{Format, Signal};

/// Metadata are no items here: they stay with the series that they may be about.
static V1: Level = Level(&[(1, Some(&V1_SERIES))]);

/// The decompressed payload with only the items whose places, counted from 0, are in `items`
/// (ascending). Nothing if its format cannot be taken apart.
pub fn select(signal: Signal, format: Format, payload: &[u8], items: &[u64]) -> Option<Vec<u8>> {
    let level = if format == Format::RemoteWriteV1 { &V1 } else { level(signal, format)? };
    let mut selection = Selection { items, next: 0 };
    let mut out = Vec::new();
    selection.copy(level, payload, &mut out)?;
    Some(out)
}

struct Selection<'a> {
    /// Places still to come.
    items: &'a [u64],
    /// Place of the next item.
    next: u64,
}

impl Selection<'_> {
    /// Copies a message; says whether a selected item is in it.
    fn copy(&mut self, level: &Level, mut message: &[u8], out: &mut Vec<u8>) -> Option<bool> {
        let mut any = false;
        while !message.is_empty() {
            let (field, rest) = Field::read(message)?;
            message = rest;
            match (level.of(field.tag), field.content) {
                (Some(None), Some(_)) => {
                    if self.items.first() == Some(&self.next) {
                        self.items = &self.items[1..];
                        out.extend_from_slice(field.whole);
                        any = true;
                    }
                    self.next += 1;
                }
                (Some(Some(below)), Some(content)) => {
                    let mut inner = Vec::new();
                    if self.copy(below, content, &mut inner)? {
                        field.put(&inner, out);
                        any = true;
                    }
                }
                _ => out.extend_from_slice(field.whole),
            }
        }
        Some(any)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::wire::prompb::v1;

    #[test]
    fn only_the_chosen_items_stay_with_what_is_around_them() {
        let label = |value: &str| v1::Label { name: "a".to_owned(), value: value.to_owned() };
        let series = |value: &str, samples: &[i64]| v1::TimeSeries {
            labels: vec![label(value)],
            samples: samples.iter().map(|&timestamp| v1::Sample { value: 1.0, timestamp }).collect(),
            histograms: vec![v1::Histogram { timestamp: 9, ..v1::Histogram::default() }],
            ..v1::TimeSeries::default()
        };
        let about = v1::MetricMetadata { metric_family_name: "m".to_owned(), ..v1::MetricMetadata::default() };
        let request = v1::WriteRequest {
            timeseries: vec![series("x", &[1, 2]), series("y", &[3]), series("z", &[4])],
            metadata: vec![about],
        };
        // Places: 1 2 h, 3 h, 4 h.
        let only = select(Signal::Metrics, Format::RemoteWriteV1, &request.encode_to_vec(), &[1, 6]).expect("selected");
        let only = v1::WriteRequest::decode(&only[..]).expect("valid");
        assert_eq!(only.metadata, request.metadata);
        assert_eq!(only.timeseries.len(), 2);
        assert_eq!((&only.timeseries[0].labels, &only.timeseries[1].labels), (&vec![label("x")], &vec![label("z")]));
        assert_eq!(only.timeseries[0].samples, [v1::Sample { value: 1.0, timestamp: 2 }]);
        assert_eq!((only.timeseries[0].histograms.len(), only.timeseries[1].histograms.len()), (0, 1));
        assert!(only.timeseries[1].samples.is_empty());
    }
}
