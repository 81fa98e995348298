//! Figures that another part keeps and that are read at the moment of a scrape.

use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// What a figure is.
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
        let mut family = metric.encode_family(&labels)?;
        match kind {
            Kind::Gauge => family.encode_gauge(&value)?,
            Kind::Counter => family.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
        }
    }
    Ok(())
}
