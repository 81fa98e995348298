"""What can be said of the files without any server."""

from __future__ import annotations

import re
import subprocess
import sys

import grafana_files
from grafana_files import CONFIG, GRAFANA, Json, panels, texts

# Grafana's own panels: everything else is a plugin, which a machine may lack.
PANELS = {"timeseries", "stat", "gauge", "table", "flamegraph", "nodeGraph", "traces", "logs", "row"}

# Keys of provisioning files, as Grafana's documentation names them: "Provision Grafana" for those of every
# source, the page of each source ("Provision the data source") for its jsonData, "Create a new correlation".
SOURCE_KEYS = {
    "name", "type", "access", "orgId", "uid", "url", "user", "database", "basicAuth", "basicAuthUser", "withCredentials",
    "isDefault", "jsonData", "secureJsonData", "version", "editable", "correlations",
}
JSON_KEYS = {
    "prometheus": {"httpMethod", "prometheusType", "prometheusVersion", "timeInterval", "exemplarTraceIdDestinations", "manageAlerts"},
    "tempo": {
        "tracesToLogsV2", "tracesToMetrics", "tracesToProfiles", "serviceMap", "nodeGraph", "search", "traceQuery", "spanBar",
        "streamingEnabled",
    },
    "grafana-pyroscope-datasource": {"minStep"},
    "grafana-postgresql-datasource": {
        "database", "sslmode", "maxOpenConns", "maxIdleConns", "maxIdleConnsAuto", "connMaxLifetime", "postgresVersion", "timescaledb",
        "timeInterval",
    },
}
INNER_KEYS = {
    "exemplarTraceIdDestinations": {"name", "datasourceUid", "url", "urlDisplayLabel"},
    "tracesToMetrics": {"datasourceUid", "spanStartTimeShift", "spanEndTimeShift", "tags", "queries"},
    "tracesToProfiles": {"datasourceUid", "tags", "profileTypeId", "customQuery", "query"},
    "serviceMap": {"datasourceUid"},
    "nodeGraph": {"enabled"},
    "traceQuery": {"timeShiftEnabled", "spanStartTimeShift", "spanEndTimeShift"},
    "streamingEnabled": {"search", "metrics"},
}
CORRELATION_KEYS = {"targetUID", "label", "description", "config"}
CONFIG_KEYS = {"type", "target", "field", "transformations"}
PROVIDER_KEYS = {"name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds", "allowUiUpdates", "options"}
# The PostgreSQL source's query: the SDK has no type for it.
SQL_KEYS = {"refId", "datasource", "editorMode", "rawQuery", "rawSql", "format"}
ROUTES = ("http.route", "url.path", "http.target"), ("http_route", "url_path", "http_target")


def run(results, strict):
    """`strict`: the program made of strict/, or why it is not there."""
    generated(results)
    decoded(results, strict)
    sources(results)
    boards = grafana_files.dashboards()
    results.check("files: the seven dashboards", sorted(boards), sorted((
        "application", "services", "host", "runtime", "profiles", "logs", "pipeline",
    )))
    uids = {board["uid"] for board in boards.values()}
    results.check("files: home is Application", "vispyr-application" in uids, True)
    for name, board in boards.items():
        results.check(f"files: {name}", mistakes(board, uids), [])
    alerts(results, uids)
    without_grafana(results)


def without_grafana(results):
    """`just grafana` says what is missing."""
    nothing = {"PATH": "/nonexistent", "HOME": "/nonexistent", "VISPYR_UPSTREAMS": "/nonexistent"}
    folder = CONFIG.parent / "scripts"
    done = subprocess.run(
        ["/bin/bash", "-c", f"dirname() {{ echo {folder}; }}; . {folder / 'grafana'}"], capture_output=True, text=True, env=nothing
    )
    said = done.stderr.strip()
    results.check("files: just grafana without a Grafana", (done.returncode, said), lambda found: found[0] == 1 and found[1].startswith("no grafana in PATH or /nonexistent: install it"))


def alerts(results, uids: set[str]):
    """Each has a summary, a link to a dashboard that there is, and a test of when it fires."""
    found = []
    for path in sorted((CONFIG / "prometheus").glob("*rules.yml")):
        tested = path.with_suffix(".test.yml").read_text()
        for alert in path.read_text().split("- alert: ")[1:]:
            name = alert.split("\n", 1)[0]
            link = re.search(r'dashboard: "http://127\.0\.0\.1:3000/d/([\w-]+)', alert)
            if "summary: " not in alert or not link or link[1] not in uids:
                found.append(f"{name} has no summary or no dashboard")
            if name not in tested:
                found.append(f"{name} has no test")
    results.check("files: alerts lead to dashboards and have tests", found, [])


def generated(results):
    done = subprocess.run([sys.executable, GRAFANA / "generator", "--check"], capture_output=True, text=True)
    results.check("files: as the generator makes them", done.stderr.strip(), "")


