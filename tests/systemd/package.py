"""The Debian package: installed, updated, removed and purged as Debian's users expect."""

import subprocess

import machine
from installed import PORTS, UNITS
from units import Sender

CONFIG = "/etc/vispyr/vispyr.toml"
DATA = "/var/lib/private/vispyr"


def run(arguments, results):
    packages = sorted(arguments.deb.glob("*.deb")) if arguments.deb else []
    if len(packages) != 2:
        results.skip("package", "give a folder with two packages, one newer than the other, with --deb")
        return
    with Debian(arguments.root, "package") as debian:
        for package in packages:
            debian.put(package, f"/{package.name}")
        older, newer = (f"/{package.name}" for package in packages)
        for scenario in installs, updates, removes, purges:
            try:
                scenario(debian, results, older, newer)
            except (machine.Failed, subprocess.TimeoutExpired) as why:
                results.fail(scenario.__name__, why)


class Debian(machine.Machine):
    """A machine that gets the package by dpkg."""

    def dpkg(self, *arguments):
        return self.run(f"DEBIAN_FRONTEND=noninteractive dpkg {' '.join(arguments)}")

    def states(self):
        return [self.attempt(f"systemctl is-active {unit}")[1].strip() for unit in UNITS]

    def wait_until_active(self):
        self.wait("both units are active", lambda: self.states() == ["active", "active"], 60)
        self.wait("SQL answers", lambda: self.sql("SELECT 1"))

    def failed(self):
        return self.run("systemctl --failed --plain --no-legend").split()


def installs(debian, results, older, _):
    debian.dpkg("--install", older)
    debian.wait_until_active()
    results.check("dpkg -i: both units are active", debian.states(), ["active", "active"])
    results.check("dpkg -i: ports are those declared", debian.listening(), PORTS)
    results.check("dpkg -i: enabled", debian.run("systemctl is-enabled vispyr-store vispyr-sql.socket").split(), ["enabled"] * 2)
    results.check("dpkg -i: no unit has failed", debian.failed(), [])
    results.check("dpkg --verify", debian.attempt("dpkg --verify vispyr")[1], "")
    results.check("the config is a conffile", CONFIG in debian.run("dpkg-query -W -f '${Conffiles}' vispyr"), True)
    debian.run("vispyr demo --duration 2s >/dev/null 2>&1")
    debian.wait("spans", lambda: debian.sql("SELECT count(*) FROM spans")[0][0] > 0)


def updates(debian, results, older, newer):
    """With a sender that goes on, an edited config, a unit that was disabled."""
    debian.run(f"echo '# mine' >>{CONFIG}")
    debian.run("systemctl disable --now vispyr-pyroscope.socket 2>&1")
    sender = Sender(debian, "update")
    sender.wait_for_more()
    debian.dpkg("--install", newer)
    debian.wait_until_active()
    sender.wait_for_more()
    account = sender.end()
    results.check("update: no connection is refused or broken", account["errors"], {})
    results.check("update: nothing acknowledged is lost", sender.missing(account["acknowledged"]), [])
    results.check("update: the edited config is kept", debian.run(f"tail -n 1 {CONFIG}").strip(), "# mine")
    results.check("update: what was disabled stays so", debian.attempt("systemctl is-enabled vispyr-pyroscope.socket")[1].strip(), "disabled")
    results.check("update: no unit has failed", debian.failed(), [])
    results.check("update: the new version", debian.run("dpkg-query -W -f '${Version}' vispyr").strip(), lambda v: v.endswith("-2"))


def removes(debian, results, *_):
    debian.dpkg("--remove", "vispyr")
    results.check("remove: nothing listens", debian.listening(), [])
    results.check("remove: no process is left", debian.attempt("pgrep vispyr")[0], 1)
    results.check("remove: config and data stay", debian.attempt(f"test -e {CONFIG} -a -d {DATA}/collector/wal -a -d {DATA}/store/store")[0], 0)
    results.check("remove: no unit has failed", debian.failed(), [])


def purges(debian, results, older, newer):
    """After another installation, which finds the data; with something of somebody else's beside it."""
    debian.dpkg("--install", newer)
    debian.wait_until_active()
    results.check("install again: the data is there", debian.sql("SELECT count(*) FROM spans")[0][0], lambda n: n > 0)
    debian.run(f"mkdir {DATA}/else; touch {DATA}/else/mine {DATA}/store/notes /etc/vispyr/notes")
    debian.dpkg("--purge", "vispyr")
    left = debian.run("find /usr /etc /var -path /var/log -prune -o -path /var/cache -prune -o -ipath '*vispyr*' -print").split()
    ours = [path for path in left if path not in (DATA, "/etc/vispyr", f"{DATA}/store", f"{DATA}/else")]
    results.check("purge: what is somebody else's is all that stays", sorted(ours),
                  sorted([f"{DATA}/else/mine", f"{DATA}/store/notes", "/etc/vispyr/notes"]))
    results.check("purge: nothing listens", debian.listening(), [])
    debian.run(f"rm -r {DATA} /etc/vispyr")
    debian.dpkg("--install", older)
    debian.wait_until_active()
    debian.dpkg("--purge", "vispyr")
    left = debian.run("find /usr /etc /var -path /var/log -prune -o -path /var/cache -prune -o -ipath '*vispyr*' -print").split()
    results.check("purge: nothing of ours stays", left, [])
