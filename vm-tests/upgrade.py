
ROWS = "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM logs), (SELECT count(*) FROM metric_points), (SELECT count(*) FROM profiles)"
HOURS = 24 * 3640  # Not quite what is kept: that is the most that Pyroscope may be asked for.
UNITS = {"collector": "collector/wal/VERSION", "store": "store/store/VERSION"}


def rows() -> list[int]:
    ((*counts,),) = sql(machine, ROWS)
    return [int(count) for count in counts]


ready(machine)

with subtest("every row is there"):
    expected = list(EXPECTED["rows"].values())
    assert list(EXPECTED["rows"]) == ["spans", "logs", "metric_points", "profiles"] and min(expected) > 0, EXPECTED
    until("rows", rows, expected)
    # From its own files: the log alone would give them, too.
    sealed = machine.succeed("cd /var/lib/private/vispyr/store/store/sealed && find . -name '*.parquet'").split()
    assert set(EXPECTED["sealed"]) <= set(sealed), sealed

with subtest("what waited for the upstreams arrives, whole"):
    for upstream in ("prometheus", "tempo", "pyroscope"):
        machine.wait_for_unit(f"{upstream}.service")
        until(f"items waiting for {upstream}", lambda: waiting(machine, upstream), 0, seconds=90)
    rejected = machine.succeed("curl -sSf http://127.0.0.1:12345/metrics | grep ^vispyr_rejected_items_total || true")
    assert not [line for line in rejected.splitlines() if float(line.rsplit(" ", 1)[1])], rejected
    everything_in_tempo(machine)
    everything_in_prometheus(machine, HOURS)
    everything_in_pyroscope(machine, hours=HOURS)

with subtest("new data comes to the old"):
    account = shop(machine, seconds=3)
    store_has(machine, account, EXPECTED["rows"])

for name, version in UNITS.items():
    unit = f"vispyr-{name}.service"
    with subtest(f"the {name} refuses data of a version to come, in a sentence, and the other units run"):
        path = f"/var/lib/private/vispyr/{version}"
        known = machine.succeed(f"cat {path}").strip()
        before = rows()
        began = int(machine.succeed("date +%s"))
        machine.succeed(f"systemctl stop {unit}", f"echo 99 > {path}")
        listed = f"find /var/lib/private/vispyr/{name} -type f ! -name LOCK ! -path '*/run/*' -exec sha256sum {{}} + | sort"
        files = machine.succeed(listed).splitlines()
        machine.execute(f"systemctl start {unit}")
        machine.wait_until_succeeds(
            f"journalctl -b --output=cat --since=@{began} -u {unit} | grep -E 'version.* 99|says 99' | grep -F 'vispyr knows' | grep -F newer",
            timeout=60,
        )
        machine.succeed(f"systemctl show --property=Result {unit} | grep exit-code")
        others = [f"vispyr-{other}.service" for other in UNITS if other != name]
        machine.succeed("systemctl is-active prometheus tempo pyroscope grafana " + " ".join(others))
        changed = set(files) ^ set(machine.succeed(listed).splitlines())
        assert not changed, f"its files have changed: {changed}"
        machine.succeed(f"echo {known} > {path}", f"systemctl reset-failed {unit}; systemctl restart {unit}")
        ready(machine)
        until("rows", rows, before)
