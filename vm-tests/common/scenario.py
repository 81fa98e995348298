# What the scenarios share: put in front of each test script. Everything is asked on the machine
# itself, by the interfaces that its users have.

import json
import shlex
import time
from typing import Any, Callable

# Kinds of the shop's account that are rows of metric_points.
KINDS_OF_POINTS = ("_points", "remote_write_samples", "native_histograms")


def sql(machine: Any, statement: str, options: str = "") -> list[list[Any]]:
    """The rows of an answer."""
    answer = machine.succeed(
        f"curl -sS {options} --max-time 40 http://127.0.0.1:12346/api/v1/sql -H 'accept: application/json' "
        f"-H 'content-type: text/plain' --data-binary {shlex.quote(statement)}"
    )
    rows = json.loads(answer).get("rows")
    assert rows is not None, f"{statement}: {answer}"
    return [list(row.values()) if isinstance(row, dict) else row for row in rows]


def one(machine: Any, statement: str) -> Any:
    """The only cell; whole numbers may come as text."""
    ((cell,),) = sql(machine, statement)
    return int(cell) if isinstance(cell, str) and cell.isdigit() else cell


def until(what: str, ask: Callable[[], Any], expected: Any, seconds: int = 60) -> Any:
    """Asks until the answer is what is expected (a value, or a predicate)."""
    deadline = time.monotonic() + seconds
    found: Any = None
    while True:
        try:
            found = ask()
        except Exception as error:
            found = error
        good = not isinstance(found, Exception) and (expected(found) if callable(expected) else found == expected)
        if good:
            return found
        assert time.monotonic() < deadline, f"{what}: {found!r} after {seconds} s" + (
            "" if callable(expected) else f", expected {expected!r}"
        )
        time.sleep(0.5)


def shop(machine: Any, seconds: int, rate: int = 5, options: str = "") -> dict[str, Any]:
    """The demo shop sends for a while; its account is what it sent and what was acknowledged, by kind."""
    account = machine.succeed(f"vispyr demo --json --duration {seconds}s --rate {rate} {options} 2>/tmp/shop.err")
    return json.loads(account)["items"]


class Shop:
    """The demo shop in the background of a machine, while something else happens."""

    def __init__(self, machine: Any, seconds: int, rate: int = 5, options: str = "") -> None:
        self.machine, self.seconds, self.unit = machine, seconds, f"shop-{time.monotonic_ns()}"
        command = f"vispyr demo --json --duration {seconds}s --rate {rate} {options} > /run/{self.unit}.json"
        machine.succeed(
            f"systemd-run --quiet --unit={self.unit} --property=Environment=PATH=/run/current-system/sw/bin "
            f"/bin/sh -c {shlex.quote(command)}"
        )

    def account(self) -> dict[str, Any]:
        """Waits for its end."""
        self.machine.wait_until_succeeds(
            f"[ $(systemctl show --value --property=ActiveState {self.unit}) != active ]", timeout=self.seconds + 90
        )
        text = self.machine.succeed(f"cat /run/{self.unit}.json; journalctl --output=cat -u {self.unit} >&2")
        return json.loads(text)["items"]


def acknowledged(account: dict[str, Any], kind: str) -> int:
    return int(account[kind]["acknowledged"])


def points(account: dict[str, Any]) -> int:
    return sum(int(tally["acknowledged"]) for kind, tally in account.items() if kind.endswith(KINDS_OF_POINTS))


def together(accounts: list[dict[str, Any]]) -> dict[str, Any]:
    """Several accounts as one."""
    kinds = {kind for account in accounts for kind in account}
    tallies = ("sent", "acknowledged")
    return {
        kind: {tally: sum(int(account.get(kind, {}).get(tally, 0)) for account in accounts) for tally in tallies}
        for kind in kinds
    }


def store_has(machine: Any, account: dict[str, Any], more: dict[str, int] | None = None) -> None:
    """All that was acknowledged is in the store, once. `more`: what was there before, by table."""
    before = more or {}
    for table, number in (
        ("spans", acknowledged(account, "spans")),
        ("logs", acknowledged(account, "log_records")),
        ("metric_points", points(account)),
    ):
        expected = number + before.get(table, 0)
        until(f"rows of {table}", lambda: one(machine, f"SELECT count(*) FROM {table}"), expected)
    distinct = "SELECT count(*) - count(DISTINCT (trace_id, span_id)) FROM spans"
    until("spans that are there twice", lambda: one(machine, distinct), 0)


def status(machine: Any) -> Any:
    return json.loads(machine.succeed("curl -sSf --max-time 10 http://127.0.0.1:12345/api/v1/status"))


def waiting(machine: Any, destination: str) -> int:
    """Items that wait for a destination, of all signals."""
    return sum(
        int(one_destination["waiting_items"])
        for signal in status(machine)["signals"]
        for one_destination in signal["log"]["destinations"]
        if one_destination["name"] == destination
    )


