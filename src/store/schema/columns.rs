//! The columns of each table, in order.

use super::Column;

/// Shorthand that keeps the tables below readable.
const fn column(name: &'static str, sql_type: &'static str) -> Column {
    Column { name, sql_type, since: 1 }
}

/// A column that was not there from the beginning.
const fn added(since: u32, name: &'static str, sql_type: &'static str) -> Column {
    Column { name, sql_type, since }
}

pub(super) const RESOURCES: &[Column] = &[
    column("resource_id", "BIGINT"),
    // Of the first row that used it in this file and day.
    column("time", "TIMESTAMP_NS"),
    column("resource", "VARIANT"),
];

pub(super) const SPANS: &[Column] = &[
    column("trace_id", "BLOB"),
    column("span_id", "BLOB"),
    column("parent_span_id", "BLOB"),
    column("trace_state", "VARCHAR"),
    column("name", "VARCHAR"),
    // unspecified, internal, server, client, producer, consumer; another number as text.
    column("kind", "VARCHAR"),
    column("start_time", "TIMESTAMP_NS"),
    // NULL while the end is unknown. The end is not stored: it is start_time + duration_ns.
    column("duration_ns", "BIGINT"),
    // unset, ok, error; another number as text.
    column("status_code", "VARCHAR"),
    column("status_message", "VARCHAR"),
    column("service_name", "VARCHAR"),
    column("resource_id", "BIGINT"),
    column("scope_name", "VARCHAR"),
    column("scope_version", "VARCHAR"),
    column("attributes", "VARIANT"),
    // Array of {time, name, attributes}; NULL if there are none.
    column("events", "VARIANT"),
    // Array of {trace_id, span_id, trace_state, attributes}, ids in hex; NULL if there are none.
    column("links", "VARIANT"),
];

pub(super) const METRIC_POINTS: &[Column] = &[
    column("time", "TIMESTAMP_NS"),
    column("start_time", "TIMESTAMP_NS"),
    column("metric", "VARCHAR"),
    column("unit", "VARCHAR"),
    // gauge, sum; unknown for remote-write samples whose metadata has not come yet.
    column("type", "VARCHAR"),
    // delta, cumulative; NULL where it does not apply.
    column("temporality", "VARCHAR"),
    column("monotonic", "BOOLEAN"),
    column("service_name", "VARCHAR"),
    column("series_id", "BIGINT"),
    column("value", "DOUBLE"),
    // OTLP's; bit 0 is "no recorded value", which is also set for Prometheus' stale markers.
    column("flags", "UINTEGER"),
    // The integer itself where no DOUBLE holds it: beyond 2^53.
    added(2, "value_int", "BIGINT"),
];

pub(super) const METRIC_DISTRIBUTIONS: &[Column] = &[
    column("time", "TIMESTAMP_NS"),
    column("start_time", "TIMESTAMP_NS"),
    column("metric", "VARCHAR"),
    column("unit", "VARCHAR"),
    // histogram, exponential_histogram, summary.
    column("type", "VARCHAR"),
    column("temporality", "VARCHAR"),
    column("service_name", "VARCHAR"),
    column("series_id", "BIGINT"),
    column("count", "DOUBLE"),
    column("sum", "DOUBLE"),
    column("min", "DOUBLE"),
    column("max", "DOUBLE"),
    // Of a histogram with listed bounds, and of an exponential one whose buckets lie far apart: that
    // one is stored sparsely, without offsets. Without bounds where the sender left them out.
    column("bucket_counts", "DOUBLE[]"),
    column("explicit_bounds", "DOUBLE[]"),
    column("scale", "INTEGER"),
    column("zero_count", "DOUBLE"),
    column("zero_threshold", "DOUBLE"),
    column("positive_offset", "INTEGER"),
    column("positive_counts", "DOUBLE[]"),
    column("negative_offset", "INTEGER"),
    column("negative_counts", "DOUBLE[]"),
    // Of a summary, in step.
    column("quantiles", "DOUBLE[]"),
    column("quantile_values", "DOUBLE[]"),
    column("flags", "UINTEGER"),
];

