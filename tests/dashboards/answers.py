"""Every query of every panel and variable, with All and with one service."""

from __future__ import annotations

import time

import fill
from ask import Asker, Values
from fill import Times, Variable
from grafana_files import Json, dashboards, panels

# What a user chooses after All. The demo's shop window is written in Node and sends every signal.
CHOSEN = {"service": "storefront"}
# On the page of runtimes each service has one runtime.
ONLY_ALL = {"runtime"}


def run(results, asker: Asker, times: Times):
    trace = a_trace(asker)
    for name, board in dashboards().items():
        values = variables(results, asker, name, board, times, trace)
        ask(results, asker, f"{name}, all", board, values, times)
        one = {key: Variable(CHOSEN[key]) for key in values if key in CHOSEN and name not in ONLY_ALL}
        if one:
            ask(results, asker, f"{name}, {', '.join(v.value for v in one.values())}", board, {**values, **one}, times)


def a_trace(asker: Asker) -> str:
    """One that has logs, of the shop."""
    return asker.rows(
        "SELECT trace_id FROM logs WHERE trace_id IN (SELECT trace_id FROM traces WHERE span_count > 5) ORDER BY time LIMIT 1"
    )[0][0]


def variables(results, asker: Asker, name: str, board: Json, times: Times, trace: str) -> Values:
    """What stands in the boxes when the page is opened; the box for a trace's id is filled in."""
    values: Values = {}
    for variable in board["templating"]["list"]:
        at = f"{name}: variable {variable['name']}"
        if variable["type"] == "textbox":
            values[variable["name"]] = Variable(trace if variable["name"] == "trace" else "")
            continue
        options = asker.options(variable, values, times)
        results.check(at, options, lambda found: len(found) > 0)
        current = variable["current"]["value"]
        if current != fill.ALL and current not in options:
            results.check(f"{at}: what is chosen at first", current, options)
        values[variable["name"]] = Variable(current, variable.get("allValue", ""))
    return values


def ask(results, asker: Asker, name: str, board: Json, values: Values, times: Times):
    for panel in panels(board):
        for target in panel["targets"]:
            found, error = patiently(asker, target, values, times)
            at = f"{name}: {panel['title']} {target['refId'] if len(panel['targets']) > 1 else ''}".rstrip()
            results.check(at, error or found, lambda n: isinstance(n, int) and n > 0)


def patiently(asker: Asker, target: Json, values: Values, times: Times, seconds: float = 20):
    """What was sent last is on its way for some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found, error = 0, None
        try:
            found = asker.count(target, values, times)
        except Exception as why:
            error = f"{type(why).__name__}: {why} {detail(why)}"
        if found > 0 or time.monotonic() > deadline:
            return found, error
        time.sleep(0.5)


def detail(error: Exception) -> str:
    """What the server said."""
    try:
        return error.read().decode(errors="replace")[:300]  # type: ignore[attr-defined]
    except Exception:
        return ""
