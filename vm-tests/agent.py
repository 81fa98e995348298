

def everything_arrived(account: dict[str, Any]) -> None:
    for table, number in (("spans", acknowledged(account, "spans")), ("logs", acknowledged(account, "log_records"))):
        until(f"rows of {table}", lambda: one(backend, f"SELECT count(*) FROM {table}"), number, seconds=90)
    samples = "SELECT count(*) FROM metric_points p JOIN series s USING (series_id) WHERE s.labels['instance'] LIKE 'demo-host%'"
    expected = acknowledged(account, "remote_write_samples") + acknowledged(account, "native_histograms")
    until("samples of remote write", lambda: one(backend, samples), expected)
    until("profiles", lambda: one(backend, "SELECT count(*) FROM profiles"), lambda number: number > 0)


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
    assert one(backend, "SELECT count(*) FROM spans") == acknowledged(together(accounts), "spans")
    application.succeed("echo good-token > /etc/pki/tokens", "systemctl restart vispyr-collector.service")
    everything_arrived(together([*accounts, more]))
