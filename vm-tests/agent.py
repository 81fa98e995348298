

# Delivery to another machine is at least once: an answer that a cut or a restart kept from the agent has it send
# again. What tells items apart, by table.
SAMPLES = "metric_points p JOIN series s USING (series_id) WHERE s.labels['instance'] LIKE 'demo-host%'"
ITEMS = {
    "spans": "SELECT DISTINCT trace_id, span_id FROM spans",
    "logs": "SELECT DISTINCT * FROM logs",
    "samples of remote write": f"SELECT DISTINCT series_id, p.time FROM {SAMPLES}",
}
ROWS = {"spans": "FROM spans", "logs": "FROM logs", "samples of remote write": f"FROM {SAMPLES}"}


def distinct(items: str) -> int:
    return int(one(backend, f"SELECT count(*) FROM ({ITEMS[items]})"))


def everything_arrived(account: dict[str, Any]) -> None:
    """All of it, and nothing else."""
    for items, number in (
        ("spans", acknowledged(account, "spans")),
        ("logs", acknowledged(account, "log_records")),
        ("samples of remote write", acknowledged(account, "remote_write_samples") + acknowledged(account, "native_histograms")),
    ):
        until(f"distinct {items}", lambda: distinct(items), number, seconds=90)
    until("profiles", lambda: one(backend, "SELECT count(*) FROM profiles"), lambda number: number > 0)


def nothing_is_there_twice() -> None:
    for items, rows in ROWS.items():
        until(f"{items} that are there twice", lambda: one(backend, f"SELECT count(*) {rows}") - distinct(items), 0)


start_all()
ready(backend)
application.wait_for_unit("certificates.service")
authority = backend.succeed("cat /etc/pki/authority.pem")
application.succeed(
    f"cat > /etc/pki/authority.pem <<'EOF'\n{authority}EOF", "systemctl restart vispyr-collector.service"
)
application.wait_until_succeeds("curl -sf --max-time 5 http://127.0.0.1:12345/-/ready", timeout=60)

with subtest("from outside only the receivers can be reached"):
    for port in (3000, 3200, 4040, 9091, 12345, 12346):
        application.fail(f"curl -s --max-time 1 http://backend:{port}/")
    application.succeed("curl -s --max-time 5 --cacert /etc/pki/authority.pem https://backend:4318/")

with subtest("what applications send to the agent arrives at the backend, once"):
    accounts = [shop(application, seconds=8)]
    everything_arrived(together(accounts))
    nothing_is_there_twice()

with subtest("the machine itself is seen, too"):
    node = "SELECT count(*) FROM metric_points p JOIN series s USING (series_id) WHERE p.metric = 'node_load1' AND s.labels['instance'] = 'application'"
    until("samples of its load", lambda: one(backend, node), lambda number: number > 0)

with subtest("the network is cut, and the agent keeps what it gets"):
    backend.block()
    accounts.append(shop(application, seconds=8))
    until("items waiting", lambda: waiting(application, "backend"), lambda number: number > 0)
    application.succeed("systemctl restart vispyr-collector.service")
    backend.unblock()
    everything_arrived(together(accounts))

with subtest("a token that the backend does not know sends nothing, and the agent says why"):
    application.succeed("echo bad-token > /etc/pki/tokens", "systemctl restart vispyr-collector.service")
    more = shop(application, seconds=3)
    application.wait_until_succeeds("journalctl -b -u vispyr-collector | grep -iE '401|unauthenticated'", timeout=60)
    until("items waiting", lambda: waiting(application, "backend"), lambda number: number > 0)
    assert distinct("spans") == acknowledged(together(accounts), "spans")
    application.succeed("echo good-token > /etc/pki/tokens", "systemctl restart vispyr-collector.service")
    everything_arrived(together([*accounts, more]))
