//! `opentelemetry.proto.metrics.v1`.

use opentelemetry_proto::tonic::collector::metrics::v1 as service;
use opentelemetry_proto::tonic::metrics::v1 as decoded;

use super::common::{KEY_VALUE, RESOURCE, SCOPE};
use crate::wire::descriptor::{Kind, alternative, many, message, one};

message!(
    REQUEST,
    service::ExportMetricsServiceRequest,
    None,
    [many(1, "resource_metrics", Kind::Message(&RESOURCE_METRICS)),]
);

message!(
    RESOURCE_METRICS,
    decoded::ResourceMetrics,
    None,
    [
        one(1, "resource", Kind::Message(&RESOURCE)),
        many(2, "scope_metrics", Kind::Message(&SCOPE_METRICS)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    SCOPE_METRICS,
    decoded::ScopeMetrics,
    None,
    [
        one(1, "scope", Kind::Message(&SCOPE)),
        many(2, "metrics", Kind::Message(&METRIC)),
        one(3, "schema_url", Kind::String),
    ]
);

message!(
    METRIC,
    decoded::Metric,
    None,
    [
        one(1, "name", Kind::String),
        one(2, "description", Kind::String),
        one(3, "unit", Kind::String),
        alternative(5, "gauge", Kind::Message(&GAUGE)),
        alternative(7, "sum", Kind::Message(&SUM)),
        alternative(9, "histogram", Kind::Message(&HISTOGRAM)),
        alternative(10, "exponential_histogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        alternative(11, "summary", Kind::Message(&SUMMARY)),
        many(12, "metadata", Kind::Message(&KEY_VALUE)),
    ]
);

message!(GAUGE, decoded::Gauge, None, [many(1, "data_points", Kind::Message(&NUMBER_DATA_POINT))]);

message!(
    SUM,
    decoded::Sum,
    None,
    [
        many(1, "data_points", Kind::Message(&NUMBER_DATA_POINT)),
        one(2, "aggregation_temporality", Kind::Enum(TEMPORALITY)),
        one(3, "is_monotonic", Kind::Bool),
    ]
);

message!(
    HISTOGRAM,
    decoded::Histogram,
    None,
    [
        many(1, "data_points", Kind::Message(&HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", Kind::Enum(TEMPORALITY)),
    ]
);

message!(
    EXPONENTIAL_HISTOGRAM,
    decoded::ExponentialHistogram,
    None,
    [
        many(1, "data_points", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", Kind::Enum(TEMPORALITY)),
    ]
);

message!(SUMMARY, decoded::Summary, None, [many(1, "data_points", Kind::Message(&SUMMARY_DATA_POINT))]);

message!(
    NUMBER_DATA_POINT,
    decoded::NumberDataPoint,
    Items,
    [
        one(2, "start_time_unix_nano", Kind::Fixed64),
        one(3, "time_unix_nano", Kind::Fixed64),
        alternative(4, "as_double", Kind::Double),
        many(5, "exemplars", Kind::Message(&EXEMPLAR)),
        alternative(6, "as_int", Kind::Sfixed64),
        many(7, "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", Kind::Uint32),
    ]
);

message!(
    HISTOGRAM_DATA_POINT,
    decoded::HistogramDataPoint,
    Items,
    [
        one(2, "start_time_unix_nano", Kind::Fixed64),
        one(3, "time_unix_nano", Kind::Fixed64),
        one(4, "count", Kind::Fixed64),
        one(5, "sum", Kind::Double),
        many(6, "bucket_counts", Kind::Fixed64),
        many(7, "explicit_bounds", Kind::Double),
        many(8, "exemplars", Kind::Message(&EXEMPLAR)),
        many(9, "attributes", Kind::Message(&KEY_VALUE)),
        one(10, "flags", Kind::Uint32),
        one(11, "min", Kind::Double),
        one(12, "max", Kind::Double),
    ]
);

message!(
    EXPONENTIAL_HISTOGRAM_DATA_POINT,
    decoded::ExponentialHistogramDataPoint,
    Items,
    [
        many(1, "attributes", Kind::Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", Kind::Fixed64),
        one(3, "time_unix_nano", Kind::Fixed64),
        one(4, "count", Kind::Fixed64),
        one(5, "sum", Kind::Double),
        one(6, "scale", Kind::Sint32),
        one(7, "zero_count", Kind::Fixed64),
        one(8, "positive", Kind::Message(&BUCKETS)),
        one(9, "negative", Kind::Message(&BUCKETS)),
        one(10, "flags", Kind::Uint32),
        many(11, "exemplars", Kind::Message(&EXEMPLAR)),
        one(12, "min", Kind::Double),
        one(13, "max", Kind::Double),
        one(14, "zero_threshold", Kind::Double),
    ]
);

message!(
    BUCKETS,
    decoded::exponential_histogram_data_point::Buckets,
    None,
    [one(1, "offset", Kind::Sint32), many(2, "bucket_counts", Kind::Uint64),]
);

message!(
    SUMMARY_DATA_POINT,
    decoded::SummaryDataPoint,
    Items,
    [
        one(2, "start_time_unix_nano", Kind::Fixed64),
        one(3, "time_unix_nano", Kind::Fixed64),
        one(4, "count", Kind::Fixed64),
        one(5, "sum", Kind::Double),
        many(6, "quantile_values", Kind::Message(&VALUE_AT_QUANTILE)),
        many(7, "attributes", Kind::Message(&KEY_VALUE)),
        one(8, "flags", Kind::Uint32),
    ]
);

message!(
    VALUE_AT_QUANTILE,
    decoded::summary_data_point::ValueAtQuantile,
    None,
    [one(1, "quantile", Kind::Double), one(2, "value", Kind::Double),]
);

message!(
    EXEMPLAR,
    decoded::Exemplar,
    None,
    [
        one(2, "time_unix_nano", Kind::Fixed64),
        alternative(3, "as_double", Kind::Double),
        one(4, "span_id", Kind::Id),
        one(5, "trace_id", Kind::Id),
        alternative(6, "as_int", Kind::Sfixed64),
        many(7, "filtered_attributes", Kind::Message(&KEY_VALUE)),
    ]
);

const TEMPORALITY: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];
