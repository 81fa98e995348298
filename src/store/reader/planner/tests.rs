#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::super::files::Value;
use super::super::predicate::Comparison;
use super::*;
use crate::store::sql::parse::Parser;

/// What a statement asks, as text.
fn asked(sql: &str) -> Vec<String> {
    let text = Parser::new().unwrap().validate(sql).unwrap();
    let needs = Instance::open().unwrap().plan(&text).unwrap();
    let Needs::Some { tables, with_resources, .. } = needs else { return vec!["all".into()] };
    let of_table = |(table, predicate): (&Table, &Predicate)| {
        let with = if with_resources.contains(table) { " with resources" } else { "" };
        format!("{}{with}: {}", table.name(), shown(*table, predicate))
    };
    let mut asked: Vec<String> = tables.iter().map(of_table).collect();
    asked.sort();
    asked
}

fn shown(table: Table, predicate: &Predicate) -> String {
    let each = |some: &[Predicate]| some.iter().map(|one| shown(table, one)).collect::<Vec<_>>();
    match predicate {
        Predicate::Any => "any".to_owned(),
        Predicate::All(all) => each(all).join(" and "),
        Predicate::OneOf(some) => format!("({})", each(some).join(" or ")),
        Predicate::Compare { column, comparison, value, by_hex } => {
            let sign = match comparison {
                Comparison::Equal => "=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            let value = match value {
                Value::Number(number) => number.to_string(),
                Value::Text(text) => text.trim_end_matches(".000000000").to_owned(),
            };
            format!("{} {sign} {value}{}", table.columns()[*column].name, if *by_hex { " by hex" } else { "" })
        }
    }
}

#[test]
fn conditions_are_seen_through_views_macros_and_queries() {
    let range = "start_time >= 2026-01-01 00:00:00 and start_time < 2026-01-02 00:00:00";
    for (sql, expected) in [
        ("SELECT 1", vec![]),
        ("SELECT count(*) FROM spans WHERE trace_id = '00ff'", vec!["spans: trace_id = 00FF by hex"]),
        ("SELECT * FROM spans WHERE '00ff' = trace_id", vec!["spans with resources: trace_id = 00FF by hex"]),
        (
            "SELECT name FROM spans WHERE trace_id = 'aa' OR trace_id = 'bb' ORDER BY start_time LIMIT 9",
            vec!["spans: (trace_id = AA by hex or trace_id = BB by hex)"],
        ),
        (
            "SELECT name FROM spans WHERE trace_id IN ('aa', 'bb')",
            vec!["spans: (trace_id = AA by hex or trace_id = BB by hex)"],
        ),
        // No id is shown so.
        ("SELECT name FROM spans WHERE trace_id = '00FF'", vec!["spans: any"]),
        ("FROM trace('00ff')", vec!["spans: trace_id = 00FF"]),
        (
            "SELECT name FROM spans WHERE start_time >= '2026-01-01' AND '2026-01-02' > start_time",
            vec![&format!("spans: {range}")],
        ),
        (
            "SELECT service_name FROM red('2026-01-01', '2026-01-02')",
            vec![&format!("spans: (kind = server or kind = consumer) and {range}")],
        ),
        (
            "SELECT value FROM metric_points WHERE metric = 'm' AND series_id = -7",
            vec!["metric_distributions: metric = m and series_id = -7", "metric_points: metric = m and series_id = -7"],
        ),
        (
            "WITH l AS (SELECT * FROM logs WHERE service_name = 'it''s') SELECT body FROM l WHERE time > '2026-01-01'",
            vec!["logs: time > 2026-01-01 00:00:00 and service_name = it's"],
        ),
        (
            "SELECT count(*) FROM spans WHERE start_time > '2026-01-01'
             UNION ALL SELECT count(*) FROM spans WHERE service_name = 'a'",
            vec!["spans: (start_time > 2026-01-01 00:00:00 or service_name = a)"],
        ),
        (
            "SELECT a.name FROM spans a JOIN spans b ON a.trace_id = b.trace_id
             WHERE a.service_name = 'a' AND b.service_name = 'b'",
            vec!["spans: (service_name = a or service_name = b)"],
        ),
        ("SELECT name FROM spans WHERE service_name = 'a' AND random() > 0.5", vec!["spans: service_name = a"]),
        (
            "SELECT name FROM spans WHERE service_name = 'a' OR name = 'b'",
            vec!["spans: (service_name = a or name = b)"],
        ),
        (
            "SELECT max(value) FROM metric_points
             WHERE service_name = 'a' AND time > '2026-01-01' OR '2025-01-01' > time AND metric = 'b'",
            // DuckDB adds what follows for a column alone.
            vec![
                "metric_distributions: (time > 2026-01-01 00:00:00 or time < 2025-01-01 00:00:00) and (service_name = a and time > 2026-01-01 00:00:00 or time < 2025-01-01 00:00:00 and metric = b)",
                "metric_points: (time > 2026-01-01 00:00:00 or time < 2025-01-01 00:00:00) and (service_name = a and time > 2026-01-01 00:00:00 or time < 2025-01-01 00:00:00 and metric = b)",
            ],
        ),
        (
            "SELECT body FROM logs WHERE (trace_id = '00ff' OR span_id IN ('aa', 'bb')) AND time > '2026-01-01'",
            vec![
                "logs: time > 2026-01-01 00:00:00 and (trace_id = 00FF by hex or (span_id = AA by hex or span_id = BB by hex))",
            ],
        ),
        ("SELECT name FROM spans WHERE service_name = 'a' OR name LIKE '%b%'", vec!["spans: any"]),
        ("SELECT name FROM spans WHERE service_name = 'a' OR lower(name) = 'b'", vec!["spans: any"]),
        ("SELECT name FROM spans WHERE service_name = 'a' OR name = kind", vec!["spans: any"]),
        (
            "SELECT resource FROM spans WHERE start_time >= '2026-01-01 10:00' AND start_time < '2026-01-02 03:00' AND name = 'a'",
            vec![
                "spans with resources: name = a and start_time >= 2026-01-01 10:00:00 and start_time < 2026-01-02 03:00:00",
            ],
        ),
        (
            "SELECT resource FROM logs WHERE time = '2026-01-01 10:00' UNION ALL SELECT resource FROM spans WHERE name = 'a'",
            vec!["logs with resources: time = 2026-01-01 10:00:00", "spans with resources: name = a"],
        ),
        ("SELECT name FROM spans WHERE resource.\"host.name\" = 'a'", vec!["spans with resources: any"]),
        ("SELECT name FROM spans WHERE service_name IS NULL", vec!["spans: any"]),
        ("SELECT name FROM spans WHERE service_name <> 'a'", vec!["spans: any"]),
        ("SELECT max(start_time) FROM spans", vec!["spans: any"]),
        ("SELECT name FROM (SELECT * FROM spans LIMIT 10) WHERE service_name = 'a'", vec!["spans: any"]),
        ("SUMMARIZE spans", vec!["spans with resources: any"]),
        ("SELECT * FROM spans WHERE nope = 1", vec!["all"]),
        (
            "FROM exemplars_of('m', '2026-01-01', '2026-01-02')",
            vec!["exemplars: time >= 2026-01-01 00:00:00 and time < 2026-01-02 00:00:00", "series: metric = m"],
        ),
    ] {
        assert_eq!(asked(sql), expected, "{sql}");
    }
}

