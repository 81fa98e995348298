"""The servers that the collector feeds: started on loopback with the configs that the appliance
ships, where only ports and folders are others; stopped, killed and started again on the same data."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import harness

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
UPSTREAMS = pathlib.Path(os.environ.get("VISPYR_UPSTREAMS") or harness.CACHE / "upstreams")


def find(name):
    """A program on PATH or among the upstreams."""
    program = shutil.which(name) or UPSTREAMS / name
    if not os.access(program, os.X_OK):
        raise harness.Unavailable(f"no {name} in PATH or {UPSTREAMS}")
    return [program]


class Server:
    """One of them. `folder` is its data; nothing of it is elsewhere."""

    name = ""
    # Port names, to be had as attributes.
    ports = ()
    ready_path = "/ready"
    environment = {}

    def __init__(self, command, folder):
        self.command, self.folder = command, folder
        self.process = None
        folder.mkdir(parents=True, exist_ok=True)
        self.log_file = folder.with_name(f"{folder.name}.log")
        for port in self.ports:
            setattr(self, port, harness.free_port())
        self.config_file = folder.with_name(f"{folder.name}.yaml")
        self.config_file.write_text(self.config())

    @classmethod
    def version(cls, command):
        """What it says of itself."""
        done = subprocess.run([*map(str, command), "--version"], capture_output=True, text=True, timeout=30)
        return (done.stdout + done.stderr).strip()

    def shipped(self, path, replaced):
        """A config of the appliance, with each of these texts replaced, which must be there."""
        text = (REPOSITORY / "config" / path).read_text()
        for old, new in replaced.items():
            pattern = re.compile(re.escape(old) + r"(?![0-9])")
            if not pattern.search(text):
                raise RuntimeError(f"config/{path} has no {old} any more")
            text = pattern.sub(str(new), text)
        return text

    def start(self, seconds=60):
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [str(argument) for argument in [*self.command, *self.arguments()]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={**os.environ, **self.environment},
            )
        began = time.monotonic()
        harness.wait_for(f"{self.name} to be ready", self.is_ready, seconds)
        return time.monotonic() - began

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself:\n{self.log()}")
        try:
            self.get(self.ready_path, timeout=2)
            return True
        except OSError:
            return False

    def log(self):
        return self.log_file.read_text(errors="replace")[-3000:]

    def get(self, path, timeout=30, headers=None, **query):
        """The answer to a GET, parsed where it is JSON."""
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        return self.ask(urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", headers=headers or {}), timeout)

    def post(self, path, body, timeout=30, headers=None):
        headers = {"content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=json.dumps(body).encode(), headers=headers)
        return self.ask(request, timeout)

    @staticmethod
    def ask(request, timeout):
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body = answer.read()
        try:
            return json.loads(body)
        except ValueError:
            return body.decode(errors="replace")

    def become(self, kind, command):
        """Another program takes over port and data."""
        self.stop()
        self.__class__, self.command = kind, command
        self.start()

    def pause(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Prometheus(Server):
    """Prometheus 3.5 of its Go module: Debian's build, which `tests/real` has, lacks the OTLP
    receiver."""

    name = "prometheus"
    ports = ("http",)
    ready_path = "/-/ready"
    environment = {"GOMEMLIMIT": "512MiB"}
    # Nothing is scraped: what it has came from Vispyr.
    collector = "127.0.0.1:1"
    # How late a point may come.
    window = "30m"

    @staticmethod
    def find():
        harness.run([HERE / "build-prometheus"], "building prometheus", seconds=1800)
        return [UPSTREAMS / "prometheus"]

    def config(self):
        return self.shipped("prometheus/prometheus.yml", {
            "127.0.0.1:12345": self.collector,
            **{f"targets: [127.0.0.1:{port}]": "targets: [127.0.0.1:1]" for port in (9091, 3200, 4040)},
            "out_of_order_time_window: 30m": f"out_of_order_time_window: {self.window}",
        })

    def arguments(self):
        # The flags are those that the shipped config names.
        lines = re.findall(r"^#\s+--.*$", (REPOSITORY / "config/prometheus/prometheus.yml").read_text(), re.M)
        flags = [flag for line in lines for flag in line.split()[1:]]
        listen = "--web.listen-address=127.0.0.1:9091"
        if listen not in flags:
            raise RuntimeError(f"config/prometheus/prometheus.yml has no line '#   {listen}' any more")
        flags[flags.index(listen)] = f"--web.listen-address=127.0.0.1:{self.http}"
        return [f"--config.file={self.config_file}", f"--storage.tsdb.path={self.folder}/data", *flags]

    def query(self, query, at):
        return self.get("/api/v1/query", timeout=60, query=query, time=f"{at:.4f}")["data"]["result"]


class DebianPrometheus(Prometheus):
    """Debian's build."""

    def arguments(self):
        return [argument for argument in super().arguments() if argument != "--web.enable-otlp-receiver"]


