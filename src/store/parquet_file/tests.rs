#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use arrow::compute::take_record_batch;
use duckdb::Connection;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message as _;
use uuid::Uuid;

use super::filters::Found;
use super::footer::Footer;
use super::leaves::Leaf;
use super::*;
use crate::signal::{Format, Signal};
use crate::store::catalog::statistics::{self as catalog_statistics, Copied};
use crate::store::engine::sealed_file::{Flush, Metadata};
use crate::store::engine::shredding::Shredding;
use crate::store::ingest::testing::{RECEIVED, record};
use crate::store::ingest::{Chunk, Decoder, Limits};
use crate::store::instance::quoted;
use crate::store::schema::Table;

/// Files, and the same rows in tables of DuckDB.
struct Written {
    dir: tempfile::TempDir,
    db: Connection,
    files: Vec<(Table, PathBuf)>,
}

impl Written {
    fn new() -> Self {
        let db = Connection::open_in_memory().unwrap();
        Decoder::register(&db).unwrap();
        for table in Table::ALL {
            db.execute_batch(&table.create(table.name())).unwrap();
        }
        Written { dir: tempfile::tempdir().unwrap(), db, files: Vec::new() }
    }

    /// Writes the rows of a request into files and tables.
    fn add(&mut self, request: &ExportLogsServiceRequest) -> Vec<Copied> {
        let mut decoder = Decoder::new(Limits::default());
        decoder.push(&record(Signal::Logs, Format::Otlp, request.encode_to_vec())).unwrap();
        decoder.take().iter().map(|chunk| self.write(chunk)).collect()
    }

    fn write(&mut self, chunk: &Chunk) -> Copied {
        let table = chunk.table();
        chunk.insert(&self.db, table.name()).unwrap();
        let mut rows = chunk.columns().unwrap().clone();
        if let Some(numbers) = order::sorted(&order::keys(table, &rows).unwrap()) {
            rows = take_record_batch(&rows, &numbers).unwrap();
        }
        let shredding = Shredding::of_batches(table, [&rows]);
        let rows = columns::stored(table, &shredding, &rows).unwrap();
        let path = self.dir.path().join(format!("{}.parquet", self.files.len()));
        let copied = write::write(&path, table, &rows, metadata(table)).unwrap();
        self.files.push((table, path));
        copied
    }

    fn files(&self, table: Table) -> Vec<PathBuf> {
        self.files.iter().filter(|(of, _)| *of == table).map(|(_, path)| path.clone()).collect()
    }

    fn merge(&self, table: Table, files: &[PathBuf]) -> Result<(PathBuf, u64, Copied), FileError> {
        let rows = self.count(&list(files)).cast_unsigned();
        let shredding = Shredding::of_files(table, files, rows)?;
        let path = self.dir.path().join(format!("merged-{}.parquet", Uuid::new_v4()));
        let (read, copied) = merge::merge(table, files, &shredding, &path, metadata(table), &|| true)?;
        Ok((path, read, copied))
    }

    fn count(&self, from: &str) -> i64 {
        self.db.query_row(&format!("SELECT count(*) FROM {from}"), [], |row| row.get(0)).unwrap()
    }

