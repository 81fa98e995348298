//! Statements that answer real questions, over several signals.

use maud::{Markup, html};

use crate::web::params::Params;

/// A question and its statement.
pub const EXAMPLES: [(&str, &str); 11] = [
    ("What came in during the last hour?", "FROM telemetry_volume(now() - INTERVAL 1 HOUR, now())"),
    ("Which routes are slow or fail?", "FROM red(now() - INTERVAL 1 HOUR, now())\nORDER BY p95_ms DESC\nLIMIT 20"),
    ("Who calls whom?", "FROM service_graph(now() - INTERVAL 1 HOUR, now())"),
    (
        "Errors with their log records",
        "SELECT s.start_time, s.service_name, s.name, s.status_message, l.severity_text, l.body, s.trace_id\n\
         FROM spans AS s\nJOIN logs AS l ON l.trace_id = s.trace_id AND l.span_id = s.span_id\n\
         WHERE s.status_code = 'error'\n  AND s.start_time > now() - INTERVAL 1 HOUR\n  AND l.time > now() - INTERVAL 1 HOUR\n\
         ORDER BY s.start_time DESC\nLIMIT 50",
    ),
    (
        "Which endpoint burns the CPU?",
        "SELECT s.name, p.profile_type, sum(p.value) AS value\nFROM profile_samples AS p\nJOIN spans AS s ON s.span_id = p.span_id\n\
         WHERE p.time > now() - INTERVAL 1 HOUR\n  AND s.start_time > now() - INTERVAL 2 HOUR\nGROUP BY ALL\nORDER BY value DESC\nLIMIT 20",
    ),
    (
        "Where did the slowest spans spend their time?",
        "SELECT s.name, s.duration_ns / 1e6 AS ms, p.profile_type, list_aggregate(st.frame_ids, 'count') AS depth, sum(p.value) AS value, s.trace_id\n\
         FROM (SELECT * FROM spans WHERE start_time > now() - INTERVAL 1 HOUR ORDER BY duration_ns DESC LIMIT 200) AS s\n\
         JOIN profile_samples AS p ON p.span_id = s.span_id\nJOIN stacks AS st ON st.stack_id = p.stack_id\n\
         GROUP BY ALL\nORDER BY ms DESC, value DESC\nLIMIT 30",
    ),
    (
        "Requests a minute, to draw as a chart",
        "SELECT time_bucket(INTERVAL 1 MINUTE, start_time) AS minute, service_name, count(*) AS requests\nFROM spans\n\
         WHERE kind = 'server' AND start_time > now() - INTERVAL 1 HOUR\nGROUP BY ALL\nORDER BY minute",
    ),
    (
        "Which traces are behind the highest values of a metric?",
        "SELECT s.metric, e.value, e.time, e.trace_id, t.root_service, t.root_name, t.error_count\nFROM exemplars AS e\n\
         JOIN series AS s ON s.series_id = e.series_id\nJOIN traces AS t ON t.trace_id = e.trace_id\n\
         WHERE e.time > now() - INTERVAL 1 HOUR AND t.start_time > now() - INTERVAL 2 HOUR\nORDER BY e.value DESC\nLIMIT 20",
    ),
    (
        "The slowest spans of each service",
        "SELECT service_name, name, duration_ns / 1e6 AS ms, start_time, trace_id\nFROM spans\n\
         WHERE start_time > now() - INTERVAL 1 HOUR\nQUALIFY row_number() OVER (PARTITION BY service_name ORDER BY duration_ns DESC) <= 3\n\
         ORDER BY service_name, ms DESC",
    ),
    (
        "Which metrics have the most series?",
        "SELECT metric, count(*) AS series\nFROM series\nGROUP BY ALL\nORDER BY series DESC\nLIMIT 30",
    ),
    ("Where do the bytes go?", "FROM storage\nORDER BY bytes DESC\nLIMIT 30"),
];

/// The list; each leads to its answer.
pub fn list(params: &Params) -> Markup {
    html! {
        ul.plain { @for (question, statement) in EXAMPLES { li {
            a href=(params.kept().and("q", statement).link("/sql")) { (question) }
        } } }
    }
}
