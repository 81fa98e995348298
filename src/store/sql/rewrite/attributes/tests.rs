//! Attributes of all types under one key, in memory and sealed, asked in many ways.

use duckdb::Connection;
use serde_json::Value;

use super::rewrite;
use crate::store::macros;
use crate::store::schema::Table;
use crate::store::sql::SqlError;
use crate::store::sql::rewrite::node::select_of;
use crate::store::views;

/// Spans 1 to 12 with an attribute `k`: 200, '200', '503', 404, 503, '404' (the status codes of mixed
/// senders), 7.5, 5, 'abc', nothing, and two integers that are one double.
const ROWS: &str = "
    INSERT INTO stored.spans (name, duration_ns, start_time, attributes, events)
    SELECT i::VARCHAR, i, make_timestamp_ns(i * 1000000000), a,
        [{'time': make_timestamp_ns(i * 1000000000), 'name': 'e'}]::VARIANT
    FROM (SELECT unnest(range(1, 13)) AS i, unnest([
        {'k': 200::BIGINT}::VARIANT, {'k': '200'}::VARIANT, {'k': '503'}::VARIANT, {'k': 404::BIGINT}::VARIANT,
        {'k': 503::BIGINT}::VARIANT, {'k': '404'}::VARIANT, {'k': 7.5::DOUBLE}::VARIANT, {'k': 5::BIGINT}::VARIANT,
        {'k': 'abc'}::VARIANT, {'x': true}::VARIANT, {'k': 9007199254740992::BIGINT}::VARIANT,
        {'k': 9007199254740993::BIGINT}::VARIANT]) AS a)";

pub(super) struct Store {
    db: Connection,
}

impl Store {
    /// With the rows in memory, or in Parquet files where the attribute is shredded.
    pub(super) fn new(sealed: Option<&std::path::Path>) -> Self {
        let db = Connection::open_in_memory().expect("open");
        db.execute_batch("CREATE SCHEMA stored").expect("schema");
        for table in Table::ALL {
            let columns: Vec<String> = table.columns().iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect();
            db.execute_batch(&format!("CREATE TABLE stored.{} ({})", table.name(), columns.join(", "))).expect("table");
        }
        db.execute_batch(ROWS).expect("rows");
        db.execute_batch(
            "INSERT INTO stored.logs (body, body_type) VALUES ('{\"n\":1}', 'string'), ('{\"n\":7.5}', 'map'), ('plain', 'string')",
        )
        .expect("rows");
        let source = |table: Table| match sealed {
            Some(folder) => format!("read_parquet('{}/{}.parquet')", folder.display(), table.name()),
            None => format!("stored.{}", table.name()),
        };
        for table in Table::ALL {
            if let Some(folder) = sealed {
                let file = folder.join(format!("{}.parquet", table.name()));
                db.execute_batch(&format!("COPY stored.{} TO '{}' (FORMAT parquet)", table.name(), file.display()))
                    .expect("seal");
            }
            let view = views::select(table, source);
            db.execute_batch(&format!("CREATE VIEW {} AS {view}", table.name())).expect("view");
        }
        macros::create(&db).expect("macros");
        Store { db }
    }

    fn tree(&self, statement: &str) -> Value {
        let json: String =
            self.db.query_row("SELECT json_serialize_sql(?)", [statement], |row| row.get(0)).expect("serialize");
        let tree: Value = serde_json::from_str(&json).expect("json");
        assert_eq!(tree["error"], false, "{statement}: {tree}");
        tree
    }

    fn text(&self, tree: &Value) -> Result<String, SqlError> {
        self.db
            .query_row("SELECT json_deserialize_sql(?::JSON)", [tree.to_string()], |row| row.get(0))
            .map_err(|e| SqlError::from_duckdb(&e, ""))
    }

    pub(super) fn rewritten(&self, statement: &str) -> Result<String, SqlError> {
        let mut tree = self.tree(statement);
        let print = |expression: &Value| {
            let one = serde_json::json!({"error": false, "statements": [
                {"node": select_of(expression.clone()), "named_param_map": []}]});
            Ok(self.text(&one)?.trim_start_matches("SELECT ").to_owned())
        };
        rewrite(&mut tree["statements"][0], &print)?;
        self.text(&tree)
    }

    /// The rows of an answer as JSON arrays.
    fn ask(&self, statement: &str) -> String {
        let sql = self.rewritten(statement).expect(statement);
        self.run(&sql).unwrap_or_else(|e| panic!("{statement}\n{sql}\n{e}"))
    }

