//! The gates before DuckDB: hostile statements are refused and change nothing, ordinary ones work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use duckdb::Connection;
use parking_lot::Mutex;
use vispyr::store::sql::format::Kind;
use vispyr::store::sql::request::Query;
use vispyr::store::sql::{Config, Service, SqlError, sandbox};

pub const HOSTILE: &str = include_str!("fixtures/hostile.sql");
pub const ORDINARY: &str = include_str!("fixtures/ordinary.sql");

pub fn statements(fixture: &str) -> impl Iterator<Item = &str> {
    fixture.lines().filter(|line| !line.is_empty() && !line.starts_with("--"))
}

/// An instance like the engine's: hot rows in a table, sealed ones in Parquet, views over both.
pub fn instance(dir: &Path) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    let sealed = dir.join("sealed");
    std::fs::create_dir_all(&sealed).unwrap();
    let file = sealed.join("spans.parquet");
    let file = file.display();
    connection
        .execute_batch(&format!(
            r#"
            CREATE SCHEMA hot;
            CREATE SCHEMA stored;
            CREATE TABLE hot.spans AS SELECT
                lpad(hex(i // 4), 32, '0') AS trace_id, lpad(hex(i), 16, '0') AS span_id,
                CASE WHEN i % 4 = 0 THEN NULL ELSE lpad(hex(i - 1), 16, '0') END AS parent_span_id,
                'GET /' || i % 5 AS name, ['server', 'client', 'internal'][i % 3 + 1] AS kind,
                make_timestamp_ns(1767225600000000000 + i * 1000000007) AS start_time, i * 1000 AS duration_ns,
                CASE WHEN i % 7 = 0 THEN 'error' ELSE 'unset' END AS status_code, 'shop' || i % 2 AS service_name,
                {{'service.name': 'shop' || i % 2}}::VARIANT AS resource,
                {{'http.route': '/' || i % 5, 'http.status_code': 200 + 100 * (i % 4)}}::VARIANT AS attributes
            FROM range(100) t(i);
            COPY hot.spans TO '{file}' (FORMAT parquet);
            CREATE VIEW spans AS FROM hot.spans UNION ALL FROM read_parquet('{file}');
            CREATE TABLE logs AS SELECT make_timestamp_ns(1767225600000000000 + i * 3000000000) AS time,
                9 + i % 13 AS severity_number, 'INFO' AS severity_text, ('it may fail ' || i)::VARIANT AS body,
                'shop' || i % 2 AS service_name, lpad(hex(i), 32, '0') AS trace_id, lpad(hex(i * 4), 16, '0') AS span_id
            FROM range(30) t(i);
            CREATE SEQUENCE s;
            "#
        ))
        .unwrap();
    vispyr::store::macros::create_attributes(&connection).unwrap();
    sandbox::enter(&connection, &[&sealed]).unwrap();
    connection
}

pub fn service(connection: Connection, config: Config) -> Service {
    let connection = Arc::new(Mutex::new(connection));
    Service::new(move || connection.lock().try_clone(), config).unwrap()
}

pub fn query(sql: &str) -> Query {
    Query { sql: sql.to_owned(), params: vec![] }
}

/// Every file below the folder with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn fingerprint(connection: &Connection) -> (i64, i64, i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM spans), (SELECT sum(hash(s))::HUGEINT % 1000000007 FROM (SELECT * EXCLUDE \
               (resource, attributes) FROM hot.spans) s), (SELECT count(*) FROM logs), (SELECT count(*) FROM duckdb_tables())";
    let read = |row: &duckdb::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    connection.query_row(sql, [], read).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let connection = instance(dir.path());
    let witness = connection.try_clone().unwrap();
    let before = (files(dir.path()), fingerprint(&witness));
    let service = service(connection, Config::default());

    let mut passed = Vec::new();
    let mut count = 0;
    for statement in statements(HOSTILE) {
        count += 1;
        match service.collect(query(statement), Kind::Json).await {
            // Refused by a gate, or not even SQL: what DuckDB says on parsing has no other prefix.
            Err(SqlError::Refused { .. }) => {}
            Err(SqlError::Failed { message, .. }) if message.starts_with("Parser Error") => {}
            other => passed.push(format!("{statement}\n    -> {other:?}")),
        }
    }
    assert!(count >= 150, "{count} statements");
    assert!(passed.is_empty(), "{} of {count} got past the gates:\n{}", passed.len(), passed.join("\n"));

    assert_eq!((files(dir.path()), fingerprint(&witness)), before);
    let left = std::fs::read_dir("/tmp").unwrap().filter(|entry| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("vispyr-hostile"))
    });
    assert_eq!(left.count(), 0, "a statement wrote a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_statements_work_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    let mut failed = Vec::new();
    let mut count = 0;
    for statement in statements(ORDINARY) {
        count += 1;
        for kind in [Kind::Json, Kind::Csv, Kind::Arrow] {
            match service.collect(query(statement), kind).await {
                Ok((body, summary)) => {
                    if let Some(wrong) = malformed(kind, &body, summary.rows) {
                        failed.push(format!("{statement}\n    -> {kind:?} {wrong}"));
                    }
                }
                Err(error) => {
                    failed.push(format!("{statement}\n    -> {error}"));
                    break;
                }
            }
        }
    }
    assert!(count >= 100, "{count} statements");
    assert!(failed.is_empty(), "{} of {count} failed:\n{}", failed.len(), failed.join("\n"));
}

