"""Clients of PostgreSQL: psql, psycopg, SQLAlchemy, pandas, pgx, lib/pq, the JDBC driver. They ask what the others
have sent meanwhile, and what they sent themselves."""

import json
import os
import subprocess
import time
import urllib.request

from harness import CACHE, HERE, Unavailable, need, run, virtual_environment

SPANS = 40
SERVICE = "real-postgres"
JDBC = ("org.postgresql", "postgresql", "42.7.8")


class Postgres:
    service = SERVICE
    # How long a client may take.
    seconds = 180

    def __init__(self, results):
        self.results = results

    def prepare(self):
        """Each client that cannot be had is told; at least one is needed."""
        self.clients = {}
        for name, prepare in (("psql", self.psql), ("python", self.python), ("go", self.go), ("jdbc", self.jdbc)):
            try:
                self.clients[name] = prepare()
            except Unavailable as why:
                self.results.skip(f"postgres: {name}", why)
        if not self.clients:
            raise Unavailable("no client of PostgreSQL")

    def psql(self):
        need("postgresql-client")
        return ["psql"]

    def python(self):
        venv = virtual_environment("real-postgres", HERE / "postgres/requirements.txt")
        return [venv / "bin/python", HERE / "postgres/clients.py"]

    def go(self):
        program = CACHE / "real-postgres-go"
        environment = {**os.environ, "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        run(["go", "build", "-o", program, "."], "go build", cwd=HERE / "postgres/go", env=environment)
        return [program]

    def jdbc(self):
        group, name, version = JDBC
        folder = CACHE / "real-postgres-jdbc"
        driver = folder / f"{name}-{version}.jar"
        if not driver.exists():
            folder.mkdir(parents=True, exist_ok=True)
            run(
                ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={group}:{name}:{version}", f"-DoutputDirectory={folder}"],
                "mvn dependency:copy",
            )
        run(["javac", "-d", folder, HERE / "postgres/Client.java"], "javac")
        return ["java", "-cp", f"{folder}:{driver}", "Client"]

    def send_and_check(self, server, seconds):
        self.send(server)
        settled = server.settle(f"SELECT count(*) FROM spans WHERE service_name = '{self.service}'", SPANS)
        self.results.check(f"{self.service}: spans", settled, SPANS)
        place = server.addresses["postgres"]
        for name, command in self.clients.items():
            getattr(self, f"check_{name}")(command, place)

    def send(self, server):
        now = time.time_ns()
        spans = [
            {
                "traceId": f"{n + 1:032x}", "spanId": f"{n + 1:016x}", "name": f"work {n % 4}", "kind": 2,
                "startTimeUnixNano": str(now - n * 1_000_000_000), "endTimeUnixNano": str(now - n * 1_000_000_000 + 5_000_000),
                "attributes": [{"key": "n", "value": {"intValue": str(n)}}],
            }
            for n in range(SPANS)
        ]
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": self.service}}]}
        body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()
        request = urllib.request.Request(
            f"http://{server.addresses['otlp_http']}/v1/traces", data=body, headers={"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=30).close()

    def check_psql(self, command, place):
        host, port = place.rsplit(":", 1)

        def psql(*arguments):
            done = subprocess.run(
                [*command, "-X", "-h", host, "-p", port, "-U", "me", "vispyr", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
            )
            return done.stdout

        check = self.results.check
        count = f"SELECT count(*) FROM spans WHERE service_name = '{SERVICE}' AND start_time > now() - INTERVAL 30 MINUTE"
        check("psql: rows", psql("-At", "-c", count).strip(), str(SPANS))
        check("psql: \\timing", psql("-c", "\\timing", "-c", "SELECT 1"), lambda text: "Time: " in text)
        check("psql: \\d", psql("-c", "\\d"), lambda text: "spans" in text and "view" in text)
        check("psql: \\d+ spans", psql("-c", "\\d+ spans"), lambda text: "start_time" in text and "timestamp with time zone" in text)
        check("psql: \\df", psql("-c", "\\df"), lambda text: "red" in text and "flame" in text)
        for shown in ("\\l", "\\dn", "\\du", "\\dv", "\\dT", "\\conninfo", "\\dt", "\\di"):
            check(f"psql: {shown}", psql("-c", shown), lambda text: "ERROR" not in text)
        copied = psql("-c", f"\\copy (SELECT name FROM spans WHERE service_name = '{SERVICE}') TO STDOUT")
        check("psql: \\copy", len(copied.splitlines()), SPANS)

    def found(self, command, *arguments):
        done = subprocess.run(
            [str(part) for part in (*command, *arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=self.seconds,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[-1]}: {done.stderr[-800:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])

    def check_python(self, command, place):
        found, check = self.found(command, place, SERVICE), self.results.check
        check("psycopg: binary rows", found["psycopg"], SPANS)
        check("psycopg: a cursor of the server's", found["cursor"], SPANS)
        check("psycopg: arrays", found["any"], SPANS // 4)
        check("sqlalchemy: views", found["views"], lambda views: {"spans", "logs", "metric_points"} <= set(views))
        check("sqlalchemy: columns", found["columns"]["start_time"], "TIMESTAMP")
        check("sqlalchemy: attributes", found["columns"]["attributes"], "JSONB")
        check("pandas: rows", found["pandas"], SPANS)
        check("pandas: types", found["types"], ["datetime64", "int64"])
        check("pandas: means by name", found["grouped"], {f"work {n}": 5_000_000 for n in range(4)})
        check("pandas: dates", found["days"], "datetime64")
        check("pandas: rows in chunks", found["chunks"], lambda count: count >= SPANS)
        check("adbc: rows", found["adbc"], [SPANS, [5_000_000]])
        check("adbc: types", found["adbc types"], {"name": "string", "start_time": "timestamp[us, tz=UTC]", "duration_ns": "int64", "attributes": "extension<arrow.json>"})
        check("adbc: columns", found["adbc columns"], lambda names: names[0] == "view" and {"start_time", "attributes"} <= set(names))

    def check_go(self, command, place):
        found, check = self.found(command, f"postgres://me@{place}/vispyr"), self.results.check
        check("pgx, lib/pq: no error", found.get("error"), None)
        check("pgx: rows with binary parameters", found.get("pgx count"), lambda count: count >= SPANS)
        check("pgx: a time", found.get("pgx year"), lambda year: year >= 2026)
        check("pgx: jsonb", found.get("pgx attributes"), lambda count: count >= 1)
        check("pgx: the columns of Grafana's editor", (found.get("pgx columns") or {}).get("start_time"), "timestamp with time zone")
        check("pgx: pings", [found.get("pgx ping"), found.get("pgx empty")], [0, 0])
        check("lib/pq: rows", found.get("pq count"), lambda count: count >= SPANS)
        check("lib/pq: the version for Grafana", found.get("pq version"), 1600)

    def check_jdbc(self, command, place):
        found, check = self.found(command, f"jdbc:postgresql://{place}/vispyr", SERVICE), self.results.check
        check("jdbc: rows in parts", found["rows"], SPANS)
        check("jdbc: a prepared statement", found["prepared"], SPANS)
        check("jdbc: getTables", found["tables"], lambda tables: {"spans", "logs"} <= set(tables))
        check("jdbc: getColumns", found["columns"].get("start_time"), "timestamptz")
        check("jdbc: getSchemas", found["schemas"], lambda schemas: "public" in schemas)
        check("jdbc: getPrimaryKeys", found["keys"], 0)
        check("jdbc: indexes, foreign keys, procedures", found["none"], 0)
        check("jdbc: getFunctions", found["functions"], lambda names: {"red", "trace"} <= set(names))
        check("jdbc: getTypeInfo", found["types"], lambda count: count > 10)