    fn run(&self, sql: &str) -> Result<String, duckdb::Error> {
        let mut prepared = self.db.prepare(&format!("SELECT to_json(COLUMNS(*))::VARCHAR FROM ({sql})"))?;
        let mut rows = prepared.query([])?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next()? {
            let columns = row.as_ref().column_count();
            let values: Result<Vec<Option<String>>, _> = (0..columns).map(|i| row.get(i)).collect();
            answer.push(
                values?
                    .into_iter()
                    .map(|value| value.unwrap_or_else(|| "null".to_owned()))
                    .collect::<Vec<_>>()
                    .join(","),
            );
        }
        Ok(answer.join(" "))
    }
}

/// What of the rows a condition lets through, by their numbers.
const CONDITIONS: &[(&str, &str)] = &[
    ("attributes.k > 100", "1 2 3 4 5 6 11 12"),
    ("100 < attributes.k", "1 2 3 4 5 6 11 12"),
    ("attributes.k >= 500", "3 5 11 12"),
    ("attributes.k < 500", "1 2 4 6 7 8"),
    ("attributes.k <= 7.5", "7 8"),
    ("attributes['k'] < 10", "7 8"),
    ("NOT attributes.k < 500", "3 5 11 12"),
    ("attributes.k = 503", "3 5"),
    ("attributes.k = 503.0", "3 5"),
    ("attributes.k = '503'", "3 5"),
    ("attributes.k = 'abc'", "9"),
    ("attributes.k = '0503'", ""),
    ("attributes.k = '503.0'", ""),
    ("attributes.k = 5_03", "3 5"),
    ("attributes.k > 9_007_199_254_740_992", "12"),
    ("attributes.k = 9007199254740992::BIGINT", "11"),
    ("attributes.k = 500 + duration_ns - 2", "5"),
    ("attributes.k <> 503", "1 2 4 6 7 8 9 11 12"),
    ("attributes.k IS DISTINCT FROM 503", "1 2 4 6 7 8 9 10 11 12"),
    ("attributes.k IS NOT DISTINCT FROM 503", "3 5"),
    ("attributes.k = 9007199254740993", "12"),
    ("attributes.k > 9007199254740992", "12"),
    ("attributes.k IN (404, 503)", "3 4 5 6"),
    ("attributes.k IN (404, 'abc')", "4 6 9"),
    ("attributes.k IN ('abc', 'def')", "9"),
    ("attributes.k NOT IN (404, 503)", "1 2 7 8 9 11 12"),
    ("attributes.k BETWEEN 6 AND 300", "1 2 7"),
    ("attributes.k NOT BETWEEN 6 AND 300", "3 4 5 6 8 11 12"),
    ("attributes.k > 'a'", "9"),
    ("attributes.k > duration_ns", "1 2 3 4 5 6 7 11 12"),
    ("attributes.k = (SELECT 503)", "3 5"),
    ("attributes.k > (SELECT 500)", "3 5 11 12"),
    ("attributes.k IN (SELECT unnest([503, 404]))", "3 4 5 6"),
    ("503 IN (SELECT attributes.k FROM spans) AND duration_ns = 1", "1"),
    ("attributes.k > ANY (VALUES (1))", "refused"),
    ("attributes.x = true", "10"),
    ("attributes.k IS NULL", "10"),
    ("attributes.k LIKE '50%'", "3 5"),
    ("(attributes.k, 1) = (503, 1)", "refused"),
    ("greatest(attributes.k, 3) > 5", "refused"),
    ("attributes.k + 1 > 500", "3 5 11 12"),
    ("abs(attributes.k) = 7.5", "7"),
    ("coalesce(attributes.k, 0) < 6", "8 10"),
    ("length(attributes.k) = 1 OR len(attributes.k) > 15", "8 11 12"),
    ("length(events) = 1 AND duration_ns < 3", "1 2"),
    ("hex(attributes.k) = '616263' OR md5(attributes.k) = md5('7.5')", "7 9"),
    ("CASE WHEN attributes.k > 100 THEN attributes.k END < 300", "1 2"),
    ("CASE attributes.k WHEN 503 THEN true END", "3 5"),
    ("nullif(attributes.k, 503) IS NULL", "3 5 10"),
    ("attributes.k::BIGINT = 5 AND attributes.k < 6", "8"),
    ("events[1].time > '1970-01-01 00:00:10'", "11 12"),
    ("events[1].time = start_time AND duration_ns < 3", "1 2"),
    ("events[1].time < TIMESTAMP '1970-01-01 00:00:03'", "1 2"),
    (
        "EXISTS (SELECT 1 FROM spans AS o WHERE o.attributes.k = spans.attributes.k AND o.name <> spans.name)",
        "1 2 3 4 5 6",
    ),
];

