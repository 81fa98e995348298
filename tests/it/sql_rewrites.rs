//! What passes over a statement write into it, on values.

use serde_json::{Value, json};
use vispyr::store::sql::format::Kind;
use vispyr::store::sql::request::Query;
use vispyr::store::sql::{Config, Service};

use super::sql_gates::{instance, query, service};

async fn rows(service: &Service, query: Query) -> Result<Value, String> {
    let (body, _) = service.collect(query, Kind::Json).await.map_err(|e| e.to_string())?;
    Ok(serde_json::from_slice::<Value>(&body).unwrap()["rows"].take())
}

/// Nested calls multiply, whether they stand in each other or in another query.
#[tokio::test(flavor = "multi_thread")]
async fn what_repeat_makes_is_bounded_however_calls_nest() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    for call in [
        "repeat('a', range * 1000000 + 1000000)",
        "repeat(repeat('a', 30000), 30000)",
        "repeat(repeat(name, 1000), range * 1000 + 1000)",
        "repeat(long, 30000)",
        "repeat([1, 2, 3], 100000 + range)",
    ] {
        let sql = format!(
            "WITH l AS (SELECT repeat('b', 30000) AS long) SELECT {call} FROM l, range(3), (SELECT name FROM spans)"
        );
        let error = rows(&service, query(&sql)).await.unwrap_err();
        assert!(error.contains("at most 100,000 bytes"), "{call}: {error}");
    }
    for (call, length) in
        [("repeat(repeat('ab', 100), 100)", 20_000), ("repeat([1], range + 3)", 3), ("'x'.repeat('3')", 3)]
    {
        let sql = format!("SELECT len({call}) FROM range(1)");
        assert_eq!(rows(&service, query(&sql)).await.unwrap().to_string().replace('"', ""), format!("[[{length}]]"));
    }
    let nothing = "SELECT repeat(NULL, 2), repeat('a', NULL), repeat('a', -1), repeat(attributes.\"http.route\", 2) \
                   FROM spans ORDER BY start_time LIMIT 1";
    assert_eq!(rows(&service, query(nothing)).await, Ok(json!([[null, null, "", "/0/0"]])));
}

/// `attributes.http.route` is the value inside of `http` where no attribute has the whole name.
#[tokio::test(flavor = "multi_thread")]
async fn a_dotted_name_falls_back_to_the_value_inside() {
    let dir = tempfile::tempdir().unwrap();
    let connection = instance(dir.path());
    connection
        .execute_batch(
            "DELETE FROM hot.spans; INSERT INTO hot.spans (name, trace_id, attributes) VALUES
             ('nested', 'nested', {'http': {'route': '/in'}}::VARIANT),
             ('both', 'nested', {'http': {'route': '/in'}, 'http.route': '/whole'}::VARIANT),
             ('none', 'nested', {'http': 1}::VARIANT)",
        )
        .unwrap();
    let service = service(connection, Config::default());
    let sql = "SELECT name, attributes.http.route FROM spans WHERE trace_id = 'nested' ORDER BY name";
    assert_eq!(rows(&service, query(sql)).await, Ok(json!([["both", "/whole"], ["nested", "/in"], ["none", null]])));
    let sql = "SELECT name FROM spans WHERE trace_id = 'nested' AND attributes.http.route = '/in'";
    assert_eq!(rows(&service, query(sql)).await, Ok(json!([["nested"]])));
}

/// A parameter is text that nobody sees before it is bound; DuckDB skips its offset.
#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_counts_by_its_offset_beside_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    // The first span starts at 2026-01-01 00:00:00; there are two of it, in memory and sealed.
    for (filter, parameter, count) in [
        ("start_time = $1", "2026-01-01 02:00:00+02", 2),
        ("start_time = $1", "2025-12-31T19:00:00-05:00", 2),
        ("start_time = ?", "2026-01-01T00:00:00Z", 2),
        ("start_time = $1", "2026-01-01 00:00:00", 2),
        ("start_time = $1", "2026-01-01", 2),
        ("start_time = $1", "2026-01-01 00:00:01.000000007", 2),
        ("start_time <= $1", "2026-01-01 01:59:59+02", 0),
        ("start_time BETWEEN $1 AND $1", "2026-01-01 02:00:00+0200", 2),
        ("start_time IN ($1)", "2026-01-01 02:00:00+02", 2),
        ("date_trunc('second', start_time) = $1", "2026-01-01 02:00:00+02", 2),
        // Text stays text.
        ("name = $1 OR $1 = '2026-01-01 02:00:00+02' AND start_time = '2026-01-01'", "2026-01-01 02:00:00+02", 2),
    ] {
        let sql = format!("SELECT count(*)::VARCHAR FROM spans WHERE {filter}");
        let query = Query { sql, params: vec![parameter.to_owned().into()] };
        assert_eq!(rows(&service, query).await, Ok(json!([[count.to_string()]])), "{filter} {parameter}");
    }
}

/// A time with a zone in a summary, and in every format.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_day_can_be_summarized() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    for sql in [
        "SUMMARIZE SELECT current_time, get_current_time(), localtime, current_localtime()",
        "SUMMARIZE SELECT current_time AS t, [current_time] AS l, {'a': current_time} AS s FROM range(3000)",
        "SELECT current_time, max(current_time), median(current_time), quantile_cont(current_time, 0.5)",
    ] {
        for kind in [Kind::Json, Kind::Csv, Kind::Arrow] {
            if let Err(error) = service.collect(query(sql), kind).await {
                panic!("{sql} {kind:?}: {error}");
            }
        }
    }
}