class Tempo(Server):
    """Tempo 3."""

    name = "tempo"
    ports = ("http", "otlp", "grpc", "gossip")
    generator_to = "127.0.0.1:1"
    multitenancy = False

    @staticmethod
    def find():
        return find("tempo")

    def config(self):
        text = self.shipped("tempo/tempo.yaml", {
            "http_listen_port: 3200": f"http_listen_port: {self.http}",
            "grpc_listen_port: 9195": f"grpc_listen_port: {self.grpc}",
            "bind_port: 7945": f"bind_port: {self.gossip}",
            "127.0.0.1:4417": f"127.0.0.1:{self.otlp}",
            "127.0.0.1:9195": f"127.0.0.1:{self.grpc}",
            "127.0.0.1:9091": self.generator_to,
            "/var/lib/tempo": self.folder / "data",
        })
        return text + ("\nmultitenancy_enabled: true\n" if self.multitenancy else "")

    def arguments(self):
        return [f"-config.file={self.config_file}"]


class Pyroscope(Server):
    """Pyroscope 2."""

    name = "pyroscope"
    ports = ("http", "grpc", "raft", "gossip")
    multitenancy = False

    @staticmethod
    def find():
        return find("pyroscope")

    def config(self):
        text = self.shipped("pyroscope/pyroscope.yaml", {
            "http_listen_port: 4040": f"http_listen_port: {self.http}",
            "grpc_listen_port: 9295": f"grpc_listen_port: {self.grpc}",
            "127.0.0.1:9295": f"127.0.0.1:{self.grpc}",
            "bind_port: 7947": f"bind_port: {self.gossip}",
            "127.0.0.1:9299": f"127.0.0.1:{self.raft}",
            "/var/lib/pyroscope": self.folder / "data",
        })
        return text + ("\nmultitenancy_enabled: true\n" if self.multitenancy else "")

    def arguments(self):
        return [f"-config.file={self.config_file}"]


class Otelcol(Server):
    """The OpenTelemetry Collector: takes OTLP over gRPC and HTTP and writes what it got to a file
    before it answers."""

    name = "otelcol"
    ports = ("http", "otlp", "otlp_http")
    ready_path = "/"
    tls = None

    @staticmethod
    def find():
        harness.run([HERE / "build-otelcol"], "building otelcol", seconds=1800)
        return [UPSTREAMS / "otelcol"]

    @property
    def files(self):
        return {signal: self.folder / f"{signal}.jsonl" for signal in ("traces", "metrics", "logs", "profiles")}

    def config(self):
        protocols = {
            "grpc": {"endpoint": f"127.0.0.1:{self.otlp}", "max_recv_msg_size_mib": 64},
            "http": {"endpoint": f"127.0.0.1:{self.otlp_http}", "max_request_body_size": 64 << 20},
        }
        if self.tls:
            for protocol in protocols.values():
                protocol["tls"] = self.tls
        # A file that is rotated is written without a buffer: what is answered for is in it.
        exporters = {
            f"file/{signal}": {"path": str(path), "rotation": {"max_megabytes": 100_000}} for signal, path in self.files.items()
        }
        pipelines = {signal: {"receivers": ["otlp"], "exporters": [f"file/{signal}"]} for signal in self.files}
        telemetry = {"logs": {"level": "warn"}, "metrics": {"level": "none"}}
        # JSON is YAML.
        return json.dumps({
            "receivers": {"otlp": {"protocols": protocols}},
            "exporters": exporters,
            "service": {"pipelines": pipelines, "telemetry": telemetry},
        }, indent=1)

    def arguments(self):
        return [f"--config={self.config_file}", "--feature-gates=service.profilesSupport"]

    def is_ready(self):
        import socket

        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended by itself:\n{self.log()}")
        try:
            for port in (self.otlp, self.otlp_http):
                socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return True
        except OSError:
            return False

    def lines(self, signal):
        """What it wrote, request by request, and how many lines were cut short by a full disk."""
        requests, torn = [], 0
        if self.files[signal].exists():
            for line in self.files[signal].read_text(errors="replace").splitlines():
                # A line that was cut short is continued by the next, which begins as all do.
                begin = line.rfind('{"resource' + signal.replace("traces", "spans").capitalize())
                try:
                    requests.append(json.loads(line[max(begin, 0):]))
                    torn += begin > 0
                except ValueError:
                    torn += 1
        return requests, torn


ALL = (Prometheus, Tempo, Pyroscope, Otelcol)