    /// That two relations have the same rows.
    fn assert_same(&self, table: Table, found: &str, expected: &str) {
        let columns = table.columns().iter().map(|column| match column.is_variant() {
            true => format!("{}::JSON::VARCHAR", column.name),
            false => format!("{}::VARCHAR", column.name),
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let text = |from: &str| format!("SELECT {columns} FROM {from}");
        for (a, b, what) in [(found, expected, "too many"), (expected, found, "too few")] {
            let sql = format!("SELECT r::VARCHAR FROM ({} EXCEPT ALL {}) AS r LIMIT 3", text(a), text(b));
            let mut statement = self.db.prepare(&sql).unwrap();
            let rows: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            assert!(rows.is_empty(), "{what} rows of {table:?}: {rows:?}");
        }
    }
}

/// That a column of a key has what DuckDB takes out of the variants.
fn assert_leaves(written: &Written, path: &Path) {
    let leaves = Footer::read(Table::Logs, path).unwrap().leaves;
    let from = list(&[path.to_owned()]);
    for key in KEYS.iter().chain(&["none"]) {
        let object = match leaves.of("attributes", key) {
            Leaf::Column(of) => format!("{{{}: {}}}::VARIANT", quoted(key), leaves::values("attributes", key, of)),
            Leaf::Nowhere => "NULL::VARIANT".to_owned(),
            Leaf::Inside => continue,
        };
        let told = |variant: &str| {
            let value = format!("variant_extract({variant}, {})", quoted(key));
            format!("({value} IS NULL, variant_typeof({value}), {value}::VARCHAR)")
        };
        let (inside, outside) = (told("attributes"), told(&object));
        let differ = format!("{from} WHERE {inside} IS DISTINCT FROM {outside}");
        assert_eq!(written.count(&differ), 0, "{key}");
    }
}

fn metadata(table: Table) -> Metadata {
    let flush = Flush { id: Uuid::nil(), created: 1, logs: Vec::new() };
    Metadata::new(&flush, table.name(), 0, (None, None))
}

fn list(files: &[PathBuf]) -> String {
    let files: Vec<String> = files.iter().map(|path| format!("'{}'", path.display())).collect();
    format!("read_parquet([{}], union_by_name = true)", files.join(", "))
}

fn stored(table: Table) -> String {
    format!("({})", table.stored_select(table.name()))
}

fn attribute(key: &str, value: Option<Value>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}

fn value() -> impl Strategy<Value = Option<Value>> {
    let scalar = prop_oneof![
        Just(None),
        "[a-z\u{0}é𝄞]{0,70}".prop_map(|text| Some(Value::StringValue(text))),
        any::<i64>().prop_map(|n| Some(Value::IntValue(n))),
        any::<bool>().prop_map(|b| Some(Value::BoolValue(b))),
        (-1e300..1e300).prop_map(|d| Some(Value::DoubleValue(d))),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    scalar.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| {
                let values = values.into_iter().map(|value| AnyValue { value }).collect();
                Some(Value::ArrayValue(ArrayValue { values }))
            }),
            prop::collection::vec((key(), inner), 0..4).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, value)| attribute(&key, value)).collect();
                Some(Value::KvlistValue(KeyValueList { values }))
            }),
        ]
    })
}

const KEYS: [&str; 11] = ["a", "b", "A", "b.c", "", "größe", "value", "typed_value", "metadata", "q\"q", "k'k"];

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned)
}

/// A request whose records have keys of their own, each mostly of one type.
fn request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let mostly = prop::collection::vec((key(), value()), 0..5);
    let odd = prop::collection::vec((key(), value()), 0..3);
    let records = prop::collection::vec((0..5u64, prop::option::weighted(0.3, odd), any::<bool>()), 1..40);
    (mostly, records, 0..3).prop_map(|(mostly, records, service)| {
        let log_records = records.into_iter().map(|(time, odd, all)| {
            let own = if all { mostly.as_slice() } else { &mostly[..mostly.len() / 2] };
            let attributes = own.iter().cloned().chain(odd.unwrap_or_default());
            LogRecord {
                time_unix_nano: RECEIVED + time,
                attributes: attributes.map(|(key, value)| attribute(&key, value)).collect(),
                ..LogRecord::default()
            }
        });
        let service = attribute("service.name", Some(Value::StringValue(format!("service-{service}"))));
        let scope_logs = vec![ScopeLogs { log_records: log_records.collect(), ..ScopeLogs::default() }];
        let resource = Some(Resource { attributes: vec![service], ..Resource::default() });
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }],
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever the variants hold and however each file has shredded them: DuckDB reads what it would
    /// have made of them itself, from the files and from what they are merged to, once and again.
    #[test]
    fn duckdb_reads_what_was_written_and_merged(requests in prop::collection::vec(request(), 1..5)) {
        let mut written = Written::new();
        for request in &requests {
            written.add(request);
        }
        let files = written.files(Table::Logs);
        written.assert_same(Table::Logs, &list(&files), &stored(Table::Logs));
        let (merged, read, copied) = written.merge(Table::Logs, &files).unwrap();
        prop_assert_eq!((read, copied.rows), (written.count("logs").cast_unsigned(), read));
        written.assert_same(Table::Logs, &list(std::slice::from_ref(&merged)), &stored(Table::Logs));
        for path in files.iter().chain([&merged]) {
            assert_leaves(&written, path);
        }
        // A file that is not in order would be refused.
        let (again, ..) = written.merge(Table::Logs, &[merged]).unwrap();
        written.assert_same(Table::Logs, &list(&[again]), &stored(Table::Logs));
        let resources = written.files(Table::Resources);
        let (merged, read, copied) = written.merge(Table::Resources, &resources).unwrap();
        let distinct: i64 =
            written.db.query_row("SELECT count(DISTINCT resource_id) FROM resources", [], |row| row.get(0)).unwrap();
        prop_assert_eq!((read, copied.rows), (written.count("resources").cast_unsigned(), distinct.cast_unsigned()));
        let firsts = format!(
            "(SELECT DISTINCT ON (resource_id) * FROM {} ORDER BY resource_id, time)", stored(Table::Resources));
        written.assert_same(Table::Resources, &list(&[merged]), &firsts);
    }
}

