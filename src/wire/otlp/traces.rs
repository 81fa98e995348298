//! `opentelemetry.proto.trace.v1`.

use opentelemetry_proto::tonic::collector::trace::v1 as service;
use opentelemetry_proto::tonic::trace::v1 as decoded;

use super::common::{KEY_VALUE, RESOURCE, SCOPE};
use crate::wire::descriptor::{Kind, many, message, one};

message!(
    REQUEST,
    service::ExportTraceServiceRequest,
    None,
    [many(1, "resource_spans", Kind::Message(&RESOURCE_SPANS)),]
);

message!(
    RESOURCE_SPANS,
    decoded::ResourceSpans,
    None,
    [
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_spans", Kind::Message(&SCOPE_SPANS)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    SCOPE_SPANS,
    decoded::ScopeSpans,
    None,
    [
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "spans", Kind::Message(&SPAN)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    SPAN,
    decoded::Span,
    Items,
    [
        one(1, "trace_id", Kind::Id),
        one(2, "span_id", Kind::Id),
        one(3, "trace_state", Kind::String),
        one(4, "parent_span_id", Kind::Id),
        one(5, "name", Kind::String),
        one(6, "kind", Kind::Enum(SPAN_KIND)),
        one(7, "start_time_unix_nano", Kind::Fixed64),
        one(8, "end_time_unix_nano", Kind::Fixed64),
        many(9, "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "dropped_attributes_count", Kind::Uint32),
        many(11, "events", Kind::Message(&EVENT)),
        one(12, "dropped_events_count", Kind::Uint32),
        many(13, "links", Kind::Message(&LINK)),
        one(14, "dropped_links_count", Kind::Uint32),
        one(15, "status", Kind::Message(&STATUS)),
        one(16, "flags", Kind::Fixed32),
    ]
);

message!(
    EVENT,
    decoded::span::Event,
    None,
    [
        one(1, "time_unix_nano", Kind::Fixed64),
        one(2, "name", Kind::String),
        many(3, "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", Kind::Uint32),
    ]
);

message!(
    LINK,
    decoded::span::Link,
    None,
    [
        one(1, "trace_id", Kind::Id),
        one(2, "span_id", Kind::Id),
        one(3, "trace_state", Kind::String),
        many(4, "attributes", Kind::Message(&KEY_VALUE)),
        one(5, "dropped_attributes_count", Kind::Uint32),
        one(6, "flags", Kind::Fixed32),
    ]
);

message!(STATUS, decoded::Status, None, [one(2, "message", Kind::String), one(3, "code", Kind::Enum(STATUS_CODE)),]);

const SPAN_KIND: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

const STATUS_CODE: &[(&str, i32)] = &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];