/// Whole statements. What is asked, and the rows.
const STATEMENTS: &[(&str, &str)] = &[
    ("SELECT max(attributes.k) AS m, min(attributes.k) FROM spans WHERE name <> '9'", "9007199254740993,5"),
    ("SELECT max(attributes.k, 2) AS m FROM spans WHERE duration_ns < 9", "[503,\"503\"]"),
    ("SELECT sum(attributes.k), avg(attributes.k) FROM spans WHERE duration_ns BETWEEN 7 AND 9", "12.5,6.25"),
    ("SELECT quantile_cont(attributes.k, 0.5) AS q FROM spans WHERE duration_ns IN (7, 8)", "6.25"),
    ("SELECT arg_max(name, attributes.k) AS n FROM spans WHERE duration_ns < 8 AND duration_ns > 4", "\"5\""),
    ("SELECT name FROM spans ORDER BY attributes.k, name LIMIT 5", "\"8\" \"7\" \"1\" \"2\" \"4\""),
    ("SELECT attributes.k FROM spans ORDER BY 1 LIMIT 2", "5 7.5"),
    (
        "SELECT attributes.k, name FROM spans ORDER BY 1 DESC NULLS LAST, 2 LIMIT 2",
        "\"abc\",\"9\" 9007199254740993,\"12\"",
    ),
    (
        "SELECT * EXCLUDE (attributes), attributes.k AS v FROM (SELECT name, attributes FROM spans) ORDER BY 2 LIMIT 2",
        "\"8\",5 \"7\",7.5",
    ),
    ("SELECT DISTINCT attributes.k AS v FROM spans ORDER BY v LIMIT 2", "5 7.5"),
    ("SELECT attributes.k FROM spans UNION ALL SELECT 6 ORDER BY 1 LIMIT 3", "5 6 7.5"),
    ("SELECT attributes.k FROM spans ORDER BY ALL LIMIT 2", "5 7.5"),
    ("SELECT list(name ORDER BY attributes.k) AS l FROM spans WHERE duration_ns IN (5, 7, 8)", "[\"8\",\"7\",\"5\"]"),
    ("SELECT name, row_number() OVER (ORDER BY attributes.k) AS r FROM spans ORDER BY r LIMIT 2", "\"8\",1 \"7\",2"),
    ("SELECT max(attributes.k) OVER () AS m FROM spans WHERE duration_ns IN (7, 5) LIMIT 1", "503"),
    (
        "SELECT a.name, b.name FROM spans a JOIN spans b ON a.attributes.k = b.attributes.k AND a.duration_ns < b.duration_ns ORDER BY 1",
        "\"1\",\"2\" \"3\",\"5\" \"4\",\"6\"",
    ),
    ("SELECT count(*) FROM spans a JOIN spans b ON a.attributes.k > b.attributes.k WHERE a.name = '9'", "0"),
    // Texts that spell one number are different texts.
    (
        "SELECT a.labels FROM (SELECT unnest(['1.0', '1', '5e2', '500']) AS labels) AS a JOIN (SELECT unnest(['1.00', '1', '500', 'true']) AS labels) AS b ON a.labels = b.labels ORDER BY a.labels",
        "\"1\" \"500\"",
    ),
    ("SELECT '1.0' IN (labels, 'x') AS a, '1' IN (SELECT labels) AS b FROM (SELECT '1.00' AS labels)", "false,false"),
    ("SELECT labels = links AS e FROM (SELECT true AS labels, 1 AS links)", "false"),
    // Under the names of columns, which come after aliases in ORDER BY.
    (
        "SELECT attributes.k AS status_code, name FROM spans WHERE duration_ns < 9 ORDER BY status_code, name LIMIT 3",
        "5,\"8\" 7.5,\"7\" 200,\"1\"",
    ),
    ("SELECT attributes.k AS name, count(*) AS n FROM spans GROUP BY 1 ORDER BY name LIMIT 2", "5,1 7.5,1"),
    ("SELECT max(attributes.k) AS name FROM spans WHERE duration_ns < 5 GROUP BY kind ORDER BY name", "\"503\""),
    ("SELECT duration_ns AS attributes FROM spans WHERE name <> '7' ORDER BY attributes DESC LIMIT 2", "12 11"),
    ("SELECT unnest([attributes.k, 1]) AS v FROM spans WHERE duration_ns < 2 ORDER BY v", "1 200"),
    // Under other names.
    ("SELECT count(*) FROM (SELECT attributes.k AS v FROM spans) WHERE v > 100", "8"),
    ("SELECT count(*) FROM (SELECT attributes.k FROM spans) WHERE k > 100", "8"),
    ("SELECT count(*) FROM (SELECT attributes['k'] FROM spans) AS t(z) WHERE z > 100", "8"),
    (
        "WITH c(z) AS (SELECT attributes.k FROM spans), d AS (SELECT z AS y FROM c) SELECT count(*) FROM d WHERE y > 100",
        "8",
    ),
    ("SELECT count(*) FROM (SELECT {'f': attributes.k} AS s FROM spans) WHERE s.f > 100", "8"),
    ("SELECT count(*) FROM (SELECT a AS b FROM (SELECT attributes AS a FROM spans)) WHERE b.k > 100", "8"),
    ("SELECT count(*) FROM (SELECT 1 AS v UNION ALL SELECT attributes.k FROM spans) WHERE v > 100", "8"),
    (
        "SELECT count(*) FROM (SELECT coalesce(attributes.k, 0) FROM spans) AS t WHERE \"COALESCE(attributes.k, 0)\" > 100",
        "8",
    ),
    ("SELECT count(*) FROM spans, LATERAL (SELECT attributes.k AS v) WHERE v > 100", "8"),
    ("SELECT count(*) FROM spans, LATERAL (SELECT attributes.k > 100 AS v) WHERE v", "8"),
    ("SELECT count(*) FROM (SELECT unnest(list(attributes.k)) AS v FROM spans) WHERE v > 100", "8"),
    ("SELECT len(list_filter(list(attributes.k), lambda x: x > 100)) AS n FROM spans", "8"),
    (
        "SELECT list_transform(list(attributes.k ORDER BY duration_ns), lambda x: x > 100)[7:8] AS n FROM spans",
        "[false,false]",
    ),
    ("FROM spans AS s(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) SELECT count(*) WHERE p.k > 100", "8"),
    ("SELECT attributes.k AS x, x > 100 AS y FROM spans WHERE duration_ns = 7", "7.5,false"),
    (
        "SELECT max(attributes.k) AS m FROM spans WHERE duration_ns > 6 GROUP BY name = '7' HAVING m > 6 ORDER BY m",
        "7.5",
    ),
    ("SELECT count(*) FROM spans QUALIFY row_number() OVER (ORDER BY 1) = 1", "12"),
    ("SELECT name FROM spans QUALIFY rank() OVER (ORDER BY attributes.k) = 1", "\"8\""),
    ("SELECT count(*) FILTER (WHERE attributes.k > 100) AS n FROM spans", "8"),
    (
        "SELECT attributes.k > 100 AS big, count(*) AS n FROM spans GROUP BY attributes.k > 100 ORDER BY ALL",
        "false,2 true,8 null,2",
    ),
    // Text that is JSON in some rows.
    ("SELECT body->>'n' AS n FROM logs ORDER BY 1", "\"1\" \"7.5\" null"),
    ("SELECT json_extract_string(body, '$.n') AS n FROM logs ORDER BY 1", "\"1\" \"7.5\" null"),
    ("SELECT body->'n' AS n FROM logs WHERE (body->'n') > 2", "7.5"),
    ("SELECT count(*) FROM logs WHERE (body->>'n') = '1'", "1"),
    ("SELECT body FROM logs WHERE body_type = 'map'", "\"{\\\"n\\\":7.5}\""),
    ("SELECT attributes->>'k' AS k FROM spans WHERE duration_ns IN (2, 7) ORDER BY duration_ns", "\"200\" \"7.5\""),
    ("SELECT attributes->>'x' AS x FROM spans WHERE duration_ns IN (9, 10) ORDER BY duration_ns", "null \"true\""),
    ("SELECT count(*) FROM spans WHERE (attributes->'k') > 300", "6"),
    ("SELECT json_extract_string(attributes, 'k') AS k FROM spans WHERE duration_ns IN (7, 9)", "\"7.5\" \"abc\""),
    ("SELECT attributes->>'$.k' AS k FROM spans WHERE duration_ns = 7", "\"7.5\""),
    ("SELECT events->>'name' AS n, events->0->>'name' AS e FROM spans WHERE duration_ns = 7", "null,\"e\""),
    (
        "SELECT attributes->>'a' AS a FROM (SELECT {'a': [1.0, 2.5]} AS attributes UNION ALL SELECT {'a': [3.0]}) ORDER BY 1",
        "\"[1.0,2.5]\" \"[3.0]\"",
    ),
    ("SELECT attributes->>'k' AS k FROM (SELECT 'plain' AS attributes)", "null"),
    ("SELECT attributes->>'k' AS k FROM (SELECT '{\"k\":{\"a\":1}}'::JSON AS attributes)", "\"{\\\"a\\\":1}\""),
    // Names that do not stand for attributes only.
    (
        "SELECT count(*) FROM (SELECT attributes.k AS name, duration_ns FROM spans) AS a JOIN spans AS b ON b.name = '7' WHERE a.duration_ns = 1",
        "1",
    ),
    (
        "SELECT count(*) FROM (SELECT attributes.k AS start_time FROM spans LIMIT 1) AS a, spans WHERE spans.start_time > '1970-01-01 00:00:10'",
        "2",
    ),
    ("SELECT max(duration_ns), max(start_time)::VARCHAR AS t FROM spans", "12,\"1970-01-01 00:00:12\""),
];

