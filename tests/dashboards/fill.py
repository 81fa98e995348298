"""What Grafana makes of a query's text before it asks: variables and macros."""

from __future__ import annotations

import datetime
import math
import re
from dataclasses import dataclass

ALL = "$__all"
# The smallest distance of two points, jsonData.timeInterval of the Prometheus source.
SCRAPE_SECONDS = 15


@dataclass
class Times:
    """What the page shows, in unix seconds, and how many points fit."""

    begin: float
    end: float
    points: int = 1000

    def interval(self, least: int) -> int:
        """$__interval: seconds between two points."""
        return max(least, math.ceil((self.end - self.begin) / self.points))


@dataclass
class Variable:
    """One that has a value. `all_value`: what stands for all of them; it is put in as it is."""

    value: str
    all_value: str = ".*"

    def formatted(self, style: str) -> str:
        if self.value == ALL:
            return self.all_value
        if style == "sqlstring":
            return "'" + self.value.replace("'", "''") + "'"
        if style == "regex":
            return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", self.value)
        return self.value


def variables(text: str, values: dict[str, Variable]) -> str:
    """`$name`, `${name}`, `${name:format}`; what is no variable stays."""

    def value(found: re.Match[str]) -> str:
        name, style = found[1] or found[2], found[3] or ""
        return values[name].formatted(style) if name in values else found[0]

    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::(\w+))?\})", value, text)


def promql(text: str, values: dict[str, Variable], times: Times) -> str:
    interval = times.interval(SCRAPE_SECONDS)
    rate_interval = max(interval + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS)
    seconds = math.ceil(times.end - times.begin)
    text = text.replace("$__rate_interval", f"{rate_interval}s").replace("$__range", f"{seconds}s").replace("$__interval", f"{interval}s")
    return variables(text, {name: Variable(escaped(v.value), v.all_value) for name, v in values.items()})


def escaped(value: str) -> str:
    """The Prometheus source makes a regular expression of a value, inside a string."""
    return value if value == ALL else re.sub(r"[\\^$*+?.()|\[\]{}]", r"\\\\\g<0>", value)


def moment(seconds: float) -> str:
    """A time as the PostgreSQL source writes it."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def sql(text: str, values: dict[str, Variable], times: Times) -> str:
    """The macros of the PostgreSQL source, after the variables."""
    text = variables(text, values)
    begin, end = moment(times.begin), moment(times.end)
    interval = times.interval(1)
    text = text.replace("$__interval_ms", str(interval * 1000)).replace("$__interval", f"{interval}s")

    def macro(name: str, arguments: list[str]) -> str:
        column = arguments[0]
        group = lambda: f"floor(extract(epoch from {column})/{seconds(arguments[1])})*{seconds(arguments[1])}"
        match name:
            case "timeFilter":
                return f"{column} BETWEEN '{begin}' AND '{end}'"
            case "timeFrom":
                return f"'{begin}'"
            case "timeTo":
                return f"'{end}'"
            case "time":
                return f'{column} AS "time"'
            case "timeGroup":
                return group()
            case "timeGroupAlias":
                return group() + ' AS "time"'
            case "unixEpochFilter":
                return f"{column} >= {int(times.begin)} AND {column} <= {int(times.end)}"
            case _:
                raise ValueError(f"no macro $__{name}")

    return re.sub(
        r"\$__(\w+)\(([^()]*)\)", lambda found: macro(found[1], [one.strip() for one in found[2].split(",")]), text
    )


def seconds(interval: str) -> int:
    """Of '5m' and the like."""
    number, unit = re.fullmatch(r"'?(\d+)([smhd])'?", interval).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
