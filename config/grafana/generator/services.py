"""Services: rate, errors and duration of each, and who calls whom."""

from __future__ import annotations

import red
from application import SERVICES
from model import COLOURED, Dashboard, Row, column, columns, graph, of_kind, promql, service_map, sql, steps, table, to_dashboard

BY = ("service_name",)
RANGE = {"window": "$__range"}

DASHBOARD = Dashboard(
    "services",
    "Services",
    "Rate, errors and duration of each service, and who calls whom.",
    [SERVICES],
    [
        Row("Services", [
            table(
                "Services", "Over the time that is chosen above. A click on the name leads to the application.",
                promql(red.rate(*BY, **RANGE), instant=True),
                promql(red.error_share(*BY, **RANGE), instant=True),
                promql(red.quantile(0.5, *BY, **RANGE), instant=True),
                promql(red.quantile(0.99, *BY, **RANGE), instant=True),
                sort="Requests", width=24, height=7,
                transformations=[
                    {"id": "merge", "options": {}},
                    columns(**{
                        "Time": None, "service_name": "Service", "Value #A": "Requests", "Value #B": "Errors",
                        "Value #C": "P50", "Value #D": "P99",
                    }),
                ],
                overrides=[
                    column("Service", links=[to_dashboard("application", service="${__value.raw}")]),
                    column("Requests", unit="reqps"),
                    column(
                        "Errors", unit="percentunit", thresholds=steps(0.01, 0.05), decimals=2,
                        **COLOURED,
                    ),
                    column("P50", unit="s"),
                    column("P99", unit="s", thresholds=steps(0.5, 1), **COLOURED),
                ],
            ),
        ]),
        Row("Rate, errors, duration", [
            graph(
                "Requests", "Requests a second.", promql(red.rate(*BY), "{{service_name}}"), unit="reqps", width=8,
            ),
            graph(
                "Errors", "Share of the requests that failed.", promql(red.error_share(*BY), "{{service_name}}"),
                unit="percentunit", width=8, lines_at=steps(0.01, 0.05),
            ),
            graph(
                "Latency, P99", "99 of 100 requests took at most so long. A diamond leads to a trace.",
                promql(red.quantile(0.99, *BY), "{{service_name}}", exemplars=True),
                unit="s", width=8, lines_at=steps(0.5, 1),
            ),
        ]),
        Row("Who calls whom", [
            of_kind(
                "nodeGraph", "Service graph", "A node is a service, its ring the share of failed requests. A click leads on.",
                service_map(), width=12, height=14,
            ),
            table(
                "Calls", "From the spans that the store has: each client with the server that answered it.",
                sql("""
SELECT client, server, calls, errors, mean_ms, p95_ms
FROM service_graph($__timeFrom(), $__timeTo())
ORDER BY calls DESC
"""),
                width=12, height=14,
                overrides=[column("mean_ms", unit="ms"), column("p95_ms", unit="ms")],
            ),
        ]),
        Row("Routes", [
            table(
                "Routes", "What the services were asked, from the spans that the store has.",
                sql("""
SELECT service_name, route, requests, per_second, error_percent, p50_ms, p95_ms, p99_ms
FROM red($__timeFrom(), $__timeTo())
WHERE regexp_full_match(service_name, '${service:regex}')
ORDER BY requests DESC
LIMIT 100
"""),
                width=24, height=10,
                overrides=[
                    column("service_name", links=[to_dashboard("application", service="${__value.raw}")]),
                    column("per_second", unit="reqps"), column("error_percent", unit="percent"),
                    column("p50_ms", unit="ms"), column("p95_ms", unit="ms"), column("p99_ms", unit="ms"),
                ],
            ),
        ]),
    ],
)
