//! The metrics that the services' own SDKs send: every type of OTLP, cumulative and delta,
//! monotonic or not, with exemplars of the traces that they were measured in.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};

use super::attributes::{SCHEMA_URL, attribute, resource, scope};
use super::instruments::{ExponentialHistogram, Histogram, Sighting, Span, Summary, number};
use super::load::mix;
use super::shop::{Activity, Endpoint, Operation, Service, Visit};

/// The semantic conventions' bounds for durations, in seconds.
static SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The SDKs' default bounds, which the older metric in milliseconds has.
static MILLISECONDS: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

type HttpKey = (&'static Endpoint, u16);
type DatabaseKey = (Service, &'static str, &'static str);

/// Everything that has been measured since the shop opened.
#[derive(Debug)]
pub struct ShopMetrics {
    opened: u64,
    collected: u64,
    requests: BTreeMap<HttpKey, Histogram>,
    old_requests: BTreeMap<HttpKey, Histogram>,
    database: BTreeMap<DatabaseKey, ExponentialHistogram>,
    renders: Summary,
    orders: BTreeMap<bool, i64>,
    revenue: f64,
    stock_change: i64,
    active: BTreeMap<Service, i64>,
}

impl ShopMetrics {
    /// Nothing measured yet; cumulative values count from `opened` (unix nanoseconds).
    pub fn new(opened: u64) -> ShopMetrics {
        ShopMetrics {
            opened,
            collected: opened,
            requests: BTreeMap::new(),
            old_requests: BTreeMap::new(),
            database: BTreeMap::new(),
            renders: Summary::default(),
            orders: BTreeMap::new(),
            revenue: 0.0,
            stock_change: 0,
            active: BTreeMap::new(),
        }
    }

    /// Measures a visit.
    pub fn record(&mut self, visit: &Visit) {
        for activity in &visit.activities {
            self.record_activity(visit, activity);
        }
        if let Some(cents) = visit.order {
            *self.orders.entry(true).or_default() += 1;
            self.revenue += cents as f64 / 100.0;
            self.stock_change -= 1 + (cents % 3) as i64;
        }
    }

    fn record_activity(&mut self, visit: &Visit, activity: &Activity) {
        let nanos = (activity.end - activity.start) as f64;
        let sighting = Some(Sighting { time: activity.end, trace_id: visit.trace_id, span_id: activity.id });
        match &activity.operation {
            Operation::HttpServer { endpoint, status, .. } => {
                let key = (*endpoint, *status);
                let new = || Histogram::new(&SECONDS);
                self.requests.entry(key).or_insert_with(new).record(nanos / 1e9, sighting);
                if endpoint.service == Service::Storefront {
                    let new = || Histogram::new(&MILLISECONDS);
                    self.old_requests.entry(key).or_insert_with(new).record(nanos / 1e6, None);
                }
                // Little's law is kept in spirit: slow requests stay in the house for longer.
                let busy = self.active.entry(endpoint.service).or_default();
                *busy = (*busy * 7 + (nanos / 2e7) as i64) / 8;
            }
            Operation::Sql { operation, table, .. } => {
                let key = (activity.service, *operation, *table);
                self.database.entry(key).or_default().record(nanos / 1e9, sighting);
            }
            Operation::Internal { .. } => self.renders.record(nanos / 1e6),
            Operation::RpcClient { status } if *status != "OK" => *self.orders.entry(false).or_default() += 1,
            _ => {}
        }
    }

    /// All metrics, at a time (unix nanoseconds).
    pub fn collect(&mut self, now: u64) -> ExportMetricsServiceRequest {
        let cumulative = Span { from: self.opened, to: now };
        let delta = Span { from: self.collected, to: now };
        self.collected = now;
        let resource_metrics = Service::ALL
            .map(|service| ResourceMetrics {
                resource: Some(resource(service)),
                scope_metrics: vec![ScopeMetrics {
                    scope: scope("shop", "1.4.2"),
                    metrics: self.of(service, cumulative, delta),
                    schema_url: SCHEMA_URL.into(),
                }],
                schema_url: SCHEMA_URL.into(),
            })
            .to_vec();
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn of(&mut self, service: Service, cumulative: Span, delta: Span) -> Vec<Metric> {
        let now = cumulative.to;
        let active = self.active.get(&service).copied().unwrap_or_default();
        let mut metrics = vec![
            histogram("http.server.request.duration", "s", service, &mut self.requests, cumulative, false),
            sum(
                "http.server.active_requests",
                "{request}",
                false,
                AggregationTemporality::Cumulative,
                vec![number(vec![attribute("url.scheme", "http")], cumulative, Value::AsInt(active))],
            ),
            gauge(
                "process.cpu.utilization",
                "1",
                now,
                Value::AsDouble(0.05 + 0.02 * active as f64 + jitter(service, now)),
            ),
        ];
        match service {
            Service::Storefront => {
                metrics.push(histogram(
                    "http.server.duration",
                    "ms",
                    service,
                    &mut self.old_requests,
                    cumulative,
                    true,
                ));
                let delay = 0.002 + 0.01 * jitter(service, now);
                metrics.push(gauge("nodejs.eventloop.delay.mean", "s", now, Value::AsDouble(delay)));
                let point = self.renders.collect(vec![attribute("template", "page")], cumulative);
                metrics.push(Metric {
                    name: "shop.render.time".into(),
                    description: "time to render a page, from a client library that makes summaries".into(),
                    unit: "ms".into(),
                    data: Some(Data::Summary(otlp::Summary { data_points: vec![point] })),
                    ..Metric::default()
                });
            }
            Service::Checkout => {
                let point = |(accepted, count): (&bool, &i64)| {
                    let outcome = if *accepted { "accepted" } else { "failed" };
                    number(vec![attribute("shop.order.outcome", outcome)], cumulative, Value::AsInt(*count))
                };
                let points = self.orders.iter().map(point).collect();
                metrics.push(sum("shop.orders", "{order}", true, AggregationTemporality::Cumulative, points));
                let revenue = vec![number(
                    vec![attribute("shop.currency", "EUR")],
                    delta,
                    Value::AsDouble(std::mem::take(&mut self.revenue)),
                )];
                metrics.push(sum("shop.revenue", "EUR", true, AggregationTemporality::Delta, revenue));
                metrics.push(gauge(
                    "shop.queue.depth",
                    "{message}",
                    now,
                    Value::AsInt((40.0 * jitter(service, now)) as i64),
                ));
            }
            Service::Catalog => {
                let change = std::mem::take(&mut self.stock_change);
                let change = vec![number(Vec::new(), delta, Value::AsInt(change))];
                metrics.push(sum("shop.stock.change", "{item}", false, AggregationTemporality::Delta, change));
            }
            Service::Payments => {
                let heap = 180e6 + 120e6 * jitter(service, now);
                metrics.push(gauge("jvm.memory.used", "By", now, Value::AsInt(heap as i64)));
            }
        }
        metrics.extend(self.database_metric(service, cumulative));
        // An SDK sends no metric that has no data points.
        metrics.retain(|metric| points(metric) > 0);
        metrics
    }

    fn database_metric(&mut self, service: Service, cumulative: Span) -> Option<Metric> {
        let of_service = self.database.iter_mut().filter(|((owner, _, _), _)| *owner == service);
        let data_points = of_service
            .map(|((_, operation, table), histogram)| {
                let attributes = vec![
                    attribute("db.system.name", "postgresql"),
                    attribute("db.operation.name", *operation),
                    attribute("db.collection.name", *table),
                ];
                histogram.collect(attributes, cumulative)
            })
            .collect();
        Some(Metric {
            name: "db.client.operation.duration".into(),
            description: "duration of database client operations".into(),
            unit: "s".into(),
            data: Some(Data::ExponentialHistogram(otlp::ExponentialHistogram {
                data_points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })),
            ..Metric::default()
        })
    }
}

/// How many data points a metric has.
pub fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

fn histogram(
    name: &str,
    unit: &str,
    service: Service,
    histograms: &mut BTreeMap<HttpKey, Histogram>,
    span: Span,
    old: bool,
) -> Metric {
    let (method, status_code) =
        if old { ("http.method", "http.status_code") } else { ("http.request.method", "http.response.status_code") };
    let of_service = histograms.iter_mut().filter(|((endpoint, _), _)| endpoint.service == service);
    let data_points = of_service
        .map(|((endpoint, status), histogram)| {
            let mut attributes = vec![
                attribute(method, endpoint.method),
                attribute("http.route", endpoint.route),
                attribute(status_code, *status),
            ];
            if *status >= 500 {
                attributes.push(attribute("error.type", status.to_string()));
            }
            histogram.collect(attributes, span)
        })
        .collect();
    Metric {
        name: name.into(),
        description: "duration of HTTP server requests".into(),
        unit: unit.into(),
        data: Some(Data::Histogram(otlp::Histogram {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        })),
        ..Metric::default()
    }
}

fn sum(
    name: &str,
    unit: &str,
    is_monotonic: bool,
    temporality: AggregationTemporality,
    data_points: Vec<NumberDataPoint>,
) -> Metric {
    let data = Data::Sum(Sum { data_points, aggregation_temporality: temporality.into(), is_monotonic });
    Metric { name: name.into(), unit: unit.into(), data: Some(data), ..Metric::default() }
}

fn gauge(name: &str, unit: &str, now: u64, value: Value) -> Metric {
    let data_points = vec![number(Vec::new(), Span { from: 0, to: now }, value)];
    Metric { name: name.into(), unit: unit.into(), data: Some(Data::Gauge(Gauge { data_points })), ..Metric::default() }
}

/// A number between 0 and 1 that moves slowly.
fn jitter(service: Service, now: u64) -> f64 {
    let seconds = now as f64 / 1e9;
    let noise = mix(u64::from(service.port()), now) as f64 / u64::MAX as f64;
    0.5 + 0.35 * (seconds / 173.0 + f64::from(service.port())).sin() + 0.15 * (2.0 * noise - 1.0)
}