pub(super) const SERIES: &[Column] = &[
    column("series_id", "BIGINT"),
    // Of the first point that used it in this file and day.
    column("time", "TIMESTAMP_NS"),
    column("metric", "VARCHAR"),
    column("service_name", "VARCHAR"),
    // The points' attributes; those of the scope as otel_scope_KEY.
    column("labels", "VARIANT"),
    // NULL for remote write, which has labels only.
    column("resource_id", "BIGINT"),
    column("scope_name", "VARCHAR"),
    column("scope_version", "VARCHAR"),
];

pub(super) const EXEMPLARS: &[Column] = &[
    column("time", "TIMESTAMP_NS"),
    column("series_id", "BIGINT"),
    column("value", "DOUBLE"),
    column("trace_id", "BLOB"),
    column("span_id", "BLOB"),
    column("attributes", "VARIANT"),
];

pub(super) const METRIC_METADATA: &[Column] = &[
    column("metric", "VARCHAR"),
    column("time", "TIMESTAMP_NS"),
    // As the sender calls it: OTLP's type, or Prometheus' (counter, gauge, histogram, ...).
    column("type", "VARCHAR"),
    column("unit", "VARCHAR"),
    column("description", "VARCHAR"),
];

pub(super) const LOGS: &[Column] = &[
    column("time", "TIMESTAMP_NS"),
    column("observed_time", "TIMESTAMP_NS"),
    column("severity_number", "INTEGER"),
    column("severity_text", "VARCHAR"),
    // Text; a structured body is JSON text, bytes are hex.
    column("body", "VARCHAR"),
    column("service_name", "VARCHAR"),
    column("resource_id", "BIGINT"),
    column("scope_name", "VARCHAR"),
    column("event_name", "VARCHAR"),
    column("attributes", "VARIANT"),
    column("trace_id", "BLOB"),
    column("span_id", "BLOB"),
    // What the body was before it became text: string, bool, int, double, bytes, array, map.
    added(2, "body_type", "VARCHAR"),
];

pub(super) const PROFILES: &[Column] = &[
    column("profile_id", "BLOB"),
    column("time", "TIMESTAMP_NS"),
    column("duration_ns", "BIGINT"),
    // As Pyroscope names it: name:sample_type:sample_unit:period_type:period_unit.
    column("profile_type", "VARCHAR"),
    column("sample_type", "VARCHAR"),
    column("sample_unit", "VARCHAR"),
    column("period_type", "VARCHAR"),
    column("period_unit", "VARCHAR"),
    column("period", "BIGINT"),
    column("service_name", "VARCHAR"),
    // Labels of the series, or the resource of OTLP.
    column("labels", "VARIANT"),
    // otlp, pprof, folded, jfr, speedscope; trie, tree are kept as a row without samples.
    column("format", "VARCHAR"),
    column("sample_count", "BIGINT"),
    column("total", "BIGINT"),
];

pub(super) const PROFILE_SAMPLES: &[Column] = &[
    column("profile_id", "BLOB"),
    column("time", "TIMESTAMP_NS"),
    column("profile_type", "VARCHAR"),
    column("service_name", "VARCHAR"),
    column("value", "BIGINT"),
    column("stack_id", "BIGINT"),
    column("trace_id", "BLOB"),
    column("span_id", "BLOB"),
    column("labels", "VARIANT"),
];

pub(super) const STACKS: &[Column] = &[
    column("stack_id", "BIGINT"),
    column("time", "TIMESTAMP_NS"),
    // Root first.
    column("frame_ids", "BIGINT[]"),
];

pub(super) const FRAMES: &[Column] = &[
    column("frame_id", "BIGINT"),
    column("time", "TIMESTAMP_NS"),
    column("function", "VARCHAR"),
    column("file", "VARCHAR"),
    column("line", "BIGINT"),
    // The binary or library that the code is in.
    column("mapping", "VARCHAR"),
];
