//! What acceptors and authenticators have counted, read at the moment of a scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::net::{Acceptor, Authenticator, Ports};
use crate::telemetry::metrics::{Kind, Sample, write};

/// Reads the counts of the ports for `/metrics`.
#[derive(Debug)]
pub struct PortMetrics(pub Ports);

impl Collector for PortMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let by_port = |value: fn(&Acceptor, &Authenticator) -> Option<f64>| {
            let ports = self.0.iter();
            let sample = |(name, acceptor, authenticator): (&str, &Acceptor, &Authenticator)| {
                Some((vec![("port", name.to_owned())], value(acceptor, authenticator)?))
            };
            ports.filter_map(sample).collect::<Vec<Sample>>()
        };
        let e = &mut encoder;
        let denied = by_port(|_, authenticator| Some(authenticator.denied() as f64));
        write(e, Kind::Counter, "unauthenticated_requests", "Requests with wrong credentials or none", denied)?;
        let failed = by_port(|acceptor, _| Some(acceptor.failed_handshakes() as f64));
        let help = "Connections that ended before TLS was agreed on";
        write(e, Kind::Counter, "failed_handshakes", help, failed)?;
        let expires = by_port(|acceptor, _| acceptor.certificate_expires().map(|seconds| seconds as f64));
        let help = "When the certificate of a port ends, in seconds since the Unix epoch";
        write(e, Kind::Gauge, "certificate_expiry_timestamp_seconds", help, expires)
    }
}
