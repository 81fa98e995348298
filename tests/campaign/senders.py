"""Who sends: each remembers what was acknowledged, and when."""

import bisect
import http.client
import json
import threading
import time

# Items in a request.
ITEMS = 10
HOUR = 3_600_000_000_000
MILLISECOND = 1_000_000


class Sender(threading.Thread):
    """One client with one connection. A request without an answer is not sent again: it may or may not be there."""

    path = table = None

    def __init__(self, number, port, pause):
        super().__init__(daemon=True)
        self.number, self.port, self.pause = number, port, pause
        # Every second one sends what is hours old, so that there is something to merge.
        self.base = time.time_ns() - (3 * HOUR if number % 2 else 0)
        self.name_there = f"campaign-{self.number}"
        self.sent = 0
        self.numbers, self.times = [], []
        self.in_doubt = {}
        self.stopping = threading.Event()

    def time_of(self, seq):
        return self.base + seq * MILLISECOND

    def run(self):
        connection = None
        while not self.stopping.wait(self.pause):
            seq = self.sent
            body = json.dumps(self.request(seq))
            self.sent += 1
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("POST", self.path, body=body, headers={"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.in_doubt[seq] = type(error).__name__
                connection = None
                time.sleep(0.05)
                continue
            rejected = json.loads(text).get("partialSuccess") if answer.status == 200 else None
            if answer.status == 200 and not rejected:
                # The time last: it makes the number count.
                self.numbers.append(seq)
                self.times.append(time.monotonic())
            else:
                self.in_doubt[seq] = f"status {answer.status}" + (" in part" if rejected else "")

    def acknowledged_before(self, moment):
        """How many requests were acknowledged before a moment."""
        return bisect.bisect_left(self.times, moment)

    def stop(self):
        self.stopping.set()
        self.join()


class Spans(Sender):
    path, table, id = "/v1/traces", "spans", "(trace_id, span_id)"

    def request(self, seq):
        time_of = self.time_of(seq)
        span = lambda n: {
            "traceId": self.trace(seq), "spanId": f"{n + 1:016x}", "name": "work", "kind": 2,
            "startTimeUnixNano": str(time_of), "endTimeUnixNano": str(time_of + MILLISECOND),
            "attributes": [{"key": "n", "value": {"intValue": str(n)}}],
        }
        return {"resourceSpans": [{**self.resource(), "scopeSpans": [{"spans": [span(n) for n in range(ITEMS)]}]}]}

    def resource(self):
        return {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": self.name_there}}]}}

    def trace(self, seq):
        return f"{self.number + 1:016x}{seq + 1:016x}"

    def where(self):
        return f"service_name = '{self.name_there}'"

    def where_one(self, seq):
        return f"trace_id = '{self.trace(seq)}'"

    key = "trace_id"

    def seq_of(self, key):
        return int(key[16:], 16) - 1


class Logs(Spans):
    path, table, id = "/v1/logs", "logs", "(trace_id, body)"

    def request(self, seq):
        record = lambda n: {
            "timeUnixNano": str(self.time_of(seq)), "severityNumber": 9, "traceId": self.trace(seq),
            "body": {"stringValue": f"request {seq} line {n}"},
        }
        return {"resourceLogs": [{**self.resource(), "scopeLogs": [{"logRecords": [record(n) for n in range(ITEMS)]}]}]}


class Points(Spans):
    path, table, id = "/v1/metrics", "metric_points", "(series_id, time)"

    def request(self, seq):
        point = lambda n: {
            "timeUnixNano": str(self.time_of(seq)), "asDouble": float(seq),
            "attributes": [{"key": "n", "value": {"intValue": str(n)}}],
        }
        metric = {"name": self.name_there, "gauge": {"dataPoints": [point(n) for n in range(ITEMS)]}}
        return {"resourceMetrics": [{**self.resource(), "scopeMetrics": [{"metrics": [metric]}]}]}

    def where(self):
        return f"metric = '{self.name_there}'"

    def where_one(self, seq):
        return f"metric = '{self.name_there}' AND time = make_timestamp_ns({self.time_of(seq)})"

    key = "epoch_ns(time)"

    def seq_of(self, key):
        return (int(key) - self.base) // MILLISECOND
