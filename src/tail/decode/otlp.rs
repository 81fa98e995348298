//! The items of OTLP's requests for traces, metrics and logs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::{name, service};
use crate::signal::Signal;
use crate::tail::item::{Attributes, Item, Severity, attributes, text};

/// Names of OTLP's span kinds, by their numbers.
const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];

/// Names of a span's status codes, by their numbers.
const STATUS: [&str; 3] = ["unset", "ok", "error"];

fn of(resource: Option<&Resource>) -> Attributes<'_> {
    resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default()
}

fn named(names: &[&'static str], number: i32) -> &'static str {
    usize::try_from(number).ok().and_then(|number| names.get(number)).unwrap_or(&"")
}

pub fn spans(request: &ExportTraceServiceRequest, each: &mut dyn FnMut(&Item<'_>)) {
    for of_resource in &request.resource_spans {
        let resource = of(of_resource.resource.as_ref());
        for span in of_resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            let status = span.status.as_ref();
            let message = status.map(|status| status.message.as_str()).filter(|message| !message.is_empty());
            each(&Item {
                time: span.start_time_unix_nano,
                service: service(&resource),
                name: name(&span.name),
                kind: named(&KINDS, span.kind),
                status: Some(named(&STATUS, status.map_or(0, |status| status.code))),
                duration: span.end_time_unix_nano.checked_sub(span.start_time_unix_nano),
                trace_id: &span.trace_id,
                span_id: &span.span_id,
                parent_id: &span.parent_span_id,
                text: message.map(name),
                attributes: attributes(&span.attributes),
                resource: &resource,
                ..Item::of(Signal::Traces)
            });
        }
    }
}

pub fn records(request: &ExportLogsServiceRequest, each: &mut dyn FnMut(&Item<'_>)) {
    for of_resource in &request.resource_logs {
        let resource = of(of_resource.resource.as_ref());
        for record in of_resource.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            let time = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|time| *time > 0);
            each(&Item {
                time: time.unwrap_or(0),
                service: service(&resource),
                name: name(&record.event_name),
                severity: Severity::of(record.severity_number),
                trace_id: &record.trace_id,
                span_id: &record.span_id,
                text: text(record.body.as_ref()),
                attributes: attributes(&record.attributes),
                resource: &resource,
                ..Item::of(Signal::Logs)
            });
        }
    }
}

pub fn points(request: &ExportMetricsServiceRequest, each: &mut dyn FnMut(&Item<'_>)) {
    for of_resource in &request.resource_metrics {
        let resource = of(of_resource.resource.as_ref());
        for metric in of_resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            points_of(metric, &resource, each);
        }
    }
}

fn points_of<'a>(metric: &'a Metric, resource: &'a Attributes<'a>, each: &mut dyn FnMut(&Item<'_>)) {
    let item = |kind: &'static str| Item {
        service: service(resource),
        name: name(&metric.name),
        kind,
        unit: &metric.unit,
        resource,
        ..Item::of(Signal::Metrics)
    };
    let mut give = |kind: &'static str, time: u64, value: Option<f64>, count: Option<u64>, pairs: &'a [KeyValue]| {
        each(&Item { time, value, count, attributes: attributes(pairs), ..item(kind) });
    };
    match &metric.data {
        Some(Data::Gauge(of)) => {
            of.data_points.iter().for_each(|p| give("gauge", p.time_unix_nano, number(p), None, &p.attributes));
        }
        Some(Data::Sum(of)) => {
            of.data_points.iter().for_each(|p| give("sum", p.time_unix_nano, number(p), None, &p.attributes));
        }
        Some(Data::Histogram(of)) => {
            of.data_points
                .iter()
                .for_each(|p| give("histogram", p.time_unix_nano, p.sum, Some(p.count), &p.attributes));
        }
        Some(Data::ExponentialHistogram(of)) => {
            of.data_points
                .iter()
                .for_each(|p| give("exponential_histogram", p.time_unix_nano, p.sum, Some(p.count), &p.attributes));
        }
        Some(Data::Summary(of)) => {
            of.data_points
                .iter()
                .for_each(|p| give("summary", p.time_unix_nano, Some(p.sum), Some(p.count), &p.attributes));
        }
        None => {}
    }
}

fn number(point: &NumberDataPoint) -> Option<f64> {
    match point.value? {
        number_data_point::Value::AsDouble(value) => Some(value),
        number_data_point::Value::AsInt(value) => Some(value as f64),
    }
}
