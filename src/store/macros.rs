//! Ready-made questions: views and table macros over the stored tables.
//!
//! | name | rows |
//! |---|---|
//! | `traces` | one a trace: root span, duration, spans, errors, services |
//! | `trace(id)` | the spans of one trace by time, but parents before children, with depth and offset |
//! | `red(from, to)` | rate, errors and durations of what services were asked, by route |
//! | `service_graph(from, to)` | who calls whom, how often, how slowly, with how many errors |
//! | `flame(service, profile_type, from, to)` | a flame graph: nodes depth first, as Grafana's panel takes them |
//! | `span_profile(span_id)` | stacks sampled while a span ran |
//! | `exemplars_of(metric, from, to)` | exemplars of a metric with their traces |
//! | `telemetry_volume(from, to)` | items by signal and service |
//!
//! Times are anything that casts to TIMESTAMP; `from` is included, `to` is not. NULL for a service
//! or a profile type means any. Ids are compared in their stored form, so that a lookup reads only
//! the row groups that may have it. Parameters are named so that they are no column's name: a
//! macro's parameter would stand for the column.

use duckdb::Connection;

/// Makes them all, once per instance, after the users' views.
///
/// # Errors
/// DuckDB's.
pub fn create(connection: &Connection) -> Result<(), duckdb::Error> {
    create_attributes(connection)?;
    connection.execute_batch(include_str!("macros.sql"))
}

