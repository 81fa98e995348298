//! What one call may make of a text is bounded, whatever the text comes from.

use vispyr::store::sql::format::Kind;
use vispyr::store::sql::{Config, Service};

use crate::sql_gates::{instance, query, service};

async fn answer(service: &Service, sql: &str) -> Result<serde_json::Value, String> {
    let answer = service.collect(query(sql), Kind::Json).await.map_err(|error| error.to_string());
    answer.map(|(body, _)| serde_json::from_slice::<serde_json::Value>(&body).unwrap()["rows"].clone())
}

/// `replace` made 10 GB of one row of 100,000 bytes, which no limit of DuckDB's knows of.
#[tokio::test(flavor = "multi_thread")]
async fn replacing_makes_a_text_only_so_much_longer() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    let text = "repeat('a', 20000)";
    for growing in [
        format!("replace({text}, 'a', {text})"),
        format!("replace({text}, 'a', '123456')"),
        format!("{text}.replace('a', '123456')"),
        format!("regexp_replace({text}, 'a', {text}, 'g')"),
        format!("regexp_replace({text}, '', '123456', 'g')"),
        format!("regexp_replace({text}, '.*', repeat('\\0', 100))"),
        format!("regexp_replace({text}, '(.*)', repeat('\\1', 100), 'g')"),
        format!("regexp_replace({text}, 'a' || substr(service_name, 9), '123456', 'g')"),
        // Each step only a little.
        (0..20).fold("'aaaaaaaa'".to_owned(), |inner, _| format!("replace({inner}, 'a', 'aaa')")),
        (0..20).fold("'aaaaaaaa'".to_owned(), |inner, _| format!("regexp_replace({inner}, 'a', 'aaa', 'g')")),
    ] {
        let error =
            answer(&service, &format!("SELECT max(length({growing})) FROM (FROM spans LIMIT 2)")).await.unwrap_err();
        assert!(error.contains("makes a text longer up to 100,000 bytes, and no further"), "{growing}: {error}");
    }
    let error = answer(&service, "SELECT regexp_replace(name, 'a', 'b', 'g' || '') FROM spans").await.unwrap_err();
    assert!(error.contains("must be a literal"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_gives_what_duckdb_gives() {
    let dir = tempfile::tempdir().unwrap();
    let connection = instance(dir.path());
    let plain = connection.try_clone().unwrap();
    let service = service(connection, Config::default());
    for expression in [
        "replace(name, 'GET', 'PUT it')",
        "replace(name, '/', '')",
        "replace(name, '', 'x')",
        "replace(name, service_name, kind)",
        "replace(NULL, 'a', 'bb')",
        "replace('aé', 'é', NULL)",
        "replace(repeat('abc', 20000), 'b', 'xx')",
        "replace(repeat('a', 30000), 'a', 'b')",
        "replace(repeat('a', 30000) || name, ' ', '%20')",
        "regexp_replace(name, '[0-9]+', ':id', 'g')",
        "regexp_replace(name, '([A-Z]+) (/)', '\\2 \\1 \\0')",
        "regexp_replace(name, 'get', 'x', 'i')",
        "regexp_replace(name, '', '-', 'g')",
        "regexp_replace(name, '(', 'x', 'l')",
        "regexp_replace(name, kind, 'xyz')",
        "regexp_replace(NULL, 'a', 'bb')",
        "regexp_replace(repeat('ab', 30000), '(b)', '\\1', 'g')",
        "regexp_replace(repeat('ab', 30000), 'b', 'x', 'g')",
        "regexp_replace(repeat('aaa', 30000), '.*', '<\\0>')",
    ] {
        let sql = format!("SELECT md5(coalesce({expression}, 'NULL')) FROM spans ORDER BY span_id, 1");
        let mut statement = plain.prepare(&sql).unwrap();
        let expected: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let answered = answer(&service, &sql).await.unwrap_or_else(|error| panic!("{expression}: {error}"));
        let answered: Vec<&str> = answered.as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect();
        assert_eq!(answered, expected, "{expression}");
    }
    // The columns keep their names.
    let sql = "DESCRIBE SELECT replace(name, 'a', 'bc'), regexp_replace(name, 'a', 'b') AS r FROM spans";
    let mut statement = plain.prepare(sql).unwrap();
    let expected: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let columns = answer(&service, sql).await.unwrap();
    assert_eq!(columns.as_array().unwrap().iter().map(|row| row[0].clone()).collect::<Vec<_>>(), expected);
}
