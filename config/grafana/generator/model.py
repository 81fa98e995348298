"""What a dashboard is made of: queries, panels, variables, and their places on the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# The data sources by what config/grafana/provisioning calls them.
PROMETHEUS: Json = {"type": "prometheus", "uid": "prometheus"}
TEMPO: Json = {"type": "tempo", "uid": "tempo"}
PYROSCOPE: Json = {"type": "grafana-pyroscope-datasource", "uid": "pyroscope"}
STORE: Json = {"type": "grafana-postgresql-datasource", "uid": "store"}

# Vispyr's own page, as seen from the machine that it runs on.
PAGE = "http://127.0.0.1:12345/"
PAGE_WIDTH = 24

# Grafana's palette has both a light and a dark form of these names.
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"


def steps(warning: float | None = None, critical: float | None = None) -> Json:
    """Green, then yellow from `warning`, then red from `critical`."""
    found: list[Json] = [{"color": GREEN, "value": None}]
    if warning is not None:
        found.append({"color": YELLOW, "value": warning})
    if critical is not None:
        found.append({"color": RED, "value": critical})
    return {"mode": "absolute", "steps": found}


def below(critical: float, warning: float) -> Json:
    """Red under `critical`, yellow under `warning`, else green."""
    return {
        "mode": "absolute",
        "steps": [{"color": RED, "value": None}, {"color": YELLOW, "value": critical}, {"color": GREEN, "value": warning}],
    }


# Queries. Each gets its letter from its panel.


def promql(expr: str, legend: str = "", *, instant: bool = False, exemplars: bool = False) -> Json:
    """`exemplars`: points that lead to a trace, for which the expression must name a histogram itself."""
    return {
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": expr,
        "legendFormat": legend or "__auto",
        "instant": instant,
        "range": not instant,
        "exemplar": exemplars,
        **({"format": "table"} if instant else {}),
    }


def traceql(query: str, *, metrics: bool = False, limit: int = 50) -> Json:
    """A search, a trace by its id, or (`metrics`) a series of numbers made of spans."""
    target: Json = {"datasource": TEMPO, "queryType": "traceql", "query": query, "filters": []}
    if metrics:
        return {**target, "metricsQueryType": "range"}
    return {**target, "limit": limit, "tableType": "traces"}


def service_map() -> Json:
    """The graph of services, which the Tempo source makes of Prometheus' metrics."""
    return {"datasource": TEMPO, "queryType": "serviceMap", "serviceMapQuery": "", "filters": []}


def profile(selector: str, profile_type: str = "$profile", *, series_by: str | None = None) -> Json:
    """A flame graph, or its total over time by a label."""
    return {
        "datasource": PYROSCOPE,
        "queryType": "profile" if series_by is None else "metrics",
        "profileTypeId": profile_type,
        "labelSelector": selector,
        "groupBy": [] if series_by is None else [series_by],
    }


def sql(text: str, *, series: bool = False) -> Json:
    """`series`: the first column is called time, texts name the series, numbers are their values."""
    return {
        "datasource": STORE,
        "editorMode": "code",
        "rawQuery": True,
        "rawSql": "\n".join(line for line in text.strip().splitlines()),
        "format": "time_series" if series else "table",
    }


# Panels.


@dataclass
class Panel:
    """One panel; `width` and `height` in Grafana's units, 24 to a row."""

    kind: str
    title: str
    description: str
    targets: list[Json]
    width: int = 12
    height: int = 8
    unit: str | None = None
    thresholds: Json | None = None
    minimum: float | None = 0
    maximum: float | None = None
    decimals: int | None = None
    mappings: list[Json] = field(default_factory=list)
    options: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    overrides: list[Json] = field(default_factory=list)
    transformations: list[Json] = field(default_factory=list)
    links: list[Json] = field(default_factory=list)

    def json(self, number: int, x: int, y: int) -> Json:
        """The panel with this id at this place."""
        defaults: Json = {"mappings": self.mappings, "custom": self.custom}
        for key, value in (
            ("unit", self.unit), ("min", self.minimum), ("max", self.maximum), ("decimals", self.decimals),
            ("thresholds", self.thresholds), ("links", self.links or None),
        ):
            if value is not None:
                defaults[key] = value
        targets = [{"refId": chr(ord("A") + n), **target} for n, target in enumerate(self.targets)]
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "datasource": targets[0]["datasource"],
            "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": self.overrides},
            "options": self.options,
            "transformations": self.transformations,
        }


def graph(title: str, description: str, *targets: Json, stacked: bool = False, lines_at: Json | None = None, **more: Any) -> Panel:
    """Values over time. `lines_at`: thresholds that are drawn."""
    custom: Json = {"lineWidth": 1, "fillOpacity": 25 if stacked else 8, "showPoints": "auto", "spanNulls": 90000}
    if stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    if lines_at:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        more["thresholds"] = lines_at
    options = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, description, list(targets), custom=custom, options=options, **more)


