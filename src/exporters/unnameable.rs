//! What Prometheus has no name for: an empty metric name or attribute key, or one in which no
//! letter or digit of ASCII is left once it is translated. Prometheus 3.5 ends the connection over
//! it without a word, so the word is ours. Where it keeps UTF-8 names it takes some of it.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::Message as _;

use super::encoding::inflate;
use crate::signal::{Batch, Format, Signal};

/// Largest payload that is looked into.
const MAX_DECODED: u64 = 1 << 20;

/// Names that are told, at most.
const TOLD: usize = 5;

/// The names and keys in OTLP metrics that Prometheus cannot have, in words.
pub fn find(batch: &Batch) -> Option<String> {
    if (batch.signal, batch.format) != (Signal::Metrics, Format::Otlp) || batch.decoded_size > MAX_DECODED {
        return None;
    }
    let plain = inflate(&batch.payload, batch.compression, batch.decoded_size).ok()?;
    let request = ExportMetricsServiceRequest::decode(plain).ok()?;
    let mut found = BTreeSet::new();
    for resource in &request.resource_metrics {
        keys(resource.resource.iter().flat_map(|resource| &resource.attributes), &mut found);
        for scope in &resource.scope_metrics {
            keys(scope.scope.iter().flat_map(|scope| &scope.attributes), &mut found);
            for metric in &scope.metrics {
                if !has_letter(&metric.name) {
                    found.insert(format!("the metric name {:?}", metric.name));
                }
                keys(attributes(metric), &mut found);
            }
        }
    }
    if found.is_empty() {
        return None;
    }
    let more = if found.len() > TOLD { " and others" } else { "" };
    let told: Vec<String> = found.into_iter().take(TOLD).collect();
    Some(format!("Prometheus may not be able to take {}{more}", told.join(", ")))
}

fn keys<'a>(attributes: impl Iterator<Item = &'a KeyValue>, found: &mut BTreeSet<String>) {
    for attribute in attributes.filter(|attribute| !has_letter(&attribute.key)) {
        found.insert(format!("the attribute key {:?}", attribute.key));
    }
}

/// Whether anything of a name is left when all other characters become underscores.
fn has_letter(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

fn attributes(metric: &Metric) -> Box<dyn Iterator<Item = &KeyValue> + '_> {
    match &metric.data {
        Some(Data::Gauge(gauge)) => Box::new(gauge.data_points.iter().flat_map(|point| &point.attributes)),
        Some(Data::Sum(sum)) => Box::new(sum.data_points.iter().flat_map(|point| &point.attributes)),
        Some(Data::Histogram(histogram)) => Box::new(histogram.data_points.iter().flat_map(|point| &point.attributes)),
        Some(Data::ExponentialHistogram(histogram)) => {
            Box::new(histogram.data_points.iter().flat_map(|point| &point.attributes))
        }
        Some(Data::Summary(summary)) => Box::new(summary.data_points.iter().flat_map(|point| &point.attributes)),
        None => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint, ResourceMetrics, ScopeMetrics};

    use super::*;
    use crate::signal::{Compression, Meta};

    fn told(name: &str, key: &str) -> Option<String> {
        let attributes = vec![KeyValue { key: key.to_owned(), ..KeyValue::default() }];
        let point = NumberDataPoint { attributes, ..NumberDataPoint::default() };
        let data = Some(Data::Gauge(Gauge { data_points: vec![point] }));
        let metric = Metric { name: name.to_owned(), data, ..Metric::default() };
        let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
        let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
        let plain = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
        find(&Batch {
            signal: Signal::Metrics,
            format: Format::Otlp,
            compression: Compression::Identity,
            items: 1,
            decoded_size: plain.len() as u64,
            received: 0,
            meta: Meta::default(),
            payload: plain.into(),
        })
    }

    #[test]
    fn names_without_anything_of_ascii_are_told() {
        assert_eq!(told("load", "host.name"), None);
        assert_eq!(told("温度2", "größe"), None, "something is left");
        assert!(told("温度", "host").unwrap().contains("the metric name \"温度\""));
        assert!(told("", "host").unwrap().contains("the metric name \"\""));
        let both = told("", "").unwrap();
        assert!(both.contains("the attribute key \"\"") && both.contains("the metric name \"\""), "{both}");
    }
}
