
STORE, COLLECTOR = "vispyr-store.service", "vispyr-collector.service"
# The table that tells how old the rows of a signal are, and its column of that.
TIMES = {
    "traces": ("spans", "start_time"),
    "metrics": ("metric_points", "time"),
    "logs": ("logs", "time"),
    "profiles": ("profiles", "time"),
}
MIB = 1 << 20


def kept() -> Any:
    return status(machine)["store"]["kept"]


def kept_of(signal: str) -> Any:
    (found,) = [of for of in kept()["signals"] if of["signal"] == signal]
    return found


def dropped(reason: str) -> float:
    """Files, as Prometheus has it."""
    return prometheus(machine, f'sum(vispyr_store_dropped_files_total{{reason="{reason}"}})')


def free() -> int:
    return int(machine.succeed(f"echo $(( $(stat --file-system --format='%a * %S' {folder}) ))"))


def nothing_is_refused(account: dict[str, Any]) -> None:
    lost = {kind: tally for kind, tally in account.items() if tally["sent"] != tally["acknowledged"]}
    assert not lost, lost


ready(machine)
machine.wait_for_unit("prometheus.service")
folder = machine.succeed("realpath /var/lib/vispyr/store/store").strip()

with subtest("what is older than its signal's age goes, nothing else does"):
    first = shop(machine, seconds=8)
    nothing_is_refused(first)
    until("spans", lambda: one(machine, "SELECT count(*) FROM spans"), acknowledged(first, "spans"))
    until("log records", lambda: one(machine, "SELECT count(*) FROM logs"), 0, seconds=120)
    until("rows of logs in the status", lambda: kept_of("logs")["rows"], 0)
    until("files dropped for their age", lambda: dropped("age"), lambda files: files > 0)
    assert one(machine, "SELECT count(*) FROM spans") == acknowledged(first, "spans")

with subtest("a signal takes no more than its size, its oldest rows go"):
    oldest = "SELECT epoch_ns(min(start_time)) FROM spans"
    began = one(machine, oldest)
    sender = Shop(machine, seconds=60, rate=100)
    until("files dropped for their size", lambda: dropped("size"), lambda files: files > 0, seconds=120)
    nothing_is_refused(sender.account())
    until("bytes of traces", lambda: kept_of("traces")["bytes"], lambda size: 0 < size <= MIB)
    until("the oldest span", lambda: one(machine, oldest), lambda time: time is not None and time > began)
    assert dropped("disk") == 0 and kept()["last_early_drop"] is None

with subtest("a disk with too little room has the oldest rows go early, and no sender notices"):
    machine.succeed(
        f"systemctl stop {STORE}",
        f"cp -a {folder} /root/store; mount -t tmpfs -o size=200m,mode=700 tmpfs {folder}; cp -a /root/store/. {folder}/",
        f"chown --reference=/root/store {folder}",
    )
    machine.succeed(f"head -c $(( {free()} - 7 * {MIB} )) /dev/zero > {folder}/ballast")
    machine.succeed(f"systemctl start {STORE}")
    ready(machine)
    before = {signal: one(machine, f"SELECT epoch_ns(min({time})) FROM {table}") for signal, (table, time) in TIMES.items()}
    sender = Shop(machine, seconds=40, rate=40)
    until("rows dropped early", kept, lambda kept: (kept["last_early_drop"] or {}).get("files", 0) > 0, seconds=90)
    nothing_is_refused(sender.account())
    since = one(machine, "SELECT epoch_ns(now()::TIMESTAMP)")
    last = shop(machine, seconds=4)
    nothing_is_refused(last)
    newest = f"SELECT count(*) FROM spans WHERE epoch_ns(start_time) >= {since}"
    until("the newest spans", lambda: one(machine, newest), acknowledged(last, "spans"))
    early = kept()["last_early_drop"]
    for signal in early["signals"]:
        table, time_column = TIMES[signal]
        oldest = one(machine, f"SELECT epoch_ns(min({time_column})) FROM {table}")
        assert oldest is None or oldest > before[signal], f"{signal}: {oldest} is as old as before, {early}"
    until("room on the disk", free, lambda room: room >= 8 * MIB, seconds=120)

with subtest("it is said everywhere"):
    assert "were dropped before their time: the disk was full" in machine.succeed("vispyr status")
    machine.succeed(f"journalctl -b -u {STORE} | grep 'dropped before their time'")
    machine.fail(f"journalctl -b -u {STORE} -u {COLLECTOR} | grep -iE 'no space|disk is full'")
    until("files dropped for the disk", lambda: dropped("disk"), lambda files: files > 0)
    alert = 'sum(ALERTS{alertname="VispyrStoreDropsEarly", alertstate="firing"})'
    until("the alert", lambda: prometheus(machine, alert), 1.0)

with subtest("with room again nothing more goes early"):
    machine.succeed(f"rm {folder}/ballast")
    until("room on the disk", lambda: kept()["disk_free"], lambda room: room > 50 * MIB)
    number = dropped("disk")
    nothing_is_refused(shop(machine, seconds=8))
    assert dropped("disk") == number