#[test]
fn keys_whose_values_are_of_one_type_have_columns() {
    let mut written = Written::new();
    let records = (0..40).map(|n| {
        let text = |key: &str| attribute(key, Some(Value::StringValue(format!("t{}", n % 5))));
        let mut attributes = vec![text("b"), attribute("b.c", Some(Value::IntValue(n)))];
        if n % 3 == 0 {
            attributes.extend([attribute("value", Some(Value::DoubleValue(0.5))), text("typed_value")]);
        }
        // Values of two types.
        attributes.push(if n % 2 == 0 { text("q\"q") } else { attribute("q\"q", Some(Value::BoolValue(true))) });
        LogRecord { time_unix_nano: RECEIVED, attributes, ..LogRecord::default() }
    });
    let scope_logs = vec![ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() }];
    written
        .add(&ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] });
    let (merged, ..) = written.merge(Table::Logs, &written.files(Table::Logs)).unwrap();
    for path in written.files(Table::Logs).iter().chain([&merged]) {
        assert_leaves(&written, path);
        let leaves = Footer::read(Table::Logs, path).unwrap().leaves;
        let of = ["b", "b.c", "value", "typed_value", "q\"q", "none"].map(|key| leaves.of("attributes", key));
        assert_eq!(of[..4], ["VARCHAR", "BIGINT", "DOUBLE", "VARCHAR"].map(Leaf::Column));
        assert_eq!(of[4..], [Leaf::Inside, Leaf::Nowhere]);
    }
}

#[test]
fn a_trace_is_found_where_it_is_and_others_do_not_see_how() {
    let mut written = Written::new();
    let records = (0..2000u32).map(|n| LogRecord {
        time_unix_nano: RECEIVED + u64::from(n),
        trace_id: if n % 2 == 0 { u128::from(n + 1).to_be_bytes().to_vec() } else { Vec::new() },
        ..LogRecord::default()
    });
    let scope_logs = vec![ScopeLogs { log_records: records.collect(), ..ScopeLogs::default() }];
    written
        .add(&ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] });
    let files = written.files(Table::Logs);
    let (merged, ..) = written.merge(Table::Logs, &files).unwrap();
    for path in files.iter().chain([&merged]) {
        let filters = Footer::read(Table::Logs, path).unwrap().filters;
        let find = |ids: &[u32]| {
            filters.find(path, &ids.iter().map(|id| u128::from(*id).to_be_bytes().to_vec()).collect()).unwrap()
        };
        // All rows are in one group.
        let all = Found::Some { groups: None, times: Some((RECEIVED.cast_signed(), RECEIVED.cast_signed() + 1999)) };
        assert!((0..1000).all(|n| find(&[5000, 2 * n + 1]) == all));
        let others = (0..1000).filter(|n| find(&[2 * n + 2]) != Found::Nothing).count();
        assert!(others < 20, "{others}");
        let seen = format!("parquet_metadata('{}') WHERE bloom_filter_offset IS NOT NULL", path.display());
        assert_eq!(written.count(&seen), 0);
    }
}

#[test]
fn a_file_tells_what_duckdb_would_tell_of_it() {
    let mut written = Written::new();
    let log_records: Vec<LogRecord> = (0..50)
        .map(|n| LogRecord {
            time_unix_nano: RECEIVED + 1000 - n,
            trace_id: if n % 2 == 0 { vec![u8::try_from(n).unwrap() + 1; 16] } else { Vec::new() },
            attributes: vec![attribute("n", Some(Value::IntValue(n.cast_signed())))],
            ..LogRecord::default()
        })
        .collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let copied = written
        .add(&ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] });
    let at = written.files.iter().position(|(table, _)| *table == Table::Logs).unwrap();
    let (copied, path) = (&copied[at], &written.files[at].1);
    let other = written.dir.path().join("by-duckdb");
    let by_duckdb = catalog_statistics::copy(
        &written.db,
        Table::Logs,
        &Table::Logs.stored_select("logs"),
        &other,
        "FORMAT parquet",
    )
    .unwrap();
    let without_bytes = |copied: &Copied| {
        let mut columns = copied.columns.clone();
        // It writes times without the zeros at their end.
        let short = |text: &String| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text.clone(),
        };
        for column in &mut columns {
            column.bytes = column.bytes.map(|_| 0);
            (column.min, column.max) = (column.min.as_ref().map(short), column.max.as_ref().map(short));
        }
        columns
    };
    assert_eq!(without_bytes(copied), without_bytes(&by_duckdb));
    let size = fs::metadata(path).unwrap().len();
    let bytes: u64 = copied.columns.iter().filter_map(|column| column.bytes).sum();
    assert!(bytes > 0 && bytes + copied.footer.unwrap() < size, "{bytes} of {size}");
    assert_eq!(statistics::of_file(Table::Logs, path).unwrap(), copied.columns);
    assert_eq!(Metadata::read(path).unwrap().unwrap().rows, 50);
    let ids = format!("SELECT count(*) FROM parquet_schema('{}') WHERE field_id IS NOT NULL", path.display());
    let ids: i64 = written.db.query_row(&ids, [], |row| row.get(0)).unwrap();
    assert_eq!(ids, Table::Logs.columns().len() as i64);
}

