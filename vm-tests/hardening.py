
OURS = ("vispyr-collector", "vispyr-store")
UPSTREAMS = ("prometheus", "tempo", "pyroscope", "grafana", "nginx", "prometheus-node-exporter")

ready(machine)
machine.wait_for_unit("multi-user.target")
machine.succeed("touch /run/marker")
account = shop(machine, seconds=5)
store_has(machine, account)


def exposure(unit: str) -> float:
    lines = machine.succeed(f"systemd-analyze security --no-pager {unit}.service").splitlines()
    line = next(line for line in lines if "Overall exposure level" in line)
    return float(line.split(":")[1].split()[0])


with subtest("exposure"):
    for unit in UPSTREAMS:
        machine.wait_for_unit(f"{unit}.service")
    found = {unit: exposure(unit) for unit in OURS + UPSTREAMS}
    machine.log(f"exposure: {found}")
    assert all(found[unit] <= 1.5 for unit in OURS), found
    assert all(value <= 2.0 for value in found.values()), found

with subtest("nothing runs as root"):
    for unit in found:
        users = machine.succeed(
            f"for p in $(cat /sys/fs/cgroup/system.slice/{unit}.service/cgroup.procs); do stat -c %u /proc/$p; done"
        ).split()
        assert users and "0" not in users, f"{unit} runs as {users}"

with subtest("nothing is written outside of the state, the cache and the runtime folders"):
    written = machine.succeed(
        "find / -xdev -newer /run/marker -type f "
        "-not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*' -not -path '/run/*' -not -path '/tmp/*' "
        "-not -path '/var/lib/private/*' -not -path '/var/lib/prometheus2/*' -not -path '/var/lib/grafana/*' "
        "-not -path '/var/lib/systemd/*' -not -path '/var/cache/*' -not -path '/etc/*' -not -path '/root/*'"
    ).split()
    assert not written, written

with subtest("only the declared ports listen, on loopback"):
    sockets = [line.split() for line in machine.succeed("ss -lntH").splitlines()]
    addresses = {socket[3] for socket in sockets}
    elsewhere = {address for address in addresses if not address.startswith(("127.", "[::1]"))}
    assert not elsewhere, elsewhere
    missing = {f"127.0.0.1:{port}" for port in (80, 443, 3000, 4317, 4318, 5433, 9090, 9999, 12345, 12346)} - addresses
    assert not missing, f"{missing} do not listen: {addresses}"

with subtest("the state can be read by its owners alone"):
    machine.succeed("useradd --no-create-home stranger")
    for folder in ("/var/lib/private/vispyr", "/var/lib/prometheus2", "/var/lib/private/tempo", "/var/lib/private/pyroscope"):
        machine.succeed(f"ls {folder}")
        machine.fail(f"runuser -u stranger -- ls {folder}")

with subtest("Grafana's secrets: made at the first start, of root and Grafana alone, not in the Nix store"):
    for secret in ("grafana-secret-key", "grafana-admin-password"):
        path = f"/var/lib/vispyr-secrets/{secret}"
        machine.succeed(f"[ $(stat -c %U:%a {path}) = root:600 ]")
        machine.fail(f"runuser -u stranger -- cat {path}")
        value = machine.succeed(f"cat {path}").strip()
        assert len(value) >= 32, f"{secret} has {len(value)} characters"
        machine.fail(f"grep -RqsF -e {value} /etc/static/ /etc/systemd/system/")
        machine.fail(f"journalctl -b --no-pager | grep -qF -e {value}")
    password = machine.succeed("cat /var/lib/vispyr-secrets/grafana-admin-password").strip()
    assert password in machine.succeed("vispyr status"), "root is not told the first password"
    assert password not in machine.succeed("runuser -u stranger -- vispyr status --address 127.0.0.1:12345")
