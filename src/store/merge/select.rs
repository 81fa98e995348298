//! Which rows a merged file holds, and in which order.

use std::collections::BTreeMap;

use super::Job;
use super::filter::Kept;
use crate::store::engine::sealed_file;
use crate::store::instance::quoted_path;
use crate::store::schema::Table;

/// Span times are put together by so many nanoseconds, within which spans are in the order of their
/// traces: a question for a trace and one for a time both read few row groups.
const SPAN_BUCKET: i64 = 300_000_000_000;

/// Points of one series together, and series of one metric. As one number it takes a third less time to
/// sort by than the metric's name and the series: 1.2 us a row instead of 2.0, and questions for a
/// metric or a series read as few row groups. Whether two series share a number does not matter.
const SERIES: &str = "(hash(metric) & 4294967295) << 31 | (hash(series_id) & 2147483647)";

/// SQL that gives the rows of the inputs, one for each key of a dictionary, in order.
pub(super) fn rows(job: &Job, table: Table, kept: Option<&Kept>) -> String {
    let (order, source) = (order(table), source(job, table, kept));
    let rows = match identity(table) {
        // First the numbers of the rows that stay: they take little memory. The rows themselves would
        // not fit into it, and what DuckDB groups by cannot always be written to disk.
        Some(identity) => format!(
            "SELECT {} FROM {source} WHERE merged_row IN (SELECT {} FROM {source} GROUP BY {identity})",
            table.column_list(),
            first(table)
        ),
        None => format!("SELECT {} FROM {source}", table.column_list()),
    };
    format!("{rows} ORDER BY {order}")
}

/// SQL that counts the rows of the inputs, and those that the merged file holds.
pub(super) fn counts(job: &Job, table: Table, kept: Option<&Kept>) -> String {
    let source = source(job, table, kept);
    match identity(table) {
        Some(identity) => format!(
            "SELECT coalesce(sum(n), 0)::BIGINT, count(*) FROM (SELECT count(*) AS n FROM {source} GROUP BY {identity})"
        ),
        None => format!("SELECT count(*), count(*) FROM {source}"),
    }
}

/// What rows of a dictionary have in common of which one stays.
fn identity(table: Table) -> Option<&'static str> {
    match table {
        // Metadata may change, and senders may disagree: each that there was stays.
        Table::MetricMetadata => Some("metric, type, unit, description"),
        // The key is a hash of everything else but the time.
        _ => table.key(),
    }
}

/// The number of the row that stays: the first, or of metadata, where the latest counts, the last.
fn first(table: Table) -> &'static str {
    match table {
        Table::MetricMetadata => "arg_max(merged_row, coalesce(epoch_ns(time), -9223372036854775807))",
        _ => "arg_min(merged_row, coalesce(epoch_ns(time), 9223372036854775807))",
    }
}

fn order(table: Table) -> String {
    match table {
        Table::Spans => format!("epoch_ns(start_time) // {SPAN_BUCKET}, trace_id, start_time"),
        Table::MetricPoints | Table::MetricDistributions => format!("{SERIES}, time"),
        Table::Logs => "service_name, time".to_owned(),
        Table::ProfileSamples => "profile_type, stack_id".to_owned(),
        Table::Exemplars | Table::Profiles => "time".to_owned(),
        Table::MetricMetadata => "metric, time".to_owned(),
        Table::Resources => "resource_id".to_owned(),
        Table::Series => "series_id".to_owned(),
        Table::Stacks => "stack_id".to_owned(),
        Table::Frames => "frame_id".to_owned(),
    }
}

/// All rows of the inputs that a filter leaves, with a number of their own in `merged_row` where it is
/// asked for.
fn source(job: &Job, table: Table, kept: Option<&Kept>) -> String {
    let all = scan(job, table, job.inputs.iter().map(|input| input.path.as_str()));
    kept.map_or(all.clone(), |kept| kept.of(table, &all))
}

/// All rows of some files of `table`, in parentheses.
pub(super) fn scan<'a>(job: &Job, table: Table, paths: impl Iterator<Item = &'a str>) -> String {
    // The files of one scan have the same columns: the first one tells them.
    let mut versions: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap_or_default();
        let files = versions.entry(sealed_file::schema_in(name)).or_default();
        files.push(quoted_path(&job.sealed.join(path)));
    }
    if versions.is_empty() {
        return format!("(SELECT *, 0::BIGINT AS merged_row FROM {})", table.empty_relation());
    }
    let scans = versions.iter().zip(0_i64..).map(|((version, files), n)| {
        let columns = table.column_list_of(*version);
        let files = files.join(", ");
        format!(
            "SELECT {columns}, (({n} << 20) + file_index::BIGINT) << 40 | file_row_number::BIGINT AS merged_row
             FROM read_parquet([{files}], hive_partitioning = false)"
        )
    });
    format!("({})", scans.collect::<Vec<_>>().join(" UNION ALL "))
}
