
UPSTREAMS = ("prometheus", "tempo", "pyroscope")

ready(machine)
for upstream in UPSTREAMS:
    machine.wait_for_unit(f"{upstream}.service")
accounts = [shop(machine, seconds=5)]

for upstream in UPSTREAMS:
    with subtest(f"{upstream} is away"):
        machine.succeed(f"systemctl stop {upstream}.service")
        accounts.append(shop(machine, seconds=8))
        until(f"items waiting for {upstream}", lambda: waiting(machine, upstream), lambda items: items > 0)
        for other in UPSTREAMS:
            if other != upstream:
                until(f"items waiting for {other}", lambda: waiting(machine, other), 0)
        machine.succeed(f"systemctl start {upstream}.service")
        until(f"items waiting for {upstream}", lambda: waiting(machine, upstream), 0, seconds=90)

with subtest("all of them are away, and the collector is started again meanwhile"):
    machine.succeed("systemctl stop " + " ".join(f"{upstream}.service" for upstream in UPSTREAMS))
    accounts.append(shop(machine, seconds=5))
    machine.succeed("systemctl restart vispyr-collector.service")
    ready(machine)
    accounts.append(shop(machine, seconds=5))
    machine.succeed("systemctl start " + " ".join(f"{upstream}.service" for upstream in UPSTREAMS))
    for upstream in UPSTREAMS:
        until(f"items waiting for {upstream}", lambda: waiting(machine, upstream), 0, seconds=90)

with subtest("everything is everywhere"):
    store_has(machine, together(accounts))
    everything_in_tempo(machine)
    everything_in_prometheus(machine)
    everything_in_pyroscope(machine)
