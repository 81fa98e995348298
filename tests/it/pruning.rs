//! A reader opens only the files that can hold an answer, and answers as if it had opened all.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::take_record_batch;
use duckdb::Connection;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use vispyr::store::catalog::statistics::{self, Copied};
use vispyr::store::engine::sealed_file::{self, Flush, Metadata};
use vispyr::store::engine::shredding::Shredding;
use vispyr::store::instance::Limits;
use vispyr::store::parquet_file::write::Writer;
use vispyr::store::parquet_file::{columns, conform, order};
use vispyr::store::reader::files::Files;
use vispyr::store::reader::views::{Shown, Views};
use vispyr::store::reader::{Changes, FileEntry, Planner, Reader, instance};
use vispyr::store::schema::Table;
use vispyr::store::sql::format::Kind;
use vispyr::store::sql::request::Query;
use vispyr::store::sql::service::{Piece, Source as _};
use vispyr::store::sql::{Config, FilesOpened, Service, SqlError};

use super::sql_gates::{ORDINARY, query, statements};

const LIMITS: Limits = Limits { memory: 256 << 20, threads: 1 };

/// 2026-01-01 in nanoseconds since the Unix epoch.
const START: u64 = 1_767_225_600_000_000_000;

const HOUR: u64 = 3_600_000_000_000;

/// So many minutes after a file begins.
fn at(file: u64, minute: u64) -> String {
    format!("2026-01-{:02} {:02}:{minute:02}:00", 1 + file / 4, file % 4 * 6)
}

/// Files of a table, one for each `SELECT`.
fn write(db: &Connection, sealed: &Path, table: Table, selects: &[String], files: &mut Vec<FileEntry>) {
    std::fs::create_dir_all(sealed.join(table.name())).unwrap();
    for select in selects {
        let id = files.len() as i64;
        let columns: Vec<String> =
            table.columns().iter().map(|column| format!("{0}::{1} AS {0}", column.name, column.sql_type)).collect();
        let rows = format!("SELECT {} FROM ({select})", columns.join(", "));
        let full = sealed.join(table.name()).join("new.parquet");
        let copied = statistics::copy(db, table, &rows, &full, "FORMAT parquet").unwrap();
        // Some are as DuckDB writes them, as those of earlier versions were.
        let copied = if id % 3 == 0 { copied } else { write_as_today(table, &full, copied.rows) };
        let (_, checksum) = sealed_file::checksum(&full, || true).unwrap().unwrap();
        let path = format!("{}/{}", table.name(), sealed_file::name(sealed_file::new_id(), checksum));
        std::fs::rename(&full, sealed.join(&path)).unwrap();
        files.push(FileEntry::new(id, table, path, &copied.columns));
    }
}

/// Writes a file of DuckDB's again, without it.
fn write_as_today(table: Table, path: &Path, rows: u64) -> Copied {
    let shredding = Shredding::of_files(table, &[path.to_owned()], rows).unwrap();
    let schema = conform::views(&columns::schema(table, &shredding));
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let read = reader.with_batch_size(1 << 20).build().unwrap().next().unwrap().unwrap();
    let told = conform::views(&read.schema());
    let arrays = read.columns().iter().zip(told.fields());
    let arrays = arrays.map(|(array, field)| arrow::compute::cast(array, field.data_type()).unwrap()).collect();
    let read = RecordBatch::try_new(told, arrays).unwrap();
    let mut rows = conform::conform(&read, &schema, &shredding).unwrap();
    if let Some(numbers) = order::sorted(&order::keys(table, &rows).unwrap()) {
        rows = take_record_batch(&rows, &numbers).unwrap();
    }
    let mut writer = Writer::create(path, table, schema, 1).unwrap();
    writer.write(&rows).unwrap();
    let flush = Flush { id: uuid::Uuid::nil(), created: 1, logs: Vec::new() };
    writer.finish(path, Metadata::new(&flush, table.name(), 0, (None, None))).unwrap()
}

