"""The programs under test: started, killed, and started again as a service manager does it."""

import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

# After so long one that has ended is started again.
RESTART_AFTER = 0.2
# What the store runs, beside itself.
CHILDREN = ("engine", "merger", "reader")
LISTENERS = ("receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope", "web", "postgres", "sql")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Program:
    """One that is started again whenever it ends, until the end."""

    def __init__(self, name, arguments, log):
        self.name, self.arguments, self.log = name, arguments, log
        self.starts, self.ends = 0, []
        self.stopping = False
        self.process = None
        self.keeper = threading.Thread(target=self._keep, daemon=True)
        self.keeper.start()

    def _keep(self):
        while not self.stopping:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            self.starts += 1
            status = self.process.wait()
            if not self.stopping:
                self.ends.append(status)
                time.sleep(RESTART_AFTER)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL; whether there was one to kill."""
        if not self.alive():
            return False
        self.process.kill()
        return True

    def stop(self):
        """SIGTERM, and waits; its exit status."""
        self.stopping = True
        if self.alive():
            self.process.terminate()
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


def children(parent):
    """Subcommand and number of each child of a process."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError, ValueError):
            continue
        if ppid == parent and len(words) > 1 and words[1].decode() in CHILDREN:
            found.append((words[1].decode(), int(folder.name)))
    return found


class Backend:
    """Collector and store, each a program of its own, on one data directory."""

    def __init__(self, program, folder, config):
        self.folder, self.data = folder, folder / "data"
        self.ports = {name: free_port() for name in LISTENERS}
        listeners = "".join(f'[{name}]\nlisten = "127.0.0.1:{port}"\n' for name, port in self.ports.items())
        self.config_file = folder / "vispyr.toml"
        # gates: a hidden key of [sql], so that statements may do all the harm they can.
        self.config_file.write_text(listeners + "gates = false\n" + config["sql"] + config["rest"])
        self.program = program
        self.start()

    def start(self):
        arguments = ["--config", self.config_file, "--data-dir", self.data]
        self.store = Program("front", [self.program, "store", *arguments], self.folder / "store.log")
        self.collector = Program("collector", [self.program, "collector", *arguments], self.folder / "collector.log")

    def children(self, name):
        pid = self.store.process.pid if self.store.alive() else None
        return [child for kind, child in children(pid) if kind == name] if pid else []

    def kill(self, target, random):
        """Kills the engine, the merger, a reader, the front, the collector, or all; whether there was one."""
        if target == "front":
            return self.store.kill()
        if target == "collector":
            return self.collector.kill()
        if target == "all":
            pids = [pid for _, pid in children(self.store.process.pid)] if self.store.alive() else []
            killed = [self.store.kill(), self.collector.kill()]
            for pid in pids:
                kill(pid)
            return any(killed)
        pids = self.children(target)
        return bool(pids) and kill(random.choice(pids))

    def stop(self):
        """Both end in order; their exit statuses."""
        return self.collector.stop(), self.store.stop()

    def faults(self):
        """What no kill of ours explains: ends by anything but SIGKILL, panics, and files nobody knows."""
        found = []
        for program in (self.store, self.collector):
            found += [f"{program.name} ended by itself: {end}" for end in program.ends if end != -signal.SIGKILL]
            text = program.log.read_text(errors="replace") if program.log.exists() else ""
            found += [line for line in text.splitlines() if "panicked" in line or "lost+found" in line][:5]
        if (self.data / "store/lost+found").exists():
            found.append(f"files in lost+found: {os.listdir(self.data / 'store/lost+found')}")
        return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def tail(path, lines=15):
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""
