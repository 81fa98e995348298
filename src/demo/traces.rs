//! Visits as OTLP spans, with the attributes of the current semantic conventions. Server spans
//! also carry `http.method`, `http.target` and `http.status_code`, which older instrumentation
//! still sends and the original dashboards ask for.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::attributes::{SCHEMA_URL, attribute, resource, scope};
use super::shop::{Activity, Operation, Service, Visit};

/// The scope whose spans these are, by service and kind of operation.
type Origin = (Service, &'static str);

/// Spans on their way into one request.
#[derive(Debug, Default)]
pub struct Spans {
    by_origin: BTreeMap<Origin, Vec<Span>>,
    /// How many there are.
    pub count: u64,
    /// How many traces they belong to.
    pub traces: u64,
    /// How many of them have the status Error.
    pub errors: u64,
}

impl Spans {
    /// Adds a visit's spans.
    pub fn add(&mut self, visit: &Visit) {
        self.traces += 1;
        for activity in &visit.activities {
            self.count += 1;
            self.errors += u64::from(activity.fault.is_some());
            self.by_origin.entry((activity.service, library(activity))).or_default().push(span(visit, activity));
        }
    }

    /// The request, one resource a service, one scope a library.
    pub fn into_request(self) -> ExportTraceServiceRequest {
        let mut resource_spans: Vec<ResourceSpans> = Vec::new();
        let mut last = None;
        for ((service, library), spans) in self.by_origin {
            let scope_spans = ScopeSpans { scope: scope(library, "0.64.0"), spans, schema_url: SCHEMA_URL.into() };
            match resource_spans.last_mut() {
                Some(same) if last == Some(service) => same.scope_spans.push(scope_spans),
                _ => resource_spans.push(ResourceSpans {
                    resource: Some(resource(service)),
                    scope_spans: vec![scope_spans],
                    schema_url: SCHEMA_URL.into(),
                }),
            }
            last = Some(service);
        }
        ExportTraceServiceRequest { resource_spans }
    }
}

/// The span's name by the semantic conventions: of low cardinality.
pub fn name(activity: &Activity) -> String {
    match &activity.operation {
        Operation::HttpServer { endpoint, .. } => format!("{} {}", endpoint.method, endpoint.route),
        Operation::HttpClient { method, .. } => (*method).into(),
        Operation::RpcServer { .. } | Operation::RpcClient { .. } => "shop.payments.v1.Payments/Charge".into(),
        Operation::Sql { operation, table, .. } => format!("{operation} {table}"),
        Operation::Redis { command, .. } => (*command).into(),
        Operation::Publish => "send orders".into(),
        Operation::Process => "process orders".into(),
        Operation::Internal { name } => (*name).into(),
    }
}

/// The span's kind.
pub fn kind(activity: &Activity) -> SpanKind {
    match activity.operation {
        Operation::HttpServer { .. } | Operation::RpcServer { .. } => SpanKind::Server,
        Operation::Publish => SpanKind::Producer,
        Operation::Process => SpanKind::Consumer,
        Operation::Internal { .. } => SpanKind::Internal,
        _ => SpanKind::Client,
    }
}

fn span(visit: &Visit, activity: &Activity) -> Span {
    let links = match (activity.parent, visit.cause) {
        (None, Some((trace_id, span_id))) => vec![Link {
            trace_id: trace_id.into(),
            span_id: span_id.to_be_bytes().into(),
            attributes: vec![attribute("messaging.operation.type", "process")],
            ..Link::default()
        }],
        _ => Vec::new(),
    };
    let mut attributes = attributes(activity);
    if activity.is_server() {
        // What the profiler leaves on the spans that it knows of: where it is, Grafana has a link to the profile.
        attributes.push(attribute("pyroscope.profile.id", format!("{:016x}", activity.id)));
    }
    let mut events = Vec::new();
    if let Some(fault) = &activity.fault {
        attributes.push(attribute("error.type", fault.kind.as_str()));
        if let Some(exception) = fault.exception {
            events.push(Event {
                time_unix_nano: activity.end - 1,
                name: "exception".into(),
                attributes: vec![
                    attribute("exception.type", exception.class),
                    attribute("exception.message", exception.message),
                    attribute("exception.stacktrace", exception.stacktrace),
                ],
                ..Event::default()
            });
        }
    }
    if let Operation::Redis { hit: Some(false), .. } = activity.operation {
        events.push(Event { time_unix_nano: activity.end - 1, name: "cache miss".into(), ..Event::default() });
    }
    let status = activity.fault.as_ref().map(|fault| Status {
        message: fault.exception.map(|exception| exception.message.into()).unwrap_or_default(),
        code: StatusCode::Error.into(),
    });
    Span {
        trace_id: visit.trace_id.into(),
        span_id: activity.id.to_be_bytes().into(),
        parent_span_id: activity.parent.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
        trace_state: String::new(),
        // Sampled; and whether the parent is remote is known (bits 8 and 9).
        flags: 0x101,
        name: name(activity),
        kind: kind(activity).into(),
        start_time_unix_nano: activity.start,
        end_time_unix_nano: activity.end,
        attributes,
        events,
        links,
        status,
        ..Span::default()
    }
}

fn library(activity: &Activity) -> &'static str {
    match (activity.service, &activity.operation) {
        (_, Operation::Internal { .. }) => "shop",
        (Service::Storefront, _) => "@opentelemetry/instrumentation-http",
        (Service::Checkout, Operation::Sql { .. }) => "github.com/XSAM/otelsql",
        (Service::Checkout, _) => "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
        (Service::Catalog, Operation::Sql { .. }) => "opentelemetry.instrumentation.psycopg",
        (Service::Catalog, Operation::Redis { .. }) => "opentelemetry.instrumentation.redis",
        (Service::Catalog, _) => "opentelemetry.instrumentation.fastapi",
        (Service::Payments, Operation::Sql { .. }) => "io.opentelemetry.jdbc",
        (Service::Payments, _) => "io.opentelemetry.grpc-1.6",
    }
}

