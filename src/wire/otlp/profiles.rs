//! `opentelemetry.proto.profiles.v1development`.

use opentelemetry_proto::tonic::collector::profiles::v1development as service;
use opentelemetry_proto::tonic::profiles::v1development as decoded;

use super::common::{ANY_VALUE, RESOURCE, SCOPE};
use crate::wire::descriptor::{Kind, many, message, one};

message!(
    REQUEST,
    service::ExportProfilesServiceRequest,
    None,
    [many(1, "resource_profiles", Kind::Message(&RESOURCE_PROFILES)), one(2, "dictionary", Kind::Message(&DICTIONARY)),]
);

message!(
    DICTIONARY,
    decoded::ProfilesDictionary,
    None,
    [
        many(1, "mapping_table", Kind::Message(&MAPPING)),
        many(2, "location_table", Kind::Message(&LOCATION)),
        many(3, "function_table", Kind::Message(&FUNCTION)),
        many(4, "link_table", Kind::Message(&LINK)),
        many(5, "string_table", Kind::String),
        many(6, "attribute_table", Kind::Message(&KEY_VALUE_AND_UNIT)),
        many(7, "stack_table", Kind::Message(&STACK)),
    ]
);

message!(
    RESOURCE_PROFILES,
    decoded::ResourceProfiles,
    None,
    [
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_profiles", Kind::Message(&SCOPE_PROFILES)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    SCOPE_PROFILES,
    decoded::ScopeProfiles,
    None,
    [
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "profiles", Kind::Message(&PROFILE)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    PROFILE,
    decoded::Profile,
    Items,
    [
        one(1, "sample_type", Kind::Message(&VALUE_TYPE)),
        many(2, "samples", Kind::Message(&SAMPLE)),
        one(3, "time_unix_nano", Kind::Fixed64),
        one(4, "duration_nano", Kind::Uint64),
        one(5, "period_type", Kind::Message(&VALUE_TYPE)),
        one(6, "period", Kind::Int64),
        one(7, "profile_id", Kind::Id),
        one(8, "dropped_attributes_count", Kind::Uint32),
        one(9, "original_payload_format", Kind::String),
        one(10, "original_payload", Kind::Bytes),
        many(11, "attribute_indices", Kind::Int32),
    ]
);

message!(LINK, decoded::Link, None, [one(1, "trace_id", Kind::Id), one(2, "span_id", Kind::Id)]);

message!(
    VALUE_TYPE,
    decoded::ValueType,
    None,
    [one(1, "type_strindex", Kind::Int32), one(2, "unit_strindex", Kind::Int32),]
);

message!(
    SAMPLE,
    decoded::Sample,
    None,
    [
        one(1, "stack_index", Kind::Int32),
        many(2, "attribute_indices", Kind::Int32),
        one(3, "link_index", Kind::Int32),
        many(4, "values", Kind::Int64),
        many(5, "timestamps_unix_nano", Kind::Fixed64),
    ]
);

message!(
    MAPPING,
    decoded::Mapping,
    None,
    [
        one(1, "memory_start", Kind::Uint64),
        one(2, "memory_limit", Kind::Uint64),
        one(3, "file_offset", Kind::Uint64),
        one(4, "filename_strindex", Kind::Int32),
        many(5, "attribute_indices", Kind::Int32),
    ]
);

message!(STACK, decoded::Stack, None, [many(1, "location_indices", Kind::Int32)]);

message!(
    LOCATION,
    decoded::Location,
    None,
    [
        one(1, "mapping_index", Kind::Int32),
        one(2, "address", Kind::Uint64),
        many(3, "lines", Kind::Message(&LINE)),
        many(4, "attribute_indices", Kind::Int32),
    ]
);

message!(
    LINE,
    decoded::Line,
    None,
    [one(1, "function_index", Kind::Int32), one(2, "line", Kind::Int64), one(3, "column", Kind::Int64),]
);

message!(
    FUNCTION,
    decoded::Function,
    None,
    [
        one(1, "name_strindex", Kind::Int32),
        one(2, "system_name_strindex", Kind::Int32),
        one(3, "filename_strindex", Kind::Int32),
        one(4, "start_line", Kind::Int64),
    ]
);

message!(
    KEY_VALUE_AND_UNIT,
    decoded::KeyValueAndUnit,
    None,
    [
        one(1, "key_strindex", Kind::Int32),
        one(2, "value", Kind::Message(&ANY_VALUE)),
        one(3, "unit_strindex", Kind::Int32),
    ]
);
