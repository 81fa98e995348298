MIB = 1 << 20


def kept() -> Any:
    return status(machine)["store"]["kept"]


def kept_of(signal: str) -> Any:
    (found,) = [of for of in kept()["signals"] if of["signal"] == signal]
    return found


def dropped(reason: str) -> float:
    """Files, as Prometheus has it."""
    return prometheus(machine, f'sum(vispyr_store_dropped_files_total{{reason="{reason}"}})')


def nothing_is_refused(account: dict[str, Any]) -> None:
    lost = {kind: tally for kind, tally in account.items() if tally["sent"] != tally["acknowledged"]}
    assert not lost, lost


ready(machine)
machine.wait_for_unit("prometheus.service")

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
