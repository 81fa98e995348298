"""Profiles: where time and memory go, in Pyroscope and in the store."""

from __future__ import annotations

from application import WALL
from model import Dashboard, Row, column, graph, of_kind, profile, profile_types, sql, sql_values, table, to_dashboard

SERVICE = '{service_name=~"$service"}'

DASHBOARD = Dashboard(
    "profiles",
    "Profiles",
    "Where time and memory go.",
    [
        sql_values(
            "service", "Service", "A service that sends profiles",
            "SELECT DISTINCT service_name FROM profiles WHERE $__timeFilter(time) ORDER BY 1",
        ),
        profile_types(WALL),
    ],
    [
        Row("Flame graph", [
            of_kind(
                "flamegraph", "Flame graph", "The wider, the more; below stands what called it. A click looks closer.",
                profile(SERVICE), width=24, height=16,
            ),
        ]),
        Row("Over time", [
            graph(
                "Total of each profile", "Of the type and service chosen above.",
                profile(SERVICE, series_by="service_name"), unit="short", width=12,
            ),
            graph(
                "By service", "The same for all services together.",
                profile("{}", series_by="service_name"), unit="short", width=12,
            ),
        ]),
        Row("In the store", [
            table(
                "Functions", "Those in which most was sampled, by the store: the function itself, without what it called.",
                sql("""
SELECT function, sum(value)::DOUBLE AS self, round(100.0 * sum(value) / sum(sum(value)) OVER (), 1) AS percent
FROM profile_samples JOIN stacks USING (stack_id) JOIN frames ON frames.frame_id = stacks.frame_ids[1]
WHERE $__timeFilter(profile_samples.time) AND regexp_full_match(service_name, '${service:regex}') AND profile_type = '$profile'
GROUP BY function
ORDER BY self DESC
LIMIT 30
"""),
                width=12, height=11, overrides=[column("percent", unit="percent")],
            ),
            table(
                "Slowest spans with a profile", "Spans for which the profiler took samples. A click on the trace shows it.",
                sql("""
SELECT spans.trace_id, spans.service_name, spans.name, any_value(spans.duration_ns) / 1e6 AS ms, count(*) AS samples
FROM spans JOIN profile_samples ON profile_samples.span_id = spans.span_id
WHERE $__timeFilter(spans.start_time) AND $__timeFilter(profile_samples.time)
GROUP BY spans.trace_id, spans.span_id, spans.service_name, spans.name
ORDER BY ms DESC
LIMIT 30
"""),
                width=12, height=11,
                overrides=[
                    column("ms", unit="ms"),
                    column("trace_id", links=[to_dashboard("application", "Trace", trace="${__value.raw}")]),
                ],
            ),
        ]),
        Row("What comes in", [
            table(
                "Profiles", "By service and type.",
                sql("""
SELECT service_name, profile_type, count(*) AS profiles, sum(sample_count)::BIGINT AS samples, max(time) AS last
FROM profiles
WHERE $__timeFilter(time)
GROUP BY service_name, profile_type
ORDER BY profiles DESC
"""),
                width=24, height=8,
            ),
        ]),
    ],
)
