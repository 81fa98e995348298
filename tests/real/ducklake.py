"""DuckDB with its DuckLake extension attaches the catalog of the running store and asks: what it
finds agrees with our SQL, while rows come in, are sealed, and old snapshots and files go."""

import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.request

from harness import HERE, Programs, Server, virtual_environment

SERVICE = "real-lake"
SPANS = 200


class DuckLake:
    def __init__(self, results):
        self.results = results
        self.batches = 0

    def prepare(self):
        self.venv = virtual_environment("real-lake", HERE / "lake/requirements.txt")

    def send_and_check(self, server, seconds):
        check = self.results.check
        with Programs() as programs:
            self.send(server)
            self.seal(server)
            lake = Lake(programs, self.venv, server)
            mine = f"service_name = '{SERVICE}'"
            count = f"SELECT count(*), count(DISTINCT span_id) FROM spans WHERE {mine}"
            check("ducklake: spans of the first flush", lake.settle(count, [SPANS, SPANS]), [SPANS, SPANS])
            # Rows that are sealed stay where they are.
            first = lake.one("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")

            trouble, asked, last = [], 0, 0
            stop = threading.Event()
            sending = threading.Thread(target=self.go_on, args=(server, stop, trouble))
            sending.start()
            deadline = time.monotonic() + seconds
            try:
                while time.monotonic() < deadline and not trouble:
                    all_rows = lake.ask([count, count])
                    asked += 1
                    rows, different = all_rows[0][0]
                    # Whole batches, each once, the same twice in one transaction, and never fewer.
                    if all_rows[0] != all_rows[1] or rows % SPANS or rows != different or rows < last:
                        trouble.append(f"{all_rows} after {last}")
                    last = rows
            finally:
                stop.set()
                sending.join()
            check("ducklake: whole batches at any time", trouble, [])
            check("ducklake: questions meanwhile", asked, lambda n: n > seconds // 4)
            check("ducklake: flushes seen meanwhile", last, lambda n: n > SPANS)
            check("ducklake: batches stored meanwhile", self.batches, lambda n: n > seconds // 2)
            self.seal(server)
            self.compare(server, lake, mine, count, first)
        self.take_over(server.program)

    def compare(self, server, lake, mine, count, first):
        check, total = self.results.check, self.batches * SPANS
        check("ducklake: spans, ours", server.settle(f"SELECT count(*) FROM spans WHERE {mine}", total), total)
        check("ducklake: spans", lake.settle(count, [total, total]), [total, total])
        for name, ours, theirs in [
            ("log records", f"SELECT count(*) FROM logs WHERE {mine}", None),
            ("points", f"SELECT count(*) FROM metric_points WHERE {mine} AND metric = 'lake.requests'", None),
            (
                "buckets of histograms",
                f"SELECT sum(list_sum(bucket_counts))::BIGINT FROM metric_points WHERE {mine}",
                f"SELECT sum(list_sum(bucket_counts))::BIGINT FROM metric_distributions WHERE {mine}",
            ),
            (
                "series",
                f"SELECT count(*) FROM series WHERE {mine}",
                f"SELECT count(DISTINCT series_id) FROM series WHERE {mine}",
            ),
            (
                "an attribute",
                f"SELECT count(*) FROM spans WHERE {mine} AND attributes.\"http.route\" = '/route/3'",
                f"SELECT count(*) FROM spans WHERE {mine} AND attributes.\"http.route\"::VARCHAR = '/route/3'",
            ),
            (
                "an attribute, added up",
                f"SELECT sum(attributes.n::BIGINT)::BIGINT FROM spans WHERE {mine}",
                f"SELECT sum(attributes.n::BIGINT)::BIGINT FROM spans WHERE {mine}",
            ),
            (
                "a time",
                f"SELECT epoch_ns(max(start_time)) FROM spans WHERE {mine}",
                f"SELECT epoch_ns(max(start_time)) FROM spans WHERE {mine}",
            ),
            (
                "a trace by its id",
                f"SELECT string_agg(name, ' ' ORDER BY span_id) FROM spans WHERE trace_id = '{trace(3)}'",
                f"SELECT string_agg(name, ' ' ORDER BY span_id) FROM spans WHERE trace_id = unhex('{trace(3)}')",
            ),
        ]:
            # What was sent last becomes visible between the two questions, within a second.
            deadline = time.monotonic() + 5
            while True:
                expected = server.one(ours)
                found = lake.one(theirs or ours)
                if found == expected or time.monotonic() > deadline:
                    break
            check(f"ducklake: {name}", found, expected)
            check(f"ducklake: {name}, something", expected, lambda found: found)
        # Before the second batch there are a few files, with what others sent at the time.
        early = f"SELECT count(*) FROM spans WHERE {mine} AND start_time < make_timestamp_ns({self.started + 10**6})"
        files = "SELECT count(*) FROM ducklake_list_files('lake', 'spans')"
        rows, plan = lake.ask([files, f"EXPLAIN ANALYZE {early}"])
        read = re.search(r"Total Files Read: (\d+)", str(plan))
        spared = rows[0][0] - int(read[1]) if read else str(plan)
        check("ducklake: files that their bounds spare", spared, lambda n: isinstance(n, int) and n > 0)
        self.expire(server, lake, mine, count, first)

    def expire(self, server, lake, mine, count, first):
        """Snapshots go after a while, and the files that they alone had; until then they can be asked for."""
        check, before = self.results.check, self.batches * SPANS
        newest = lake.one("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")
        self.send(server)
        self.seal(server)
        check("ducklake: spans of one more batch", lake.settle(count, [before + SPANS] * 2), [before + SPANS] * 2)
        then = f"SELECT count(*) FROM spans AT (VERSION => {newest}) WHERE {mine}"
        check("ducklake: spans at an earlier snapshot", lake.one(then), before)
        oldest = "SELECT min(snapshot_id) > {} FROM ducklake_snapshots('lake')"
        check("ducklake: the first snapshot is over", lake.settle(oldest.format(first), [True], 60), [True])
        check("ducklake: the others, too", lake.settle(oldest.format(newest), [True], 60), [True])
        check("ducklake: files that nobody needs", settle(lambda: strangers(server), 0), 0)
        check("ducklake: spans after that", lake.settle(count, [before + SPANS] * 2), [before + SPANS] * 2)

    def take_over(self, program):
        """A directory of the last version whose catalog was no DuckLake: its files have no field ids."""
        check = self.results.check
        server = Earlier(program, config=FOR_EVER)
        try:
            with Programs() as programs:
                lake = Lake(programs, self.venv, server)
                for name, question in [
                    ("spans", "SELECT count(*), count(DISTINCT span_id), sum(attributes.n::BIGINT)::BIGINT FROM spans"),
                    ("log records", "SELECT count(*), max(body) FROM logs"),
                    ("buckets", "SELECT sum(list_sum(bucket_counts))::BIGINT FROM {}"),
                ]:
                    expected = server.sql(question.format("metric_points"))
                    found = lake.ask([question.format("metric_distributions")])[0]
                    check(f"ducklake: {name} of before", *(json.dumps(rows).replace('"', "") for rows in (found, expected)))
                check("ducklake: all spans of before", lake.one("SELECT count(*) FROM spans"), 100)
                check("ducklake: none before they came", lake.one("SELECT count(*) FROM spans AT (VERSION => 1)"), 0)
        finally:
            server.stop()

    def go_on(self, server, stop, trouble):
        try:
            while not stop.wait(0.3):
                self.send(server)
                if self.batches % 3 == 0:
                    self.seal(server)
        except Exception as error:
            trouble.append(f"sending: {error}")

    def send(self, server):
        batch, now = self.batches, time.time_ns()
        if batch == 0:
            self.started = now
        resource = {"attributes": [text("service.name", SERVICE)]}
        spans = [
            {
                "traceId": trace(batch * SPANS + i // 2), "spanId": f"{batch * SPANS + i + 1:016x}",
                "name": f"span {i}", "kind": 2, "startTimeUnixNano": str(now + i), "endTimeUnixNano": str(now + 2 * i),
                "attributes": [text("http.route", f"/route/{i % 7}"), whole("n", i)],
            }
            for i in range(SPANS)
        ]
        lines = [{"timeUnixNano": str(now + i), "body": {"stringValue": f"line {i}"}} for i in range(20)]
        counter = [{"timeUnixNano": str(now), "asInt": str(batch), "attributes": [whole("path", i)]} for i in range(5)]
        buckets = [
            {"timeUnixNano": str(now), "count": "6", "sum": 1.5, "bucketCounts": ["1", "2", "3"], "explicitBounds": [0.1, 1]}
        ]
        metrics = [
            {"name": "lake.requests", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": counter}},
            {"name": "lake.duration", "histogram": {"aggregationTemporality": 2, "dataPoints": buckets}},
        ]
        for path, body in [
            ("traces", {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}),
            ("logs", {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": lines}]}]}),
            ("metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]}),
        ]:
            url = f"http://{server.addresses['otlp_http']}/v1/{path}"
            request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
            urllib.request.urlopen(request, timeout=30).close()
        self.batches += 1

    def seal(self, server):
        """Once all of ours can be asked for."""
        total = self.batches * SPANS
        found = server.settle(f"SELECT count(*) FROM spans WHERE service_name = '{SERVICE}'", total)
        if found != total:
            raise RuntimeError(f"{found} of {total} spans after a while")
        os.kill(engine(server), signal.SIGUSR1)


class Lake:
    """The other reader of the catalog."""

    def __init__(self, programs, venv, server):
        command = [venv / "bin/python", HERE / "lake/reader.py", server.data / "store/catalog.sqlite"]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.reader = programs.start(command, pipe=True, **options)

    def ask(self, questions):
        self.reader.stdin.write(json.dumps(questions) + "\n")
        self.reader.stdin.flush()
        line = self.reader.stdout.readline()
        answers = json.loads(line) if line else {"error": self.reader.stderr.read()[-1000:]}
        if isinstance(answers, dict):
            raise RuntimeError(f"the other reader: {answers['error']}")
        return answers

    def one(self, question):
        """The only cell, or nothing."""
        ((row,),) = self.ask([question])
        return row[0]

    def settle(self, question, expected, seconds=30):
        """Asks until the only row is what is expected, and gives the last answer."""
        deadline = time.monotonic() + seconds
        while True:
            ((found,),) = self.ask([question])
            if found == expected or time.monotonic() > deadline:
                return found
            time.sleep(0.2)


# So that what was made in 2026 stays.
FOR_EVER = '[store.retention]\nmax_age = "1000y"\n'


class Earlier(Server):
    """One on a directory of before."""

    def start(self):
        store = self.data / "store"
        store.mkdir(parents=True)
        fixture = HERE.parent / "it/fixtures/store-catalog-1.tar.gz"
        subprocess.run(["tar", "-xzf", fixture, "-C", store], check=True)
        super().start()


def settle(ask, expected, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        found = ask()
        if found == expected or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def strangers(server):
    """Files that the latest snapshot does not have."""
    catalog = sqlite3.connect(f"file:{server.data}/store/catalog.sqlite?mode=ro", uri=True)
    current = "SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NULL"
    ((known,),) = catalog.execute(current).fetchall()
    catalog.close()
    return len(list((server.data / "store/sealed").rglob("*.parquet"))) - known


def engine(server):
    """The process that holds the store."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            arguments = folder.joinpath("cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(parent) == server.process.pid and b"engine" in arguments:
            return int(folder.name)
    raise RuntimeError("the store has no engine")


def trace(number):
    return f"{number + 1:032x}"


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def whole(key, value):
    return {"key": key, "value": {"intValue": str(value)}}
