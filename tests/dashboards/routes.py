"""Services that name the path of a request in one way each, by the attributes of different years. The panels of
routes show every one: none depends on `http.target` alone, or on any other. What the agent's metrics say is told
apart by config/prometheus/application.rules.test.yml, with the same expressions."""

from __future__ import annotations

import json
import secrets
import threading
import time
import urllib.request

import fill
from ask import Asker
from fill import Times, Variable
from grafana_files import dashboards, panels

# How each service says what it was asked: its attributes, and the name of its spans.
SERVICES = {
    "only-route": ({"http.route": "/a/:id"}, "GET"),
    "only-path": ({"url.path": "/b/7"}, "GET"),
    "only-target": ({"http.target": "/c/7?size=s"}, "GET"),
    "only-name": ({}, "GET /d/:id"),
    "both": ({"http.route": "/e/:id", "http.target": "/e/7"}, "GET"),
}
SHOWN = {"only-route": "/a/:id", "only-path": "/b/7", "only-target": "/c/7", "only-name": "GET /d/:id", "both": "/e/:id"}
# Tempo's metrics have the route and the name alone.
SHOWN_BY_TEMPO = {**SHOWN, "only-path": "GET", "only-target": "GET"}


def send(address: str, over: threading.Event) -> None:
    """A request to each service every second."""
    while not over.wait(1):
        post(address, {"resourceSpans": [spans(service, *how) for service, how in SERVICES.items()]})


def spans(service: str, attributes: dict[str, str], name: str):
    def values(of: dict[str, str]):
        return [{"key": key, "value": {"stringValue": value}} for key, value in of.items()]

    now = time.time_ns()
    span = {
        "traceId": secrets.token_hex(16), "spanId": secrets.token_hex(8), "name": name, "kind": 2,
        "startTimeUnixNano": str(now - 7_000_000), "endTimeUnixNano": str(now), "attributes": values(attributes),
    }
    return {"resource": {"attributes": values({"service.name": service})}, "scopeSpans": [{"spans": [span]}]}


def post(address: str, body) -> None:
    request = urllib.request.Request(
        f"http://{address}/v1/traces", data=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def run(results, asker: Asker, times: Times):
    values = {"service": Variable("|".join(SERVICES), "|".join(SERVICES)), "trace": Variable("")}
    boards = dashboards()
    for title in ("Requests by route", "Latency by route, P99", "Errors by route"):
        [panel] = [panel for panel in panels(boards["application"]) if panel["title"] == title]
        # The regular expression is ours, not one that a user chose: it stays as it is.
        expr = panel["targets"][0]["expr"].replace("$service", values["service"].value)
        found = {series["service_name"]: series["route"] for series in asker.series(fill.promql(expr, {}, times), times)}
        results.check(f"routes: {title}", found, SHOWN_BY_TEMPO)
    [panel] = [panel for panel in panels(boards["services"]) if panel["title"] == "Routes"]
    statement = panel["targets"][0]["rawSql"].replace("${service:regex}", values["service"].value)
    rows = asker.rows(fill.sql(statement, {}, times))
    results.check("routes: of the store", {service: route for service, route, *_ in rows}, SHOWN)
