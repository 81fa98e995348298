//! What the doors have seen, read at the moment of a scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::access::Doors;
use crate::access::door::Figures;
use crate::telemetry::figures::{Kind, Sample, write};

/// Reads the doors' figures for `/metrics`.
#[derive(Debug)]
pub struct DoorFigures(pub Doors);

impl Collector for DoorFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let figures: Vec<_> = self.0.iter().map(|(name, door)| (name, door.figures())).collect();
        let by_port = |value: fn(&Figures) -> Option<f64>| {
            let label = |name: &str| vec![("port", name.to_owned())];
            figures.iter().filter_map(|(name, figures)| Some((label(name), value(figures)?))).collect::<Vec<Sample>>()
        };
        let e = &mut encoder;
        let denied = by_port(|figures| Some(figures.denied as f64));
        write(e, Kind::Counter, "unauthenticated_requests", "Requests with wrong credentials or none", denied)?;
        let failed = by_port(|figures| Some(figures.failed_handshakes as f64));
        let help = "Connections that ended before TLS was agreed on";
        write(e, Kind::Counter, "failed_handshakes", help, failed)?;
        let expires = by_port(|figures| figures.certificate_expires.map(|seconds| seconds as f64));
        let help = "When the certificate of a port ends, in seconds since the Unix epoch";
        write(e, Kind::Gauge, "certificate_expiry_timestamp_seconds", help, expires)
    }
}
