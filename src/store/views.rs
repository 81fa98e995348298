//! The views that users see, over the stored tables ([`crate::store::schema`]).
//!
//! A view is a `SELECT` over a relation that the engine gives: the hot generations and the sealed
//! files of one table under `UNION ALL`, with the stored columns. Ids become lower-case hex here,
//! and dictionaries show each key once.
//!
//! Hex is computed, so a comparison with it cannot use the statistics of Parquet files. Macros that
//! look an id up compare the stored bytes: `stored.spans WHERE trace_id = unhex(id)`.

use crate::store::schema::Table;

/// `SELECT` of the user's view of `table` over `source`, any relation with the stored columns
/// (a qualified table name, or a subquery in parentheses).
pub fn select(table: Table, source: &str) -> String {
    let columns = columns(table);
    match table.key() {
        // Metadata may change: the latest wins. The other dictionaries never differ by key.
        Some(key) if table == Table::MetricMetadata => {
            format!("SELECT DISTINCT ON ({key}) {columns} FROM {source} ORDER BY {key}, time DESC")
        }
        Some(key) => format!("SELECT DISTINCT ON ({key}) {columns} FROM {source}"),
        None => format!("SELECT {columns} FROM {source}"),
    }
}

/// The user's columns over the stored ones.
fn columns(table: Table) -> &'static str {
    match table {
        Table::Spans => {
            "lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, \
             lower(hex(parent_span_id)) AS parent_span_id, trace_state, name, kind, start_time, \
             make_timestamp_ns(epoch_ns(start_time) + duration_ns) AS end_time, duration_ns, \
             status_code, status_message, service_name, resource, scope_name, scope_version, \
             attributes, events, links"
        }
        Table::MetricPoints => {
            "time, start_time, metric, unit, type, temporality, monotonic, service_name, series_id, \
             value, count, sum, min, max, bucket_counts, explicit_bounds, scale, zero_count, \
             zero_threshold, positive_offset, positive_counts, negative_offset, negative_counts, \
             quantiles, quantile_values, flags"
        }
        Table::Series => "series_id, metric, service_name, labels, resource, scope_name, scope_version",
        Table::Exemplars => {
            "time, series_id, value, lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, attributes"
        }
        Table::MetricMetadata => "metric, type, unit, description",
        Table::Logs => {
            "time, observed_time, severity_number, severity_text, body, service_name, resource, \
             attributes, lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, \
             scope_name, event_name"
        }
        Table::Profiles => {
            "lower(hex(profile_id)) AS profile_id, time, duration_ns, profile_type, sample_type, \
             sample_unit, period_type, period_unit, period, service_name, labels, format, \
             sample_count, total"
        }
        Table::ProfileSamples => {
            "lower(hex(profile_id)) AS profile_id, time, profile_type, service_name, value, stack_id, \
             lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, labels"
        }
        Table::Stacks => "stack_id, frame_ids",
        Table::Frames => "frame_id, function, file, line, mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_binds_over_an_empty_store() {
        let db = duckdb::Connection::open_in_memory().expect("open");
        for table in Table::ALL {
            let sql = format!("CREATE VIEW {} AS {}", table.name(), select(table, &table.empty_relation()));
            db.execute_batch(&sql).expect("create view");
            let rows: i64 = db
                .query_row(&format!("SELECT count(*) FROM (FROM {})", table.name()), [], |row| row.get(0))
                .expect("query");
            assert_eq!(rows, 0);
        }
    }
}
