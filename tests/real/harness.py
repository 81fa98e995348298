"""Starts the program under test, asks it in SQL, and keeps account of the checks."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "vispyr"
LISTENERS = ("receivers.otlp_grpc", "receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope", "web", "sql", "postgres")


class Unavailable(Exception):
    """A real program cannot be had on this machine."""


class Results:
    """One line for each check."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.lock = threading.Lock()

    def say(self, line):
        with self.lock:
            print(line, flush=True)

    def check(self, name, found, expected, detail=""):
        """`expected`: a value, or a predicate."""
        good = expected(found) if callable(expected) else found == expected
        with self.lock:
            if good:
                self.passed += 1
                print(f"ok      {name}: {shorten(found)}", flush=True)
            else:
                wanted = "something else" if callable(expected) else shorten(expected)
                self.failure(f"FAILED  {name}: found {shorten(found)}, expected {wanted} {detail}".rstrip())

    def fail(self, name, why):
        with self.lock:
            self.failure(f"FAILED  {name}: {why}")

    def failure(self, line):
        self.failed += 1
        self.failures.append(line)
        print(line, flush=True)

    def skip(self, name, why):
        with self.lock:
            self.skipped += 1
            print(f"SKIPPED {name}: {why}", flush=True)

    def summary(self):
        """Failures once more, where somebody who reads the end of a long log finds them."""
        for line in self.failures:
            self.say(line)
        self.say(f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else ""))


def shorten(value):
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "..."


class Server:
    """A running `vispyr serve` on free ports, the same ones after it was started again.

    `config`: more tables for its file. `settings`: keys of the listeners' tables, by table."""

    def __init__(self, program, config="", settings=None):
        self.program = program
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vispyr-real-"))
        self.data = self.folder / "data"
        self.config_file = self.folder / "vispyr.toml"
        self.listeners = "".join(
            f'[{name}]\nlisten = "127.0.0.1:{free_port()}"\n{(settings or {}).get(name, "")}\n' for name in LISTENERS
        )
        self.configure(config)
        self.start()

    def configure(self, config):
        self.config_file.write_text(self.listeners + config)

    def start(self):
        (self.data / "run/addresses.json").unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            arguments = [self.program, "serve", "--config", self.config_file, "--data-dir", self.data]
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.addresses = self._wait_ready()

    def kill(self):
        """As the kernel does when memory is out: the collector, the store and the engine at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _wait_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                addresses = json.loads((self.data / "run/addresses.json").read_text())
                with urllib.request.urlopen(f"http://{addresses['web']}/-/ready", timeout=5):
                    return addresses
            except (OSError, ValueError, KeyError):
                time.sleep(0.1)
        log = self.log()
        self.stop()
        raise SystemExit(f"vispyr serve was not ready in time:\n{log}")

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def sql(self, statement):
        """The rows, each a list of cells."""
        request = urllib.request.Request(
            f"http://{self.addresses['sql']}/api/v1/sql",
            data=statement.encode(),
            headers={"content-type": "text/plain", "accept": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                rows = json.load(answer)["rows"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{statement}: {error.code} {error.read().decode(errors='replace')}") from None
        return [list(row.values()) if isinstance(row, dict) else row for row in rows]

    def one(self, statement):
        """The only cell, or nothing; whole numbers may come as text."""
        rows = self.sql(statement)
        if not rows:
            return None
        ((cell,),) = rows
        return int(cell) if isinstance(cell, str) and cell.lstrip("-").isdigit() else cell

    def settle(self, statement, expected, seconds=30):
        """Asks until the only cell is what is expected, and gives the last answer."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.one(statement)
            if found == expected or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Programs:
    """Processes that end with the `with` block, whatever happens in it."""

    def __enter__(self):
        self.processes = []
        return self

    def start(self, arguments, pipe=False, **options):
        """`pipe`: we write to its standard input."""
        stdin = subprocess.PIPE if pipe else subprocess.DEVNULL
        process = subprocess.Popen(
            [str(argument) for argument in arguments], stdin=stdin, start_new_session=True, **options
        )
        self.processes.append(process)
        return process

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def need(*packages):
    """Debian packages, installed when we are root."""
    script = HERE.parent.parent / "scripts" / "need"
    done = subprocess.run([script, *packages], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Unavailable(done.stdout.strip().replace("\n", "; "))


def virtual_environment(name, requirements, seconds=300, built=True):
    """A virtual environment with these packages, made once. `built`: those that their authors have built alone."""
    venv = CACHE / name
    stamp = venv / "installed-requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return venv
    shutil.rmtree(venv, ignore_errors=True)
    try:
        run([sys.executable, "-m", "venv", venv], "making a virtual environment")
    except Unavailable:
        # Debian keeps what venv needs in a package of its own.
        need("python3-venv")
        run([sys.executable, "-m", "venv", "--clear", venv], "making a virtual environment")
    pip = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *["--only-binary=:all:"] * built]
    run([*pip, "-r", requirements], "pip install", seconds)
    shutil.copy(requirements, stamp)
    return venv


def run(arguments, what, seconds=300, **options):
    """Runs a program that prepares something."""
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, **options,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{what}: {error}") from None
    if done.returncode != 0:
        raise Unavailable(f"{what}: {done.stdout.strip()[-600:]}")
    return done.stdout


def free_port():
    """Below those that the system gives to outgoing connections, one of which would else take it
    before its server does; and each only once."""
    import random
    import socket

    while True:
        port = random.randrange(16_000, 32_000)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in HANDED_OUT:
            HANDED_OUT.add(port)
            return port


HANDED_OUT = set()


def wait_for(what, condition, seconds=30):
    """Waits until the condition gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise RuntimeError(f"waited in vain for {what}")
