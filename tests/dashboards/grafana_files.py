"""What stands in the files of config/grafana: dashboards and provisioning."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "config"
GRAFANA = CONFIG / "grafana"


def provisioned(path: str) -> Json:
    """A provisioning file: JSON, with comments on lines of their own."""
    lines = (GRAFANA / "provisioning" / path).read_text().splitlines()
    found: Json = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("#")))
    return found


def data_sources() -> dict[str, Json]:
    """By uid."""
    return {source["uid"]: source for source in provisioned("datasources/vispyr.yaml")["datasources"]}


def as_provisioned(value: Any) -> Any:
    """What Grafana makes of a value when it reads the file: `$$` is one `$`."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [as_provisioned(one) for one in value]
    if isinstance(value, dict):
        return {key: as_provisioned(one) for key, one in value.items()}
    return value


def dashboards() -> dict[str, Json]:
    """By the file's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panels(dashboard: Json) -> Iterator[Json]:
    """Those that show something."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def texts(value: Any) -> Iterator[str]:
    """Every text, wherever it stands."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