/// Makes those that passes over a statement write into it, in the schema `stored`. Statements that name
/// attributes do not run without them ([`crate::store::sql::rewrite`]).
///
/// # Errors
/// DuckDB's.
pub fn create_attributes(connection: &Connection) -> Result<(), duckdb::Error> {
    connection.execute_batch(include_str!("macros/attributes.sql"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::Table;
    use crate::store::views;

    /// The stored tables as they are sealed, with a few rows made by hand.
    fn store() -> Connection {
        let db = Connection::open_in_memory().expect("open");
        db.execute_batch("CREATE SCHEMA stored").expect("schema");
        for table in Table::ALL {
            let columns: Vec<String> = table.columns().iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect();
            db.execute_batch(&format!("CREATE TABLE stored.{} ({})", table.name(), columns.join(", "))).expect("table");
            let view = views::select(table, |table| format!("stored.{}", table.name()));
            db.execute_batch(&format!("CREATE VIEW {} AS {view}", table.name())).expect("view");
        }
        create(&db).expect("macros");
        db.execute_batch(include_str!("macros/test.sql")).expect("rows");
        db.execute_batch(include_str!("macros/odd.sql")).expect("rows");
        db
    }

    /// The rows of a question, each as JSON.
    fn ask(question: &str) -> Vec<String> {
        let db = store();
        let mut statement = db.prepare(&format!("SELECT to_json(q)::VARCHAR FROM ({question}) AS q")).expect(question);
        let rows = statement.query_map([], |row| row.get(0)).expect(question);
        rows.map(|row| row.expect(question)).collect()
    }

    const DAY: &str = "'2026-01-01', '2026-01-02'";

    #[test]
    fn a_trace_by_its_root_and_by_its_tree() {
        let traces = ask(
            "SELECT root_service, root_name, duration_ns, span_count, error_count, services FROM traces ORDER BY start_time",
        );
        assert_eq!(
            traces[0],
            r#"{"root_service":"svc1","root_name":"op1","duration_ns":13000000,"span_count":7,"error_count":1,"services":["svc0","svc1","svc2"]}"#
        );
        let tree = ask("SELECT depth, name, offset_ns FROM trace('0102030405060708090A0b0c0d0e0f10')");
        assert_eq!(tree.len(), 7);
        assert_eq!(tree[0], r#"{"depth":0,"name":"op1","offset_ns":0}"#);
        assert_eq!(tree[6], r#"{"depth":2,"name":"op7","offset_ns":6000000}"#);
        assert!(ask("FROM trace('00')").is_empty());
    }

    #[test]
    fn a_ring_of_parents_and_repeated_ids_end() {
        // Two spans that are each other's parent, and one span that came four times.
        assert_eq!(
            ask("SELECT name, depth FROM trace('ff') ORDER BY name"),
            [r#"{"name":"01","depth":null}"#, r#"{"name":"02","depth":null}"#, r#"{"name":"03","depth":0}"#]
        );
    }

    #[test]
    fn rate_errors_and_duration_by_route() {
        let red = ask(&format!("SELECT service_name, route, requests, errors, p50_ms FROM red({DAY}) ORDER BY ALL"));
        assert_eq!(red[0], r#"{"service_name":"svc0","route":"/r1","requests":1,"errors":1,"p50_ms":3.0}"#);
        assert_eq!(red[1], r#"{"service_name":"svc1","route":"/r1","requests":2,"errors":0,"p50_ms":4.0}"#);
        assert_eq!(
            ask(
                "SELECT round(per_second * 86400) AS n FROM red('2026-01-01', '2026-01-02') WHERE service_name = 'svc1'"
            ),
            [r#"{"n":2.0}"#]
        );
        assert!(ask("FROM red(now() - INTERVAL 1 HOUR, now())").is_empty());
        assert!(ask("FROM red(ago(INTERVAL 1 HOUR), now())").is_empty());
    }

    /// Spans as foreign senders write them, see `macros/odd.sql`; in February.
    const FEBRUARY: &str = "'2026-02-01', '2026-03-01'";

    #[test]
    fn a_span_id_shared_by_client_and_server_is_two_levels() {
        assert_eq!(
            ask("SELECT depth, service_name, name FROM trace('14')"),
            [
                r#"{"depth":0,"service_name":"front","name":"get"}"#,
                r#"{"depth":1,"service_name":"back","name":"get /"}"#,
                r#"{"depth":2,"service_name":"back","name":"query"}"#,
            ]
        );
        // The server's half took 400 ms, the client's 1 s.
        assert_eq!(
            ask(&format!(
                "SELECT client, server, calls, mean_ms FROM service_graph({FEBRUARY}) WHERE client = 'front'"
            )),
            [r#"{"client":"front","server":"back","calls":1,"mean_ms":400.0}"#]
        );
    }

    #[test]
    fn a_span_that_arrives_twice_counts_once() {
        assert_eq!(
            ask("SELECT span_count, error_count, root_name FROM traces WHERE trace_id = '15'"),
            [r#"{"span_count":2,"error_count":1,"root_name":"ask"}"#]
        );
        assert_eq!(ask("FROM trace('15')").len(), 2);
        let red = format!("SELECT requests, errors FROM red({FEBRUARY}) WHERE service_name = 'twice-b'");
        assert_eq!(ask(&red), [r#"{"requests":1,"errors":1}"#]);
        let graph = format!("SELECT calls, errors FROM service_graph({FEBRUARY}) WHERE client = 'twice-a'");
        assert_eq!(ask(&graph), [r#"{"calls":1,"errors":1}"#]);
        // Spans without an id are not taken for each other.
        assert_eq!(ask("SELECT span_count FROM traces WHERE trace_id = '17'"), [r#"{"span_count":2}"#]);
    }

    #[test]
    fn parents_come_first_whatever_the_clocks_say() {
        assert_eq!(
            ask("SELECT depth, name, offset_ns FROM trace('16')"),
            [
                r#"{"depth":0,"name":"root","offset_ns":5000000000}"#,
                r#"{"depth":1,"name":"early","offset_ns":0}"#,
                r#"{"depth":2,"name":"no time","offset_ns":null}"#,
                r#"{"depth":2,"name":"endless","offset_ns":6000000000}"#,
            ]
        );
        // The end in 2262 is none: 6 s from the first start to the last end that can be.
        assert_eq!(
            ask("SELECT root_name, duration_ns, span_count FROM traces WHERE trace_id = '16'"),
            [r#"{"root_name":"root","duration_ns":6000000000,"span_count":4}"#]
        );
        assert_eq!(ask("SELECT root_name FROM traces WHERE trace_id = '18'"), [r#"{"root_name":"timeless"}"#]);
    }

    #[test]
    fn a_trace_may_be_thousands_of_levels_deep() {
        assert_eq!(
            ask("SELECT count(*) AS n, count(DISTINCT depth) AS depths, max(depth) AS deepest FROM trace('19')"),
            [r#"{"n":3000,"depths":3000,"deepest":2999}"#]
        );
    }

    #[test]
    fn who_calls_whom() {
        let graph = ask(&format!("SELECT client, server, calls, errors FROM service_graph({DAY}) ORDER BY ALL"));
        assert_eq!(graph.len(), 4, "{graph:?}");
        assert!(graph.contains(&r#"{"client":"svc1","server":"svc0","calls":1,"errors":1}"#.to_owned()), "{graph:?}");
    }

    #[test]
    fn flame_graphs_and_the_profile_of_a_span() {
        let nodes = ask(&format!("FROM flame('svc1', 'cpu', {DAY})"));
        let expected = [("total", 0, 12, 0), ("f0", 1, 12, 0), ("f1", 2, 5, 0), ("f2", 3, 5, 5), ("f3", 2, 7, 7)];
        let expected = expected.map(|(label, level, value, own)| {
            format!(r#"{{"level":{level},"label":"{label}","value":{value},"self":{own}}}"#)
        });
        assert_eq!(nodes, expected);
        assert_eq!(ask(&format!("FROM flame(NULL, NULL, {DAY})")).len(), 5);
        assert!(ask(&format!("FROM flame('other', 'cpu', {DAY})")).is_empty());
        assert_eq!(
            ask("FROM span_profile('0000000000000001')"),
            [r#"{"profile_type":"cpu","stack":["f0","f1","f2"],"value":5}"#]
        );
    }

    #[test]
    fn exemplars_and_volume() {
        let exemplars = ask(&format!("SELECT value, trace_id, service_name FROM exemplars_of('m', {DAY})"));
        assert_eq!(exemplars, [r#"{"value":0.5,"trace_id":"01","service_name":"svc1"}"#]);
        let volume = ask(&format!("SELECT signal, sum(items) AS n FROM telemetry_volume({DAY}) GROUP BY 1 ORDER BY 1"));
        assert_eq!(volume, [r#"{"signal":"profile samples","n":2}"#, r#"{"signal":"spans","n":13}"#]);
        // What the statement around it calls so is something else.
        let shadowed = "WITH metric_points AS (SELECT 'x' AS service_name, TIMESTAMP '2026-01-01' AS time)
            SELECT count(*) AS n FROM telemetry_volume('2026-01-01', '2026-01-02') WHERE service_name = 'x'";
        let counted = store().query_row(shadowed, [], |row| row.get::<_, i64>(0));
        assert_eq!(counted.expect(shadowed), 0);
    }
}
