"""The units as they are meant to run: what they open, what they survive, what they may do."""

import json
import pathlib
import re
import signal
import subprocess
import time

import machine
from installed import PORTS, PREFIX, UNITS, Installed

EXPOSURE = 1.5
SENDER = pathlib.Path(__file__).resolve().parent / "sender.py"


def run(arguments, results):
    with Installed(arguments, "units") as debian:
        for scenario in installs, telemetry, restarts, reloads, kills, watchdog, reboots, sandbox, writes, uninstalls:
            try:
                scenario(debian, results)
            except (machine.Failed, subprocess.TimeoutExpired) as why:
                results.fail(scenario.__name__, why)


def installs(debian, results):
    """Once, again, and again with an edited config."""
    debian.install()
    debian.wait_until_active()
    files = debian.run(f"cat {PREFIX}/share/vispyr/installed")
    results.check("install: both units are active", debian.states(), ["active", "active"])
    results.check("install: ports are those declared", debian.listening(), PORTS)
    results.check("install: units have no complaint", debian.attempt(f"systemd-analyze verify {' '.join(f'{unit}.service' for unit in UNITS)}")[1], "")
    for file in ("man/man1/vispyr-sql.1", "bash-completion/completions/vispyr", "zsh/site-functions/_vispyr",
                 "fish/vendor_completions.d/vispyr.fish"):
        results.check(f"install: {file}", debian.attempt(f"test -s {PREFIX}/share/{file}")[0], 0)
    debian.install()
    debian.wait_until_active()
    results.check("install again: the same files", debian.run(f"cat {PREFIX}/share/vispyr/installed"), files)
    debian.run("echo '# mine' >>/etc/vispyr/vispyr.toml; echo '# newer' >>/src/config/vispyr.toml")
    debian.run(f"echo {PREFIX}/share/vispyr/older >>{PREFIX}/share/vispyr/installed; touch {PREFIX}/share/vispyr/older")
    said = debian.install()
    kept = debian.run("tail -n 1 /etc/vispyr/vispyr.toml").strip()
    results.check("update: an edited config is kept", (kept, "kept your" in said), ("# mine", True))
    results.check("update: the new one is beside it", debian.run(f"tail -n 1 {PREFIX}/share/vispyr/vispyr.toml").strip(), "# newer")
    results.check("update: what an older version had is gone", debian.attempt(f"test -e {PREFIX}/share/vispyr/older")[0], 1)
    pid = debian.main_process(UNITS[0])
    debian.run("echo nonsense >>/etc/vispyr/vispyr.toml")
    code, said = debian.attempt(f"/src/scripts/install --program /src/bin/vispyr --prefix {PREFIX}")
    results.check("update: a config that the new version refuses changes nothing",
                  (code, "nothing is changed" in said, debian.main_process(UNITS[0])), (1, True, pid))
    debian.run(f"cp {PREFIX}/share/vispyr/vispyr.toml /etc/vispyr/vispyr.toml")
    debian.wait_until_active()


def telemetry(debian, results):
    """What the shop sends is found, every signal."""
    out = debian.run("vispyr demo --duration 3s --json 2>/dev/null")
    sent = json.loads(out)
    acknowledged = {name: items["acknowledged"] for name, items in sent["items"].items()}
    tables = {"spans": "spans", "log_records": "logs", "profiles": "profiles"}
    for name, table in tables.items():
        debian.wait(name, lambda: debian.sql(f"SELECT count(*) FROM {table}")[0][0] >= acknowledged[name])
        results.check(f"SQL finds the {name}", debian.sql(f"SELECT count(*) FROM {table}")[0][0], acknowledged[name])
    found = debian.wait("metrics", lambda: debian.sql("SELECT count(*) FROM metric_points")[0][0])
    results.check("SQL finds metrics", found, lambda points: points > 0)