/// Files with times, services, ids and series of which some come in one file and some in many, or in none.
fn store(sealed: &Path, seed: u64) -> Vec<FileEntry> {
    let db = Connection::open_in_memory().unwrap();
    let mut random = SmallRng::seed_from_u64(seed);
    let mut files = Vec::new();
    let mut selects = |rows: &dyn Fn(u64, u64, u64) -> String| -> Vec<String> {
        // Hour, services from, rows.
        (0..12).map(|file| rows(file, random.random_range(0..6), random.random_range(1..40))).collect()
    };
    // Four files a day, each of up to an hour and a bit, none beyond midnight.
    let time = |file: u64| format!("make_timestamp_ns({} + n * 97000000001)", START + file * 6 * HOUR);
    let spans = selects(&|hour, service, rows| {
        format!(
            "SELECT CASE WHEN n % 11 = 3 THEN NULL ELSE unhex(lpad(printf('%x', {hour} * 7 + n // 4), 32, '0')) END AS trace_id,
                unhex(lpad(printf('%x', {hour} * 1000 + n), 16, '0')) AS span_id,
                CASE WHEN n % 4 = 0 THEN NULL ELSE unhex(lpad(printf('%x', {hour} * 1000 + n - 1), 16, '0')) END AS parent_span_id,
                NULL AS trace_state, 'GET /' || n % 5 AS name, ['server', 'client', 'internal'][n % 3 + 1] AS kind,
                CASE WHEN n % 13 = 5 THEN NULL ELSE {} END AS start_time, n * 1000 AS duration_ns,
                CASE WHEN n % 7 = 0 THEN 'error' ELSE 'unset' END AS status_code, NULL AS status_message,
                CASE WHEN {service} = 0 THEN NULL ELSE 'shop' || ({service} + n % 2) END AS service_name, n % 3 AS resource_id,
                NULL AS scope_name, NULL AS scope_version,
                CASE WHEN {hour} % 3 = 1 AND n % 4 = 0 THEN NULL
                     WHEN {hour} % 4 = 2 AND n % 2 = 0 THEN {{'http.route': n, 'only': {{'here': n}}}}::VARIANT
                     WHEN {hour} % 5 = 3 THEN {{'http.status_code': 200 + 100 * (n % 4)}}::VARIANT
                     WHEN {hour} % 2 = 0 THEN {{'http.route': '/' || n % 5, 'http.status_code': 200 + 100 * (n % 4), 'n': n}}::VARIANT
                     ELSE {{'http.route': '/' || n % 5, 'http.status_code': 200 + 100 * (n % 4), 'n': 't' || n}}::VARIANT END AS attributes,
                NULL AS events, NULL AS links FROM range({rows}) AS t(n)",
            time(hour)
        )
    });
    let logs = selects(&|hour, service, rows| {
        format!(
            "SELECT {} AS time, NULL AS observed_time, 9 + n % 13 AS severity_number, 'INFO' AS severity_text,
                'it may fail ' || n AS body, 'shop' || ({service} + n % 2) AS service_name, n % 3 AS resource_id,
                NULL AS scope_name, NULL AS event_name, NULL AS attributes, NULL AS body_type,
                unhex(lpad(printf('%x', {hour} * 7 + n // 4), 32, '0')) AS trace_id, NULL AS span_id
             FROM range({rows}) AS t(n)",
            time(hour)
        )
    });
    let points = selects(&|hour, service, rows| {
        format!(
            "SELECT {} AS time, NULL AS start_time, 'm' || {service} AS metric, NULL AS unit, 'gauge' AS type,
                NULL AS temporality, NULL AS monotonic, 'shop' || {service} AS service_name,
                {service} * 10 - 20 + n % 4 AS series_id, n AS value, 0 AS flags, NULL AS value_int FROM range({rows}) AS t(n)",
            time(hour)
        )
    });
    let series = selects(&|hour, service, _| {
        format!(
            "SELECT {service} * 10 - 20 + n AS series_id, make_timestamp_ns({hour}) AS time, 'm' || {service} AS metric,
                'shop' || {service} AS service_name, {{'n': n}}::VARIANT AS labels, 1 AS resource_id, NULL AS scope_name,
                NULL AS scope_version FROM range(4) AS t(n)"
        )
    });
    // Each resource once a day, and once for spans without a time.
    let resources = selects(&|file, _, _| {
        let (id, time) = (file % 4, START + file * 6 * HOUR);
        let untimed = if file == 0 {
            " UNION ALL SELECT n, NULL, {'host.name': 'h' || n}::VARIANT FROM range(3) AS t(n)"
        } else {
            ""
        };
        format!(
            "SELECT {id} AS resource_id, make_timestamp_ns({time}) AS time, {{'host.name': 'h' || {id}}}::VARIANT AS resource{untimed}"
        )
    });
    for (table, selects) in [
        (Table::Spans, spans),
        (Table::Logs, logs),
        (Table::MetricPoints, points),
        (Table::Series, series),
        (Table::Resources, resources),
    ] {
        write(&db, sealed, table, &selects, &mut files);
    }
    files
}

fn reader(dir: &Path, files: Vec<FileEntry>) -> Service {
    let reader = Reader::open(&dir.join("sealed"), &dir.join("spill"), LIMITS, Planner::default()).unwrap();
    reader.change(Changes { added: files, ..Changes::default() });
    Service::new(reader, Config::default()).unwrap()
}

/// The same without a look at what a statement asks: every view is over all files of its table.
fn over_all(dir: &Path, entries: Vec<FileEntry>) -> Service {
    let sealed = dir.join("sealed");
    let db = instance::open(&sealed, &dir.join("spill"), LIMITS).unwrap();
    let mut files = Files::default();
    files.change(Changes { added: entries, ..Changes::default() });
    let mut views = Views::default();
    for table in Table::ALL {
        let shown = Shown { files: files.of(table).map(|file| file.id).collect(), resources: true, ..Shown::default() };
        views.show(&db, &sealed, table, &mut files, Some(shown)).unwrap();
    }
    let db = Arc::new(Mutex::new(db));
    Service::new(move || db.lock().try_clone(), Config::default()).unwrap()
}

/// The rows, sorted, or what DuckDB says instead; and how many files were opened.
async fn ask(service: &Service, query: Query) -> (Result<Vec<String>, String>, Option<FilesOpened>) {
    let mut pieces = service.start(query, Kind::Json);
    let (mut body, mut files) = (Vec::new(), None);
    loop {
        match pieces.recv().await.unwrap() {
            Piece::Start(start) => {
                assert_eq!(start.warnings, [""; 0]);
                files = start.files;
            }
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::End(_) => break,
            Piece::Error(error) => return (Err(of_duckdb(&error)), files),
        }
    }
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let mut rows: Vec<String> = answer["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
    rows.sort();
    (Ok(rows), files)
}

fn of_duckdb(error: &SqlError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Statements of every form in which people ask, with values that are there, at the edge, and not there.
fn asked(random: &mut SmallRng) -> Vec<String> {
    let mut conditions: Vec<(&str, String)> = Vec::new();
    for _ in 0..2 {
        let (id, service, hour, minute) = (
            random.random_range(0..100),
            random.random_range(0..9),
            random.random_range(0..14),
            random.random_range(0..60),
        );
        let trace = format!("'{id:032x}'");
        let time = format!("'{}'", at(hour, minute));
        let later = format!("'{}'", at(hour + 2, minute));
        let sign = ["<", "<=", ">", ">=", "=", "<>"][random.random_range(0..6)];
        conditions.extend([
            ("spans", format!("trace_id = {trace}")),
            ("spans", format!("trace_id IN ({trace}, '{:032x}') OR trace_id = '0'", id + 7)),
            ("spans", format!("trace_id {sign} {trace} AND kind = 'server'")),
            ("spans", format!("span_id = '{:016x}'", id * 130)),
            ("spans", format!("NOT (start_time < {time})")),
            ("spans", format!("start_time BETWEEN {time} AND {later}")),
            (
                "spans",
                format!("start_time {sign} {time}::TIMESTAMP + INTERVAL 5 MINUTE AND service_name = 'shop{service}'"),
            ),
            ("spans", format!("service_name = 'shop{service}' OR (service_name IS NULL AND start_time > {time})")),
            ("spans", format!("service_name LIKE 'shop{service}%'")),
            ("spans", format!("service_name IN ('shop{service}', 'shop1', NULL)")),
            ("spans", format!("date_trunc('hour', start_time) = {time}::TIMESTAMP - INTERVAL {minute} MINUTE")),
            ("spans", format!("coalesce(service_name, 'none') {sign} 'shop{service}'")),
            ("spans", format!("service_name = 'shop{service}' OR start_time > {time} OR trace_id = {trace}")),
            (
                "spans",
                format!("(start_time < {time} AND name = 'GET /1') OR (kind = 'client' AND start_time >= {later})"),
            ),
            ("spans", format!("service_name = 'shop{service}' OR lower(name) = 'get /1' OR start_time = {time}")),
            ("logs", format!("(trace_id = {trace} OR service_name = 'shop{service}') AND time {sign} {time}")),
            ("metric_points", format!("metric = 'm{service}' OR time {sign} {time} AND value > 3")),
            ("spans", format!("start_time > (SELECT min(time) FROM logs WHERE service_name = 'shop{service}')")),
            ("spans", format!("trace_id IN (SELECT trace_id FROM logs WHERE time > {time})")),
            ("spans", format!("resource.\"host.name\" = 'h1' AND start_time > {time}")),
            ("spans", format!("attributes.\"http.route\" = '/{service}'")),
            ("spans", format!("attributes.http.status_code {sign} 300 AND start_time > {time}")),
            ("spans", format!("attributes.\"http.route\" IS NULL AND service_name = 'shop{service}'")),
            ("spans", format!("attributes.only.here = {service} OR attributes.nothing = 1")),
            ("series", format!("labels.n {sign} 2")),
            ("logs", format!("time {sign} {time} AND severity_number >= 17")),
            ("logs", format!("trace_id = {trace} AND service_name {sign} 'shop{service}'")),
            ("metric_points", format!("metric = 'm{service}' AND time > {time}")),
            ("metric_points", format!("series_id {sign} {}", service * 10 - 20)),
            ("metric_points", format!("series_id IN (SELECT series_id FROM series WHERE metric = 'm{service}')")),
            ("series", format!("metric {sign} 'm{service}'")),
            ("traces", format!("trace_id = {trace}")),
            ("traces", format!("start_time > {time}")),
        ]);
    }
    let mut asked: Vec<String> = Vec::new();
    for (table, condition) in &conditions {
        asked.push(format!("SELECT * FROM {table} WHERE {condition}"));
        asked.push(format!("SELECT count(*) FROM (FROM {table} WHERE {condition})"));
        if *table == "spans" {
            asked.push(format!("SELECT trace_id, span_id, count(*) FROM spans WHERE {condition} GROUP BY ALL"));
            asked.push(format!(
                "SELECT attributes.\"http.route\"::VARCHAR, variant_typeof(attributes.\"http.route\"), \
                 attributes.http.status_code, attributes.n, attributes.only.here, attributes.nothing FROM spans WHERE {condition}"
            ));
            asked.push(format!(
                "SELECT attributes.\"http.route\"::VARCHAR AS route, resource.\"host.name\"::VARCHAR AS host, count(*), \
                 max(duration_ns), min(attributes.\"http.status_code\"::INT) FROM spans WHERE {condition} GROUP BY ALL"
            ));
        }
        asked.push(format!(
            "WITH x AS (SELECT * FROM {table}) SELECT count(*), min(x::VARCHAR) FROM x WHERE {condition}"
        ));
    }
    for hour in [0, 5, 13] {
        let range = format!("'{}', '{}'", at(hour, 0), at(hour + 1, 30));
        for call in ["red", "service_graph", "telemetry_volume"] {
            asked.push(format!("FROM {call}({range})"));
        }
        asked.push(format!("FROM trace('{:032x}')", hour * 7 + 1));
        asked.push(format!(
            "SELECT s.name, l.body FROM spans s JOIN logs l ON s.trace_id = l.trace_id WHERE s.trace_id = '{:032x}'",
            hour * 7
        ));
        asked.push(format!(
            "SELECT name FROM spans s WHERE EXISTS (FROM logs l WHERE l.trace_id = s.trace_id AND l.time > '{}')",
            at(hour, 0)
        ));
        asked.push(format!(
            "SELECT service_name FROM spans WHERE start_time > '{0}' EXCEPT SELECT service_name FROM logs WHERE time < '{0}'",
            at(hour, 0)
        ));
    }
    asked
}

/// The first rows of an order are looked for with what is known of those that are found; a join keeps DuckDB from it.
#[tokio::test(flavor = "multi_thread")]
async fn resources_that_are_not_asked_for_are_not_joined() {
    let dir = tempfile::tempdir().unwrap();
    let reader = reader(dir.path(), store(&dir.path().join("sealed"), 1));
    for (columns, joins) in [("time, body", false), ("time, resource", true), ("time, body", false)] {
        let sql = format!("EXPLAIN SELECT {columns} FROM logs WHERE severity_number >= 9 ORDER BY time DESC LIMIT 3");
        let plan = ask(&reader, query(&sql)).await.0.unwrap().join("");
        assert_eq!(plan.contains("resource_id = resource_id"), joins, "{columns}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_compared_as_it_is_stored_alone() {
    let dir = tempfile::tempdir().unwrap();
    let reader = reader(dir.path(), store(&dir.path().join("sealed"), 1));
    let id = "00000000000000000000000000000000";
    for (condition, makes_hex) in [
        (format!("trace_id = '{id}'"), false),
        (format!("trace_id = '{id}' AND span_id = '0000000000000001' AND kind = 'client'"), false),
        (format!("trace_id = '{id}' OR span_id = '0000000000000001'"), true),
    ] {
        let sql = format!("EXPLAIN SELECT name FROM spans WHERE {condition}");
        let plan = ask(&reader, query(&sql)).await.0.unwrap().join("");
        assert!(plan.contains("READ_PARQUET"), "{plan}");
        assert_eq!(plan.contains("hex("), makes_hex, "{condition}: {plan}");
    }
}

#[test]
fn a_reader_takes_as_many_threads_as_it_is_told_up_to_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    std::fs::create_dir_all(&sealed).unwrap();
    let limits = Limits { threads: 2, ..LIMITS };
    let reader = Reader::open(&sealed, &dir.path().join("spill"), limits, Planner::default()).unwrap();
    let threads = || -> i64 {
        reader.connect().unwrap().query_row("SELECT current_setting('threads')", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(threads(), 2);
    for (told, expected) in [(Some(1), 1), (Some(0), 1), (Some(2), 2), (Some(1), 1), (None, 2), (Some(9), 2)] {
        reader.change(Changes { threads: told, ..Changes::default() });
        assert_eq!(threads(), expected, "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_same_as_from_all_files() {
    for seed in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let files = store(&dir.path().join("sealed"), seed);
        let (reader, over_all) = (reader(dir.path(), files.clone()), over_all(dir.path(), files));
        let mut random = SmallRng::seed_from_u64(seed);
        let (mut different, mut fewer, mut with_rows) = (Vec::new(), 0, 0);
        let asked: Vec<String> = asked(&mut random);
        // Of a sample there is often twice nothing, and then something.
        let is_same_twice = |sql: &&str| seed == 1 && !sql.contains("SAMPLE");
        let ordinary = statements(ORDINARY).filter(is_same_twice).map(str::to_owned);
        let count = asked.len();
        for sql in asked.into_iter().chain(ordinary) {
            let (expected, _) = ask(&over_all, query(&sql)).await;
            let (found, files) = ask(&reader, query(&sql)).await;
            // What is not always the same cannot be compared.
            if found != expected && ask(&over_all, query(&sql)).await.0 == expected {
                different.push(format!("{sql}\n  {expected:?}\n  {found:?}"));
            }
            fewer += usize::from(files.is_some_and(|files| files.opened < files.all / 5));
            with_rows += usize::from(found.is_ok_and(|rows| !rows.is_empty()));
        }
        assert!(different.is_empty(), "seed {seed}: {} differ\n{}", different.len(), different.join("\n"));
        assert!(
            fewer > count / 4 && with_rows > count / 2,
            "{fewer} asked few files, {with_rows} found rows, of {count}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_opens_the_files_that_can_hold_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let files = store(&dir.path().join("sealed"), 1);
    let service = reader(dir.path(), files);
    let opened = async |sql: &str, params: Vec<duckdb::types::Value>| {
        let (rows, files) = ask(&service, Query { sql: sql.to_owned(), params }).await;
        let files = files.unwrap();
        assert_eq!(files.all, 60);
        (rows.unwrap().len(), files.opened)
    };
    let text = |text: &str| vec![duckdb::types::Value::Text(text.to_owned())];
    assert_eq!(opened("SELECT 1", vec![]).await, (1, 0));
    assert_eq!(
        opened("SELECT name FROM spans WHERE trace_id = 'ffffffff000000000000000000000000'", vec![]).await,
        (0, 0)
    );
    let (_, of_trace) =
        opened("SELECT name FROM spans WHERE trace_id = '00000000000000000000000000000000'", vec![]).await;
    assert_eq!(of_trace, 1);
    let (_, with_resources) =
        opened("SELECT * FROM spans WHERE trace_id = '00000000000000000000000000000000'", vec![]).await;
    assert_eq!(with_resources, 1 + 12, "and the files that say what the resources are");
    assert_eq!(
        opened("SELECT name FROM spans WHERE trace_id = ? LIMIT 1", text("00000000000000000000000000000000")).await,
        (1, 1)
    );
    let hour = "SELECT count(*) FROM logs WHERE time >= '2026-01-01 18:00:00' AND time < '2026-01-01 19:00:00'";
    let (_, of_hour) = opened(hour, vec![]).await;
    assert!((1..=2).contains(&of_hour), "{of_hour}");
    let (_, resources_of_hour) = opened(&hour.replace("count(*)", "*"), vec![]).await;
    assert_eq!(resources_of_hour, of_hour + 4, "and those of its day");
    let either = "SELECT name FROM spans WHERE start_time < '2026-01-01 00:00:01' OR trace_id = '00000000000000000000000000000000'";
    assert_eq!(opened(either, vec![]).await.1, 1);
    let since = "SELECT count(*) FROM logs WHERE time > ?";
    let (_, of_param) = opened(since, text("2026-01-03 18:00:00")).await;
    assert!((1..=2).contains(&of_param), "{of_param}");
    assert_eq!(opened("SELECT count(*) FROM logs WHERE time > now() - INTERVAL 1 HOUR", vec![]).await, (1, 0));
    assert_eq!(opened("EXPLAIN SELECT count(*) FROM logs WHERE time > now()", vec![]).await.1, 0);
    assert_eq!(opened("SELECT count(*) FROM logs", vec![]).await, (1, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_costs_its_rows_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let files = store(&sealed, 1);
    let of_logs: Vec<_> = files.iter().filter(|file| file.table == "logs").cloned().collect();
    let service = reader(dir.path(), files);
    let count = async || -> i64 {
        let (body, _) = service.collect(query("SELECT count(*) FROM logs"), Kind::Json).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["rows"][0][0].as_i64().unwrap()
    };
    let whole = count().await;
    for (n, file) in of_logs.iter().take(3).enumerate() {
        let path = sealed.join(&file.path);
        match n {
            0 => std::fs::remove_file(&path).unwrap(),
            1 => std::fs::write(&path, "no parquet").unwrap(),
            _ => {
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let (body, _) = service.collect(query("SELECT count(*) FROM logs"), Kind::Json).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert!(answer["rows"][0][0].as_i64().unwrap() < whole, "{answer}");
        let warnings = answer["warnings"].to_string();
        assert!(warnings.contains(&file.path), "{n}: {answer}");
    }
}

/// A table of which no row counts is not read, so its view is not made anew either. But binding it opens a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_which_no_row_counts_stays_as_long_as_its_files_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let files = store(&sealed, 1);
    let of_spans: Vec<FileEntry> = files.iter().filter(|file| file.table == "spans").cloned().collect();
    let reader = Reader::open(&sealed, &dir.path().join("spill"), LIMITS, Planner::default()).unwrap();
    reader.change(Changes { added: files, ..Changes::default() });
    let service = Service::new(reader.clone(), Config::default()).unwrap();
    let opened = async |sql: &str| {
        let (rows, files) = ask(&service, query(sql)).await;
        (rows.unwrap(), files.unwrap().opened)
    };
    let all = opened("SELECT count(*) FROM spans").await;
    assert_eq!(all.1, 12);
    assert_eq!(opened("SELECT count(*) FROM spans WHERE 1 = 0").await, (vec!["[0]".to_owned()], 0));
    assert_eq!(opened("SELECT count(*) FROM logs").await.1, 12);
    assert_eq!(opened("SELECT count(*) FROM spans").await, all);
    // They are merged, say, and deleted.
    reader.change(Changes { gone: of_spans.iter().map(|file| file.id).collect(), ..Changes::default() });
    for file in &of_spans {
        std::fs::remove_file(sealed.join(&file.path)).unwrap();
    }
    for sql in ["SELECT count(*) FROM spans WHERE 1 = 0", "SELECT count(*) FROM spans"] {
        assert_eq!(opened(sql).await, (vec!["[0]".to_owned()], 0), "{sql}");
    }
}

/// As after a catalog was made again.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_files_that_mean_others_show_others() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let mut files: Vec<FileEntry> = store(&sealed, 1).into_iter().filter(|file| file.table == "logs").collect();
    let others = files.split_off(6);
    let again: Vec<FileEntry> =
        others.into_iter().zip(&files).map(|(other, file)| FileEntry { id: file.id, ..other }).collect();
    let read_as = |files: &[FileEntry]| reader(dir.path(), files.to_vec());
    let count = async |service: &Service| ask(service, query("SELECT count(*), min(time) FROM logs")).await.0.unwrap();
    let expected = [count(&read_as(&files)).await, count(&read_as(&again)).await];
    let reader = Reader::open(&sealed, &dir.path().join("spill"), LIMITS, Planner::default()).unwrap();
    let service = Service::new(reader.clone(), Config::default()).unwrap();
    for (told, expected) in [files, again].into_iter().zip(expected) {
        reader.change(Changes { reset: true, added: told, ..Changes::default() });
        assert_eq!(count(&service).await, expected);
    }
}

/// What is read is told by what is damaged: a page that cannot be decompressed harms those alone who ask for its rows.
#[tokio::test(flavor = "multi_thread")]
async fn pages_without_rows_of_the_answer_are_not_decompressed() {
    const ROWS: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let spans = |rows: u64| {
        format!(
            "SELECT unhex(lpad(printf('%x', n), 32, '0')) AS trace_id, NULL AS span_id, NULL AS parent_span_id,
                NULL AS trace_state, n || ' ' || repeat(md5(n::VARCHAR), 4) AS name, 'server' AS kind,
                make_timestamp_ns({START}) AS start_time, 1 AS duration_ns, 'unset' AS status_code, NULL AS status_message, 'shop' AS service_name,
                NULL AS resource_id, NULL AS scope_name, NULL AS scope_version, NULL AS attributes, NULL AS events,
                NULL AS links FROM range({rows}) AS t(n)"
        )
    };
    let mut files = Vec::new();
    let db = Connection::open_in_memory().unwrap();
    // The second one is written as those of today are.
    write(&db, &sealed, Table::Spans, &[spans(0), spans(ROWS)], &mut files);
    let file = files.remove(1);
    let path = sealed.join(&file.path);
    let ask = async |n: u64| {
        let service = reader(dir.path(), vec![file.clone()]);
        let sql = format!("SELECT split_part(name, ' ', 1) FROM spans WHERE trace_id = '{n:032x}'");
        let (body, _) = service.collect(query(&sql), Kind::Json).await.unwrap();
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        (answer["rows"].take(), answer["warnings"].to_string())
    };
    let there = |n: u64| (serde_json::json!([[n.to_string()]]), "null".to_owned());
    for n in [0, ROWS - 1] {
        assert_eq!(ask(n).await, there(n));
    }
    let mut bytes = std::fs::read(&path).unwrap();
    let metadata = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let group = metadata.metadata().row_group(0);
    let names = group.columns().iter().find(|column| column.column_path().string() == "name").unwrap();
    let (from, length) = names.byte_range();
    // The end of its last page.
    let end = (from + length) as usize;
    bytes[end - 64..end].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(ask(0).await, there(0));
    let (rows, warnings) = ask(ROWS - 1).await;
    assert_eq!(rows, serde_json::json!([]));
    assert!(warnings.contains(&file.path), "{warnings}");
}

/// Whatever is wrong in a file: an answer lacks its rows and says so, or is whole.
#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_a_file_costs_its_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let rows = |first: u64| {
        format!(
            "SELECT unhex(md5(n::VARCHAR)) AS trace_id, unhex(md5(n::VARCHAR)[:16]) AS span_id, NULL AS parent_span_id, NULL AS trace_state,
                'GET /' || n % 7 AS name, 'server' AS kind, make_timestamp_ns({START} + n * 1000003) AS start_time, n AS duration_ns,
                'unset' AS status_code, NULL AS status_message, 'shop' AS service_name, 1 AS resource_id, NULL AS scope_name, NULL AS scope_version,
                {{'http.route': '/' || n % 7, 'n': n, 'only': {{'here': n::VARCHAR}}}}::VARIANT AS attributes, NULL AS events, NULL AS links
             FROM range({first}, {first} + 3000) AS t(n)"
        )
    };
    let db = Connection::open_in_memory().unwrap();
    let mut files = Vec::new();
    write(&db, &sealed, Table::Spans, &[rows(0) + " LIMIT 0", rows(0), rows(3000)], &mut files);
    files.remove(0);
    let path = sealed.join(&files[0].path);
    let bytes = std::fs::read(&path).unwrap();
    let service = reader(dir.path(), files.clone());
    let (mut whole, mut lacking) = (0, 0);
    for place in 0..97 {
        let at = bytes.len() * place / 97;
        let mut damaged = bytes.clone();
        damaged[at..(at + 64).min(bytes.len())].fill(0);
        std::fs::write(&path, damaged).unwrap();
        let sql = "SELECT count(*), count(s) FROM (SELECT hash(s::VARCHAR) AS s FROM spans AS s)";
        let answer = service.collect(query(sql), Kind::Json).await;
        let (body, _) = answer.unwrap_or_else(|error| panic!("{at}: {error}"));
        let answer: Value = serde_json::from_slice(&body).unwrap();
        match answer["rows"][0][0].as_u64().unwrap() {
            6000 => whole += 1,
            3000 => {
                lacking += 1;
                assert!(answer["warnings"].to_string().contains(&files[0].path), "{at}: {answer}");
            }
            _ => panic!("{at}: {answer}"),
        }
    }
    assert!(lacking > 20, "{whole} whole, {lacking} lack rows");
}

/// A row group is read if it can hold rows of the trace, and no other of the same times.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_looked_for_in_its_row_groups_alone() {
    // Three row groups. They are in the order of five minutes and then of traces, so that rows of the same five
    // minutes are in two.
    let spans = |rows: u64| {
        format!(
            "SELECT unhex(md5(n::VARCHAR)) AS trace_id, NULL AS span_id, NULL AS parent_span_id, NULL AS trace_state,
                n::VARCHAR AS name, 'server' AS kind, make_timestamp_ns({START} + n % 3 * 600000000000) AS start_time, 1 AS duration_ns,
                'unset' AS status_code, NULL AS status_message, 'shop' AS service_name, NULL AS resource_id, NULL AS scope_name,
                NULL AS scope_version, NULL AS attributes, NULL AS events, NULL AS links FROM range({rows}) AS t(n)"
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let db = Connection::open_in_memory().unwrap();
    let mut files = Vec::new();
    // The second one is written as those of today are.
    write(&db, &sealed, Table::Spans, &[spans(0), spans(300_000)], &mut files);
    let file = files.remove(1);
    let path = sealed.join(&file.path);
    let ids = format!(
        "SELECT file_row_group_number, lower(hex(min(trace_id))) FROM read_parquet('{}') GROUP BY ALL ORDER BY ALL",
        path.display()
    );
    let mut ids = db.prepare(&ids).unwrap();
    let ids: Vec<(u64, String)> =
        ids.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let [(0, first), (1, second), (2, third)] = &ids[..] else { panic!("{ids:?}") };
    let ask = async |ids: &[&String]| {
        let service = reader(dir.path(), vec![file.clone()]);
        let ids: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
        let sql = format!("SELECT count(*) FROM spans WHERE trace_id IN ({})", ids.join(", "));
        let (body, _) = service.collect(query(&sql), Kind::Json).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        (answer["rows"][0][0].clone(), answer["warnings"].to_string())
    };
    assert_eq!(ask(&[first, second, third]).await, (3.into(), "null".to_owned()));
    // The ids of the first and the last row group cannot be read any more.
    let metadata = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    for group in [0, 2] {
        let columns = metadata.metadata().row_group(group).columns();
        let ids = columns.iter().find(|column| column.column_path().string() == "trace_id").unwrap();
        let (from, length) = ids.byte_range();
        bytes[from as usize..(from + length) as usize].fill(0);
    }
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(ask(&[second]).await, (1.into(), "null".to_owned()));
    for with_damaged in [&[first][..], &[first, second], &[second, third]] {
        let (count, warnings) = ask(with_damaged).await;
        assert_eq!(count, 0);
        assert!(warnings.contains(&file.path), "{warnings}");
    }
}

/// What a resource is is written once a day.
#[tokio::test(flavor = "multi_thread")]
async fn the_resources_of_a_trace_are_those_of_its_days() {
    let spans = |ids: &str, time: &str| {
        format!(
            "SELECT unhex(id) AS trace_id, NULL AS span_id, NULL AS parent_span_id, NULL AS trace_state, 'a' AS name,
                'server' AS kind, {time} AS start_time, 1 AS duration_ns, 'unset' AS status_code, NULL AS status_message,
                'shop' AS service_name, {ids} AS resource_id, NULL AS scope_name, NULL AS scope_version, NULL AS attributes,
                NULL AS events, NULL AS links FROM (SELECT lpad(hex({ids}), 32, '0') AS id)"
        )
    };
    let resource = |id: &str, time: &str| {
        format!("SELECT {id} AS resource_id, {time} AS time, {{'host.name': 'h' || {id}}}::VARIANT AS resource")
    };
    let [day, other_day, no_time] =
        [format!("make_timestamp_ns({START})"), format!("make_timestamp_ns({START} + 24 * {HOUR})"), "NULL".to_owned()];
    let dir = tempfile::tempdir().unwrap();
    let sealed = dir.path().join("sealed");
    let db = Connection::open_in_memory().unwrap();
    let mut files = Vec::new();
    // In the last one are spans without a time, too.
    let mixed = format!("{} UNION ALL {}", spans("3", &other_day), spans("4", &no_time));
    let nothing = spans("0", &day) + " LIMIT 0";
    write(&db, &sealed, Table::Spans, &[nothing.clone(), spans("1", &day), spans("2", &other_day)], &mut files);
    write(&db, &sealed, Table::Spans, &[nothing, mixed], &mut files);
    let resources =
        [resource("1", &day), resource("2", &other_day), resource("3", &other_day), resource("4", &no_time)];
    write(&db, &sealed, Table::Resources, &resources, &mut files);
    // What DuckDB has written has no filters.
    files.retain(|file| file.id != 0 && file.id != 3);
    let service = reader(dir.path(), files);
    for (id, opened) in [(1, 1 + 1), (2, 1 + 2), (3, 1 + 4), (4, 1 + 4), (5, 0)] {
        let sql = format!("SELECT resource.\"host.name\"::VARCHAR FROM spans WHERE trace_id = '{id:032x}'");
        let (rows, files) = ask(&service, query(&sql)).await;
        let expected = if id == 5 { vec![] } else { vec![serde_json::json!([format!("h{id}")]).to_string()] };
        assert_eq!((rows.unwrap(), files.unwrap().opened), (expected, opened), "{id}");
    }
}
