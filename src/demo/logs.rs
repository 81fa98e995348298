//! What the services write: an access log, orders, declined cards, exceptions; each with the ids
//! of the span it was written in. Once a minute a line that belongs to no trace.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};

use super::attributes::{SCHEMA_URL, any, attribute, resource, scope};
use super::shop::{Activity, Operation, Service, Visit};

/// Log records of one service on their way into a request.
#[derive(Debug)]
pub struct Lines {
    service: Service,
    records: Vec<LogRecord>,
}

impl Lines {
    /// None yet.
    pub fn new(service: Service) -> Lines {
        Lines { service, records: Vec::new() }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.records.len() as u64
    }

    /// What this service writes during a visit.
    pub fn add(&mut self, visit: &Visit) {
        let of_service = visit.activities.iter().filter(|activity| activity.service == self.service);
        for activity in of_service {
            if let Some(record) = line(visit, activity) {
                self.records.push(record);
            }
        }
    }

    /// The line of the minute, at a time (unix nanoseconds).
    pub fn add_sign_of_life(&mut self, now: u64) {
        let body = match self.service {
            Service::Storefront => "event loop healthy",
            Service::Checkout => "heap collected",
            Service::Catalog => "connection pool: 3 of 10 in use",
            Service::Payments => "G1 young collection, 12 ms",
        };
        self.records.push(LogRecord {
            time_unix_nano: now,
            observed_time_unix_nano: now + 1_000,
            severity_number: SeverityNumber::Debug.into(),
            severity_text: "DEBUG".into(),
            body: Some(any(body)),
            ..LogRecord::default()
        });
    }

    /// The request, and nothing is left.
    pub fn take(&mut self) -> ExportLogsServiceRequest {
        let scope_logs = ScopeLogs {
            scope: scope("shop", "1.4.2"),
            log_records: std::mem::take(&mut self.records),
            schema_url: SCHEMA_URL.into(),
        };
        let resource_logs = ResourceLogs {
            resource: Some(resource(self.service)),
            scope_logs: vec![scope_logs],
            schema_url: SCHEMA_URL.into(),
        };
        ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
    }
}

fn line(visit: &Visit, activity: &Activity) -> Option<LogRecord> {
    let millis = (activity.end - activity.start) / 1_000_000;
    let (severity, body, mut attributes) = match &activity.operation {
        Operation::HttpServer { endpoint, target, status } if endpoint.service == Service::Storefront => {
            let severity = match status {
                500.. => SeverityNumber::Error,
                400.. => SeverityNumber::Warn,
                _ => SeverityNumber::Info,
            };
            let attributes = vec![
                attribute("http.request.method", endpoint.method),
                attribute("http.route", endpoint.route),
                attribute("url.path", target.as_str()),
                attribute("http.response.status_code", *status),
            ];
            (severity, any(format!("{} {target} {status} {millis} ms", endpoint.method)), attributes)
        }
        Operation::Publish => {
            let cents = visit.order.unwrap_or_default();
            let values = vec![
                attribute("event", "order placed"),
                attribute("total", cents as f64 / 100.0),
                attribute("items", 2_i64),
            ];
            let body = AnyValue { value: Some(Value::KvlistValue(KeyValueList { values })) };
            (SeverityNumber::Info, body, vec![attribute("shop.order.cents", cents as i64)])
        }
        Operation::RpcServer { status: "FAILED_PRECONDITION" } => {
            (SeverityNumber::Warn, any("card declined"), vec![attribute("shop.provider", "cards")])
        }
        Operation::HttpClient { host: "api.cards.example", .. } if millis > 500 => {
            let body = any(format!("provider answered after {millis} ms"));
            (SeverityNumber::Warn, body, vec![attribute("shop.provider", "cards")])
        }
        Operation::Redis { hit: Some(false), .. } => (SeverityNumber::Debug, any("cache miss"), Vec::new()),
        _ => return None,
    };
    let mut severity = severity;
    if let Some(exception) = activity.fault.as_ref().and_then(|fault| fault.exception) {
        severity = SeverityNumber::Error;
        attributes.push(attribute("exception.type", exception.class));
        attributes.push(attribute("exception.message", exception.message));
        attributes.push(attribute("exception.stacktrace", exception.stacktrace));
    }
    Some(LogRecord {
        time_unix_nano: activity.end,
        observed_time_unix_nano: activity.end + 250_000,
        severity_number: severity.into(),
        severity_text: severity.as_str_name().trim_start_matches("SEVERITY_NUMBER_").into(),
        body: Some(body),
        attributes,
        flags: 1,
        trace_id: visit.trace_id.into(),
        span_id: activity.id.to_be_bytes().into(),
        ..LogRecord::default()
    })
}
