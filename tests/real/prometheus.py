"""Prometheus scrapes Debian's node_exporter and itself, and sends on by remote write: the 2.42 of
Debian 12 by version 1.0, the 3.5 of Debian forky by version 2.0. What Prometheus answers for a
range is compared with what SQL answers for it."""

import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from harness import CACHE, Programs, Unavailable, free_port, need, run, wait_for


def debian_package(name, binary):
    """The program out of a Debian package, unpacked rather than installed: no service starts."""
    folder = CACHE / "debian"
    program = folder / "root/usr/bin" / binary
    if program.exists():
        return program
    installed = shutil.which(binary)
    if installed:
        return pathlib.Path(installed)
    if not shutil.which("apt-get"):
        raise Unavailable(f"{name} is a package of Debian, and this is another system")
    folder.mkdir(parents=True, exist_ok=True)
    # Root's apt fetches as another user, who may not write here.
    fetch = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", name]
    try:
        run(fetch, f"fetching {name}", cwd=folder)
    except Unavailable:
        run(["apt-get", "update", "-qq"], "updating the package lists")
        run(fetch, f"fetching {name}", cwd=folder)
    for package in folder.glob(f"{name}_*.deb"):
        run(["dpkg", "-x", package, folder / "root"], f"unpacking {name}")
        package.unlink()
    if not program.exists():
        raise Unavailable(f"the package {name} has no {binary}")
    return program


