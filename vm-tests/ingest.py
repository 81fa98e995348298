
ready(machine)
account = shop(machine, seconds=20)

with subtest("everything that was sent was acknowledged"):
    lost = {kind: tally for kind, tally in account.items() if tally["sent"] != tally["acknowledged"]}
    assert not lost, lost
    for kind in ("spans", "log_records", "remote_write_samples", "native_histograms"):
        assert acknowledged(account, kind) > 0, f"the shop sent no {kind}: {account}"

with subtest("the store has it, once"):
    store_has(machine, account)

with subtest("Tempo has every span"):
    everything_in_tempo(machine)

with subtest("Prometheus has every sample of remote write, and the sums of OTLP"):
    everything_in_prometheus(machine)

with subtest("Pyroscope has every profile"):
    everything_in_pyroscope(machine)

with subtest("nothing waits, nothing was set aside"):
    for destination in ("prometheus", "tempo", "pyroscope"):
        until(f"items waiting for {destination}", lambda: waiting(machine, destination), 0)
    letters = machine.succeed("curl -sSf http://127.0.0.1:12345/metrics | grep ^vispyr_rejected_items_total || true")
    assert not [line for line in letters.splitlines() if float(line.rsplit(" ", 1)[1])], letters

with subtest("Grafana is up"):
    machine.wait_for_unit("grafana.service")
    machine.wait_until_succeeds("curl -sSf --max-time 5 http://127.0.0.1:3000/api/health", timeout=60)