def number(title: str, description: str, *targets: Json, **more: Any) -> Panel:
    """The latest value, large, coloured by its threshold."""
    more.setdefault("width", 4)
    more.setdefault("height", 4)
    options = {
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto", "orientation": "auto",
        "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel("stat", title, description, list(targets), options=options, **more)


def gauge(title: str, description: str, *targets: Json, **more: Any) -> Panel:
    """A share of a whole."""
    more.setdefault("width", 4)
    more.setdefault("height", 4)
    options = {
        "showThresholdLabels": False, "showThresholdMarkers": True, "orientation": "auto", "minVizWidth": 75, "minVizHeight": 75,
        "sizing": "auto", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel("gauge", title, description, list(targets), unit="percentunit", maximum=1, options=options, **more)


def table(title: str, description: str, *targets: Json, sort: str | None = None, **more: Any) -> Panel:
    """Rows and columns."""
    options: Json = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    if sort:
        options["sortBy"] = [{"displayName": sort, "desc": True}]
    more.setdefault("minimum", None)
    more.setdefault("custom", {"align": "auto", "inspect": False, "filterable": True})
    return Panel("table", title, description, list(targets), options=options, **more)


def of_kind(kind: str, title: str, description: str, *targets: Json, **more: Any) -> Panel:
    """A panel without settings of its own: flame graph, trace, node graph, logs."""
    more.setdefault("minimum", None)
    return Panel(kind, title, description, list(targets), **more)


# How a cell of a table shows its number: as a bar, or in the colour of its threshold.
AS_BAR: Json = {"custom.cellOptions": {"type": "gauge", "mode": "basic"}}
COLOURED: Json = {"custom.cellOptions": {"type": "color-text"}}


def column(name: str, **properties: Any) -> Json:
    """What one column of a table has for itself."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def columns(**names: str | None) -> Json:
    """Names for the columns of a table; `None` leaves one out."""
    return {
        "id": "organize",
        "options": {
            "excludeByName": {name: True for name, new in names.items() if new is None},
            "renameByName": {name: new for name, new in names.items() if new is not None},
            "indexByName": {},
        },
    }


def to_dashboard(name: str, title: str = "", **variables: str) -> Json:
    """A link to one of our dashboards with the same times; `variables` may hold Grafana's expressions."""
    filled = "".join(f"&var-{variable}={value}" for variable, value in variables.items())
    return {"title": title or name.capitalize(), "url": f"/d/vispyr-{name}?${{__url_time_range}}{filled}"}


# Variables.

ALL: Json = {"text": "All", "value": "$__all"}


def _variable(name: str, label: str, description: str, query: Any, source: Json, definition: str, current: Json) -> Json:
    return {
        "type": "query", "name": name, "label": label, "description": description, "query": query, "datasource": source,
        "definition": definition, "current": current, "refresh": 2, "sort": 5, "hide": 0, "options": [],
        "multi": False, "includeAll": False, "regex": "",
    }


def label_values(name: str, label: str, description: str, of: str, key: str) -> Json:
    """The values of a Prometheus label. All of them is a regular expression, for every language the same."""
    definition = f"label_values({of}, {key})"
    query = {"qryType": 1, "query": definition, "refId": f"variable-{name}"}
    return {**_variable(name, label, description, query, PROMETHEUS, definition, ALL), "includeAll": True, "allValue": ".*"}


def profile_types(current: str) -> Json:
    """The types of profiles that Pyroscope has."""
    return _variable(
        "profile", "Profile", "What was sampled", {"type": "profileType", "refId": "variable-profile"}, PYROSCOPE, "",
        {"text": current, "value": current},
    )


def sql_values(name: str, label: str, description: str, text: str) -> Json:
    """The first column of an answer of the store. All of them is a regular expression."""
    return {**_variable(name, label, description, text, STORE, text, ALL), "includeAll": True, "allValue": ".*"}


def textbox(name: str, label: str, description: str) -> Json:
    """What the user types, or a link fills in."""
    empty = {"text": "", "value": ""}
    return {
        "type": "textbox", "name": name, "label": label, "description": description, "query": "", "hide": 0,
        "current": empty, "options": [{**empty, "selected": True}],
    }


# Dashboards.


@dataclass
class Row:
    """A heading and the panels below it."""

    title: str
    panels: list[Panel]


@dataclass
class Dashboard:
    """`name` is the file and, with a prefix, the uid that links use."""

    name: str
    title: str
    description: str
    variables: list[Json]
    rows: list[Row]
    refresh: str = "30s"

    def json(self) -> Json:
        """The file's contents."""
        return {
            "uid": f"vispyr-{self.name}",
            "title": self.title,
            "description": self.description,
            "tags": ["vispyr"],
            "schemaVersion": 41,
            "editable": False,
            "graphTooltip": 1,
            "refresh": self.refresh,
            "timezone": "browser",
            "time": {"from": "now-1h", "to": "now"},
            "annotations": {"list": []},
            "links": [
                {
                    "type": "dashboards", "title": "Dashboards", "icon": "external link", "tooltip": "", "tags": ["vispyr"],
                    "asDropdown": False, "targetBlank": False, "includeVars": True, "keepTime": True,
                },
                {
                    "type": "link", "title": "Vispyr", "icon": "info", "tooltip": "Vispyr's own page, on the machine that it runs on",
                    "url": PAGE, "tags": [], "asDropdown": False, "targetBlank": True, "includeVars": False, "keepTime": False,
                },
            ],
            "templating": {"list": self.variables},
            "panels": self._placed(),
        }

    def _placed(self) -> list[Json]:
        placed: list[Json] = []
        y = 0
        for row in self.rows:
            placed.append({
                "id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": PAGE_WIDTH, "h": 1},
            })
            y, x, height = y + 1, 0, 0
            for panel in row.panels:
                if x + panel.width > PAGE_WIDTH:
                    y, x, height = y + height, 0, 0
                placed.append(panel.json(len(placed) + 1, x, y))
                x, height = x + panel.width, max(height, panel.height)
            y += height
        return placed
