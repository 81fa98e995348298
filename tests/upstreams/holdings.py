"""What the store and each server hold of what was sent, in a form that can be compared."""

import base64
import concurrent.futures
import json
import re
import urllib.error

UNITS = {"ms": "milliseconds", "s": "seconds", "By": "bytes", "%": "percent", "ns": "nanoseconds", "us": "microseconds"}


def prometheus_name(metric, unit, kind, monotonic):
    """What OTLP's translation `UnderscoreEscapingWithSuffixes` makes of a metric's name
    (prometheus/otlptranslator, README)."""
    tokens = [token for token in re.split(r"[^a-zA-Z0-9:]+", metric) if token]
    main, _, per = (unit or "").partition("/")
    for part, prefix in ((main, ""), (per, "per_")):
        part = part.strip()
        word = "" if "{" in part else UNITS.get(part, "" if part == "1" else part)
        if word and word not in tokens:
            tokens.append(prefix + word)
    if kind == "gauge" and unit == "1" and "ratio" not in tokens:
        tokens.append("ratio")
    if kind == "sum" and monotonic:
        tokens = [token for token in tokens if token != "total"] + ["total"]
    return "_".join(tokens)


class Store:
    """The store, asked in SQL."""

    def __init__(self, vispyr):
        self.vispyr = vispyr

    def spans(self):
        """Trace ids, each with the ids of its spans, and the number of rows."""
        rows = self.vispyr.sql("SELECT trace_id, span_id FROM spans")
        return by_trace(rows), len(rows)

    def samples(self):
        """Distinct samples by the name that Prometheus gives them."""
        found = {}

        def add(name, count):
            found[name] = found.get(name, 0) + int(count)

        points = (
            "SELECT metric, unit, type, monotonic, otlp, count(*), sum(buckets)::BIGINT FROM ("
            "SELECT DISTINCT p.metric, p.unit, p.type, p.monotonic, s.resource IS NOT NULL AS otlp, p.series_id, "
            "epoch_ns(p.time), coalesce(len(p.explicit_bounds) + 1, len(p.quantiles), 0) AS buckets "
            "FROM metric_points p JOIN series s USING (series_id) WHERE coalesce(p.flags, 0) & 1 = 0) GROUP BY ALL"
        )
        for metric, unit, kind, monotonic, otlp, count, buckets in self.vispyr.sql(points):
            if not otlp:
                add(metric, count)
                continue
            name = prometheus_name(metric, unit, kind, monotonic)
            if kind in ("histogram", "summary"):
                add(f"{name}_count", count)
                add(f"{name}_sum", count)
                add(f"{name}_bucket" if kind == "histogram" else name, buckets)
            else:
                add(name, count)
        return found

    def deltas(self):
        """Prometheus' names of the metrics that came as differences."""
        rows = self.vispyr.sql("SELECT DISTINCT metric, unit, type, monotonic FROM metric_points WHERE temporality = 'delta'")
        return {prometheus_name(*row) for row in rows}

    def points(self):
        """Rows of metric points, stale markers included."""
        return self.vispyr.one("SELECT count(*) FROM metric_points")

    def traces_where(self, condition):
        """Ids of the traces with a span of which this is true."""
        return {row[0] for row in self.vispyr.sql(f"SELECT DISTINCT trace_id FROM spans WHERE {condition}")}

    def profile_times(self):
        """How many profiles there are of each service and type, each counted once."""
        rows = self.vispyr.sql("SELECT service_name, profile_type, count(DISTINCT time) FROM profiles WHERE total > 0 GROUP BY 1, 2")
        return {(service, kind): int(count) for service, kind, count in rows}

    def otlp_points(self):
        """Distinct data points that came by OTLP, by metric."""
        rows = self.vispyr.sql(
            "SELECT p.metric, count(DISTINCT (p.series_id, epoch_ns(p.time))) FROM metric_points p "
            "JOIN series s USING (series_id) "
            "WHERE s.resource IS NOT NULL GROUP BY 1"
        )
        return {metric: int(count) for metric, count in rows}

    def log_rows(self):
        return self.vispyr.one("SELECT count(*) FROM logs")

    def logs(self):
        """Distinct log records: service, time, body."""
        rows = self.vispyr.sql("SELECT service_name, epoch_ns(coalesce(time, observed_time)), body FROM logs")
        return {(service, int(time), canonical(body)) for service, time, body in rows}, len(rows)

    def profiles(self):
        """What the profiles of each service and type add up to, each profile counted once."""
        rows = self.vispyr.sql(
            "SELECT service_name, profile_type, count(*), sum(total)::BIGINT FROM "
            "(SELECT DISTINCT service_name, profile_type, time, total, duration_ns FROM profiles) GROUP BY 1, 2"
        )
        return {(service, kind): int(total) for service, kind, _, total in rows if int(total)}

    def otlp_profiles(self):
        """Ids of the profiles that came by OTLP; the Collector passes on none that has no samples."""
        ids = "SELECT DISTINCT profile_id FROM profiles WHERE format = 'otlp' AND sample_count > 0"
        return {row[0] for row in self.vispyr.sql(ids)}


