"""A machine on which `just install` has been run."""

import pathlib
import re
import subprocess

import machine

PROJECT = pathlib.Path(__file__).resolve().parents[2]
UNITS = ("vispyr-collector", "vispyr-store")
# What config/systemd declares.
PORTS = sorted(
    re.search(r"^ListenStream=(.*)$", socket.read_text(), re.MULTILINE)[1]
    for socket in (PROJECT / "config/systemd").glob("*.socket")
)
PREFIX = "/usr/local"


class Installed(machine.Machine):
    """The source tree lies in /src, without what the install script does not need."""

    def __init__(self, arguments, name):
        super().__init__(arguments.root, name)
        self.program = arguments.program.resolve()

    def __enter__(self):
        super().__enter__()
        source = self.merged / "src"
        source.mkdir()
        subprocess.run(["cp", "-r", *(PROJECT / name for name in ("scripts", "config", "README.md", "LICENSE")), source],
                       check=True)
        self.put(self.program, "/src/bin/vispyr")
        linked = subprocess.run(["ldd", self.program], capture_output=True, text=True, check=True).stdout
        found = re.search(r"libduckdb\.so => (\S+)", linked)
        if found:
            for library in pathlib.Path(found[1]).parent.glob("*.so"):
                self.put(library, f"/src/lib/vispyr/{library.name}")
        return self

    def install(self):
        return self.run(f"/src/scripts/install --program /src/bin/vispyr --prefix {PREFIX}")

    def states(self):
        return [self.attempt(f"systemctl is-active {unit}")[1].strip() for unit in UNITS]

    def wait_until_active(self, seconds=60):
        self.wait("both units are active", lambda: self.states() == ["active", "active"], seconds)
        self.wait("SQL answers", lambda: self.sql("SELECT 1"))

    def configure(self, text):
        """The config is this instead."""
        (self.merged / "etc/vispyr/vispyr.toml").write_text(text)

    def adjust(self, unit, *lines):
        """A drop-in for [Service], until the next boot."""
        folder = f"/run/systemd/system/{unit}.service.d"
        text = "\\n".join(("[Service]", *lines))
        self.run(f"mkdir -p {folder}; printf '{text}\\n' >{folder}/test.conf; systemctl daemon-reload")