class Sender:
    """Something that sends all the time, each record over a connection of its own."""

    def __init__(self, debian, name):
        self.debian, self.name = debian, name
        self.progress = debian.folder / f"sender-{name}"
        with open(self.progress, "wb") as progress:
            self.process = debian.client(SENDER, name, stdout=subprocess.PIPE, stderr=progress, text=True)

    def wait_for_more(self, count=5):
        """Until so many more were acknowledged: a machine under load takes its time."""
        def lines():
            return len(self.progress.read_text().splitlines())
        before = lines()
        self.debian.wait("more records", lambda: lines() >= before + count, 60)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=90)
        return json.loads(out)

    def missing(self, acknowledged):
        """Those that were acknowledged and are not in the store, after a while."""
        def found():
            rows = self.debian.sql(f"SELECT DISTINCT body FROM logs WHERE starts_with(body, '{self.name} ')".replace("'", '\'"\'"\''))
            return {int(row[0].split()[1]) for row in rows}
        deadline = time.monotonic() + 30
        while (missing := set(acknowledged) - found()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return sorted(missing)


def restarts(debian, results):
    """The sockets stay: nobody is refused, nobody is cut off."""
    sender = Sender(debian, "restarts")
    for unit in (*UNITS, *UNITS):
        sender.wait_for_more()
        debian.run(f"systemctl restart {unit}")
    sender.wait_for_more()
    account = sender.end()
    results.check("restart: no connection is refused or broken", account["errors"], {})
    results.check("restart: records were sent meanwhile", len(account["acknowledged"]), lambda count: count >= 25)
    results.check("restart: nothing acknowledged is lost", sender.missing(account["acknowledged"]), [])


def reloads(debian, results):
    """SIGHUP by systemctl, heard to its end."""
    before = [debian.main_process(unit) for unit in UNITS]
    for unit in UNITS:
        debian.run(f"systemctl reload {unit}")
        results.check(f"reload: {unit}", "were read again" in debian.journal(unit, "-10s"), True)
    results.check("reload: the same processes", [debian.main_process(unit) for unit in UNITS], before)


def kills(debian, results):
    """kill -9 of each process under load: it is back, and has everything."""
    sender = Sender(debian, "kills")
    for unit, victim in ((UNITS[0], "vispyr collector"), (UNITS[1], "vispyr store"), (UNITS[1], "vispyr engine")):
        sender.wait_for_more()
        before = debian.run(f"pgrep -f '{victim}'").split()[0]
        debian.run(f"kill -9 {before}")
        after = debian.wait(victim, lambda: [n for n in debian.attempt(f"pgrep -f '{victim}'")[1].split() if n != before])
        results.check(f"kill -9 of {victim}: another process", bool(after), True)
        debian.wait(unit, lambda: debian.states() == ["active", "active"])
    sender.wait_for_more()
    account = sender.end()
    # A connection that was open at that moment breaks; no other does.
    refused = {kind: count for kind, count in account["errors"].items() if kind == "ConnectionRefusedError"}
    results.check("kill -9: no connection is refused", refused, {})
    results.check("kill -9: at most the open connection breaks", sum(account["errors"].values()), lambda broken: broken <= 1)
    results.check("kill -9: nothing acknowledged is lost", sender.missing(account["acknowledged"]), [])


def watchdog(debian, results):
    """A process that stands still is replaced."""
    for unit in UNITS:
        debian.adjust(unit, "WatchdogSec=4s", "TimeoutAbortSec=2s")
        debian.run(f"systemctl restart {unit}")
        debian.wait_until_active()
        before = debian.main_process(unit)
        time.sleep(5)
        results.check(f"watchdog: {unit} lives longer than it", debian.main_process(unit), before)
        debian.run(f"kill -STOP {before}")
        debian.wait(unit, lambda: debian.main_process(unit) not in (0, before), 60)
        debian.wait_until_active()
        results.check(f"watchdog: {unit} was replaced", "Watchdog timeout" in debian.journal(unit, "-60s"), True)


def reboots(debian, results):
    """The power fails, and comes back."""
    before = debian.sql("SELECT count(*) FROM spans")[0][0]
    debian.power_off()
    debian.boot()
    debian.wait_until_active()
    results.check("boot: ports are those declared", debian.listening(), PORTS)
    debian.wait("spans", lambda: debian.sql("SELECT count(*) FROM spans")[0][0] >= before)
    results.check("boot: the store has each row once", debian.sql("SELECT count(*) FROM spans")[0][0], before)


def sandbox(debian, results):
    """systemd's own judgement, and the kernel's."""
    for unit in UNITS:
        said = debian.run(f"systemd-analyze security --no-pager {unit}")
        figure = float(re.search(r"exposure level for \S+: ([0-9.]+)", said)[1])
        results.check(f"exposure of {unit}", figure, lambda figure: figure <= EXPOSURE)
        for place in "/etc", "/usr", "/var/lib", "/var/log", "/home", "/root", "/opt", "/boot":
            inside = f"nsenter --target {debian.main_process(unit)} --mount touch {place}/vispyr-test"
            code, said = debian.attempt(f"mkdir -p {place}; {inside}")
            results.check(f"{unit} cannot write to {place}, not even as root", code, 1, said)
    journal = debian.journal(UNITS[1])
    results.check("DuckDB's process complains of no Landlock", "Landlock" in journal, False)


def writes(debian, results):
    """What belongs to the units' users is in their folders, and nobody else can read it."""
    for unit in UNITS:
        uid = debian.run(f"stat -c %u /proc/{debian.main_process(unit)}").strip()
        folders = ["/dev", "/proc", "/sys", f"/var/lib/private/vispyr/{unit.removeprefix('vispyr-')}", "/run/vispyr",
                   f"/run/credentials/{unit}.service"]
        pruned = " -o ".join(f"-path {folder}" for folder in folders)
        stray = debian.run(f"find / \\( {pruned} \\) -prune -o -uid {uid} -print").split()
        results.check(f"{unit} has files in its own folders alone", stray, [])
    open_files = debian.run("find /var/lib/private/vispyr/ -mindepth 1 -type f -perm /077").split()
    results.check("nobody else may read its files", open_files, [])


def uninstalls(debian, results):
    debian.run("echo '# mine' >>/etc/vispyr/vispyr.toml")
    debian.run(f"/src/scripts/uninstall --prefix {PREFIX}")
    left = debian.run(f"find {PREFIX} /etc/systemd /etc/vispyr -name '*vispyr*'").split()
    results.check("uninstall: the edited config alone is left", sorted(left), ["/etc/vispyr", "/etc/vispyr/vispyr.toml"])
    results.check("uninstall: nothing listens", debian.listening(), [])
    results.check("uninstall: the data is left", debian.attempt("ls /var/lib/private/vispyr/collector/wal")[0], 0)
    debian.install()
    debian.wait_until_active()
    results.check("install after it: the data is there", debian.sql("SELECT count(*) FROM spans")[0][0], lambda n: n > 0)
