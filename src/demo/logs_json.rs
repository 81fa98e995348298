//! Log records in OTLP/JSON, as a JavaScript SDK writes them: ids in hex, 64-bit integers as
//! strings (OTLP specification, section "JSON Protobuf Encoding").

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::{Value, json};

/// The request's body.
pub fn encode(request: &ExportLogsServiceRequest) -> Vec<u8> {
    let resource_logs = request.resource_logs.iter().map(|resource_logs| {
        let scope_logs = resource_logs.scope_logs.iter().map(|scope_logs| {
            let scope = scope_logs.scope.clone().unwrap_or_default();
            json!({
                "scope": {"name": scope.name, "version": scope.version},
                "logRecords": scope_logs.log_records.iter().map(record).collect::<Value>(),
                "schemaUrl": scope_logs.schema_url,
            })
        });
        let resource = resource_logs.resource.clone().unwrap_or_default();
        json!({
            "resource": {"attributes": attributes(&resource.attributes)},
            "scopeLogs": scope_logs.collect::<Value>(),
            "schemaUrl": resource_logs.schema_url,
        })
    });
    json!({"resourceLogs": resource_logs.collect::<Value>()}).to_string().into_bytes()
}

fn record(record: &LogRecord) -> Value {
    let mut json = json!({
        "timeUnixNano": record.time_unix_nano.to_string(),
        "observedTimeUnixNano": record.observed_time_unix_nano.to_string(),
        "severityNumber": record.severity_number,
        "severityText": record.severity_text,
        "body": record.body.as_ref().map(value),
        "attributes": attributes(&record.attributes),
        "droppedAttributesCount": 0,
        "flags": record.flags,
    });
    if !record.trace_id.is_empty() {
        json["traceId"] = hex(&record.trace_id).into();
        json["spanId"] = hex(&record.span_id).into();
    }
    json
}

fn attributes(attributes: &[KeyValue]) -> Value {
    let pair = |attribute: &KeyValue| json!({"key": attribute.key, "value": attribute.value.as_ref().map(value)});
    attributes.iter().map(pair).collect()
}

fn value(any: &AnyValue) -> Value {
    match &any.value {
        Some(Any::StringValue(text)) => json!({"stringValue": text}),
        Some(Any::BoolValue(flag)) => json!({"boolValue": flag}),
        Some(Any::IntValue(number)) => json!({"intValue": number.to_string()}),
        Some(Any::DoubleValue(number)) => json!({"doubleValue": number}),
        Some(Any::KvlistValue(list)) => json!({"kvlistValue": {"values": attributes(&list.values)}}),
        Some(Any::ArrayValue(list)) => {
            json!({"arrayValue": {"values": list.values.iter().map(value).collect::<Value>()}})
        }
        _ => json!({}),
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
