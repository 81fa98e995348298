//! The views that users see, over the stored tables ([`crate::store::schema`]).
//!
//! A view is a `SELECT` over a relation that is given: the files of one table, with the stored columns. Ids become lower-case hex here,
//! and dictionaries show each key once.
//!
//! Hex is computed, so a comparison with it cannot use the statistics of Parquet files. Macros that
//! look an id up compare the stored bytes: `stored.spans WHERE trace_id = unhex(id)`.

use crate::store::catalog::storage::Storage;
use crate::store::instance::quoted;
use crate::store::schema::Table;

/// Schema of what the users' views of tables that [have resources](has_resource) are over: rows with their resources.
pub const JOINED: &str = "joined";

/// The column there that has them: a name that is nowhere else.
pub const RESOURCE: &str = "joined_resource";

/// Makes the users' views, over the tables in the schema `stored`.
///
/// # Errors
/// DuckDB's.
pub fn create(db: &duckdb::Connection) -> Result<(), duckdb::Error> {
    db.execute_batch(&format!("CREATE SCHEMA {JOINED}"))?;
    for table in Table::ALL {
        let name = table.name();
        let select = if has_resource(table) {
            db.execute_batch(&create_joined(table, true))?;
            over_joined(table, &format!("{JOINED}.{name}"))
        } else {
            select(table, stored)
        };
        db.execute_batch(&format!("CREATE VIEW {name} AS {select}"))?;
    }
    db.execute_batch(&create_storage(&[]))
}

/// Makes what the view of a table is over, in the place of another. Without resources it is without the join that
/// finds them: below a join DuckDB reads on although it has the first rows of an order already.
pub fn create_joined(table: Table, with_resources: bool) -> String {
    format!("CREATE OR REPLACE VIEW {JOINED}.{} AS {}", table.name(), joined(table, stored, with_resources))
}

fn stored(table: Table) -> String {
    format!("stored.{}", table.name())
}

/// `SELECT` of the user's view of `table`. `source` names the relation that holds the stored rows
/// of a table: a (qualified) table or view name, or a subquery in parentheses. It is asked for
/// `table`, where the view joins them for [`Table::Resources`], and for
/// [`Table::MetricDistributions`] as the other part of `metric_points`.
///
/// The join is written so that DuckDB drops it from aggregates that do not use `resource` (its
/// `join_elimination` knows a `GROUP BY` key to be unique, `DISTINCT ON` not). Readers see to the others
/// ([`create_joined`]).
pub fn select(table: Table, source: impl Fn(Table) -> String) -> String {
    if has_resource(table) {
        return over_joined(table, &format!("({})", joined(table, source, true)));
    }
    match table {
        Table::Resources => dictionary(table, &["resource"], &source(table)),
        Table::Stacks => dictionary(table, &["frame_ids"], &source(table)),
        Table::Frames => dictionary(table, &["function", "file", "line", "mapping"], &source(table)),
        Table::MetricMetadata => {
            // Metadata may change, and senders may disagree: the latest wins as a whole, what it
            // leaves out too, and other units are told.
            format!(
                "SELECT metric, latest.type AS type, latest.unit AS unit, latest.description AS description, \
                 nullif(list_filter(units, lambda u: u IS DISTINCT FROM latest.unit), []) AS other_units FROM (\
                 SELECT metric, arg_max({{'type': type, 'unit': unit, 'description': description}}, time) AS latest, \
                 list_sort(list(DISTINCT unit) FILTER (WHERE unit IS NOT NULL)) AS units FROM {} GROUP BY metric)",
                source(table)
            )
        }
        Table::MetricPoints => {
            // Columns that only the one kind has are NULL for the other.
            let rows: Vec<String> = [Table::MetricPoints, Table::MetricDistributions]
                .map(|stored| {
                    let columns: Vec<String> = POINTS.iter().map(|column| point_column(stored, column)).collect();
                    format!("SELECT {} FROM {}", columns.join(", "), source(stored))
                })
                .into();
            rows.join(" UNION ALL ")
        }
        _ => format!("SELECT {} FROM {}", columns(table), source(table)),
    }
}

/// The rows of a table with the resource of each, or none, in the column [`RESOURCE`].
fn joined(table: Table, source: impl Fn(Table) -> String, with_resources: bool) -> String {
    let rows = match table {
        Table::Series => {
            format!("({})", series(&["labels", "resource_id", "scope_name", "scope_version"], &source(table)))
        }
        _ => source(table),
    };
    if !with_resources {
        return format!("SELECT *, NULL::VARIANT AS {RESOURCE} FROM {rows}");
    }
    let resources = dictionary(Table::Resources, &["resource"], &source(Table::Resources));
    format!(
        "SELECT s.*, r.resource AS {RESOURCE} FROM {rows} AS s LEFT JOIN ({resources}) AS r \
         ON s.resource_id = r.resource_id"
    )
}

/// Whether the view of a table shows the resource of each row.
pub fn has_resource(table: Table) -> bool {
    table != Table::Resources && table.columns().iter().any(|column| column.name == "resource_id")
}

/// The view of a table over the rows in `stored`, which have their resources already: which columns a statement uses
/// is the same as with [`select`].
pub fn select_joined(table: Table, stored: &str) -> String {
    match table {
        Table::Series => {
            let rows = series(&["labels", RESOURCE, "scope_name", "scope_version"], stored);
            over_joined(table, &format!("({rows})"))
        }
        _ => over_joined(table, stored),
    }
}

/// The user's view of a table over [joined] rows.
fn over_joined(table: Table, rows: &str) -> String {
    format!("SELECT {} FROM {rows} AS r", columns(table))
}