def ready(machine: Any) -> None:
    """The units run and the collector says that it is ready."""
    machine.wait_for_unit("vispyr-store.service")
    machine.wait_for_unit("vispyr-collector.service")
    machine.wait_until_succeeds("curl -sf --max-time 5 http://127.0.0.1:12345/-/ready", timeout=60)


def prometheus(machine: Any, query: str) -> float:
    """The only value of an instant query; nothing counts as 0."""
    answer = json.loads(
        machine.succeed(
            f"curl -sSf --max-time 20 http://127.0.0.1:{PROMETHEUS}/api/v1/query --data-urlencode query={shlex.quote(query)}"
        )
    )
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def everything_in_prometheus(machine: Any, hours: int = 1) -> None:
    """Each metric that came by remote write within these hours has as many samples as in the store, and so
    has each counter that came by OTLP, under the name that Prometheus gives it."""
    rows = sql(
        machine,
        "SELECT p.metric, s.resource IS NOT NULL, count(DISTINCT (p.series_id, p.time)) FROM metric_points p "
        "JOIN series s USING (series_id) WHERE coalesce(p.flags, 0) & 1 = 0 AND (s.resource IS NULL OR "
        "(p.type = 'sum' AND p.monotonic AND p.temporality = 'cumulative' AND NOT regexp_matches(coalesce(p.unit, ''), '^[a-zA-Z%]'))) GROUP BY ALL",
    )
    assert {bool(otlp) for _, otlp, _ in rows} == {True, False}, f"metrics of one protocol only: {rows}"
    for metric, otlp, number in rows:
        # This machine's own node exporter and Tempo have metrics of the same names as the shop's.
        name = metric.replace(".", "_").removesuffix("_total") + "_total" if otlp else metric
        series = name + ('{source!="tempo"}' if otlp else '{instance=~"demo-host.*"}')
        until(f"samples of {series}", lambda: prometheus(machine, f"sum(count_over_time({series}[{hours}h]))"), float(number))


def everything_in_tempo(machine: Any) -> None:
    """The traces have as many spans as in the store."""
    rows = sql(machine, "SELECT trace_id, count(DISTINCT span_id) FROM spans GROUP BY 1")
    expected = sum(int(number) for _, number in rows)
    assert expected > 0, "the store has no spans"
    urls = "\n".join(f"url = http://127.0.0.1:{TEMPO}/api/v2/traces/{trace}" for trace, _ in rows)
    machine.succeed(f"echo {shlex.quote(urls)} > /run/traces")
    until("spans in Tempo", lambda: tempo_spans(machine), expected, seconds=90)


def everything_in_pyroscope(machine: Any, hours: int = 1) -> None:
    """The profiles of each service and type within these hours add up to what they do in the store. Of
    several of one service and time Pyroscope may keep one alone: when it merges blocks, they are the
    same to it (DedupeProfileRowIterator in its pkg/block). Node.js' client gives whole seconds, so
    that a first short profile and the one behind it may have one time."""
    rows = sql(
        machine,
        "SELECT service_name, profile_type, sum(least)::BIGINT, sum(most)::BIGINT FROM ("
        "SELECT service_name, profile_type, time, min(total) AS least, sum(total) AS most FROM ("
        "SELECT DISTINCT service_name, profile_type, time, total, duration_ns FROM profiles) GROUP BY ALL"
        ") GROUP BY ALL HAVING sum(most) > 0",
    )
    assert rows, "the store has no profiles"
    for service, kind, least, most in rows:
        enough = lambda found: int(least) <= found <= int(most)
        until(f"{kind} of {service}, {least} to {most}", lambda: pyroscope_total(machine, kind, service, hours), enough, seconds=90)


def tempo_spans(machine: Any) -> int:
    """How many spans Tempo has of the traces whose addresses are in /run/traces."""
    ask = "curl -sS --max-time 60 -H 'accept: application/json' --config /run/traces"
    # Links have span ids, too; only spans have a start.
    return int(machine.succeed(f"{ask} | grep -o '\"startTimeUnixNano\"' | wc -l"))


def pyroscope_total(machine: Any, kind: str, service: str, hours: int) -> int:
    """What Pyroscope's profiles of a type and service add up to."""
    now = int(time.time() * 1000)
    body = {
        "profileTypeID": kind,
        "labelSelector": f'{{service_name="{service}"}}',
        "start": now - hours * 3_600_000,
        "end": now + 60_000,
    }
    answer = machine.succeed(
        "curl -sSf --max-time 20 -H 'content-type: application/json' "
        f"http://127.0.0.1:{PYROSCOPE}/querier.v1.QuerierService/SelectMergeStacktraces --data-binary {shlex.quote(json.dumps(body))}"
    )
    return int(json.loads(answer).get("flamegraph", {}).get("total", 0))
