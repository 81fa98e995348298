"""Application: the first page. One application with its machine, its requests, its profile and its traces."""

from __future__ import annotations

import red
from model import (
    AS_BAR, Dashboard, Row, column, gauge, graph, label_values, number, of_kind, profile, profile_types, promql, steps, table,
    textbox, to_dashboard, traceql,
)

SERVICES = label_values(
    "service", "Service", "The application's service", "traces_spanmetrics_calls_total", "service_name"
)
WALL = "wall:wall:nanoseconds:wall:nanoseconds"

DASHBOARD = Dashboard(
    "application",
    "Application",
    "One application: its machine, its requests, its profile, its traces.",
    [SERVICES, profile_types(WALL), textbox("trace", "Trace id", "The trace that is shown below; a click on one in the table fills it in")],
    [
        Row("Now", [
            number(
                "Requests", "Requests a second that the service answered.",
                promql(f"sum({red.rate('service_name')})"), unit="reqps",
                links=[to_dashboard("services", service="${service}")],
            ),
            number(
                "Errors", "Share of the requests that failed.",
                promql(f"sum({red.errors('service_name')}) / sum({red.rate('service_name')})"),
                unit="percentunit", thresholds=steps(0.01, 0.05), decimals=2,
                links=[to_dashboard("services", service="${service}")],
            ),
            number(
                "Latency, P99", "99 of 100 requests to the slowest service took at most so long.",
                promql(f"max({red.quantile(0.99, 'service_name')})"), unit="s", thresholds=steps(0.5, 1), decimals=2,
            ),
            gauge(
                "CPU", "Share of the time in which the machine's processors were not idle.",
                promql('1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))'), thresholds=steps(0.8, 0.95),
                links=[to_dashboard("host")],
            ),
            gauge(
                "Memory", "Share of the machine's memory that programs cannot have any more.",
                promql("1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)"), thresholds=steps(0.85, 0.95),
                links=[to_dashboard("host")],
            ),
            number(
                "Alerts", "Alerts of Prometheus' rules that fire now.",
                promql('count(ALERTS{alertstate="firing"}) or vector(0)'), unit="short", thresholds=steps(None, 1),
            ),
        ]),
        Row("Machine", [
            graph(
                "CPU", "Share of the time in which the machine's processors were not idle.",
                promql('1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))', "{{instance}}"),
                unit="percentunit", maximum=1, lines_at=steps(0.8, 0.95), height=7,
            ),
            graph(
                "Memory", "Share of the machine's memory that programs cannot have any more.",
                promql("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", "{{instance}}"),
                unit="percentunit", maximum=1, lines_at=steps(0.85, 0.95), height=7,
            ),
        ]),
        Row("Requests", [
            graph(
                "Latency by route, P99",
                "99 of 100 requests took at most so long. A diamond is a request that was counted: it leads to its trace.",
                promql(red.quantile(0.99, "service_name", "route"), "{{service_name}} {{route}}", exemplars=True),
                unit="s", width=8, lines_at=steps(0.5, 1),
            ),
            graph(
                "Requests by route", "Requests a second that the service answered.",
                promql(red.rate("service_name", "route"), "{{service_name}} {{route}}"), unit="reqps", width=8,
            ),
            graph(
                "Errors by route", "Share of the requests that failed.",
                promql(red.error_share("service_name", "route"), "{{service_name}} {{route}}"),
                unit="percentunit", width=8, lines_at=steps(0.01, 0.05),
            ),
        ]),
        Row("Profile", [
            of_kind(
                "flamegraph", "Profile", "Where the time or the memory went: the wider, the more.",
                profile('{service_name=~"$service"}'), width=24, height=12,
            ),
        ]),
        Row("Traces", [
            table(
                "Traces", "Traces in which the service took part. A click on the id shows it below.",
                traceql('{resource.service.name=~"$service"} | select(span.http.route, span.url.path, span.http.target, status)'),
                height=10,
                overrides=[
                    column("traceID", links=[to_dashboard("application", "Show below", service="${service}", trace="${__value.raw}")]),
                    column("traceDuration", **AS_BAR),
                ],
            ),
            graph(
                "Trace durations", "Half, and 99 of 100, of the spans in which a service answered took at most so long.",
                traceql('{resource.service.name=~"$service" && kind=server} | quantile_over_time(duration, .5, .99)', metrics=True),
                unit="s", height=10,
            ),
            of_kind(
                "traces", "Trace", "The trace whose id stands above. Each span leads to its metrics, its logs and its profile.",
                traceql("$trace"), width=24, height=16,
            ),
        ]),
    ],
)
