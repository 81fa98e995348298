//! The messages of remote write, as tables.

use crate::wire::descriptor::{Kind, alternative, many, message, one};
use crate::wire::prompb::{BucketSpan, v1, v2};

message!(
    V1_REQUEST,
    v1::WriteRequest,
    None,
    [many(1, "timeseries", Kind::Message(&V1_SERIES)), many(3, "metadata", Kind::Message(&V1_METADATA)),]
);

message!(
    V1_METADATA,
    v1::MetricMetadata,
    Metadata,
    [
        one(1, "type", Kind::Int32),
        one(2, "metric_family_name", Kind::String),
        one(4, "help", Kind::String),
        one(5, "unit", Kind::String),
    ]
);

message!(
    V1_SERIES,
    v1::TimeSeries,
    Series,
    [
        many(1, "labels", Kind::Message(&V1_LABEL)),
        many(2, "samples", Kind::Message(&V1_SAMPLE)),
        many(3, "exemplars", Kind::Message(&V1_EXEMPLAR)),
        many(4, "histograms", Kind::Message(&HISTOGRAM)),
    ]
);

message!(V1_LABEL, v1::Label, None, [one(1, "name", Kind::String), one(2, "value", Kind::String)]);

message!(V1_SAMPLE, v1::Sample, Items, [one(1, "value", Kind::Double), one(2, "timestamp", Kind::Int64)]);

message!(
    V1_EXEMPLAR,
    v1::Exemplar,
    Exemplars,
    [many(1, "labels", Kind::Message(&V1_LABEL)), one(2, "value", Kind::Double), one(3, "timestamp", Kind::Int64),]
);

message!(
    V2_REQUEST,
    v2::Request,
    None,
    [many(4, "symbols", Kind::String), many(5, "timeseries", Kind::Message(&V2_SERIES)),]
);

message!(
    V2_SERIES,
    v2::TimeSeries,
    Series,
    [
        many(1, "labels_refs", Kind::Uint32),
        many(2, "samples", Kind::Message(&V2_SAMPLE)),
        many(3, "histograms", Kind::Message(&V2_HISTOGRAM)),
        many(4, "exemplars", Kind::Message(&V2_EXEMPLAR)),
        one(5, "metadata", Kind::Message(&V2_METADATA)),
        one(6, "created_timestamp", Kind::Int64),
    ]
);

message!(
    V2_EXEMPLAR,
    v2::Exemplar,
    Exemplars,
    [many(1, "labels_refs", Kind::Uint32), one(2, "value", Kind::Double), one(3, "timestamp", Kind::Int64),]
);

message!(
    V2_SAMPLE,
    v2::Sample,
    Items,
    [one(1, "value", Kind::Double), one(2, "timestamp", Kind::Int64), one(3, "start_timestamp", Kind::Int64),]
);

message!(
    V2_METADATA,
    v2::Metadata,
    Metadata,
    [one(1, "type", Kind::Int32), one(3, "help_ref", Kind::Uint32), one(4, "unit_ref", Kind::Uint32),]
);

macro_rules! histogram {
    ($name:ident, $decoded:ty $(, $more:expr)?) => {
        message!($name, $decoded, Histograms, [
            alternative(1, "count_int", Kind::Uint64),
            alternative(2, "count_float", Kind::Double),
            one(3, "sum", Kind::Double),
            one(4, "schema", Kind::Sint32),
            one(5, "zero_threshold", Kind::Double),
            alternative(6, "zero_count_int", Kind::Uint64),
            alternative(7, "zero_count_float", Kind::Double),
            many(8, "negative_spans", Kind::Message(&BUCKET_SPAN)),
            many(9, "negative_deltas", Kind::Sint64),
            many(10, "negative_counts", Kind::Double),
            many(11, "positive_spans", Kind::Message(&BUCKET_SPAN)),
            many(12, "positive_deltas", Kind::Sint64),
            many(13, "positive_counts", Kind::Double),
            one(14, "reset_hint", Kind::Int32),
            one(15, "timestamp", Kind::Int64),
            many(16, "custom_values", Kind::Double),
            $($more)?
        ]);
    };
}

histogram!(HISTOGRAM, v1::Histogram);
histogram!(V2_HISTOGRAM, v2::Histogram, one(17, "start_timestamp", Kind::Int64));

message!(BUCKET_SPAN, BucketSpan, None, [one(1, "offset", Kind::Sint32), one(2, "length", Kind::Uint32)]);