/// Makes the view `storage` over these rows, in the place of another.
pub fn create_storage(rows: &[Storage]) -> String {
    format!("CREATE OR REPLACE VIEW storage AS {}", storage(rows))
}

/// `SELECT` of the view `storage`: where the bytes go. A column of a file that an earlier version wrote is
/// counted among what belongs to none.
fn storage(storage: &[Storage]) -> String {
    let columns = "table_name, column_name, rows, files, bytes, bytes / nullif(rows, 0) AS bytes_per_row";
    let none = "(SELECT NULL::VARCHAR, NULL::VARCHAR, NULL::BIGINT, NULL::BIGINT, NULL::BIGINT WHERE false)";
    let rows: Vec<String> = storage
        .iter()
        .map(|Storage { table, column, rows, files, bytes }| {
            let column = if column.is_empty() { "NULL".to_owned() } else { quoted(column) };
            format!("({}, {column}, {rows}::BIGINT, {files}::BIGINT, {bytes}::BIGINT)", quoted(table))
        })
        .collect();
    let rows = if rows.is_empty() { none.to_owned() } else { format!("(VALUES {})", rows.join(", ")) };
    format!("SELECT {columns} FROM {rows} AS s(table_name, column_name, rows, files, bytes)")
}

/// The user's columns of `metric_points`, in order.
const POINTS: [&str; 27] = [
    "time",
    "start_time",
    "metric",
    "unit",
    "type",
    "temporality",
    "monotonic",
    "service_name",
    "series_id",
    "value",
    "count",
    "sum",
    "min",
    "max",
    "bucket_counts",
    "explicit_bounds",
    "scale",
    "zero_count",
    "zero_threshold",
    "positive_offset",
    "positive_counts",
    "negative_offset",
    "negative_counts",
    "quantiles",
    "quantile_values",
    "flags",
    "value_int",
];

/// A column of `metric_points` as `stored` has it, or NULL of the right type.
fn point_column(stored: Table, name: &str) -> String {
    let find = |table: Table| table.columns().iter().find(|column| column.name == name);
    let other = if stored == Table::MetricPoints { Table::MetricDistributions } else { Table::MetricPoints };
    match (find(stored), find(other)) {
        (None, Some(column)) => format!("NULL::{} AS {name}", column.sql_type),
        _ => name.to_owned(),
    }
}

/// One row for each key of a dictionary. Rows of one key never differ.
fn dictionary(table: Table, columns: &[&str], source: &str) -> String {
    let key = table.key().unwrap_or_default();
    let columns: Vec<String> = columns.iter().map(|column| format!("any_value({column}) AS {column}")).collect();
    format!("SELECT {key}, {} FROM {source} GROUP BY {key}", columns.join(", "))
}

/// The same of the series, whose `columns` are those but the metric and the service. Those are grouped by, too: so
/// DuckDB leaves out the rows of other metrics before it groups any.
fn series(columns: &[&str], source: &str) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("any_value({column}) AS {column}")).collect();
    let keys = "series_id, metric, service_name";
    format!("SELECT {keys}, {} FROM {source} GROUP BY {keys}", columns.join(", "))
}

/// The user's columns over the stored ones and [`RESOURCE`].
pub fn columns(table: Table) -> &'static str {
    match table {
        Table::Spans => {
            "lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, \
             lower(hex(parent_span_id)) AS parent_span_id, trace_state, name, kind, start_time, \
             make_timestamp_ns(epoch_ns(start_time) + duration_ns) AS end_time, duration_ns, \
             status_code, status_message, service_name, joined_resource AS resource, scope_name, \
             scope_version, attributes, events, links"
        }
        Table::Series => {
            "series_id, metric, service_name, labels, joined_resource AS resource, scope_name, scope_version"
        }
        Table::Exemplars => {
            "time, series_id, value, lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, attributes"
        }
        Table::Logs => {
            "time, observed_time, severity_number, severity_text, body, service_name, joined_resource AS resource, \
             attributes, lower(hex(trace_id)) AS trace_id, lower(hex(span_id)) AS span_id, \
             scope_name, event_name, body_type"
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
        Table::MetricPoints | Table::MetricDistributions => "*",
        Table::Resources | Table::MetricMetadata | Table::Stacks | Table::Frames => "*",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_binds_over_an_empty_store() {
        let db = duckdb::Connection::open_in_memory().expect("open");
        for table in Table::ALL {
            let sql = format!("CREATE VIEW {} AS {}", table.name(), select(table, Table::empty_relation));
            db.execute_batch(&sql).expect("create view");
            let rows: i64 = db
                .query_row(&format!("SELECT count(*) FROM (FROM {})", table.name()), [], |row| row.get(0))
                .expect("query");
            assert_eq!(rows, 0);
        }
    }

    #[test]
    fn storage_is_a_table_with_and_without_rows() {
        let db = duckdb::Connection::open_in_memory().expect("open");
        let entry =
            |column: &str, bytes| Storage { table: "logs".into(), column: column.into(), rows: 4, files: 2, bytes };
        for (rows, expected) in [(vec![], None), (vec![entry("body", 10), entry("", 2)], Some((12, 2.5)))] {
            let sql = format!(
                "SELECT sum(bytes)::BIGINT, max(bytes_per_row) FROM ({}) WHERE table_name = 'logs' AND files = 2",
                storage(&rows)
            );
            let found: Option<(i64, f64)> =
                db.query_row(&sql, [], |row| Ok(Option::zip(row.get(0)?, row.get(1)?))).expect("storage");
            assert_eq!(found, expected);
        }
    }
}
