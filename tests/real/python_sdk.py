"""The OpenTelemetry SDK for Python over HTTP/protobuf: traces, metrics and logs."""

import json
import subprocess

from harness import HERE, Programs, virtual_environment

SERVICE = "real-python"


class PythonSdk:
    def __init__(self, results):
        self.results = results

    def prepare(self):
        self.venv = virtual_environment("real-python", HERE / "python/requirements.txt")

    def send_and_check(self, server, seconds):
        endpoint = f"http://{server.addresses['otlp_http']}"
        with Programs() as programs:
            sender = programs.start(
                [self.venv / "bin/python", HERE / "python/sender.py", endpoint, seconds],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            output, trouble = sender.communicate(timeout=seconds + 60)
            if sender.returncode != 0:
                raise RuntimeError(f"the sender failed: {trouble[-1000:]}")
        account = json.loads(output.strip().splitlines()[-1])
        made, acknowledged = account["made"], account["acknowledged"]
        check, settle, one = self.results.check, server.settle, server.one
        mine = f"service_name = '{SERVICE}'"

        lost = {kind: count for kind, count in acknowledged.items() if kind.startswith("lost")}
        check("python: nothing refused", lost, {})
        check("python: spans acknowledged", acknowledged["spans"], 2 * made["requests"])
        check("python: spans", settle(f"SELECT count(*) FROM spans WHERE {mine}", acknowledged["spans"]), acknowledged["spans"])
        errors = f"SELECT count(*) FROM spans WHERE {mine} AND status_code = 'error' AND status_message LIKE 'bad request%'"
        check("python: spans with an error", one(errors), made["errors"])
        events = f"SELECT count(*) FROM spans WHERE {mine} AND events IS NOT NULL"
        check("python: spans with an exception", one(events), made["errors"])
        linked = f"SELECT count(*) FROM spans WHERE {mine} AND links IS NOT NULL"
        check("python: spans with a link", one(linked), (made["requests"] - 1) // 10)
        total = f"SELECT sum(attributes.n::BIGINT)::BIGINT FROM spans WHERE {mine} AND kind = 'server'"
        check("python: an attribute, added up", one(total), made["requests"] * (made["requests"] - 1) // 2)

        check("python: log records acknowledged", acknowledged["logs"], made["lines"])
        check("python: log records", settle(f"SELECT count(*) FROM logs WHERE {mine}", acknowledged["logs"]), acknowledged["logs"])
        joined = (
            f"SELECT count(*) FROM logs JOIN spans ON logs.trace_id = spans.trace_id AND logs.span_id = spans.span_id "
            f"WHERE logs.{mine} AND spans.name = 'request'"
        )
        check("python: log records with their spans", one(joined), made["lines"])
        check("python: errors logged", one(f"SELECT count(*) FROM logs WHERE {mine} AND severity_text = 'ERROR'"), made["errors"])
        self.check_metrics(server, made, acknowledged)

    def check_metrics(self, server, made, acknowledged):
        check, settle, one = self.results.check, server.settle, server.one
        mine = f"service_name = '{SERVICE}'"
        for kind, name in [
            ("Sum", "sum"), ("Gauge", "gauge"), ("Histogram", "histogram"), ("ExponentialHistogram", "exponential_histogram"),
        ]:
            statement = f"SELECT count(*) FROM metric_points WHERE {mine} AND type = '{name}'"
            check(f"python: {name} points", settle(statement, acknowledged.get(kind, 0)), acknowledged.get(kind, 0))
        exemplars = f"SELECT count(*) FROM exemplars JOIN series USING (series_id) WHERE series.{mine}"
        check("python: exemplars", settle(exemplars, acknowledged["exemplars"]), acknowledged["exemplars"])
        check("python: exemplars were sent", acknowledged["exemplars"], lambda n: n > 0)

        def last(column, metric):
            return one(
                f"SELECT sum(last)::BIGINT FROM (SELECT arg_max({column}, time) AS last FROM metric_points "
                f"WHERE {mine} AND metric = '{metric}' GROUP BY series_id)"
            )

        check("python: the counter's last values", last("value", "real.requests"), made["requests"])
        check("python: the histogram's last counts", last("count", "real.duration"), made["requests"])
        check("python: the exponential histogram's last count", last("count", "real.size"), made["requests"])