/// Rows of every table come out of a merge as they were, files of an earlier version of the columns, too.
#[test]
fn every_table_is_merged_and_what_is_not_in_order_is_refused() {
    let written = Written::new();
    for table in Table::ALL {
        let columns = |rows: &str| {
            let column = |column: &crate::store::schema::Column| match column.sql_type {
                "BIGINT" | "INTEGER" | "UINTEGER" | "DOUBLE" => format!("(n * 7 % 11)::{}", column.sql_type),
                "BOOLEAN" => "n % 2 = 0".to_owned(),
                "TIMESTAMP_NS" => format!("make_timestamp_ns({RECEIVED} + n * 1000)"),
                "VARIANT" => "{'k': n, 'l': [n], 'o': {'p': 't' || n}}::VARIANT".to_owned(),
                "BLOB" => "CASE WHEN n % 3 > 0 THEN ('\\x00' || n)::BLOB END".to_owned(),
                "VARCHAR" => "CASE WHEN n % 3 > 0 THEN 't' || n % 5 END".to_owned(),
                list => format!("range(n % 4)::{list}"),
            };
            let all = table.columns().iter().filter(|column| column.since == 1);
            let all: Vec<String> = all.map(|c| format!("{} AS {}", column(c), c.name)).collect();
            format!("SELECT {} FROM {rows} AS r(n)", all.join(", "))
        };
        // Single rows are in order, whoever has written them.
        let mut files = Vec::new();
        for n in 0..20 {
            let path = written.dir.path().join(format!("{}-{n}.parquet", table.name()));
            let sql = columns(&format!("range({n}, {n} + 1)"));
            written
                .db
                .execute_batch(&format!("COPY ({sql}) TO '{}' (FORMAT parquet, COMPRESSION zstd)", path.display()))
                .unwrap();
            files.push(path);
        }
        let (merged, read, copied) = written.merge(table, &files).unwrap();
        assert_eq!(read, 20, "{table:?}");
        let all = list(&files);
        let later: Vec<String> =
            table.columns().iter().filter(|c| c.since > 1).map(|c| format!("NULL AS {}", c.name)).collect();
        let all = format!("(SELECT *{} FROM {all})", later.iter().map(|c| format!(", {c}")).collect::<String>());
        if table == Table::MetricPoints {
            let is_excluded = |id: i64| -> bool {
                let probe = format!("parquet_bloom_probe('{}', 'series_id', {id}::BIGINT)", merged.display());
                let sql = format!("SELECT bool_and(bloom_filter_excludes) FROM {probe}");
                written.db.query_row(&sql, [], |row| row.get(0)).unwrap()
            };
            assert!((0..11).all(|id| !is_excluded(id)) && (1000..1100).filter(|id| is_excluded(*id)).count() > 80);
        }
        if table.is_dictionary() {
            assert!(copied.rows < 20 || table == Table::MetricMetadata, "{table:?}");
        } else {
            written.assert_same(table, &list(std::slice::from_ref(&merged)), &all);
        }
        written.merge(table, &[merged.clone(), merged]).unwrap();

        let path = written.dir.path().join(format!("{}-unsorted.parquet", table.name()));
        let sql = columns("range(20)");
        let sql = format!("COPY ({sql} ORDER BY hash(n)) TO '{}' (FORMAT parquet, COMPRESSION zstd)", path.display());
        written.db.execute_batch(&sql).unwrap();
        let refused = written.merge(table, &[path]);
        assert!(matches!(refused, Err(FileError::Order(_))), "{table:?}: {refused:?}");
    }
}
