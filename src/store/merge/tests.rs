#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use super::*;
use crate::signal::Signal;
use crate::store::catalog::statistics;
use crate::store::engine::level0::PARQUET;
use crate::store::engine::sealed_file::{self, Flush, Metadata};
use crate::store::engine::shredding::Shredding;
use crate::store::instance::quoted_path;
use crate::store::parquet_file::statistics::of_file;
use crate::store::schema::{self, Table};
use crate::store::views;

mod filter;
mod socket;

const START: i64 = 1_795_904_837_000_000_000;

/// A folder of sealed files, and the DuckDB that merges them.
struct Sealed {
    dir: tempfile::TempDir,
    db: Connection,
    files: u64,
}

impl Sealed {
    fn new(memory: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = open(memory, &dir.path().join("spill")).unwrap();
        Sealed { dir, db, files: 0 }
    }

    /// A file of these rows, which came in one record.
    fn add(&mut self, table: Table, select: &str) -> Input {
        self.add_version(table, select, schema::VERSION)
    }

    fn add_version(&mut self, table: Table, select: &str, version: u32) -> Input {
        self.files += 1;
        let id = if version == 1 { Uuid::new_v4() } else { sealed_file::new_id() };
        let log = Uuid::from_u128(1);
        let logs = vec![LogRange { log, signal: Signal::Logs, from: self.files - 1, upto: self.files }];
        let flush = Flush { id: Uuid::new_v4(), created: 1, logs };
        let part = self.dir.path().join(sealed_file::new_name(id));
        let times: (Option<i64>, Option<i64>) =
            self.one(&format!("SELECT min(epoch_ns({0})), max(epoch_ns({0})) FROM ({select})", table.time_column()));
        let metadata = Metadata::new(&flush, table.name(), 0, times);
        let shredding = Shredding::none(table);
        let options = format!("{PARQUET}{}, {}", shredding.option(), metadata.option());
        let rows = match version == schema::VERSION {
            true => statistics::copy(&self.db, table, select, &part, &options).unwrap().rows,
            // Its columns have no numbers.
            false => {
                let sql = format!("COPY ({select}) TO {} ({options})", quoted_path(&part));
                self.db.execute(&sql, []).unwrap() as u64
            }
        };
        let (bytes, checksum) = sealed_file::checksum(&part, || true).unwrap().unwrap();
        let path = sealed_file::name(id, checksum);
        fs::rename(part, self.dir.path().join(&path)).unwrap();
        Input { path, rows, min_time: times.0, max_time: times.1, bytes, checksum }
    }

    fn job(&self, table: Table, inputs: &[Input]) -> Job {
        Job {
            sealed: self.dir.path().to_owned(),
            table: table.name().to_owned(),
            inputs: inputs.to_vec(),
            output: Path::new("day").join(sealed_file::new_name(sealed_file::new_id())),
            level: 2,
            flush: Uuid::from_u128(7),
            created: 5,
            filter: None,
            logs: Vec::new(),
        }
    }

    fn merge(&self, table: Table, inputs: &[Input]) -> (String, Merged) {
        let job = self.job(table, inputs);
        let merged = write(&self.db, &job).unwrap();
        (quoted_path(&job.sealed.join(&job.output)), merged)
    }

    fn one<T: FromRow>(&self, sql: &str) -> T {
        self.db.query_row(sql, [], |row| T::of(row)).unwrap()
    }