#[test]
fn keys_are_seen_that_are_taken_of_variants() {
    for (sql, expected) in [
        ("SELECT attributes.\"http.route\"::VARCHAR r, count(*) FROM spans GROUP BY r", "spans.attributes: http.route"),
        ("SELECT attributes.http.route FROM spans", "spans.attributes: http http.route"),
        ("SELECT name FROM spans WHERE attributes.a::INT > 3 ORDER BY attributes.b LIMIT 2", "spans.attributes: a b"),
        (
            "SELECT attributes.a FROM spans UNION ALL SELECT attributes.b FROM logs",
            "logs.attributes: b, spans.attributes: a",
        ),
        (
            "SELECT x.a FROM (SELECT attributes AS x FROM spans UNION ALL SELECT attributes FROM logs)",
            "logs.attributes: a, spans.attributes: a",
        ),
        (
            "SELECT l.attributes.a, s.attributes.b FROM logs l JOIN spans s USING (trace_id)",
            "logs.attributes: a, spans.attributes: b",
        ),
        ("SELECT name FROM spans WHERE resource.\"host.name\" = 'a'", "resources.resource: host.name"),
        ("SELECT DISTINCT resource.\"service.name\"::VARCHAR FROM resources", "resources.resource: service.name"),
        ("SELECT series_id FROM series WHERE metric = 'm' AND labels.job::VARCHAR = 'a'", "series.labels: job"),
        // The whole counts.
        ("SELECT attributes, attributes.a FROM spans", ""),
        ("SELECT attributes.a FROM spans GROUP BY attributes", ""),
        ("SELECT attributes.a FROM (SELECT DISTINCT attributes FROM spans)", ""),
        ("SELECT a.attributes.k FROM spans a JOIN spans b ON a.attributes = b.attributes", ""),
        ("SELECT attributes.a FROM spans WHERE attributes IS NOT NULL", ""),
        ("SELECT attributes.a, max(attributes::VARCHAR) OVER () FROM spans", ""),
        ("WITH a AS MATERIALIZED (SELECT attributes FROM spans) SELECT attributes.a FROM a, (FROM a)", ""),
        ("SELECT attributes.A, attributes.a FROM spans", ""),
        ("SELECT * FROM spans", ""),
    ] {
        let text = Parser::new().unwrap().validate(sql).unwrap();
        let needs = Instance::open().unwrap().plan(&text).unwrap();
        let mut found = Vec::new();
        for table in Table::ALL {
            for (place, keys) in needs.keys_of(table) {
                let keys: Vec<String> = keys.into_iter().collect();
                found.push(format!("{}.{}: {}", table.name(), table.columns()[place].name, keys.join(" ")));
            }
        }
        found.sort();
        assert_eq!(found.join(", "), expected, "{sql}");
    }
}

