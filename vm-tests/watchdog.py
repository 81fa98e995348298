
UNITS = ("vispyr-collector.service", "vispyr-store.service")

ready(machine)
account = shop(machine, seconds=5)
store_has(machine, account)

with subtest("both stand still"):
    for unit in UNITS:
        machine.succeed(f"systemctl kill --kill-whom=main --signal=STOP {unit}")
    for unit in UNITS:
        machine.wait_until_succeeds(f"journalctl -b -u {unit} | grep -i 'watchdog timeout'", timeout=150)
        machine.wait_until_succeeds(f"[ $(systemctl show --value --property=NRestarts {unit}) -ge 1 ]", timeout=60)

with subtest("they are back, and what was acknowledged is there"):
    ready(machine)
    store_has(machine, account)
    store_has(machine, together([account, shop(machine, seconds=5)]))
