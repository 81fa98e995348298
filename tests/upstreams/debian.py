"""Debian forky's own Prometheus 3.5, which is built without OTLP. Remote write 2.0 of another
Prometheus passes through the collector to it; then OTLP metrics wait, said in so many words, and
when a complete Prometheus takes over its data, everything is there."""

import time

import harness
import prometheus
import servers
from agreement import Agreement
from installation import Site


def run(vispyr, commands, results, seconds):
    sender = Sender(results)
    try:
        sender.prepare()
    except harness.Unavailable as why:
        results.skip("Debian's prometheus", why)
        return
    results.say(f"        prometheus of Debian: {servers.Prometheus.version(sender.command).splitlines()[0]}")
    with Site(vispyr, {servers.DebianPrometheus: sender.command}) as site:
        began = time.time() - 20
        sender.destination = site.get("prometheus")
        sender.send_and_check(site.vispyr, seconds)
        site.account(site.shop(seconds), seconds)
        without_otlp(site, results)
        if servers.Prometheus in commands:
            site.get("prometheus").become(servers.Prometheus, commands[servers.Prometheus])
            results.say("        another build of Prometheus took over")
            Agreement(site, results, began).metrics()
        if results.failed:
            site.show_logs(results)


class Sender(prometheus.Prometheus3):
    """The Prometheus that sends; checked against the one behind the collector too."""

    def check(self, server):
        super().check(server)
        expected = self.samples(self.everything().items())
        deadline = time.monotonic() + 20
        while (found := self.received()) != expected and time.monotonic() < deadline:
            time.sleep(0.5)
        different = {name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)}
        self.results.check("debian: samples by metric as the sender has them", sorted(different), [])
        self.results.say(f"        {sum(found.values())} samples and native histograms in {len(found)} metrics")

    def received(self):
        milliseconds = round((self.end - self.begin) * 1000)
        metrics = {}
        for series in self.destination.query(f'{{sender="{self.name}"}}[{milliseconds}ms]', self.end):
            metrics.setdefault(series["metric"]["__name__"], []).append(series)
        return self.samples(metrics.items())

    @staticmethod
    def samples(metrics):
        points = lambda series: len(series.get("values", [])) + len(series.get("histograms", []))
        return {name: sum(map(points, all_series)) for name, all_series in metrics}


def without_otlp(site, results):
    """The collector keeps what this Prometheus has no door for, and says why."""
    waiting = site.waiting("prometheus")
    results.check("debian: OTLP metrics wait", waiting.get("metrics"), lambda items: items > 0)
    log = (site.vispyr.folder / "log").read_text(errors="replace")
    lines = [line for line in log.splitlines() if 'destination="prometheus"' in line and "404" in line]
    results.check("debian: the log says that there is no such door", len(lines), lambda n: n > 0)
