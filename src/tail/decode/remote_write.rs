//! The samples and histograms of a remote write, version 1.0.

use prost::Message;

use super::{label, name};
use crate::signal::Signal;
use crate::tail::item::{Attributes, Item, Value};
use crate::wire::prompb::HistogramCount;
use crate::wire::prompb::v1::WriteRequest;

pub fn items(payload: &[u8], each: &mut dyn FnMut(&Item<'_>)) -> bool {
    let Ok(request) = WriteRequest::decode(payload) else { return false };
    for series in &request.timeseries {
        let labels: Attributes<'_> =
            series.labels.iter().map(|label| (label.name.as_str(), Value::Text(&label.value))).collect();
        let metric = label(&labels, "__name__").unwrap_or_default();
        // As the store has it.
        let service = label(&labels, "service_name").or_else(|| label(&labels, "job")).unwrap_or_default();
        let mut give = |kind: &'static str, milliseconds: i64, value: f64, count: Option<u64>| {
            each(&Item {
                time: u64::try_from(milliseconds).unwrap_or(0).saturating_mul(1_000_000),
                service,
                name: name(metric),
                kind,
                value: Some(value),
                count,
                attributes: labels.iter().filter(|(name, _)| *name != "__name__").copied().collect(),
                ..Item::of(Signal::Metrics)
            });
        };
        for sample in &series.samples {
            give("sample", sample.timestamp, sample.value, None);
        }
        for histogram in &series.histograms {
            let count = match histogram.count {
                Some(HistogramCount::CountInt(count)) => Some(count),
                Some(HistogramCount::CountFloat(count)) => Some(count as u64),
                None => None,
            };
            give("native_histogram", histogram.timestamp, histogram.sum, count);
        }
    }
    true
}