#[test]
fn resources_of_the_answer_are_seen_in_the_first_plan() {
    let (parser, instance) = (Parser::new().unwrap(), Instance::open().unwrap());
    for (sql, taken, answered) in [
        ("SELECT * FROM spans WHERE trace_id = '00ff'", true, true),
        ("SELECT s.resource, l.body FROM spans s JOIN logs l ON s.trace_id = l.trace_id", true, true),
        ("SELECT resource FROM logs ORDER BY time DESC LIMIT 1", true, true),
        ("SELECT resource.\"host.name\" FROM logs", true, false),
        ("SELECT name FROM spans WHERE resource.\"host.name\" = 'a'", true, false),
        ("SELECT * FROM resources", true, true),
        ("SELECT name FROM spans", false, false),
    ] {
        let Needs::Some { keys, .. } = instance.plan(&parser.validate(sql).unwrap()).unwrap() else { panic!("{sql}") };
        assert_eq!((keys.takes_resources(), keys.answers_resources()), (taken, answered), "{sql}");
    }
}

#[test]
fn plans_that_hang_on_the_time_are_told() {
    let (parser, instance) = (Parser::new().unwrap(), Instance::open().unwrap());
    for (sql, expected) in [
        ("SELECT 1 FROM spans WHERE start_time > '2026-01-01'", false),
        ("FROM trace('00ff')", false),
        ("SELECT * FROM red('2026-01-01', '2026-01-02') WHERE duration_p99_ms > 5", false),
        ("SELECT 1 FROM spans WHERE start_time > now() - INTERVAL 1 HOUR", false),
        ("SELECT 1 FROM spans WHERE start_time > \"now\"() - INTERVAL 1 HOUR", false),
        ("SELECT 1 FROM spans WHERE start_time > CURRENT_TIMESTAMP - INTERVAL 1 HOUR", false),
        ("SELECT 1 FROM spans WHERE start_time > LOCALTIMESTAMP - INTERVAL 1 HOUR", true),
        ("SELECT 1 FROM spans WHERE start_time > current_date", true),
        ("SELECT 1 FROM spans WHERE start_time > today()", true),
        ("SELECT 1 FROM spans WHERE start_time > ago(INTERVAL 1 HOUR)", false),
        ("SELECT 1 FROM spans WHERE age(start_time) < INTERVAL 1 HOUR", true),
        ("SELECT 1 FROM spans WHERE start_time > get_current_timestamp()", false),
    ] {
        let text = parser.validate(sql).unwrap();
        assert_eq!(instance.is_of_moment(&text), expected, "{sql} as {text}");
    }
}

/// So a statement that names none of them does not hang on the time.
#[test]
fn views_and_macros_have_the_time_in_no_condition() {
    let definitions = concat!(include_str!("../../macros.sql"), include_str!("../../macros/attributes.sql"));
    let instance = Instance::open().unwrap();
    let of_moment = definitions.lines().filter(|line| !line.trim().starts_with("--") && instance.is_of_moment(line));
    let of_moment: Vec<&str> = of_moment.map(str::trim).collect();
    // Both in `plausible`, whose value DuckDB compares with no column by itself.
    assert_eq!(
        of_moment,
        [
            "WHEN epoch_ns(start_time) + duration_ns <= epoch_ns(now()) + 86400000000000",
            "OR epoch_ns(start_time) > epoch_ns(now()) + 86400000000000",
        ]
    );
    for table in Table::ALL {
        let view = crate::store::views::select(table, |table| table.name().to_owned());
        assert!(!instance.is_of_moment(&view), "{view}");
    }
    let asked = asked("SELECT root_name FROM traces WHERE duration_ns > 5");
    assert!(asked.iter().all(|of| of.ends_with("any")), "{asked:?}");
}
