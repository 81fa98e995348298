//! Filters by time, in the ways that people write them.

use std::path::Path;

use vispyr::signal::now_nanos;
use vispyr::store::sql::Config;
use vispyr::store::sql::format::Kind;
use vispyr::store::sql::parse::Parser;
use vispyr::store::sql::request::Query;

use super::sql_gates::{instance, query, service};

/// One span a minute ago and one an hour ago, in the instance of the tests of the gates.
fn recent(dir: &Path) -> duckdb::Connection {
    let connection = instance(dir);
    connection
        .execute_batch(
            "DELETE FROM hot.spans; INSERT INTO hot.spans (name, start_time)
             SELECT name, make_timestamp_ns(epoch_ns(now()) - minutes * 60000000000)
             FROM (VALUES ('new', 1), ('old', 60)) v(name, minutes)",
        )
        .unwrap();
    connection
}

const FILTERS: &[&str] = &[
    "start_time > now() - INTERVAL 10 MINUTE",
    "start_time > now()::TIMESTAMP - INTERVAL 10 MINUTE",
    "start_time >= current_timestamp - INTERVAL '10 minutes'",
    "start_time > CURRENT_TIMESTAMP - to_minutes(10)",
    "start_time > transaction_timestamp() - INTERVAL 10 MINUTE",
    "start_time BETWEEN now() - INTERVAL 10 MINUTE AND now()",
    "start_time > ago(INTERVAL 10 MINUTE)",
    "now() - start_time < INTERVAL 10 MINUTE",
    "date_diff('minute', start_time, now()) < 10",
    "datediff('minute', start_time, current_timestamp) < 10",
    "age(now(), start_time) < INTERVAL 10 MINUTE",
    "start_time > to_timestamp(epoch(now()) - 600)",
    "start_time > (now() - INTERVAL 10 MINUTE)::TIMESTAMPTZ",
    "start_time::TIMESTAMPTZ > now() - INTERVAL 10 MINUTE",
    "start_time > (SELECT now() - INTERVAL 10 MINUTE)",
    "start_time > (now() AT TIME ZONE 'UTC') - INTERVAL 10 MINUTE",
    "start_time > now() - INTERVAL 30 MINUTE AND start_time < greatest(now(), TIMESTAMPTZ '2020-01-01 00:00:00+02')",
];

async fn rows(service: &vispyr::store::sql::Service, query: Query) -> serde_json::Value {
    let sql = query.sql.clone();
    let (body, _) = service.collect(query, Kind::Json).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    serde_json::from_slice::<serde_json::Value>(&body).unwrap()["rows"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_minutes_are_asked_for_in_any_way() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(recent(dir.path()), Config::default());
    let recent = "FROM spans WHERE start_time > TIMESTAMP '2026-06-01' AND";
    for filter in FILTERS {
        let sql = format!("SELECT name {recent} {filter} ORDER BY 1");
        assert_eq!(rows(&service, query(&sql)).await, serde_json::json!([["new"]]), "{filter}");
    }
    let at = "FROM (SELECT make_timestamp_ns(1767225600000000000) AS start_time) WHERE start_time";
    for (offset, count) in [
        ("= TIMESTAMPTZ '2026-01-01 02:00:00+02'", 1),
        ("= '2026-01-01 02:00:00+02'", 1),
        ("= '2026-01-01T00:00:00Z'", 1),
        ("= TIMESTAMP_NS '2025-12-31 19:00:00-05:00'", 1),
        ("BETWEEN '2026-01-01 02:00:00+02' AND '2026-01-01 02:00:00+02'", 1),
        ("IN ('2026-01-01 02:00:00+02', '2026-01-02 02:00:00+02')", 1),
        ("IS NOT NULL AND date_trunc('second', start_time) = '2026-01-01 02:00:00+02'", 1),
        ("::TIMESTAMP = '2026-01-01 02:00:00+02'", 1),
        ("IS NOT NULL AND coalesce(start_time, now()) = '2026-01-01 02:00:00+02'", 1),
        ("IS NOT NULL AND greatest(start_time, '2026-01-01 01:00:00+02') = start_time", 1),
        ("IS NOT NULL AND date_diff('hour', start_time, '2026-01-01 02:00:00+02') = 0", 1),
        ("IS NOT NULL AND (SELECT max(start_time) FROM (SELECT start_time)) <= '2026-01-01 02:00:00+02'", 1),
        ("= '2026-01-01 02:00:00'", 0),
        ("= TIMESTAMPTZ '2026-01-01 00:00:00'", 1),
    ] {
        let sql = format!("SELECT count(*) {at} {offset}");
        assert_eq!(rows(&service, query(&sql)).await, serde_json::json!([[count]]), "{offset}");
    }
    for (statement, answer) in [
        // Under another name; and text that looks like a time stays text.
        ("SELECT t = '2026-01-01 02:00:00+02' FROM (SELECT make_timestamp_ns(1767225600000000000) AS t)", "true"),
        ("SELECT name = '2026-01-01 02:00:00+02' FROM (SELECT '2026-01-01 02:00:00+02' AS name)", "true"),
    ] {
        assert_eq!(rows(&service, query(statement)).await.to_string(), format!("[[{answer}]]"), "{statement}");
    }
    let params = Query {
        sql: format!("SELECT name {recent} start_time > now() - to_minutes($1) AND start_time < $2"),
        params: vec![10.into(), "2100-01-01 00:00:00".to_owned().into()],
    };
    assert_eq!(rows(&service, params).await, serde_json::json!([["new"]]));
}

/// The sealed file holds older spans only, which its statistics tell: that takes a constant to compare with.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_by_now_leaves_out_files() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(recent(dir.path()), Config::default());
    for (filter, read) in [
        ("start_time > now() - INTERVAL 10 MINUTE", false),
        ("start_time BETWEEN current_timestamp - INTERVAL 10 MINUTE AND current_timestamp", false),
        ("start_time < now() - INTERVAL 10 MINUTE", true),
    ] {
        let plan = rows(&service, query(&format!("EXPLAIN SELECT count(*) FROM spans WHERE {filter}"))).await;
        let plan = plan.to_string();
        assert!(plan.contains("'::TIMESTAMP_NS") && !plan.contains("now()"), "{filter}: {plan}");
        assert_eq!(plan.contains("READ_PARQUET"), read, "{filter}: {plan}");
    }
}

