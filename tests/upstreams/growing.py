"""Growing out of one machine: tenants by header, certificates on both sides, configs that are wrong
first and put right while data waits, several collectors behind a balancer that share nothing; and
the configs of docs/growing.md are what the program takes."""

import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import harness
import holdings
import servers
from agreement import Agreement, count
from installation import Site

TENANT = "team-a"


def run(vispyr, commands, results, seconds):
    # Who has tenants or certificates.
    commands = {server: command for server, command in commands.items() if server is not servers.Prometheus}
    with Site(vispyr, commands, tenant=TENANT, exporters=wrong) as site:
        documented(vispyr, results, site.certificates)
        began = time.time() - 20
        shop = site.shop(15)
        account = site.account(shop, 15)
        refused(site, results)
        put_right(site, results)
        Agreement(site, results, began).check(account)
        separate(site, results, began)
        balanced(vispyr, site, results)
        if results.failed:
            site.show_logs(results)


def documented(vispyr, results, secrets):
    """Every config of the page is one that `vispyr check` takes."""
    page = (servers.REPOSITORY / "docs/growing.md").read_text()
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page, re.S), 1):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            # Secrets and certificates of the page are on nobody's disk here: those of the test are.
            file.write(re.sub(r'"/etc/vispyr/([^"]*)"', lambda path: f'"{secrets.files(path[1])}"', block))
            file.flush()
            done = subprocess.run([vispyr, "check", file.name], capture_output=True, text=True)
        results.check(f"docs/growing.md: config {number} passes vispyr check", done.returncode, 0, done.stdout + done.stderr)


def wrong(site):
    """The exporters without the tenant's header and without the client's certificate."""
    text = re.sub(r"headers = .*\n", "", site.blocks())
    return re.sub(r"(certificate_file|key_file) = .*\n", "", text)


def refused(site, results):
    """What a wrong config did: nothing arrived, nothing is gone."""
    for name, signals in (("tempo", ["traces"]), ("pyroscope", ["profiles"]), ("otelcol-tls", ["traces", "metrics", "logs"])):
        if not site.get(name):
            continue
        waiting = site.waiting(name)
        results.check(f"{name}, config wrong: its data waits", [s for s in signals if not waiting.get(s)], [])
    # Tempo says "come back later" to who names no tenant, so its own words must be there.
    log = (site.vispyr.folder / "log").read_text(errors="replace")
    for name, words in (("tempo", "no org id"), ("pyroscope", "the configuration"), ("otelcol-tls", "the configuration")):
        if site.get(name):
            lines = [line for line in log.splitlines() if f'destination="{name}"' in line and words in line]
            results.check(f"{name}, config wrong: the log says so", len(lines), lambda n: n > 0)


def put_right(site, results):
    """The right config, taken without a restart."""
    site.vispyr.configure(site.blocks())
    site.vispyr.process.send_signal(signal.SIGHUP)
    results.say("        the config was put right and reloaded")


def separate(site, results, began):
    """Another tenant sees nothing of it, and nobody without a tenant sees anything."""
    other = {"X-Scope-OrgID": "team-b"}
    if tempo := site.get("tempo"):
        found = holdings.tempo_search(tempo, "{}", began, time.time(), other)
        results.check("tempo: what another tenant sees", sorted(found), [])
    if pyroscope := site.get("pyroscope"):
        asked = holdings.PyroscopeQueries(pyroscope, began, time.time() + 5, other)
        results.check("pyroscope: what another tenant sees", sorted(asked.types()), [])


def balanced(vispyr, site, results):
    """A second collector beside the first; senders reach them through a balancer."""
    second = harness.Server(vispyr, site.blocks())
    collectors = [site.vispyr, second]
    balancers = {
        name: Balancer([collector.addresses[name] for collector in collectors])
        for name in ("otlp_grpc", "otlp_http", "remote_write", "pyroscope")
    }
    try:
        began = time.time() - 20
        before = count(holdings.Store(site.vispyr).spans()[0])
        first = site.vispyr.addresses
        site.vispyr.addresses = {**first, **{name: balancer.address for name, balancer in balancers.items()}}
        shops = [site.shop(10, seed=seed) for seed in (11, 12, 13)]
        accounts = [site.account(shop, 10) for shop in shops]
        site.vispyr.addresses = first
        sent = sum(account["spans"]["acknowledged"] for account in accounts)
        agreement = Agreement(site, results, began)
        share = lambda: [count(holdings.Store(collector).spans()[0]) for collector in collectors]
        agreement.settle("balancer: spans of two collectors as sent", lambda: sum(share()) - before, sent)
        results.check("balancer: both have some", share(), lambda share: min(share[0] - before, share[1]) > 0)
        traces = {}
        for collector in collectors:
            for trace, spans in holdings.Store(collector).spans()[0].items():
                traces.setdefault(trace, set()).update(spans)
        if tempo := site.get("tempo"):
            find = lambda: holdings.tempo_spans(tempo, traces, site.headers)
            agreement.settle("balancer: tempo has the spans of both", find, traces, explain=agreement.missing)
        if otelcol := site.get("otelcol"):
            agreement.settle("balancer: otelcol has the spans of both", lambda: holdings.otelcol_spans(otelcol)[0], traces)
    finally:
        for balancer in balancers.values():
            balancer.close()
        second.stop()


class Balancer:
    """Hands connections out in turn."""

    def __init__(self, targets):
        self.targets, self.turn = targets, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            host, port = self.targets[self.turn % len(self.targets)].split(":")
            self.turn += 1
            server = socket.create_connection((host, int(port)))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
