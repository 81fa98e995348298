//! The destinations themselves in `/metrics`.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::exporting::Exporting;
use crate::telemetry::metrics::{Kind, Sample, write};

/// Shows the types of the destinations.
#[derive(Debug)]
pub struct DestinationMetrics(pub Exporting);

impl Collector for DestinationMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let labels = |name, kind: &str| vec![("destination", name), ("type", kind.to_owned())];
        let samples = self.0.types().into_iter().map(|(name, kind)| (labels(name, kind), 1.0));
        let samples: Vec<Sample> = samples.collect();
        write(&mut encoder, Kind::Gauge, "destination_info", "The destinations by type", samples)
    }
}
