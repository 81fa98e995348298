"""Logs and SQL: the store, which has every signal, asked by SQL."""

from __future__ import annotations

from model import AS_BAR, BLUE, Dashboard, Row, column, graph, of_kind, sql, sql_values, table, textbox, to_dashboard

SERVICE = "regexp_full_match(service_name, '${service:regex}')"
TEXT = "contains(lower(body), lower(${text:sqlstring}))"

DASHBOARD = Dashboard(
    "logs",
    "Logs and SQL",
    "Logs, and what the store knows of every signal, by SQL.",
    [
        sql_values(
            "service", "Service", "The service that wrote",
            "SELECT DISTINCT service_name FROM logs WHERE $__timeFilter(time) AND service_name IS NOT NULL ORDER BY 1",
        ),
        textbox("text", "Text", "Only lines with this text, in whatever case"),
        textbox("trace", "Trace id", "Only lines of this trace, in the panel below"),
    ],
    [
        Row("Logs", [
            graph(
                "Lines by severity", "Counted by the store.",
                sql(f"""
SELECT $__timeGroupAlias(time, $__interval), coalesce(severity_text, 'unknown') AS metric, count(*) AS lines
FROM logs
WHERE $__timeFilter(time) AND {SERVICE} AND {TEXT}
GROUP BY 1, 2
ORDER BY 1
""", series=True),
                unit="short", stacked=True, width=24, height=6,
            ),
            of_kind(
                "logs", "Lines", "The newest 500. A line that was written in a trace has its id.",
                sql(f"""
SELECT time, body, lower(severity_text) AS level, service_name, trace_id, span_id
FROM logs
WHERE $__timeFilter(time) AND {SERVICE} AND {TEXT}
ORDER BY time DESC
LIMIT 500
"""),
                width=24, height=14,
                options={
                    "showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending", "dedupStrategy": "none",
                    "showLabels": False, "showLogContextToggle": False, "showCommonLabels": False, "prettifyLogMessage": False,
                },
                overrides=[column("trace_id", links=[to_dashboard("application", "Trace", trace="${__value.raw}")])],
            ),
        ]),
        Row("One trace", [
            table(
                "Its spans", "By the store, in their order, as deep as they are nested.",
                sql("""
SELECT repeat('  ', depth) || name AS span, service_name, kind, offset_ns / 1e6 AS at_ms, duration_ns / 1e6 AS ms, status_code
FROM trace(lpad(${trace:sqlstring}, 32, '0'))
"""),
                overrides=[column("at_ms", unit="ms"), column("ms", unit="ms")], width=12, height=10,
            ),
            table(
                "Its lines", "What was written in it, by whichever service.",
                sql("""
SELECT time, service_name, severity_text, body
FROM logs
WHERE trace_id = lpad(${trace:sqlstring}, 32, '0')
ORDER BY time
"""),
                width=12, height=10,
            ),
        ]),
        Row("Across signals", [
            table(
                "Slowest traces", "With what was written in them. A click on the id shows the trace.",
                sql("""
SELECT traces.trace_id, root_service, root_name, duration_ns / 1e6 AS ms, span_count, error_count,
    (SELECT count(*) FROM logs WHERE logs.trace_id = traces.trace_id) AS lines
FROM traces
WHERE $__timeFilter(start_time)
ORDER BY duration_ns DESC NULLS LAST
LIMIT 30
"""),
                width=12, height=10,
                overrides=[
                    column("ms", unit="ms"),
                    column("trace_id", links=[to_dashboard("application", "Trace", trace="${__value.raw}")]),
                ],
            ),
            table(
                "Failures", "What spans that failed say, most frequent first.",
                sql("""
SELECT service_name, name, coalesce(attributes."http.route"::VARCHAR, attributes."url.path"::VARCHAR, attributes."http.target"::VARCHAR) AS route,
    attributes."error.type"::VARCHAR AS error, status_message, count(*) AS spans, max(start_time) AS last
FROM spans
WHERE $__timeFilter(start_time) AND status_code = 'error'
GROUP BY ALL
ORDER BY spans DESC
LIMIT 30
"""),
                width=12, height=10,
            ),
        ]),
        Row("What is there", [
            table(
                "Items", "By signal and service, over the time that is chosen above.",
                sql("""
SELECT signal, service_name, items, per_second, first, last
FROM telemetry_volume($__timeFrom(), $__timeTo())
ORDER BY items DESC
"""),
                width=12, height=10, overrides=[column("per_second", unit="cps")],
            ),
            table(
                "What takes the room", "Columns of the store's files.",
                sql("SELECT table_name, column_name, rows, files, bytes, bytes_per_row FROM storage ORDER BY bytes DESC LIMIT 50"),
                width=12, height=10,
                overrides=[
                    column("bytes", unit="bytes", color={"mode": "fixed", "fixedColor": BLUE}, **AS_BAR),
                    column("bytes_per_row", decimals=1),
                ],
            ),
        ]),
    ],
)