fn check(store: &Store) {
    let mut wrong = Vec::new();
    for (condition, expected) in CONDITIONS {
        let statement = format!("SELECT duration_ns FROM spans WHERE {condition} ORDER BY duration_ns");
        let answer = match store.rewritten(&statement) {
            Err(SqlError::Refused { .. }) => "refused".to_owned(),
            _ => store.ask(&statement),
        };
        if answer != *expected {
            wrong.push(format!("{condition}: {answer} instead of {expected}\n  {:?}", store.rewritten(&statement)));
        }
    }
    for (statement, expected) in STATEMENTS {
        let answer = store.ask(statement);
        if answer != *expected {
            wrong.push(format!("{statement}: {answer} instead of {expected}\n  {:?}", store.rewritten(statement)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_compare_as_numbers_in_memory() {
    check(&Store::new(None));
}

#[test]
fn numbers_compare_as_numbers_in_sealed_files() {
    let folder = tempfile::tempdir().expect("folder");
    check(&Store::new(Some(folder.path())));
}

#[test]
fn without_attributes_a_statement_stays_as_it_is() {
    let store = Store::new(None);
    for statement in [
        "SELECT duration_ns FROM spans WHERE ((duration_ns > 5) AND (\"name\" = 'a')) ORDER BY 1",
        "SELECT max(duration_ns) AS m FROM spans GROUP BY service_name ORDER BY m DESC LIMIT 3",
        "SELECT i FROM \"range\"(3) AS r(i) WHERE (i > 1)",
        "SELECT attributes.k AS k FROM spans",
    ] {
        assert_eq!(store.rewritten(statement).expect(statement), statement);
    }
}

#[test]
fn columns_keep_their_names() {
    let store = Store::new(None);
    for statement in ["SELECT attributes.k > 100 FROM spans", "SELECT max(attributes.k), sum(attributes.k) FROM spans"]
    {
        let names = |sql: &str| {
            let mut describe = store.db.prepare(&format!("DESCRIBE {sql}")).expect(sql);
            let rows = describe.query_map([], |row| row.get::<_, String>(0)).expect(sql);
            rows.map(|name| name.expect(sql)).collect::<Vec<_>>()
        };
        assert_eq!(names(&store.rewritten(statement).expect(statement)), names(statement));
    }
}

#[test]
fn what_has_no_right_answer_is_refused_with_a_hint() {
    let store = Store::new(None);
    let nested = format!(
        "SELECT {}attributes.k{} FROM spans",
        "CASE WHEN attributes.k > 1 THEN max(".repeat(8),
        ") END".repeat(8)
    );
    for statement in [
        "SELECT list_max(list(attributes.k)) FROM spans",
        "SELECT 1 FROM spans WHERE COLUMNS(*) > 5",
        "SELECT 1 FROM (SELECT attributes.k AS v FROM spans) AS a JOIN (SELECT attributes.k AS v FROM spans) AS b USING (v)",
        "SELECT 1 FROM (SELECT attributes.k AS v FROM spans) AS a NATURAL JOIN (SELECT attributes.k AS v FROM spans) AS b",
        "FROM spans PIVOT (max(attributes.k) FOR name IN ('1', '2'))",
        nested.as_str(),
    ] {
        let refusal = store.rewritten(statement);
        assert!(matches!(refusal, Err(SqlError::Refused { .. })), "{statement}: {refusal:?}");
    }
}
