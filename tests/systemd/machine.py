"""A Debian machine with a running systemd: a container of systemd-nspawn over a folder that stays
as it is. It has a network of its own with nothing in it, so default ports are free."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

UP = ("running", "degraded")


class Failed(Exception):
    """A command inside did not do what it should."""


class Machine:
    """Boots when entered, is gone with everything in it when left."""

    def __init__(self, root, name):
        self.root, self.name = root, name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"vispyr-{name}-"))
        self.merged, self.shared = self.folder / "merged", self.folder / "shared"
        self.process = None

    def __enter__(self):
        for folder in "upper", "work", "merged", "shared", "cgroup":
            (self.folder / folder).mkdir()
        # What is written there lasts as long as the machine.
        layers = f"lowerdir={self.root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.merged], check=True)
        subprocess.run(["mount", "-t", "cgroup2", "none", self.folder / "cgroup"], check=True)
        self.boot()
        return self

    def __exit__(self, *_):
        self.power_off()
        for mounted in self.merged, self.folder / "cgroup":
            subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def boot(self):
        """Starts systemd, and waits until it has started everything."""
        # A control group of its own: in the hierarchy of version 2 and, where this machine has one,
        # systemd's of version 1.
        enter = (
            'for top in "$1" /sys/fs/cgroup/systemd; do [ ! -e $top/cgroup.procs ] ||'
            ' { mkdir -p $top/$0 && echo $$ > $top/$0/cgroup.procs; }; done; shift; exec "$@"'
        )
        container = [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-network",
            "--kill-signal=SIGRTMIN+3", "--console=pipe", f"--machine={self.name}",
            # As outside of a container: Landlock is there.
            "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
            f"--directory={self.merged}", f"--bind={self.shared}:/shared",
        ]
        self.console = open(self.folder / "console.log", "ab")
        self.process = subprocess.Popen(
            ["sh", "-c", enter, self.folder.name, self.folder / "cgroup", *container],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT,
            env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        try:
            self.wait("systemd", lambda: self.run("systemctl is-system-running || true").strip() in UP, 60)
        except Failed as why:
            raise Failed(f"{why}\n{(self.folder / 'console.log').read_text()[-3000:]}") from None

    def power_off(self):
        """Ends all of its processes, as when the power fails."""
        leader = self.leader()
        if leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(leader), 9)
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            if self.process.poll() is None:
                self.process.kill()
        self.process = None

    def leader(self):
        """The process that is number 1 inside."""
        try:
            return (pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split())[0]
        except (OSError, IndexError, AttributeError):
            return None

    def enter(self, *spaces):
        """The words before a command that is to run inside."""
        leader = self.leader()
        if leader is None:
            raise Failed(f"{self.name} does not run")
        return ["nsenter", f"--target={leader}", *(f"--{space}" for space in spaces)]

    def attempt(self, command, timeout=120):
        """The exit code and what it wrote."""
        spaces = self.enter("mount", "uts", "ipc", "net", "pid", "cgroup")
        script = f"export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; cd /; {command}"
        done = subprocess.run(
            [*spaces, "/bin/sh", "-c", script], env={"LC_ALL": "C.UTF-8"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, text=True, errors="replace",
        )
        return done.returncode, done.stdout

    def run(self, command, timeout=120):
        """What it wrote; it must succeed."""
        code, output = self.attempt(command, timeout)
        if code != 0:
            raise Failed(f"{command}: exit code {code}: {output[-2000:]}")
        return output

    def wait(self, what, condition, seconds=30):
        """Until the condition gives something, which is handed on."""
        deadline, last = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            try:
                found = condition()
                if found:
                    return found
            except Failed as why:
                last = why
            time.sleep(0.1)
        raise Failed(f"{what}: not within {seconds} s{f' ({last})' if last else ''}")

    def put(self, source, target):
        """Copies a file in."""
        to = self.merged / target.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, to)

    def show(self, unit, *properties):
        """Properties of a unit, one alone as it is."""
        lines = self.run(f"systemctl show {unit} --property={','.join(properties)}").splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        return values[properties[0]] if len(properties) == 1 else values

    def main_process(self, unit):
        """Its number inside."""
        return int(self.show(unit, "MainPID"))

    def journal(self, unit, since="-1h"):
        """What the unit has said, and systemd of it."""
        return self.run(f"journalctl --no-pager --output=cat --unit={unit} --since={since}")

    def sql(self, statement, options=""):
        """The rows of an answer."""
        out = self.run(f"vispyr sql --format json {options} '{statement}' 2>/tmp/sql || {{ cat /tmp/sql; false; }}")
        return json.loads(out)["rows"]

    def listening(self):
        """Addresses of listening TCP sockets."""
        lines = self.run("ss --tcp --listening --numeric --no-header").splitlines()
        return sorted(line.split()[3] for line in lines)

    def client(self, *command, **options):
        """Starts a program of this machine in the other one's network."""
        return subprocess.Popen([*self.enter("net"), *command], **options)
