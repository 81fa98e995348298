"""A real Grafana, where there is one: started by scripts/grafana on the shipped files, it finds each data source
healthy, has each dashboard, and makes a picture of it where it can."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import tempfile
import urllib.error
import urllib.request

import grafana_files
import harness
import servers

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def run(results, site):
    in_upstreams = [servers.UPSTREAMS / "grafana/bin/grafana", servers.UPSTREAMS / "grafana"]
    if not (shutil.which("grafana") or any(path.is_file() for path in in_upstreams)):
        results.skip("a real Grafana", f"no grafana in PATH or {servers.UPSTREAMS}")
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vispyr-grafana-"))
    port = harness.free_port()
    with harness.Programs() as programs, open(folder / "log", "wb") as log:
        programs.start(
            [REPOSITORY / "scripts/grafana", folder / "data"], stdout=log, stderr=log,
            env={**os.environ, "GRAFANA_PORT": str(port), "GRAFANA_DATASOURCES": str(data_sources(site, folder))},
        )
        ask = lambda path: get(f"http://127.0.0.1:{port}{path}")
        try:
            harness.wait_for("Grafana", lambda: quietly(lambda: ask("/api/health")), seconds=120)
            for uid in grafana_files.data_sources():
                health = quietly(lambda uid=uid: json.loads(ask(f"/api/datasources/uid/{uid}/health")))
                results.check(f"grafana: {uid} is healthy", (health or {}).get("status"), "OK")
            for name, board in grafana_files.dashboards().items():
                found = quietly(lambda board=board: json.loads(ask(f"/api/dashboards/uid/{board['uid']}")))
                results.check(f"grafana: {name}", (found or {}).get("dashboard", {}).get("title"), board["title"])
                picture(results, ask, name, board["uid"])
        except RuntimeError as why:
            results.fail("a real Grafana", f"{why}\n{(folder / 'log').read_text(errors='replace')[-2000:]}")


def data_sources(site, folder: pathlib.Path) -> pathlib.Path:
    """The shipped file on this site's ports."""
    text = (grafana_files.GRAFANA / "provisioning/datasources/vispyr.yaml").read_text()
    for port, name in ((9091, "prometheus"), (3200, "tempo"), (4040, "pyroscope")):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{site.get(name).http}")
    text = text.replace("127.0.0.1:5433", site.vispyr.addresses.get("postgres", "127.0.0.1:5433"))
    path = folder / "datasources.yaml"
    path.write_text(text)
    return path


def picture(results, ask, name: str, uid: str):
    """By Grafana's image renderer, which is a plugin."""
    image = quietly(lambda: ask(f"/render/d/{uid}?width=1600&height=2000&kiosk&from=now-5m&to=now"))
    if image and image.startswith(b"\x89PNG"):
        path = harness.CACHE / "pictures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image)
        results.say(f"        picture: {path}")
    else:
        results.skip(f"grafana: a picture of {name}", "no image renderer")


def get(url: str) -> bytes:
    user = base64.b64encode(b"admin:admin").decode()
    with urllib.request.urlopen(urllib.request.Request(url, headers={"authorization": f"Basic {user}"}), timeout=60) as answer:
        return answer.read()


def quietly(ask):
    try:
        return ask()
    except (OSError, ValueError, urllib.error.URLError):
        return None
