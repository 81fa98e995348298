
COLLECTOR, STORE = "vispyr-collector.service", "vispyr-store.service"
SEND = "--tls --host localhost --ca-file /etc/pki/authority.pem --token-file /root/token"


def fails(unit: str, *words: str, since: int) -> None:
    """The unit does not start, and a line of its journal from this time on has all of these words."""
    machine.wait_until_succeeds(f"[ $(systemctl show --value --property=Result {unit}) = exit-code ]", timeout=60)
    lines = f"journalctl -b --no-pager --output=cat --since=@{since} -u {unit}"
    condition = " | ".join(f"grep -F {shlex.quote(word)}" for word in words)
    machine.wait_until_succeeds(f"{lines} | {condition}", timeout=60)


def now() -> int:
    return int(machine.succeed("date +%s"))


def mended() -> None:
    machine.succeed(f"systemctl reset-failed; systemctl restart {COLLECTOR}")
    ready(machine)


ready(machine)
machine.succeed("install -m 600 /etc/pki/tokens /root/token")
accounts = [shop(machine, 5, options=SEND)]
store_has(machine, together(accounts))

with subtest("a certificate that is none"):
    machine.succeed("cp /etc/pki/server.pem /root/; echo nonsense > /etc/pki/server.pem")
    began = now()
    machine.execute(f"systemctl restart {COLLECTOR}")
    fails(COLLECTOR, "certificate", "PEM", since=began)
    machine.succeed(f"systemctl is-active {STORE} prometheus.service tempo.service")
    assert one(machine, "SELECT count(*) FROM spans") == acknowledged(together(accounts), "spans")
    machine.succeed("cp /root/server.pem /etc/pki/")
    mended()

with subtest("a file of tokens that is not there"):
    machine.succeed("mv /etc/pki/tokens /root/tokens")
    began = now()
    machine.execute(f"systemctl restart {COLLECTOR}")
    fails(COLLECTOR, "bearer_tokens_file", since=began)
    machine.succeed(f"systemctl is-active {STORE} prometheus.service tempo.service")
    machine.succeed("mv /root/tokens /etc/pki/tokens")
    mended()

with subtest("an upstream that ends as soon as it starts"):
    machine.succeed(
        "mkdir -p /run/systemd/system/tempo.service.d",
        "printf '[Service]\\nExecStart=\\nExecStart=/run/current-system/sw/bin/false\\nRestartSec=100ms\\n' > /run/systemd/system/tempo.service.d/fault.conf",
        "systemctl daemon-reload",
    )
    machine.execute("systemctl restart tempo.service")
    accounts.append(shop(machine, 5, options=SEND))
    store_has(machine, together(accounts))
    until("items waiting for tempo", lambda: waiting(machine, "tempo"), lambda items: items > 0)
    until("items waiting for prometheus", lambda: waiting(machine, "prometheus"), 0)
    machine.succeed("rm -r /run/systemd/system/tempo.service.d; systemctl daemon-reload; systemctl reset-failed tempo.service; systemctl restart tempo.service")
    until("items waiting for tempo", lambda: waiting(machine, "tempo"), 0, seconds=90)
    everything_in_tempo(machine)

with subtest("the disk of the store is full"):
    machine.succeed(f"systemctl stop {STORE}")
    folder = machine.succeed("realpath /var/lib/vispyr/store").strip()
    machine.succeed(
        f"cp -a {folder} /root/store; mount -t tmpfs -o size=400m,mode=700 tmpfs {folder}; cp -a /root/store/. {folder}/",
        f"chown --reference=/root/store {folder}; dd if=/dev/zero of={folder}/ballast bs=1M 2>/dev/null || true",
    )
    began = now()
    machine.execute(f"systemctl restart {STORE}")
    accounts.append(shop(machine, 5, options=SEND))
    machine.wait_until_succeeds(f"journalctl -b --since=@{began} -u {STORE} -u {COLLECTOR} | grep -iE 'no space|disk is full'", timeout=60)
    machine.succeed(f"systemctl is-active {COLLECTOR} prometheus.service tempo.service")
    machine.succeed(f"rm {folder}/ballast")
    machine.succeed("systemctl reset-failed || true", f"systemctl restart {STORE}")
    ready(machine)
    store_has(machine, together(accounts))

with subtest("a port that somebody else has"):
    machine.succeed(f"systemctl stop {COLLECTOR} 'vispyr-*.socket'")
    machine.succeed("systemd-run --quiet --unit=thief /run/current-system/sw/bin/python3 -m http.server --bind 127.0.0.1 4318")
    machine.wait_for_open_port(4318)
    began = now()
    machine.execute(f"systemctl start {COLLECTOR}")
    fails(COLLECTOR, "4318", "is taken by another program", since=began)
    machine.succeed("systemctl stop thief.service")
    mended()
    accounts.append(shop(machine, 5, options=SEND))
    store_has(machine, together(accounts))
