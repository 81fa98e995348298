//! The messages of pprof, as tables.

use crate::wire::descriptor::{Kind, many, message, one};
use crate::wire::pprof_proto as decoded;

message!(
    PROFILE,
    decoded::Profile,
    Items,
    [
        many(1, "sample_type", Kind::Message(&VALUE_TYPE)),
        many(2, "sample", Kind::Message(&SAMPLE)),
        many(3, "mapping", Kind::Message(&MAPPING)),
        many(4, "location", Kind::Message(&LOCATION)),
        many(5, "function", Kind::Message(&FUNCTION)),
        many(6, "string_table", Kind::String),
        one(7, "drop_frames", Kind::Int64),
        one(8, "keep_frames", Kind::Int64),
        one(9, "time_nanos", Kind::Int64),
        one(10, "duration_nanos", Kind::Int64),
        one(11, "period_type", Kind::Message(&VALUE_TYPE)),
        one(12, "period", Kind::Int64),
        many(13, "comment", Kind::Int64),
        one(14, "default_sample_type", Kind::Int64),
        one(15, "doc_url", Kind::Int64),
    ]
);

message!(VALUE_TYPE, decoded::ValueType, None, [one(1, "type", Kind::Int64), one(2, "unit", Kind::Int64)]);

message!(
    SAMPLE,
    decoded::Sample,
    None,
    [many(1, "location_id", Kind::Uint64), many(2, "value", Kind::Int64), many(3, "label", Kind::Message(&LABEL)),]
);

message!(
    LABEL,
    decoded::Label,
    None,
    [
        one(1, "key", Kind::Int64),
        one(2, "str", Kind::Int64),
        one(3, "num", Kind::Int64),
        one(4, "num_unit", Kind::Int64),
    ]
);

message!(
    MAPPING,
    decoded::Mapping,
    None,
    [
        one(1, "id", Kind::Uint64),
        one(2, "memory_start", Kind::Uint64),
        one(3, "memory_limit", Kind::Uint64),
        one(4, "file_offset", Kind::Uint64),
        one(5, "filename", Kind::Int64),
        one(6, "build_id", Kind::Int64),
        one(7, "has_functions", Kind::Bool),
        one(8, "has_filenames", Kind::Bool),
        one(9, "has_line_numbers", Kind::Bool),
        one(10, "has_inline_frames", Kind::Bool),
    ]
);

message!(
    LOCATION,
    decoded::Location,
    None,
    [
        one(1, "id", Kind::Uint64),
        one(2, "mapping_id", Kind::Uint64),
        one(3, "address", Kind::Uint64),
        many(4, "line", Kind::Message(&LINE)),
        one(5, "is_folded", Kind::Bool),
    ]
);

message!(
    LINE,
    decoded::Line,
    None,
    [one(1, "function_id", Kind::Uint64), one(2, "line", Kind::Int64), one(3, "column", Kind::Int64),]
);

message!(
    FUNCTION,
    decoded::Function,
    None,
    [
        one(1, "id", Kind::Uint64),
        one(2, "name", Kind::Int64),
        one(3, "system_name", Kind::Int64),
        one(4, "filename", Kind::Int64),
        one(5, "start_line", Kind::Int64),
    ]
);
