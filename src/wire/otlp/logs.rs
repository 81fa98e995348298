//! `opentelemetry.proto.logs.v1`.

use opentelemetry_proto::tonic::collector::logs::v1 as service;
use opentelemetry_proto::tonic::logs::v1 as decoded;

use super::common::{ANY_VALUE, KEY_VALUE, RESOURCE, SCOPE};
use crate::wire::descriptor::{Kind, many, message, one};

message!(REQUEST, service::ExportLogsServiceRequest, None, [many(1, "resource_logs", Kind::Message(&RESOURCE_LOGS)),]);

message!(
    RESOURCE_LOGS,
    decoded::ResourceLogs,
    None,
    [
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_logs", Kind::Message(&SCOPE_LOGS)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    SCOPE_LOGS,
    decoded::ScopeLogs,
    None,
    [
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "log_records", Kind::Message(&LOG_RECORD)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    LOG_RECORD,
    decoded::LogRecord,
    Items,
    [
        one(1, "time_unix_nano", Kind::Fixed64),
        one(2, "severity_number", Kind::Enum(SEVERITY_NUMBER)),
        one(3, "severity_text", Kind::String),
        one(5, "body", Kind::Message(&ANY_VALUE)),
        many(6, "attributes", Kind::Message(&KEY_VALUE)),
        one(7, "dropped_attributes_count", Kind::Uint32),
        one(8, "flags", Kind::Fixed32),
        one(9, "trace_id", Kind::Id),
        one(10, "span_id", Kind::Id),
        one(11, "observed_time_unix_nano", Kind::Fixed64),
        one(12, "event_name", Kind::String),
    ]
);

const SEVERITY_NUMBER: &[(&str, i32)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
