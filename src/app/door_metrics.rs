//! What the doors have seen, read at the moment of a scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::access::Doors;
use crate::access::door::Metrics;
use crate::telemetry::metrics::{Kind, Sample, write};

/// Reads the doors' metrics for `/metrics`.
#[derive(Debug)]
pub struct DoorMetrics(pub Doors);

impl Collector for DoorMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let metrics: Vec<_> = self.0.iter().map(|(name, door)| (name, door.metrics())).collect();
        let by_port = |value: fn(&Metrics) -> Option<f64>| {
            let label = |name: &str| vec![("port", name.to_owned())];
            metrics.iter().filter_map(|(name, metrics)| Some((label(name), value(metrics)?))).collect::<Vec<Sample>>()
        };
        let e = &mut encoder;
        let denied = by_port(|metrics| Some(metrics.denied as f64));
        write(e, Kind::Counter, "unauthenticated_requests", "Requests with wrong credentials or none", denied)?;
        let failed = by_port(|metrics| Some(metrics.failed_handshakes as f64));
        let help = "Connections that ended before TLS was agreed on";
        write(e, Kind::Counter, "failed_handshakes", help, failed)?;
        let expires = by_port(|metrics| metrics.certificate_expires.map(|seconds| seconds as f64));
        let help = "When the certificate of a port ends, in seconds since the Unix epoch";
        write(e, Kind::Gauge, "certificate_expiry_timestamp_seconds", help, expires)
    }
}