def by_trace(pairs):
    traces = {}
    for trace, span in pairs:
        traces.setdefault(trace, set()).add(span)
    return traces


def hex_id(text):
    """An id as JSON has it: base64 in Tempo's, hex in OTLP's."""
    if re.fullmatch(r"[0-9a-fA-F]{16}|[0-9a-fA-F]{32}", text):
        return text.lower()
    return base64.b64decode(text).hex()


def spans_of(document):
    """Trace and span ids of OTLP/JSON."""
    for resource in document.get("resourceSpans") or document.get("batches") or []:
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                yield hex_id(span["traceId"]), hex_id(span["spanId"])


def tempo_spans(tempo, traces, headers=None):
    """What Tempo has of these traces, each asked by its id."""

    def ask(trace):
        try:
            found = tempo.get(f"/api/v2/traces/{trace}", headers={"accept": "application/json", **(headers or {})})
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return trace, set()
            raise
        return trace, {span for _, span in spans_of(found.get("trace", found))}

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return {trace: spans for trace, spans in pool.map(ask, traces) if spans}


def tempo_search(tempo, query, begin, end, headers=None):
    """Ids of the traces that TraceQL finds."""
    found = tempo.get("/api/search", q=query, start=int(begin), end=int(end) + 1, limit=100_000, headers=headers)
    return {trace["traceID"].rjust(32, "0") for trace in found.get("traces") or []}


def prometheus_samples(prometheus, begin, end):
    """Samples by metric, without what is no one's data: target_info and what Prometheus scrapes itself."""
    milliseconds = int((end - begin) * 1000)
    selector = f'{{__name__=~".+",__name__!="target_info",job!="vispyr",instance!="127.0.0.1:1",source!="tempo"}}[{milliseconds}ms]'
    found = {}
    for series in prometheus.query(selector, end):
        name = series["metric"]["__name__"]
        found[name] = found.get(name, 0) + len(series.get("values", [])) + len(series.get("histograms", []))
    return found


def otelcol_points(otelcol):
    """Distinct data points by metric, and how many there are with those that came twice."""
    found, total = {}, 0
    for request in otelcol.lines("metrics")[0]:
        for resource in request.get("resourceMetrics", []):
            identity = json.dumps(resource.get("resource", {}), sort_keys=True)
            for scope in resource.get("scopeMetrics", []):
                for metric in scope.get("metrics", []):
                    for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
                        for point in metric.get(kind, {}).get("dataPoints", []):
                            total += 1
                            attributes = json.dumps(sorted(map(json.dumps, point.get("attributes", []))))
                            key = (identity, scope.get("scope", {}).get("name"), attributes, point["timeUnixNano"])
                            found.setdefault(metric["name"], set()).add(key)
    return {name: len(points) for name, points in found.items()}, total


