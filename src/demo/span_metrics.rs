//! The metrics that the Vispyr agent makes of the spans that pass through it: namespace
//! `traces.spanmetrics`, milliseconds, the agent's own buckets and dimensions, cumulative.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, AggregationTemporality, Metric, ResourceMetrics, ScopeMetrics, Sum,
};

use super::attributes::{attribute, resource, scope};
use super::instruments::{Histogram, Span, number};
use super::shop::{Activity, Operation, Service, Visit};
use super::traces;

static BOUNDS: [f64; 6] = [50.0, 100.0, 250.0, 1000.0, 5000.0, 10000.0];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    service: Service,
    name: String,
    kind: &'static str,
    status: &'static str,
    http: Option<(&'static str, String)>,
}

impl Key {
    fn of(activity: &Activity) -> Key {
        Key {
            service: activity.service,
            name: traces::name(activity),
            kind: traces::kind(activity).as_str_name(),
            status: if activity.fault.is_some() { "STATUS_CODE_ERROR" } else { "STATUS_CODE_UNSET" },
            http: match &activity.operation {
                Operation::HttpServer { endpoint, target, .. } => Some((endpoint.method, target.clone())),
                _ => None,
            },
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            attribute("service.name", self.service.name()),
            attribute("span.name", self.name.as_str()),
            attribute("span.kind", self.kind),
            attribute("status.code", self.status),
        ];
        if let Some((method, target)) = &self.http {
            attributes.push(attribute("http.method", *method));
            attributes.push(attribute("http.target", target.as_str()));
        }
        attributes
    }
}

/// What the agent has counted.
#[derive(Debug)]
pub struct SpanMetrics {
    started: u64,
    series: BTreeMap<Key, (Histogram, i64)>,
}

impl SpanMetrics {
    /// Counts from `started` (unix nanoseconds).
    pub fn new(started: u64) -> SpanMetrics {
        SpanMetrics { started, series: BTreeMap::new() }
    }

    /// Counts a visit's spans.
    pub fn record(&mut self, visit: &Visit) {
        for activity in &visit.activities {
            let new = || (Histogram::new(&BOUNDS), 0);
            let (histogram, calls) = self.series.entry(Key::of(activity)).or_insert_with(new);
            histogram.record((activity.end - activity.start) as f64 / 1e6, None);
            *calls += 1;
        }
    }

    /// All series, at a time (unix nanoseconds).
    pub fn collect(&mut self, now: u64) -> ExportMetricsServiceRequest {
        let span = Span { from: self.started, to: now };
        let mut by_service: BTreeMap<Service, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for (key, (histogram, calls)) in &mut self.series {
            let (durations, counts) = by_service.entry(key.service).or_default();
            durations.push(histogram.collect(key.attributes(), span));
            counts.push(number(key.attributes(), span, Value::AsInt(*calls)));
        }
        let aggregation_temporality = AggregationTemporality::Cumulative.into();
        let resource_metrics = by_service.into_iter().map(|(service, (durations, counts))| {
            let duration = Data::Histogram(otlp::Histogram { data_points: durations, aggregation_temporality });
            let calls = Data::Sum(Sum { data_points: counts, aggregation_temporality, is_monotonic: true });
            let metric = |name: &str, unit: &str, data| Metric {
                name: format!("traces.spanmetrics.{name}"),
                unit: unit.into(),
                data: Some(data),
                ..Metric::default()
            };
            ResourceMetrics {
                resource: Some(resource(service)),
                scope_metrics: vec![ScopeMetrics {
                    scope: scope("spanmetricsconnector", ""),
                    metrics: vec![metric("calls", "", calls), metric("duration", "ms", duration)],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }
        });
        ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
    }
}
