"""All servers that are there and a collector that feeds them."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.request

import certificates
import harness
import servers


class Site:
    """Starts the servers, then `vispyr serve` with an exporter to each.

    `folders`: where a server's data is instead, by name. `tenant`: what Tempo and Pyroscope are
    told by header, which they then insist on. `ordered`: Prometheus takes no point that is older
    than the last of its series."""

    def __init__(self, vispyr, commands, folders=None, tenant=None, exporters=None, ordered=False):
        self.program, self.tenant, self.ordered = vispyr, tenant, ordered
        self.exporters = exporters or (lambda site: site.blocks())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vispyr-upstreams-"))
        self.folders, self.commands = folders or {}, commands
        self.certificates = certificates.Certificates(self.folder / "certificates")
        self.servers, self.vispyr = {}, None

    def __enter__(self):
        try:
            for server, command in self.commands.items():
                self.add(server, server.name, command)
                if server is servers.Otelcol:
                    # A second one, over HTTP: certificates on both sides.
                    self.add(server, "otelcol-tls", command, tls=self.certificates.server_settings())
            self.vispyr = harness.Server(self.program, self.exporters(self))
        except BaseException:
            self.__exit__()
            raise
        return self

    def add(self, kind, name, command, **settings):
        if self.tenant and kind in (servers.Tempo, servers.Pyroscope):
            settings["multitenancy"] = True
        if self.ordered and kind is servers.Prometheus:
            settings["window"] = "0s"
        for key, value in settings.items():
            kind = type(kind.__name__, (kind,), {key: value})
        server = kind(command, self.folders.get(name) or self.folder / name)
        server.start()
        self.servers[name] = server

    def __exit__(self, *_):
        if self.vispyr:
            self.vispyr.stop()
        for server in self.servers.values():
            with contextlib.suppress(Exception):
                server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def metrics(self):
        """The collector's own figures."""
        with urllib.request.urlopen(f"http://{self.vispyr.addresses['web']}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def waiting(self, name):
        """Items that wait for a destination, by signal."""
        web = f"http://{self.vispyr.addresses['web']}/api/v1/status"
        status = servers.Server.ask(urllib.request.Request(web), 10)
        return {
            one["signal"]: destination["waiting_items"]
            for one in status["signals"]
            for destination in one["log"]["destinations"]
            if destination["name"] == name
        }

    def get(self, name):
        """A server, if it is there."""
        return self.servers.get(name)

    @property
    def headers(self):
        return {"X-Scope-OrgID": self.tenant} if self.tenant else {}

    def blocks(self):
        """The exporters' part of the config."""
        ports = {name: server for name, server in self.servers.items()}
        # A request that hangs is given up soon, so that a test sees the next one.
        timeout = 'timeout = "5s"\n'
        tenant = f'headers = {{ X-Scope-OrgID = "{self.tenant}" }}\n' if self.tenant else ""
        blocks = {
            "prometheus": lambda s: f'type = "prometheus"\nurl = "http://127.0.0.1:{s.http}"\n',
            "tempo": lambda s: f'type = "otlp"\nurl = "http://127.0.0.1:{s.otlp}"\nsignals = ["traces"]\n'
            f'compression = "gzip"\njoin_compressed = true\n{tenant}',
            "pyroscope": lambda s: f'type = "pyroscope"\nurl = "http://127.0.0.1:{s.http}"\n{tenant}',
            "otelcol": lambda s: f'type = "otlp"\nurl = "http://127.0.0.1:{s.otlp}"\ncompression = "gzip"\n'
            'signals = ["traces", "metrics", "logs", "profiles"]\n',
            "otelcol-tls": lambda s: f'type = "otlp"\nurl = "https://127.0.0.1:{s.otlp_http}"\nprotocol = "http"\n'
            f'signals = ["traces", "metrics", "logs", "profiles"]\n',
        }
        text = ""
        for name, server in ports.items():
            text += f"[exporters.{name}]\n{blocks[name](server)}{timeout}"
            if name == "otelcol-tls":
                text += f"[exporters.{name}.tls]\n{self.certificates.client_settings()}"
        return text

    def shop(self, seconds, rate=5, seed=None):
        """Starts the demo shop; its account is at the end of what it prints."""
        arguments = [self.program, "demo", "--json", "--duration", f"{seconds}s", "--rate", rate]
        if seed is not None:
            arguments += ["--seed", seed]
        for name in ("otlp_grpc", "otlp_http", "remote_write", "pyroscope"):
            arguments += ["--" + name.replace("_", "-"), self.vispyr.addresses[name]]
        return subprocess.Popen(
            [str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )

    @staticmethod
    def account(shop, seconds):
        """What the shop counted: items by kind."""
        output, trouble = shop.communicate(timeout=seconds + 60)
        try:
            return json.loads(output)["items"]
        except ValueError:
            raise RuntimeError(f"the shop failed: {trouble[-1000:]}") from None

    def show_logs(self, results):
        """For a test that failed."""
        log = (self.vispyr.folder / "log").read_text(errors="replace")
        results.say(f"--- the program's log ---\n{log[-6000:]}")
        for name, server in self.servers.items():
            results.say(f"--- {name}'s log ---\n{server.log()[-1500:]}")
