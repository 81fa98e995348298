//! EXPLAIN with parameters, and what is said of statements that DuckDB has no tree for.

use vispyr::store::sql::format::Kind;
use vispyr::store::sql::request::Query;
use vispyr::store::sql::{Config, Service, SqlError};

use crate::sql_gates::{instance, query, service};

async fn explained(service: &Service, sql: &str, params: Vec<duckdb::types::Value>) -> Result<String, SqlError> {
    let query = Query { sql: sql.to_owned(), params };
    service.collect(query, Kind::Json).await.map(|(body, _)| String::from_utf8(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_with_parameters_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    for (sql, params) in [
        ("EXPLAIN SELECT $1", vec![5.into()]),
        ("EXPLAIN SELECT ?, ?", vec![5.into(), "x".to_owned().into()]),
        ("EXPLAIN SELECT name FROM spans WHERE service_name = $1", vec!["shop0".to_owned().into()]),
        ("EXPLAIN SELECT * FROM spans WHERE duration_ns > $1 AND name = $2", vec![5.into(), "x".to_owned().into()]),
        ("EXPLAIN SELECT name FROM spans", vec![]),
    ] {
        let plan = explained(&service, sql, params).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let columns: Vec<_> =
            plan["columns"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(columns, ["explain_key", "explain_value"], "{sql}");
        assert_eq!(
            (&plan["columns"][0]["type"], &plan["columns"][1]["type"]),
            (&"VARCHAR".into(), &"VARCHAR".into()),
            "{sql}"
        );
        assert_eq!(plan["rows"][0][0], "physical_plan", "{sql}");
        assert!(plan["rows"][0][1].as_str().is_some_and(|plan| !plan.is_empty()), "{sql}: {plan}");
    }
    // The values that it needs are asked for, by name.
    let error = explained(&service, "EXPLAIN SELECT $1", vec![]).await.unwrap_err().to_string();
    assert!(error.contains("parameter"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pivot_without_values_is_told_what_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(instance(dir.path()), Config::default());
    for sql in [
        "PIVOT spans ON kind USING count(*)",
        "pivot spans on kind using sum(duration_ns) group by service_name",
        "FROM (PIVOT spans ON kind USING count(*))",
        "WITH p AS (PIVOT spans ON kind USING count(*)) FROM p",
        "EXPLAIN PIVOT spans ON kind USING count(*)",
    ] {
        let error = service.collect(query(sql), Kind::Json).await.unwrap_err();
        assert!(matches!(error, SqlError::Refused { .. }), "{sql}: {error:?}");
        let said = error.to_string();
        assert!(said.contains("ON column IN ('a', 'b')") && said.contains("SELECT DISTINCT"), "{sql}: {said}");
    }
    // As it says.
    let works = "PIVOT spans ON kind IN ('server', 'client') USING count(*)";
    service.collect(query(works), Kind::Json).await.unwrap();
}
