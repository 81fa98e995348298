//! Ready-made questions: views and table macros over the stored tables.
//!
//! | name | rows |
//! |---|---|
//! | `traces` | one a trace: root span, duration, spans, errors, services |
//! | `trace(id)` | the spans of one trace, parents before children, with depth and offset |
//! | `red(from, to)` | rate, errors and durations of what services were asked, by route |
//! | `service_graph(from, to)` | who calls whom, how often, how slowly, with how many errors |
//! | `flame(service, profile_type, from, to)` | a flame graph: nodes depth first, as Grafana's panel takes them |
//! | `span_profile(span_id)` | stacks sampled while a span ran |
//! | `exemplars_of(metric, from, to)` | exemplars of a metric with their traces |
//! | `telemetry_volume(from, to)` | items by signal and service |
//!
//! Times are anything that casts to TIMESTAMP; `from` is included, `to` is not. NULL for a service
//! or a profile type means any. Ids are compared in their stored form, so that a lookup reads only
//! the row groups that may have it. Parameters are named so that they are no column's name: a
//! macro's parameter would stand for the column.

use duckdb::Connection;

/// Makes them all, once per instance, after the users' views.
///
/// # Errors
/// DuckDB's.
pub fn create(connection: &Connection) -> Result<(), duckdb::Error> {
    connection.execute_batch(include_str!("macros.sql"))
}
