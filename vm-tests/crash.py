
UNITS = ("vispyr-collector", "vispyr-store", "prometheus", "tempo", "pyroscope")


def store_has_distinct(account: dict[str, Any]) -> None:
    """A sender that got no answer sends again, so that things may be there twice, but none is missing."""
    spans = acknowledged(account, "spans")
    until("distinct spans", lambda: one(backend, "SELECT count(DISTINCT (trace_id, span_id)) FROM spans"), spans)
    for table, number in (("logs", acknowledged(account, "log_records")), ("metric_points", points(account))):
        until(f"rows of {table}", lambda: one(backend, f"SELECT count(*) FROM {table}"), lambda rows: rows >= number)


start_all()
ready(backend)
application.wait_for_unit("multi-user.target")
application.wait_until_succeeds("curl -s --max-time 2 http://backend:4318/", timeout=30)

with subtest("each unit is killed with SIGKILL, and comes back by itself"):
    sender = Shop(application, seconds=30, options="--host backend")
    for unit in UNITS:
        backend.wait_for_unit(f"{unit}.service")
        before = int(backend.succeed(f"systemctl show --value --property=NRestarts {unit}.service"))
        backend.succeed(f"systemctl kill --signal=KILL {unit}.service")
        backend.wait_until_succeeds(
            f"[ $(systemctl show --value --property=NRestarts {unit}.service) -gt {before} ]", timeout=60
        )
        backend.wait_until_succeeds(f"systemctl is-active --quiet {unit}.service", timeout=60)
    ready(backend)
    first = sender.account()
    lost = {kind: tally for kind, tally in first.items() if tally["sent"] != tally["acknowledged"]}
    assert not lost, lost
    store_has_distinct(first)

with subtest("the power fails while somebody sends"):
    sender = Shop(application, seconds=20, options="--host backend")
    until("spans", lambda: one(backend, "SELECT count(*) FROM spans"), lambda spans: spans > acknowledged(first, "spans"))
    backend.crash()
    application.fail("curl -sf --max-time 2 http://backend:4318/")
    backend.start()
    ready(backend)
    both = together([first, sender.account()])
    store_has_distinct(both)

with subtest("reboot"):
    counts = "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM logs), (SELECT count(*) FROM metric_points)"
    before_reboot = sql(backend, counts)
    backend.reboot()
    ready(backend)
    until("counts", lambda: sql(backend, counts), before_reboot)

with subtest("the upstreams have what the log held for them"):
    for upstream in ("prometheus", "tempo", "pyroscope"):
        backend.wait_for_unit(f"{upstream}.service")
        until(f"items waiting for {upstream}", lambda: waiting(backend, upstream), 0, seconds=120)