/// What is wrong with an answer, if something is.
fn malformed(kind: Kind, body: &[u8], rows: u64) -> Option<String> {
    match kind {
        Kind::Json => match serde_json::from_slice::<serde_json::Value>(body) {
            Err(error) => Some(format!("{error}: {}", String::from_utf8_lossy(body))),
            Ok(json) => {
                let columns = json["columns"].as_array()?.len();
                let unnamed = json["columns"].as_array()?.iter().any(|c| c["name"] == "" || c["type"] == "");
                let shape =
                    json["rows"].as_array()?.iter().all(|row| row.as_array().is_some_and(|r| r.len() == columns));
                (unnamed || !shape || json["row_count"] != rows).then(|| json.to_string())
            }
        },
        Kind::Csv => {
            let mut reader = csv::Reader::from_reader(body);
            let read = reader.records().filter(Result::is_ok).count() as u64;
            (read != rows).then(|| format!("{read} records for {rows} rows: {}", String::from_utf8_lossy(body)))
        }
        Kind::Arrow => match arrow::ipc::reader::StreamReader::try_new(body, None) {
            Err(error) => Some(error.to_string()),
            Ok(reader) => {
                let read: usize = reader.map(|batch| batch.map_or(0, |batch| batch.num_rows())).sum();
                (read as u64 != rows).then(|| format!("{read} rows for {rows}"))
            }
        },
    }
}

/// The gates are not the only thing between a reader and the data.
#[test]
fn the_sealed_instance_reaches_no_file_outside_and_takes_no_setting() {
    let dir = tempfile::tempdir().unwrap();
    let connection = instance(dir.path());
    for refused in [
        "FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/vispyr-hostile-sealed.csv'",
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "ATTACH '/tmp/vispyr-hostile-sealed.db' AS other",
        "INSTALL httpfs",
    ] {
        assert!(connection.execute_batch(refused).is_err(), "{refused}");
    }
    let count: i64 = connection.query_row("SELECT count(*) FROM spans", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 200, "the view reads its Parquet file");
    let inside = dir.path().join("sealed/flush.parquet");
    connection.execute_batch(&format!("COPY (FROM logs) TO '{}' (FORMAT parquet)", inside.display())).unwrap();
    assert!(inside.exists(), "a flush can still write");
}