/// A count that is computed is bounded when it runs.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_repeats_without_bound() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    for call in ["rpad('a', range::INT * 1000000, 'b')", "lpad('a', 40000 + range, 'b')"] {
        let error = service.collect(query(&format!("SELECT {call} FROM range(3)")), Kind::Json).await.unwrap_err();
        assert!(error.to_string().contains("out of range"), "{call}: {error}");
    }
}

/// Otherwise the files that count might be others when it is run.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_statement_is_the_one_at_which_it_is_read() {
    let parser = Parser::new().unwrap();
    let db = duckdb::Connection::open_in_memory().unwrap();
    let micros = || i64::try_from(now_nanos() / 1000).unwrap();
    for now in ["now()", "NOW()", "current_timestamp", "get_current_timestamp()", "transaction_timestamp()"] {
        let before = micros();
        let text = parser.validate(&format!("SELECT epoch_us({now})")).unwrap();
        let after = micros();
        while micros() <= after {}
        let told: i64 = db.query_row(&text, [], |row| row.get(0)).unwrap();
        assert!((before..=after).contains(&told), "{text}");
    }
}

/// Columns keep the names that DuckDB gives them.
#[tokio::test(flavor = "multi_thread")]
async fn names_of_columns_stay() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(recent(dir.path()), Config::default());
    for (sql, name) in [
        ("SELECT now()", "now()"),
        ("SELECT current_timestamp", "current_timestamp"),
        ("SELECT now() AS n", "n"),
        ("SELECT repeat('a', 1 + 1)", "repeat('a', (1 + 1))"),
        ("SELECT attributes.http.route FROM spans", "route"),
    ] {
        let (body, _) = service.collect(query(sql), Kind::Json).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["columns"][0]["name"], name, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_of_several_words_needs_no_quotes() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    let plain =
        "SELECT count(*) FROM spans WHERE attributes.http.route = '/1' AND spans.attributes.http.status_code >= 300";
    let quoted = plain.replace("http.route", "\"http.route\"").replace("http.status_code", "\"http.status_code\"");
    let answer = rows(&service, query(plain)).await;
    assert_eq!(answer, rows(&service, query(&quoted)).await);
    assert_ne!(answer, serde_json::json!([[0]]));
    let inner =
        "SELECT attributes.a.b::VARCHAR FROM (SELECT {'a': {'b': 'x'}}::VARIANT AS attributes FROM spans LIMIT 1)";
    // A cast to VARIANT is not let through, so the table has it: a value inside of another still counts.
    assert!(service.collect(query(inner), Kind::Json).await.is_err());
}