def otelcol_spans(otelcol):
    pairs = [pair for request in otelcol.lines("traces")[0] for pair in spans_of(request)]
    return by_trace(pairs), len(pairs)


def otelcol_logs(otelcol):
    found, total = set(), 0
    for request in otelcol.lines("logs")[0]:
        for resource in request.get("resourceLogs", []):
            attributes = {a["key"]: a["value"] for a in resource.get("resource", {}).get("attributes", [])}
            service = attributes.get("service.name", {}).get("stringValue")
            for scope in resource.get("scopeLogs", []):
                for record in scope.get("logRecords", []):
                    total += 1
                    time = int(record.get("timeUnixNano") or 0) or int(record.get("observedTimeUnixNano") or 0)
                    body = plain(record.get("body", {}))
                    found.add((service, time, canonical(body if isinstance(body, str) else json.dumps(body))))
    return found, total


def plain(value):
    """A value of OTLP/JSON as JSON has it."""
    kind, content = next(iter(value.items()), (None, None))
    if kind == "kvlistValue":
        return {entry["key"]: plain(entry["value"]) for entry in content.get("values", [])}
    if kind == "arrayValue":
        return [plain(entry) for entry in content.get("values", [])]
    return int(content) if kind == "intValue" else content


def canonical(body):
    """A structured body in one spelling: 40 and 40.0 are the same number."""
    try:
        return json.dumps(json.loads(body, parse_int=float), sort_keys=True) if body[:1] in ("{", "[") else body
    except ValueError:
        return body


def otelcol_profiles(otelcol):
    found = set()
    for request in otelcol.lines("profiles")[0]:
        for resource in request.get("resourceProfiles", []):
            for scope in resource.get("scopeProfiles", []):
                found.update(hex_id(profile["profileId"]) for profile in scope.get("profiles", []))
    return found


class PyroscopeQueries:
    """Pyroscope's own interface, as Grafana calls it."""

    def __init__(self, pyroscope, begin, end, headers=None):
        self.pyroscope, self.headers = pyroscope, headers
        self.range = {"start": int(begin * 1000), "end": int(end * 1000)}

    def call(self, method, **body):
        return self.pyroscope.post(f"/querier.v1.QuerierService/{method}", {**self.range, **body}, headers=self.headers)

    def types(self):
        return {kind["ID"] for kind in self.call("ProfileTypes").get("profileTypes", [])}

    def services(self):
        return set(self.call("LabelValues", name="service_name").get("names", []))

    def total(self, service, kind):
        """What SelectMergeStacktraces adds up to."""
        found = self.call("SelectMergeStacktraces", profileTypeID=kind, labelSelector=f'{{service_name="{service}"}}')
        return int(found.get("flamegraph", {}).get("total", 0))

    def functions(self, service, kind):
        found = self.call("SelectMergeStacktraces", profileTypeID=kind, labelSelector=f'{{service_name="{service}"}}')
        return set(found.get("flamegraph", {}).get("names", []))

    def rendered(self, service, kind):
        """What /render adds up to."""
        query = f'{kind}{{service_name="{service}"}}'
        found = self.pyroscope.get(
            "/pyroscope/render", query=query, format="json", headers=self.headers,
            **{"from": self.range["start"], "until": self.range["end"]},
        )
        return int(found["flamebearer"]["numTicks"])

    def times(self):
        """How many seconds of each service and type hold a profile."""
        found = {}
        for kind in self.types():
            series = self.call("SelectSeries", profileTypeID=kind, labelSelector="{}", groupBy=["service_name"], step=1.0)
            for one in series.get("series", []):
                service = next(label["value"] for label in one["labels"] if label["name"] == "service_name")
                found[service, kind] = sum(point.get("value", 0) > 0 for point in one.get("points", []))
        return {key: count for key, count in found.items() if count}

    def totals(self):
        """By service and type, of all that there is."""
        found = {}
        for kind in self.types():
            for service in self.services():
                total = self.total(service, kind)
                if total:
                    found[service, kind] = total
        return found
