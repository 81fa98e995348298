//! What is in flight, read at the moment of a scrape.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::receivers::Admission;
use crate::telemetry::metrics::{Kind, write};

/// Reads the limits' use for `/metrics`.
#[derive(Debug)]
pub struct AdmissionMetrics(pub Arc<Admission>);

impl Collector for AdmissionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let one = |value: f64| [(Vec::new(), value)];
        let e = &mut encoder;
        let bytes = self.0.in_flight() as f64;
        write(e, Kind::Gauge, "in_flight_bytes", "Bodies in flight, decompressed copies included", one(bytes))?;
        let budget = self.0.config().memory_budget.as_u64() as f64;
        write(e, Kind::Gauge, "in_flight_budget_bytes", "What may be in flight", one(budget))?;
        let connections = self.0.connections();
        let help = "Connections of all receivers";
        write(e, Kind::Gauge, "connections", help, one(connections.open() as f64))?;
        let help = "Connections of receivers without a request that gave their place to a new one";
        write(e, Kind::Counter, "connections_gave_way", help, one(connections.gave_way() as f64))?;
        let help = "New connections to receivers that were closed since all others had a request in flight";
        write(e, Kind::Counter, "connections_refused", help, one(connections.refused() as f64))
    }
}