def decoded(results, strict):
    """Grafana's own types know every key and every value."""
    files = [str(GRAFANA / "dashboards" / f"{name}.json") for name in grafana_files.dashboards()]
    if isinstance(strict, Exception):
        results.skip("files: decoded by Grafana's types", strict)
        return
    done = subprocess.run([strict, *files], capture_output=True, text=True)
    results.check("files: decoded by Grafana's types", (done.returncode, done.stderr.strip()), (0, ""))
    # The judge is no good if it lets everything through.
    wrong = '{"schemaVersion": 41, "templating": {"list": []}, "annotations": {"list": []}, "pannels": []}'
    done = subprocess.run([strict, "/dev/stdin"], input=wrong, capture_output=True, text=True)
    results.check("files: a key that Grafana does not know is told", (done.returncode, "pannels" in done.stderr), (1, True))


def sources(results):
    provisioned = grafana_files.provisioned("datasources/vispyr.yaml")
    by_uid = grafana_files.data_sources()
    found = [f"top: {key}" for key in provisioned.keys() - {"apiVersion", "datasources", "deleteDatasources", "prune"}]
    for source in by_uid.values():
        name = source["name"]
        found += [f"{name}: {key}" for key in source.keys() - SOURCE_KEYS]
        found += [f"{name}.jsonData: {key}" for key in source["jsonData"].keys() - JSON_KEYS[source["type"]]]
        for key, value in source["jsonData"].items():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    found += [f"{name}.{key}: {inner}" for inner in one.keys() - INNER_KEYS[key]]
                    found += [f"{name}.{key}: no source {uid}" for uid in {one.get("datasourceUid")} - {None} - by_uid.keys()]
        for correlation in source.get("correlations", ()):
            found += [f"{name}.correlations: {key}" for key in correlation.keys() - CORRELATION_KEYS]
            found += [f"{name}.correlations: {key}" for key in correlation["config"].keys() - CONFIG_KEYS]
            found += [f"{name}.correlations: no source {correlation['targetUID']}"] * (correlation["targetUID"] not in by_uid)
    results.check("files: provisioning of data sources has documented keys alone", found, [])
    results.check("files: the four data sources", sorted(by_uid), ["prometheus", "pyroscope", "store", "tempo"])
    tempo = by_uid["tempo"]
    ways = {"serviceMap", "nodeGraph", "tracesToProfiles", "tracesToMetrics", "streamingEnabled"}
    results.check("files: Tempo leads on to every signal", sorted(ways - tempo["jsonData"].keys()), [])
    providers = grafana_files.provisioned("dashboards/vispyr.yaml")["providers"]
    keys = {key for provider in providers for key in provider} - PROVIDER_KEYS
    results.check("files: provisioning of dashboards has documented keys alone", sorted(keys), [])


def mistakes(board: Json, uids: set[str]) -> list[str]:
    """What is wrong with a dashboard."""
    sources = grafana_files.data_sources()
    found = []
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels(board):
        at = f"{panel['title']}: "
        if panel["type"] not in PANELS:
            found.append(f"{at}panel {panel['type']} is a plugin")
        if not panel.get("description", "").endswith("."):
            found.append(f"{at}no description")
        if panel["type"] in ("timeseries", "stat", "gauge") and not (
            panel["fieldConfig"]["defaults"].get("unit") or panel["fieldConfig"]["defaults"]["mappings"]
        ):
            found.append(f"{at}no unit")
        for target in panel["targets"]:
            source = sources.get(target["datasource"]["uid"])
            if source is None or source["type"] != target["datasource"]["type"]:
                found.append(f"{at}no such data source: {target['datasource']}")
            if target["datasource"]["uid"] == "store":
                found += [f"{at}{key} is no key of an SQL query" for key in target.keys() - SQL_KEYS]
                if target["format"] not in ("table", "time_series") or not target["rawQuery"]:
                    found.append(f"{at}not a query by text")
            for text in texts(target):
                used = set(re.findall(r"\$\{?([a-z]\w*)", text))
                found += [f"{at}no variable {name}" for name in used - variables]
                for names in ROUTES:
                    if names[2] in text and not all(name in text for name in names):
                        found.append(f"{at}depends on {names[2]} alone")
    for text in texts(board):
        found += [f"a link to {uid}, which is none" for uid in re.findall(r"/d/([\w-]+)", text) if uid not in uids]
    links = board["links"]
    if not any(link["type"] == "dashboards" for link in links):
        found.append("no links to the other dashboards")
    page = re.search(r"(?m)^listen = \"(127\.0\.0\.1:12345)\"", (CONFIG / "vispyr.toml").read_text().replace("# listen", "listen"))
    if not any(page and page[1] in (link["url"] if link["type"] == "link" else "") for link in links):
        found.append("no link to Vispyr's own page")
    if board["links"] and not board["description"]:
        found.append("no description")
    return found