fn attributes(activity: &Activity) -> Vec<KeyValue> {
    match &activity.operation {
        Operation::HttpServer { endpoint, target, status } => vec![
            attribute("http.request.method", endpoint.method),
            attribute("http.route", endpoint.route),
            attribute("url.path", target.as_str()),
            attribute("url.scheme", "http"),
            attribute("http.response.status_code", *status),
            attribute("server.address", endpoint.service.name()),
            attribute("server.port", endpoint.service.port()),
            attribute("network.protocol.version", "1.1"),
            attribute("client.address", format!("10.0.{}.{}", activity.id % 4, activity.id % 251)),
            attribute("user_agent.original", agent(activity)),
            attribute("http.method", endpoint.method),
            attribute("http.target", target.as_str()),
            attribute("http.status_code", *status),
        ],
        Operation::HttpClient { method, host, port, path, status } => {
            let scheme = if *port == 443 { "https" } else { "http" };
            let mut attributes = vec![
                attribute("http.request.method", *method),
                attribute("url.full", format!("{scheme}://{host}:{port}{path}")),
                attribute("server.address", *host),
                attribute("server.port", *port),
                attribute("network.protocol.version", "1.1"),
            ];
            // No answer, no status.
            if *status != 0 {
                attributes.push(attribute("http.response.status_code", *status));
            }
            attributes
        }
        Operation::RpcServer { status } | Operation::RpcClient { status } => vec![
            attribute("rpc.system.name", "grpc"),
            attribute("rpc.method", "shop.payments.v1.Payments/Charge"),
            attribute("rpc.response.status_code", *status),
            attribute("server.address", Service::Payments.name()),
            attribute("server.port", Service::Payments.port()),
        ],
        Operation::Sql { operation, table, text, rows } => vec![
            attribute("db.system.name", "postgresql"),
            attribute("db.namespace", activity.service.name()),
            attribute("db.collection.name", *table),
            attribute("db.operation.name", *operation),
            attribute("db.query.summary", format!("{operation} {table}")),
            attribute("db.query.text", *text),
            attribute("db.response.returned_rows", *rows),
            attribute("server.address", "postgres"),
            attribute("server.port", 5432_i64),
        ],
        Operation::Redis { command, hit } => {
            let mut attributes = vec![
                attribute("db.system.name", "redis"),
                attribute("db.operation.name", *command),
                attribute("server.address", "redis"),
                attribute("server.port", 6379_i64),
            ];
            attributes.extend(hit.map(|hit| attribute("shop.cache.hit", hit)));
            attributes
        }
        Operation::Publish => messaging("send"),
        Operation::Process => messaging("process"),
        Operation::Internal { .. } => vec![attribute("code.function.name", "renderPage")],
    }
}

fn messaging(operation: &str) -> Vec<KeyValue> {
    vec![
        attribute("messaging.system", "kafka"),
        attribute("messaging.destination.name", "orders"),
        attribute("messaging.operation.type", operation),
        attribute("messaging.operation.name", operation),
        attribute("server.address", "kafka"),
        attribute("server.port", 9092_i64),
    ]
}

fn agent(activity: &Activity) -> &'static str {
    match (activity.service, activity.id % 3) {
        (Service::Storefront, 0) => "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
        (Service::Storefront, 1) => "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Mobile/15E148 Safari/604.1",
        (Service::Storefront, _) => "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0.0.0 Safari/537.36",
        _ => "node",
    }
}
