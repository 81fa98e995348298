"""Each link from one signal to another, followed with the values of real traces of the demo shop."""

from __future__ import annotations

import fill
from ask import Asker
from fill import Times, Variable
from grafana_files import Json, as_provisioned, data_sources

TAGS = "$__tags"


def run(results, asker: Asker, times: Times):
    sources = {uid: as_provisioned(source) for uid, source in data_sources().items()}
    rows = asker.rows(
        f"SELECT trace_id, span_id, service_name, attributes.\"http.route\"::VARCHAR, attributes.\"pyroscope.profile.id\"::VARCHAR "
        f"FROM spans WHERE kind = 'server' AND service_name = 'checkout' AND start_time BETWEEN '{fill.moment(times.begin)}' "
        f"AND '{fill.moment(times.end)}' AND attributes.\"http.route\" IS NOT NULL "
        "AND span_id IN (SELECT span_id FROM profile_samples) AND trace_id IN (SELECT trace_id FROM logs) ORDER BY start_time LIMIT 1"
    )
    results.check("links: a span with a route, a profile and logs", len(rows), 1)
    if not rows:
        return
    trace, _, service, route, profile = rows[0]
    # The span in which something was written is another.
    trace_of_logs, span_of_logs = asker.rows(
        "SELECT trace_id, span_id FROM logs WHERE span_id IN (SELECT span_id FROM spans) ORDER BY time LIMIT 1"
    )[0]
    tags = {"service.name": service, "http.route": route}
    tempo = sources["tempo"]
    to_metrics(results, asker, times, tempo["jsonData"]["tracesToMetrics"], tags)
    to_profiles(results, asker, times, tempo["jsonData"]["tracesToProfiles"], tags, profile)
    correlations(results, asker, times, tempo, {"traceID": short(trace_of_logs), "spanID": span_of_logs, "serviceName": service})
    correlations(results, asker, times, sources["store"], {"trace_id": trace})
    exemplars(results, asker, times, sources["prometheus"])
    results.check("links: service map", asker.service_map(times), lambda n: n > 5)
    results.check("links: node graph is on", tempo["jsonData"]["nodeGraph"], {"enabled": True})


def short(trace: str) -> str:
    """As Tempo's search gives it."""
    return trace.lstrip("0")


def to_metrics(results, asker: Asker, times: Times, link: Json, tags: dict[str, str]):
    """Grafana puts in those of the tags that the span has."""
    labels = ", ".join(f'{tag["value"]}="{tags[tag["key"]]}"' for tag in link["tags"] if tag["key"] in tags)
    results.check("links: rate, errors and duration", len(link["queries"]), 3)
    # With a route and, as of a span that has none, without.
    for what, filled in (("", labels), (" of the service", labels.partition(", ")[0])):
        for query in link["queries"]:
            found = asker.promql(query["query"].replace(TAGS, filled), times)
            results.check(f"links: trace to metrics, {query['name']}{what}", found, lambda n: n > 0)


def to_profiles(results, asker: Asker, times: Times, link: Json, tags: dict[str, str], profile: str | None):
    results.check("links: the span bears the profiler's mark", profile, lambda mark: bool(mark))
    labels = ", ".join(f'{tag["value"]}="{tags[tag["key"]]}"' for tag in link["tags"] if tag["key"] in tags)
    target = {
        "queryType": "profile", "profileTypeId": link["profileTypeId"], "labelSelector": f"{{{labels}}}", "spanSelector": [profile],
    }
    results.check("links: trace to profiles", asker.pyroscope(target, {}, times), lambda total: total > 0)


def correlations(results, asker: Asker, times: Times, source: Json, fields: dict[str, str]):
    values = {name: Variable(value) for name, value in fields.items()}
    for correlation in source["correlations"]:
        name = f"links: {source['name']} to {correlation['targetUID']}, {correlation['label']}"
        config = correlation["config"]
        results.check(f"{name}: its field", config["field"] in fields, True)
        target = dict(config["target"])
        if correlation["targetUID"] == "pyroscope":
            # The shop's Node service is the one that is profiled by wall time.
            values = {**values, "serviceName": Variable("storefront")}
        asked = asker.by_source[correlation["targetUID"]]
        results.check(name, asked(target, values, times), lambda n: n > 0)


def exemplars(results, asker: Asker, times: Times, prometheus: Json):
    """From a point of either kind of histogram to its trace."""
    labels = [one["name"] for one in prometheus["jsonData"]["exemplarTraceIdDestinations"]]
    for name, expr in (
        ("Tempo's", 'traces_spanmetrics_latency_bucket{source="tempo"}'), ("the SDK's", "http_server_request_duration_seconds_bucket"),
    ):
        found = asker.exemplars(expr, times)
        traces = [one[label] for one in found for label in labels if label in one]
        results.check(f"links: {name} exemplars lead to Tempo", (len(found) > 0, len(traces)), (True, len(found)))
        # The newest may not be there yet.
        results.check(f"links: {name} exemplar's trace", max(map(asker.trace, traces[:5]), default=0), lambda spans: spans > 0)
