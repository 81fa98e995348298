//! Metrics that another part keeps and that are read at the moment of a scrape.

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; `_total` is added to its name.
    Counter,
}

/// One sample: its labels and its value.
pub type Sample = (Vec<(&'static str, String)>, f64);

/// Writes all samples of one name.
pub fn write(
    encoder: &mut DescriptorEncoder<'_>,
    kind: Kind,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample>,
) -> std::fmt::Result {
    let metric_type = match kind {
        Kind::Gauge => MetricType::Gauge,
        Kind::Counter => MetricType::Counter,
    };
    let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
    for (labels, value) in samples {
        if labels.is_empty() {
            put(&mut metric, kind, value)?;
        } else {
            put(&mut metric.encode_family(&labels)?, kind, value)?;
        }
    }
    Ok(())
}

fn put(metric: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> std::fmt::Result {
    match kind {
        Kind::Gauge => metric.encode_gauge(&value),
        Kind::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None),
    }
}
