//! `opentelemetry.proto.{common,resource}.v1`.

use opentelemetry_proto::tonic::common::v1 as decoded;
use opentelemetry_proto::tonic::resource::v1 as decoded_resource;

use crate::wire::descriptor::{Kind, alternative, many, message, one};

message!(
    ANY_VALUE,
    decoded::AnyValue,
    None,
    [
        alternative(1, "string_value", Kind::String),
        alternative(2, "bool_value", Kind::Bool),
        alternative(3, "int_value", Kind::Int64),
        alternative(4, "double_value", Kind::Double),
        alternative(5, "array_value", Kind::Message(&ARRAY_VALUE)),
        alternative(6, "kvlist_value", Kind::Message(&KEY_VALUE_LIST)),
        alternative(7, "bytes_value", Kind::Bytes),
        alternative(8, "string_value_strindex", Kind::Int32),
    ]
);

message!(ARRAY_VALUE, decoded::ArrayValue, None, [many(1, "values", Kind::Message(&ANY_VALUE))]);

message!(KEY_VALUE_LIST, decoded::KeyValueList, None, [many(1, "values", Kind::Message(&KEY_VALUE))]);

message!(
    KEY_VALUE,
    decoded::KeyValue,
    None,
    [one(1, "key", Kind::String), one(2, "value", Kind::Message(&ANY_VALUE)), one(3, "key_strindex", Kind::Int32),]
);

message!(
    SCOPE,
    decoded::InstrumentationScope,
    None,
    [
        one(1, "name", Kind::String),
        one(2, "version", Kind::String),
        many(3, "attributes", Kind::Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", Kind::Uint32),
    ]
);

message!(
    ENTITY_REF,
    decoded::EntityRef,
    None,
    [
        one(1, "schema_url", Kind::String),
        one(2, "type", Kind::String),
        many(3, "id_keys", Kind::String),
        many(4, "description_keys", Kind::String),
    ]
);

message!(
    RESOURCE,
    decoded_resource::Resource,
    None,
    [
        many(1, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "dropped_attributes_count", Kind::Uint32),
        many(3, "entity_refs", Kind::Message(&ENTITY_REF)),
    ]
);