    /// All rows of files as text, sorted.
    fn rows(&self, table: Table, files: &[String]) -> Vec<String> {
        let columns: Vec<String> = table.columns().iter().map(|c| c.name.to_owned()).collect();
        let sql = format!(
            "SELECT to_json(r)::VARCHAR FROM (SELECT {} FROM read_parquet([{}], union_by_name = true)) AS r ORDER BY 1",
            columns.join(", "),
            files.join(", ")
        );
        let mut statement = self.db.prepare(&sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn paths(&self, inputs: &[Input]) -> Vec<String> {
        inputs.iter().map(|input| quoted_path(&self.dir.path().join(&input.path))).collect()
    }
}

trait FromRow: Sized {
    fn of(row: &duckdb::Row<'_>) -> duckdb::Result<Self>;
}

impl<A: duckdb::types::FromSql, B: duckdb::types::FromSql> FromRow for (A, B) {
    fn of(row: &duckdb::Row<'_>) -> duckdb::Result<Self> {
        Ok((row.get(0)?, row.get(1)?))
    }
}

/// Rows of any table, whose keys are `from` and the numbers after it.
fn some_rows(table: Table, from: i64, rows: i64, version: u32) -> String {
    let value = |sql_type: &str| match sql_type {
        "BIGINT" | "INTEGER" | "UINTEGER" => format!("n::{sql_type}"),
        "DOUBLE" => "n / 3".to_owned(),
        "BOOLEAN" => "n % 2 = 0".to_owned(),
        "TIMESTAMP_NS" => format!("make_timestamp_ns({START} + n * 77000000000 % 3600000000000)"),
        "VARIANT" => "{'k': n, 'text': 'v' || n % 3, 'odd': CASE WHEN n % 5 = 0 THEN 'x' END}::VARIANT".to_owned(),
        "BLOB" => "('\\x00' || hash(n))::BLOB".to_owned(),
        "VARCHAR" => "CASE WHEN n % 7 > 0 THEN 't' || n % 11 END".to_owned(),
        "DOUBLE[]" => "[n, 0.5]::DOUBLE[]".to_owned(),
        "BIGINT[]" => "range(n % 4)".to_owned(),
        other => panic!("{other}"),
    };
    let columns = table.columns().iter().filter(|column| column.since <= version);
    let columns: Vec<String> = columns
        .map(|column| match Some(column.name) == table.key() && column.sql_type == "VARCHAR" {
            true => format!("'m' || n AS {}", column.name),
            false => format!("{} AS {}", value(column.sql_type), column.name),
        })
        .collect();
    format!("SELECT {} FROM range({from}, {}) AS t(n)", columns.join(", "), from + rows)
}

#[test]
fn every_table_keeps_its_rows() {
    let mut sealed = Sealed::new(256 << 20);
    for table in Table::ALL {
        let inputs = [
            sealed.add(table, &some_rows(table, 0, 300, schema::VERSION)),
            sealed.add_version(table, &some_rows(table, 300, 50, 1), 1),
            sealed.add(table, &some_rows(table, 350, 5, schema::VERSION)),
        ];
        let (path, merged) = sealed.merge(table, &inputs);
        assert_eq!(merged.rows, 355, "{table:?}");
        assert_eq!(
            sealed.rows(table, std::slice::from_ref(&path)),
            sealed.rows(table, &sealed.paths(&inputs)),
            "{table:?}"
        );
        let file = Path::new(path.trim_matches('\''));
        assert_eq!(merged.columns, of_file(table, file).unwrap(), "{table:?}");
        let (bytes, checksum) = sealed_file::checksum(file, || true).unwrap().unwrap();
        assert_eq!((merged.bytes, merged.checksum), (bytes, checksum));
        assert_eq!(merged.min_time, inputs.iter().filter_map(|input| input.min_time).min());
        assert_eq!(merged.max_time, inputs.iter().filter_map(|input| input.max_time).max());
        let metadata = Metadata::read(file).unwrap().unwrap();
        assert_eq!((metadata.level, metadata.rows, metadata.flush), (2, 355, Uuid::from_u128(7)));
        let ids: Vec<Uuid> = inputs.iter().filter_map(|input| sealed_file::id_in(&input.path)).collect();
        assert_eq!((ids.len(), &metadata.merged_from), (3, &ids));
        let logs: Vec<(u64, u64)> = metadata.logs.iter().map(|range| (range.from, range.upto)).collect();
        assert_eq!(logs, [(sealed.files - 3, sealed.files)], "three records, one after the other");
    }
}

#[test]
fn rows_are_in_the_order_that_questions_want() {
    let mut sealed = Sealed::new(256 << 20);
    for (table, key) in [
        (Table::Spans, "(epoch_ns(start_time) // 300000000000, trace_id)"),
        (Table::Logs, "(coalesce(service_name, ''), time)"),
        (Table::Series, "series_id"),
    ] {
        let inputs = [0, 40_000].map(|from| sealed.add(table, &some_rows(table, from, 40_000, schema::VERSION)));
        let (path, _) = sealed.merge(table, &inputs);
        let sql = format!(
            "SELECT count(*) FILTER (WHERE key < before), count(*) FROM (
                SELECT {key} AS key, lag({key}) OVER (ORDER BY file_row_number) AS before FROM read_parquet({path}))"
        );
        assert_eq!(sealed.one::<(i64, i64)>(&sql), (0, 80_000), "{table:?}");
    }
    for (table, together, then) in [
        (Table::MetricPoints, "(metric, series_id)", "time"),
        (Table::ProfileSamples, "coalesce(profile_type, '')", "stack_id"),
    ] {
        let inputs = [0, 40_000].map(|from| sealed.add(table, &some_rows(table, from, 40_000, schema::VERSION)));
        let (path, _) = sealed.merge(table, &inputs);
        let sql = format!(
            "SELECT count(*) FILTER (WHERE g IS DISTINCT FROM before_g) - count(DISTINCT g),
                    count(*) FILTER (WHERE g = before_g AND k < before_k)
             FROM (SELECT {together} AS g, {then} AS k, lag(g) OVER rows AS before_g, lag(k) OVER rows AS before_k
                   FROM read_parquet({path}) WINDOW rows AS (ORDER BY file_row_number))"
        );
        assert_eq!(sealed.one::<(i64, i64)>(&sql), (0, 0), "{table:?}");
    }
}

#[test]
fn a_dictionary_says_once_what_its_files_said_again_and_again() {
    let mut sealed = Sealed::new(256 << 20);
    for table in Table::ALL.into_iter().filter(|table| table.is_dictionary()) {
        let row = some_rows(table, 0, 100, schema::VERSION);
        let later = |seconds: i64| {
            format!(
                "SELECT * REPLACE (CASE WHEN epoch_ns(time) % 2 = 0 THEN make_timestamp_ns(epoch_ns(time) + {seconds} * 1000000000::BIGINT) END AS time) FROM ({row})"
            )
        };
        let inputs = [sealed.add(table, &later(60)), sealed.add(table, &row), sealed.add(table, &later(120))];
        let (path, merged) = sealed.merge(table, &inputs);
        assert_eq!(merged.rows, 100, "{table:?}");
        assert_eq!(merged.max_time, inputs[2].max_time, "the row stands for the later ones, too");
        let view = |files: &[String]| {
            let source = |_| format!("(FROM read_parquet([{}]))", files.join(", "));
            let sql = format!("SELECT to_json(r)::VARCHAR FROM ({}) AS r ORDER BY 1", views::select(table, source));
            let mut statement = sealed.db.prepare(&sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect::<Vec<String>>()
        };
        if !matches!(table, Table::Series) {
            assert_eq!(view(std::slice::from_ref(&path)), view(&sealed.paths(&inputs)), "{table:?}");
        }
        if table != Table::MetricMetadata {
            let kept = sealed.rows(table, &[path]);
            assert_eq!(kept, sealed.rows(table, &sealed.paths(&inputs[1..2])), "{table:?}: the earliest");
        }
    }
}

#[test]
fn metadata_that_changed_keeps_all_that_it_was() {
    let mut sealed = Sealed::new(256 << 20);
    let row = |time: i64, unit: &str| {
        format!(
            "SELECT 'm' AS metric, make_timestamp_ns({time}) AS time, 'gauge' AS type, {unit} AS unit, NULL::VARCHAR AS description"
        )
    };
    let inputs = [row(5, "'s'"), row(1, "'ms'"), row(9, "'s'"), row(7, "NULL"), row(2, "NULL")]
        .map(|row| sealed.add(Table::MetricMetadata, &row));
    let (path, merged) = sealed.merge(Table::MetricMetadata, &inputs);
    assert_eq!(merged.rows, 3);
    let sql = format!("SELECT list(epoch_ns(time) ORDER BY time)::VARCHAR, count(*) FROM read_parquet({path})");
    assert_eq!(sealed.one::<(String, i64)>(&sql), ("[1, 7, 9]".to_owned(), 3));
}

#[test]
fn what_was_shredded_is_shredded_again() {
    let mut sealed = Sealed::new(256 << 20);
    let attributes =
        "{'route': '/a', 'n': n, 'in': {'deep': 0.5::DOUBLE}, 'list': ['a', 'b'], 'a, typed_value, b': true,
        'rare': CASE WHEN n = 0 THEN 'x' END}::VARIANT AS attributes";
    let rows = |from: i64| {
        format!(
            "SELECT * REPLACE ({attributes}) FROM (SELECT *, row_number() OVER () - 1 AS n FROM ({}))",
            some_rows(Table::Logs, from, 400, schema::VERSION)
        )
        .replace("SELECT * REPLACE", "SELECT * EXCLUDE (n) REPLACE")
    };
    let mut inputs = Vec::new();
    for from in [0, 400] {
        let input = sealed.add(Table::Logs, &rows(from));
        // As a batch of records is written.
        let option = "SHREDDING {attributes: 'STRUCT(\"route\" VARCHAR, \"n\" BIGINT, \"in\" STRUCT(\"deep\" DOUBLE), \
                      \"list\" VARCHAR[], \"a, typed_value, b\" BOOLEAN, \"rare\" VARCHAR)'}";
        let path = sealed.dir.path().join(&input.path);
        statistics::copy(&sealed.db, Table::Logs, &rows(from), &path, &format!("{PARQUET}, {option}")).unwrap();
        let (bytes, checksum) = sealed_file::checksum(&path, || true).unwrap().unwrap();
        inputs.push(Input { bytes, checksum, ..input });
    }
    let files: Vec<PathBuf> = inputs.iter().map(|input| sealed.dir.path().join(&input.path)).collect();
    let option = Shredding::of_files(Table::Logs, &files, 800).unwrap().option().to_owned();
    for part in [
        "\"route\" VARCHAR",
        "\"n\" BIGINT",
        "\"in\" STRUCT(\"deep\" DOUBLE)",
        "\"list\" VARCHAR[]",
        "\"a, typed_value, b\" BOOLEAN",
    ] {
        assert!(option.contains(part), "{part} in {option}");
    }
    assert!(!option.contains("rare"), "2 of 800 rows have it: {option}");
    let (path, _) = sealed.merge(Table::Logs, &inputs);
    assert_eq!(sealed.rows(Table::Logs, std::slice::from_ref(&path)), sealed.rows(Table::Logs, &sealed.paths(&inputs)));
    let again = Shredding::of_files(Table::Logs, &[path.trim_matches('\'').into()], 800).unwrap();
    assert_eq!(again.option(), option, "and once more");
}

#[test]
fn an_input_that_is_not_what_was_sealed_is_named_and_nothing_is_written() {
    let mut sealed = Sealed::new(256 << 20);
    let table = Table::Logs;
    let inputs = [0, 100].map(|from| sealed.add(table, &some_rows(table, from, 100, schema::VERSION)));
    let victim = sealed.dir.path().join(&inputs[1].path);
    let whole = fs::read(&victim).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    for (content, reason) in [
        (Some(flipped), "checksum"),
        (Some(whole[..whole.len() - 1].to_vec()), "bytes instead of"),
        (None, "No such file"),
    ] {
        match content {
            Some(content) => fs::write(&victim, content).unwrap(),
            None => fs::remove_file(&victim).unwrap(),
        }
        let job = sealed.job(table, &inputs);
        let error = write(&sealed.db, &job).unwrap_err();
        assert!(matches!(&error, MergeError::Damaged { path, .. } if *path == inputs[1].path), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!sealed.dir.path().join(&job.output).exists());
    }
}

#[test]
fn a_file_that_has_other_rows_than_the_catalog_says_is_not_merged() {
    let mut sealed = Sealed::new(256 << 20);
    let input = sealed.add(Table::Logs, &some_rows(Table::Logs, 0, 100, schema::VERSION));
    let job = sealed.job(Table::Logs, &[Input { rows: 101, ..input }]);
    let error = write(&sealed.db, &job).unwrap_err();
    assert_eq!(error, MergeError::Rows { table: "logs".to_owned(), expected: 101, written: 100 });
}

#[test]
fn a_merge_keeps_to_its_memory() {
    let mut sealed = Sealed::new(64 << 20);
    let rows = |from: i64| some_rows(Table::MetricPoints, from, 250_000, schema::VERSION);
    let inputs = [0, 1, 2, 3].map(|n| sealed.add(Table::MetricPoints, &rows(n * 250_000)));
    let (_, merged) = sealed.merge(Table::MetricPoints, &inputs);
    assert_eq!(merged.rows, 1_000_000);
    let rows = |from: i64| some_rows(Table::Series, from, 100_000, schema::VERSION);
    let inputs = [0, 0, 1, 1].map(|n| sealed.add(Table::Series, &rows(n * 100_000)));
    let (_, merged) = sealed.merge(Table::Series, &inputs);
    assert_eq!(merged.rows, 200_000);
    assert!(sealed.one::<(i64, i64)>("SELECT max(memory_usage_bytes), 0 FROM duckdb_memory()").0 < 64 << 20);
}

#[test]
fn many_ranges_of_a_log_become_few() {
    let log = Uuid::from_u128(3);
    let range = |from: u64, upto: u64| LogRange { log, signal: Signal::Traces, from, upto };
    let ranges = super::write::union((0..100).map(|n| range(n * 10, n * 10 + 5)).collect());
    assert_eq!(ranges.len(), 64);
    assert_eq!((ranges[0], ranges[1]), (range(0, 365), range(370, 375)));
    assert_eq!(ranges[63], range(990, 995));
    assert_eq!(
        super::write::union(vec![range(5, 9), range(0, 5), range(3, 7), range(11, 12)]),
        [range(0, 9), range(11, 12)]
    );
}
