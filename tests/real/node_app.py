"""A Node application, instrumented as the Vispyr agent does it, under load."""

import json
import os
import shutil
import subprocess

from harness import CACHE, HERE, Programs, Unavailable, need, run

SERVICE = "real-node"


class NodeApp:
    def __init__(self, results):
        self.results = results
        self.folder = CACHE / "real-node"

    def prepare(self):
        if not shutil.which("node") or not shutil.which("npm"):
            need("nodejs", "npm")
        source = HERE / "node"
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = (source / "package-lock.json").read_text()
        stamp = self.folder / "installed-lock.json"
        if not stamp.exists() or stamp.read_text() != lock:
            stamp.unlink(missing_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, self.folder / name)
            run(["npm", "ci", "--no-audit", "--no-fund"], "npm ci", cwd=self.folder)
            stamp.write_text(lock)
        for name in ("app.js", "load.js"):
            shutil.copy(source / name, self.folder / name)
        # The profiler is a native module; it comes prebuilt inside its package or not at all.
        try:
            run(["node", "-e", "require('@pyroscope/nodejs')"], "the native profiler", cwd=self.folder)
        except Unavailable:
            raise Unavailable("@pyroscope/nodejs has no prebuilt native module for this Node") from None

    def send_and_check(self, server, seconds):
        application, asked = self.load(server, seconds)
        counted = json.loads(application.strip().splitlines()[-1])
        check, sql = self.results.check, server.settle
        requests = sum(asked.values())
        # The basket asks the application itself for a product.
        served = requests + asked["/basket"]
        mine = f"service_name = '{SERVICE}'"

        check("node: requests were made", requests, lambda n: n > 5 * seconds)
        check("node: spans, by the SDK's own count", sql(f"SELECT count(*) FROM spans WHERE {mine}", counted["spans"]), counted["spans"])
        check("node: no span twice", server.one(f"SELECT count(*) - count(DISTINCT span_id) FROM spans WHERE {mine}"), 0)
        check("node: server spans as requests", server.one(f"SELECT count(*) FROM spans WHERE {mine} AND kind = 'server'"), served)
        for route, count in asked.items():
            count += asked["/basket"] if route == "/products/:id" else 0
            where = f"{mine} AND kind = 'server' AND attributes.\"http.route\"::VARCHAR = '{route}'"
            check(f"node: server spans of {route}", server.one(f"SELECT count(*) FROM spans WHERE {where}"), count)
        check(
            "node: failed server spans",
            server.one(f"SELECT count(*) FROM spans WHERE {mine} AND kind = 'server' AND status_code = 'error'"),
            asked["/broken"],
        )
        check(
            "node: client spans",
            server.one(f"SELECT count(*) FROM spans WHERE {mine} AND kind = 'client' AND name = 'GET'"),
            asked["/basket"],
        )
        orphans = f"SELECT count(*) FROM spans WHERE {mine} AND parent_span_id NOT IN (SELECT span_id FROM spans WHERE {mine})"
        check("node: every parent is there", server.one(orphans), 0)
        self.check_metrics(server, counted, served)
        self.check_profiles(server, counted)

    def load(self, server, seconds):
        environment = {
            **os.environ,
            "OTEL_SERVICE_NAME": SERVICE,
            "OTLP_URL": f"http://{server.addresses['otlp_grpc']}",
            "PYROSCOPE_URL": f"http://{server.addresses['pyroscope']}",
            "PROFILE_MS": str(min(10, seconds // 3 or 1) * 1000),
            "NODE_ENV": "production",
        }
        with Programs() as programs:
            app = programs.start(
                ["node", "app.js"], cwd=self.folder, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            port = json.loads(app.stdout.readline() or app.stderr.read())["port"]
            load = programs.start(
                ["node", "load.js", port, seconds], cwd=self.folder,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            asked, trouble = load.communicate(timeout=seconds + 60)
            if load.returncode != 0:
                raise RuntimeError(f"the load failed: {trouble}")
            app.terminate()
            output, trouble = app.communicate(timeout=60)
            if app.returncode != 0:
                raise RuntimeError(f"the application failed: {trouble[-1000:]}")
        return output, json.loads(asked)

    def check_metrics(self, server, counted, served):
        check = self.results.check
        mine = f"service_name = '{SERVICE}'"
        points = server.settle(f"SELECT count(*) FROM metric_points WHERE {mine}", counted["points"])
        check("node: data points, by the SDK's own count", points, counted["points"])
        last = (
            "SELECT sum(count)::BIGINT FROM (SELECT arg_max(count, time) AS count FROM metric_points "
            f"WHERE {mine} AND metric IN ('http.server.duration', 'http.server.request.duration') GROUP BY series_id)"
        )
        check("node: requests in the HTTP histogram", server.one(last), served)
        metrics = {row[0] for row in server.sql(f"SELECT DISTINCT metric FROM metric_points WHERE {mine}")}
        check("node: metrics of the runtime", sorted(metrics), lambda names: any("nodejs." in name for name in names))

    def check_profiles(self, server, counted):
        check = self.results.check
        mine = f"service_name = '{SERVICE}'"
        # Each document has two sample types, hence two profiles.
        profiles = server.settle(f"SELECT count(*) FROM profiles WHERE {mine}", 2 * counted["profiles"])
        check("node: profiles as acknowledged", profiles, 2 * counted["profiles"])
        types = {row[0] for row in server.sql(f"SELECT DISTINCT profile_type FROM profiles WHERE {mine}")}
        check("node: wall profiles", sorted(types), lambda types: "wall:wall:nanoseconds:wall:nanoseconds" in types)
        check("node: heap profiles", sorted(types), lambda types: any(name.startswith("memory:inuse_space:bytes:") for name in types))
        for kind in ("wall:nanoseconds:", "inuse_space:bytes:"):
            where = f"s.{mine} AND s.profile_type LIKE '%{kind}%'"
            check(f"node: samples of {kind[:-1]}", server.one(f"SELECT count(*) FROM profile_samples s WHERE {where}"), lambda n: n > 0)
            empty = (
                "SELECT count(*) FROM profile_samples s LEFT JOIN stacks USING (stack_id) "
                f"WHERE {where} AND coalesce(len(frame_ids), 0) = 0"
            )
            check(f"node: samples of {kind[:-1]} without a stack", server.one(empty), 0)
        named = (
            "SELECT count(*) FROM profile_samples s JOIN stacks USING (stack_id), UNNEST(frame_ids) AS f(frame_id) "
            f"JOIN frames ON frames.frame_id = f.frame_id WHERE s.{mine} AND function LIKE '%pbkdf2Sync%'"
        )
        check("node: the busy function is in the wall profile", server.one(named), lambda n: n > 0)
