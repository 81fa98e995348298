"""Prometheus, Tempo, Pyroscope and `vispyr serve`, wired to each other as the shipped configs have it, and what
sends to them: the demo shop, a Node application, a JVM."""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time

import harness
import installation
import jvm
import node_app
import routes
import servers
from fill import Times
from grafana_files import CONFIG

RULES = sorted(path for path in (CONFIG / "prometheus").glob("*rules.yml"))


class Prometheus(servers.Prometheus):
    """It scrapes what the shipped config says, on this site's ports, and has its rules."""

    scraped: dict[str, str] = {}

    def config(self):
        for path in RULES:
            shutil.copy(path, self.config_file.parent / path.name)
        text = self.shipped("prometheus/prometheus.yml", {})
        # The address that it listens on stands in a comment, too.
        for old, new in self.scraped.items():
            text = re.sub(re.escape(f"targets: [{old}]"), f"targets: [{new}]", text)
        # As often as the pages of a minute's run need.
        return text.replace("scrape_interval: 15s", "scrape_interval: 5s")

    def read_again(self):
        self.config_file.write_text(self.config())
        os.kill(self.process.pid, signal.SIGHUP)


class Stage(installation.Site):
    """The site with its servers wired to each other."""

    def add(self, kind, name, command, **settings):
        if kind is servers.Tempo:
            settings["generator_to"] = f"127.0.0.1:{self.servers['prometheus'].http}"
        super().add(kind, name, command, **settings)

    def wire(self):
        prometheus = self.servers["prometheus"]
        prometheus.scraped = {
            "127.0.0.1:12345": self.vispyr.addresses["web"],
            "127.0.0.1:9091": f"127.0.0.1:{prometheus.http}",
            "127.0.0.1:3200": f"127.0.0.1:{self.servers['tempo'].http}",
            "127.0.0.1:4040": f"127.0.0.1:{self.servers['pyroscope'].http}",
        }
        prometheus.read_again()


def send(stage: Stage, results, seconds: int) -> Times:
    """Everything sends for so long. The times between which it did."""
    node = node_app.NodeApp(results)
    try:
        node.prepare()
    except harness.Unavailable as why:
        results.skip("node", why)
        node = None
    try:
        java = jvm.prepare()
    except harness.Unavailable as why:
        results.skip("jvm", why)
        java = None
    began = time.time()
    with harness.Programs() as programs:
        if java:
            jvm.start(programs, java, stage.vispyr.addresses["otlp_grpc"])
        shop = stage.shop(seconds, rate=8, seed=11)
        # Somebody asks the store meanwhile, as an open page does.
        over = threading.Event()
        reader = threading.Thread(target=read, args=(stage, over), daemon=True)
        reader.start()
        writer = threading.Thread(target=routes.send, args=(stage.vispyr.addresses["otlp_http"], over), daemon=True)
        writer.start()
        if node:
            node.load(stage.vispyr, seconds)
        stage.account(shop, seconds)
        over.set()
        reader.join()
        writer.join()
    return Times(began - 30, time.time() + 1)


def read(stage: Stage, over: threading.Event) -> None:
    while not over.wait(2):
        stage.vispyr.sql("SELECT service_name, count(*) FROM spans GROUP BY ALL")
