"""Asks the real servers what Grafana's data sources ask them, and counts the values that come back."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import urllib.error

import fill
from fill import Times, Variable
from grafana_files import Json, data_sources

# What no cell holds.
NULL = "\\N"

Values = dict[str, Variable]


class Asker:
    """The servers of a site."""

    def __init__(self, site):
        self.site = site
        self.by_source = {
            "prometheus": self.prometheus, "tempo": self.tempo, "pyroscope": self.pyroscope, "store": self.store,
        }

    def count(self, target: Json, values: Values, times: Times) -> int:
        """How many values a panel's query gives."""
        return self.by_source[target["datasource"]["uid"]](target, values, times)

    # Prometheus

    def prometheus(self, target: Json, values: Values, times: Times) -> int:
        return self.promql(fill.promql(target["expr"], values, times), times, instant=target["instant"])

    def promql(self, expr: str, times: Times, instant: bool = False) -> int:
        """Numbers that are none (0 / 0) are no values."""
        server = self.site.get("prometheus")
        if instant:
            result = server.get("/api/v1/query", query=expr, time=times.end)["data"]["result"]
            points = [series["value"] for series in result]
        else:
            step = times.interval(fill.SCRAPE_SECONDS)
            # Grafana puts the ends onto multiples of the step.
            begin, end = (math.floor(moment / step) * step for moment in (times.begin, times.end))
            result = server.get("/api/v1/query_range", query=expr, start=begin, end=end, step=step)["data"]["result"]
            points = [point for series in result for point in series["values"]]
        return sum(not math.isnan(float(value)) for _, value in points)

    def series(self, expr: str, times: Times) -> list[dict[str, str]]:
        """The labels of what an expression gives at any time."""
        found = self.site.get("prometheus").get("/api/v1/query_range", query=expr, start=times.begin, end=times.end, step=15)
        return [series["metric"] for series in found["data"]["result"]]

    def exemplars(self, expr: str, times: Times) -> list[dict[str, str]]:
        found = self.site.get("prometheus").get("/api/v1/query_exemplars", query=expr, start=times.begin, end=times.end)["data"]
        return [exemplar["labels"] for series in found for exemplar in series["exemplars"]]

    # Tempo

    def tempo(self, target: Json, values: Values, times: Times) -> int:
        if target["queryType"] == "serviceMap":
            return self.service_map(times)
        query = fill.variables(target["query"], values)
        if all(letter in "0123456789abcdef" for letter in query):
            return self.trace(query)
        begin, end = int(times.begin), int(times.end) + 1
        server = self.site.get("tempo")
        if "metricsQueryType" in target:
            found = server.get("/api/metrics/query_range", q=query, start=begin, end=end, step="15s")["series"]
            return sum(sample.get("value", 0) > 0 for series in found for sample in series["samples"])
        found = server.get("/api/search", q=query, start=begin, end=end, limit=target["limit"])
        return len(found.get("traces") or [])

    def trace(self, trace: str) -> int:
        """Spans of a trace."""
        try:
            found = self.site.get("tempo").get(f"/api/v2/traces/{trace}", headers={"accept": "application/json"})["trace"]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return 0
            raise
        return sum(len(scope["spans"]) for resource in found["resourceSpans"] for scope in resource["scopeSpans"])

    def service_map(self, times: Times) -> int:
        """What the Tempo source asks Prometheus for a graph of services: nothing of it may be empty, but that
        nothing failed."""
        seconds = math.ceil(times.end - times.begin)
        return min(
            self.promql(f"sum by (client, server) (rate({metric}[{seconds}s]))", times, instant=True)
            for metric in ("traces_service_graph_request_total", "traces_service_graph_request_server_seconds_sum")
        )

    # Pyroscope

    def pyroscope(self, target: Json, values: Values, times: Times) -> int:
        request = {
            "profileTypeID": fill.variables(target["profileTypeId"], values),
            "labelSelector": fill.variables(target["labelSelector"], values),
        }
        if target["queryType"] == "metrics":
            found = self.connect("SelectSeries", times, **request, groupBy=target["groupBy"], step=15)
            return sum(len(series["points"]) for series in found.get("series", ()))
        spans = target.get("spanSelector")
        found = (
            self.connect("SelectMergeSpanProfile", times, **request, spanSelector=spans)
            if spans
            else self.connect("SelectMergeStacktraces", times, **request)
        )
        return int(found.get("flamegraph", {}).get("total", 0))

    def connect(self, method: str, times: Times, **request) -> Json:
        milliseconds = {"start": int(times.begin * 1000), "end": int(times.end * 1000)}
        return self.site.get("pyroscope").post(f"/querier.v1.QuerierService/{method}", {**milliseconds, **request})

    # The store

    def store(self, target: Json, values: Values, times: Times) -> int:
        rows = self.rows(fill.sql(target["rawSql"], values, times))
        return sum(any(cell is not None for cell in row) for row in rows)

    def rows(self, statement: str) -> list[list]:
        """By PostgreSQL's simple protocol, results as text, as Grafana asks for a dashboard."""
        host, _, port = self.site.vispyr.addresses["postgres"].rpartition(":")
        psql = ["psql", "-X", "-q", "--csv", "-t", "-P", f"null={NULL}", "-v", "ON_ERROR_STOP=1", "-c", statement]
        source = data_sources()["store"]
        address = f"host={host} port={port} user={source['user']} dbname={source['jsonData']['database']} sslmode=disable"
        done = subprocess.run([*psql, address], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-400:])
        return [[None if cell == NULL else cell for cell in row] for row in csv.reader(io.StringIO(done.stdout))]

    # Variables

    def options(self, variable: Json, values: Values, times: Times) -> list[str]:
        """The values that a variable offers."""
        match variable["type"], variable.get("datasource", {}).get("uid"):
            case "query", "prometheus":
                of, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
                found = self.site.get("prometheus").get(
                    f"/api/v1/label/{label}/values", **{"match[]": of}, start=times.begin, end=times.end
                )
                return found["data"]
            case "query", "pyroscope":
                return [kind["ID"] for kind in self.connect("ProfileTypes", times)["profileTypes"]]
            case "query", "store":
                return [row[0] for row in self.rows(fill.sql(variable["query"], values, times))]
            case _:
                return []