class Prometheus:
    """What both versions have in common."""

    name = path = protocol = ""
    settings = {}
    flags = []

    def __init__(self, results):
        self.results = results

    def prepare(self):
        self.exporter = debian_package("prometheus-node-exporter", "prometheus-node-exporter")
        self.command = self.find_prometheus()

    def config(self, server, exporter, own):
        write = {
            "url": f"http://{server.addresses['remote_write']}{self.path}",
            "metadata_config": {"send": True, "send_interval": "5s"},
            "queue_config": {"batch_send_deadline": "1s", "max_shards": 4},
            "send_exemplars": True,
            **self.settings,
        }
        return {
            "global": {"scrape_interval": "1s", "external_labels": {"sender": self.name}},
            "scrape_configs": [
                {"job_name": "node", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]},
                {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{own}"]}]},
            ],
            # JSON is YAML.
            "remote_write": [write],
        }

    def send_and_check(self, server, seconds):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="vispyr-prometheus-"))
        try:
            with Programs() as programs:
                self.run(programs, folder, server, seconds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, programs, folder, server, seconds):
        exporter, self.port = free_port(), free_port()
        (folder / "prometheus.yml").write_text(json.dumps(self.config(server, exporter, self.port)))
        log = open(folder / "log", "wb")
        programs.start(
            [self.exporter, f"--web.listen-address=127.0.0.1:{exporter}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        prometheus = programs.start(
            [
                *self.command, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}", *self.flags,
            ],
            stdout=log, stderr=log, cwd=folder,
        )

        def ready():
            if prometheus.poll() is not None:
                raise RuntimeError(f"Prometheus ended: {(folder / 'log').read_text()[-1000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                    return True
            except OSError:
                return False

        wait_for("Prometheus to be ready", ready)
        began = time.time()
        # A shorter range holds too few scrapes to say anything.
        time.sleep(max(seconds, 15))
        # A range that is over: all of it has been scraped, but perhaps not yet sent. Half
        # milliseconds keep its ends off every sample.
        self.begin, self.end = int(began) + 2.0005, int(time.time()) - 1 + 0.0005
        self.check(server)

    def ask(self, query):
        parameters = urllib.parse.urlencode({"query": query, "time": f"{self.end:.4f}"})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{parameters}", timeout=60) as answer:
            return json.load(answer)["data"]["result"]

    def everything(self):
        """All series of the range by metric, each with its values and native histograms."""
        # Both ends lie between two milliseconds, which is what Prometheus counts in.
        milliseconds = round((self.end - self.begin) * 1000)
        metrics = {}
        for series in self.ask(f'{{__name__=~".+"}}[{milliseconds}ms]'):
            metrics.setdefault(series["metric"]["__name__"], []).append(series)
        return metrics

    def where(self, condition="true"):
        """The points of this sender in the range, stale markers left out."""
        begin, end = (f"make_timestamp_ns({int(t * 1e9)})" for t in (self.begin, self.end))
        return (
            f"FROM metric_points p JOIN series s USING (series_id) WHERE s.labels.sender::VARCHAR = '{self.name}' "
            f"AND p.time > {begin} AND p.time <= {end} AND coalesce(p.flags, 0) & 1 = 0 AND {condition}"
        )

    def check(self, server):
        check, name = self.results.check, self.name
        metrics = self.everything()

        def points(series):
            return len(series.get("values", [])) + len(series.get("histograms", []))

        expected = sum(points(series) for all_series in metrics.values() for series in all_series)
        check(f"{name}: Prometheus has samples", expected, lambda n: n > 1_000)
        count = f"SELECT count(*) {self.where()}"
        check(f"{name}: samples in the range", server.settle(count, expected), expected)
        series = sum(len(all_series) for all_series in metrics.values())
        check(f"{name}: series", server.one(f"SELECT count(DISTINCT series_id) {self.where()}"), series)
        doubled = f"SELECT count(*) FROM (SELECT 1 {self.where()} GROUP BY series_id, p.time HAVING count(*) > 1)"
        check(f"{name}: no sample twice", server.one(doubled), 0)

        by_metric = {metric: sum(map(points, all_series)) for metric, all_series in metrics.items()}
        found = {row[0]: int(row[1]) for row in server.sql(f"SELECT p.metric, count(*) {self.where()} GROUP BY ALL")}
        names = by_metric.keys() | found.keys()
        different = {n: (found.get(n), by_metric.get(n)) for n in names if found.get(n) != by_metric.get(n)}
        check(f"{name}: metrics whose number of samples differs, of {len(by_metric)}", different, {})
        for metric in ("node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "prometheus_http_requests_total"):
            values = [float(value) for series in metrics[metric] for _, value in series["values"]]
            self.check_values(server, metric, math.fsum(values))
        native = sum(len(series.get("histograms", [])) for all_series in metrics.values() for series in all_series)
        found = server.one(f"SELECT count(*) {self.where('p.count IS NOT NULL AND p.scale IS NOT NULL')}")
        check(f"{name}: native histograms", found, native)
        self.check_native(native)
        metadata = {"node_cpu_seconds_total": "counter", "node_load1": "gauge"}
        for metric, kind in metadata.items():
            statement = f"SELECT type FROM metric_metadata WHERE metric = '{metric}'"
            check(f"{name}: metadata of {metric}", server.settle(statement, kind), kind)
        self.check_sender()

    def check_values(self, server, metric, expected):
        condition = f"p.metric = '{metric}'"
        found = float(server.one(f"SELECT sum(value) {self.where(condition)}") or 0)

        def close(found):
            return found > 0 and abs(found - expected) <= 1e-9 * expected

        self.results.check(f"{self.name}: values of {metric}, added up", found, close, f"({expected})")

    def check_native(self, count):
        """Whether this version was to send native histograms."""

    def check_sender(self):
        """Prometheus' own account of what it has sent."""
        for metric in ("samples_failed_total", "samples_dropped_total", "histograms_failed_total", "exemplars_failed_total"):
            failed = self.ask(f"sum(prometheus_remote_storage_{metric})")
            failed = int(float(failed[0]["value"][1])) if failed else 0
            self.results.check(f"{self.name}: {metric} by Prometheus' own account", failed, 0)


class Prometheus2(Prometheus):
    """Debian 12's: remote write 1.0, to the path that the Vispyr agent uses."""

    name = "prometheus-2"
    path = "/api/v1/metrics/write"
    flags = ["--enable-feature=exemplar-storage"]

    def find_prometheus(self):
        return [debian_package("prometheus", "prometheus")]


class Prometheus3(Prometheus):
    """Debian forky's, in a root of its own: remote write 2.0, native histograms."""

    name = "prometheus-3"
    path = "/api/v1/write"
    settings = {"protobuf_message": "io.prometheus.write.v2.Request", "send_native_histograms": True}
    flags = ["--enable-feature=exemplar-storage,native-histograms,metadata-wal-records"]

    def find_prometheus(self):
        root = CACHE / "forky-root"
        if not (root / "usr/bin/prometheus").exists():
            self.make_root(root)
        # Its own loader and libraries, so that neither chroot nor its rights are needed.
        machine = os.uname().machine
        libraries = root / f"usr/lib/{machine}-linux-gnu"
        loaders = [*libraries.glob("ld-linux-*.so.*"), *(root / "usr/lib").glob("ld-linux-*.so.*")]
        if not loaders:
            raise Unavailable("the forky root has no loader")
        return [loaders[0], "--library-path", libraries, root / "usr/bin/prometheus"]

    def make_root(self, root):
        if not shutil.which("mmdebstrap"):
            need("mmdebstrap")
        root.parent.mkdir(parents=True, exist_ok=True)
        new = root.with_name(f"forky-root.{os.getpid()}")
        try:
            run(
                [
                    "mmdebstrap", "--quiet", "--variant=extract", "--include=prometheus",
                    '--aptopt=Acquire::Check-Valid-Until "false"', "forky", new,
                ],
                "making a root of Debian forky", seconds=600,
            )
            shutil.rmtree(root, ignore_errors=True)
            new.rename(root)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def check_native(self, count):
        self.results.check(f"{self.name}: Prometheus has native histograms", count, lambda n: n > 0)
