"""Everything breaks under load, one after the other: servers are stopped, killed, away, their disks
full, the collector killed. Afterwards the servers and the store agree with what was sent."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import time

import holdings
from agreement import Agreement
from installation import Site

PAUSE, AWAY, FULL = 8, 4, 8
# Tempo answers when it has spans in memory; after so many seconds they are in a file
# (config/tempo/tempo.yaml), unless it is killed before.
TEMPO_HOLDS = 6
# How far the shop's clock is behind, with its slowest request.
SHOP_BEHIND = 16


def run(vispyr, commands, results, seconds):
    with disks(commands, results) as folders, Site(vispyr, commands, folders, tenant="team-a", ordered=True) as site:
        began = time.time() - 20
        length = 8 * len(site.servers) + PAUSE + 2 * AWAY + FULL + 25
        shop = site.shop(length, rate=8)
        trouble = Trouble(site, results, folders)
        try:
            trouble.all()
        finally:
            account = site.account(shop, length)
        results.say(f"        the shop was open for {length} s")
        agreement = OutageAgreement(site, results, began, trouble)
        agreement.check(account)
        for name in ("otelcol", "otelcol-tls"):
            if server := site.get(name):
                torn = {signal: server.lines(signal)[1] for signal in server.files}
                results.say(f"        {name}: lines that it cut short when its disk was full: {torn}")
        nothing_set_aside(site, results)
        if results.failed:
            site.show_logs(results)


class Trouble:
    """What happens, and when."""

    def __init__(self, site, results, folders):
        self.site, self.results, self.folders = site, results, folders
        # When Tempo ended without saying goodbye, or could not write.
        self.tempo_lost = []

    def all(self):
        time.sleep(6)
        for name, server in self.site.servers.items():
            self.others_go_on(name, server)
        self.pause_and_kill_collector()
        for name, server in self.site.servers.items():
            self.kill(name, server)
        self.fill_disks()

    def others_go_on(self, name, server):
        """One hangs; nobody else waits for it."""
        others = {other: self.progress(other) for other in self.site.servers if other != name}
        server.pause()
        began = time.monotonic()
        try:
            stuck = set(others)
            while stuck and time.monotonic() - began < 25:
                time.sleep(0.5)
                stuck = {other for other in stuck if self.progress(other) <= others[other]}
            self.results.check(f"{name} hangs: who else got nothing for 25 s", sorted(stuck), [])
            time.sleep(max(0, 3 - (time.monotonic() - began)))
        finally:
            server.resume()

    def progress(self, name):
        """Items that a destination has taken, by the collector's own account."""
        total = 0
        with contextlib.suppress(OSError):
            for line in self.site.metrics().splitlines():
                if line.startswith("vispyr_forwarded_items_total") and f'destination="{name}"' in line:
                    total += float(line.rsplit(" ", 1)[1])
        return total

    def pause_and_kill_collector(self):
        """The servers hang with requests under way, and the collector is killed meanwhile."""
        for server in self.site.servers.values():
            server.pause()
        time.sleep(PAUSE / 2)
        self.site.vispyr.kill()
        time.sleep(1)
        self.site.vispyr.start()
        time.sleep(PAUSE / 2)
        for server in self.site.servers.values():
            server.resume()
        self.results.say("        all hung, the collector was killed and started again")
        time.sleep(3)
        self.site.vispyr.kill()
        self.site.vispyr.start()
        self.results.say("        the collector was killed once more, while it caught up")
        time.sleep(2)

    def kill(self, name, server):
        """Killed; its port closed for a while; started again on the same data."""
        if name == "tempo":
            self.tempo_lost.append(time.time())
        server.kill()
        time.sleep(AWAY if name == "tempo" else AWAY / 2)
        server.start()
        self.results.say(f"        {name} was killed and started again")

    def fill_disks(self):
        if not self.folders:
            return
        ballast = {}
        for name, folder in self.folders.items():
            ballast[name] = folder.parent / "ballast"
            if name == "tempo":
                self.tempo_lost.append(time.time())
            with contextlib.suppress(OSError), open(ballast[name], "wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 20))
        for name, folder in self.folders.items():
            free = os.statvfs(folder)
            self.results.check(f"{name}: its disk is full", free.f_bavail * free.f_frsize, lambda n: n < 1 << 20)
        time.sleep(FULL)
        for name, file in ballast.items():
            file.unlink()
        if "tempo" in self.folders:
            self.tempo_lost.append(time.time())
        for name in self.folders:
            server = self.site.servers[name]
            if server.process.poll() is not None:
                self.results.say(f"        {name} did not survive its full disk; started again:\n{server.log()[-300:]}")
                server.start()
        if "tempo" in self.folders:
            self.free_tempo()

    def free_tempo(self):
        """Tempo may hold on to a file whose write failed, and then writes nothing until it is
        started again, though its disk has room: somebody who runs it would do that."""
        tempo = self.site.servers["tempo"]
        time.sleep(2)  # attempts from before the disk had room
        seen = tempo.log_file.stat().st_size
        time.sleep(TEMPO_HOLDS)
        with open(tempo.log_file, "rb") as log:
            log.seek(seen)
            stuck = b"no space left on device" in log.read()
        if stuck:
            self.tempo_lost.append(time.time())
            tempo.kill()
            tempo.start()
            self.results.say("        tempo wrote nothing though its disk had room again, and was started again")


class OutageAgreement(Agreement):
    def __init__(self, site, results, began, trouble):
        super().__init__(site, results, began, at_least_once=True)
        self.trouble = trouble

    def tempo(self, tempo, expected):
        """Tempo loses what it had answered for and had not written: what it lacks must be of
        those moments."""
        times = dict(self.site.vispyr.sql("SELECT trace_id, epoch_ns(max(start_time)) FROM spans GROUP BY 1"))
        begin, end = 0, 0
        excused = set()
        for moment in self.trouble.tempo_lost:
            begin, end = moment - SHOP_BEHIND - TEMPO_HOLDS, moment
            excused |= {trace for trace, time_ns in times.items() if begin < int(time_ns) / 1e9 < end}
        strict = {trace: spans for trace, spans in expected.items() if trace not in excused}
        super().tempo(tempo, strict)
        rest = {trace: expected[trace] for trace in excused}
        found = holdings.tempo_spans(tempo, rest, self.site.headers)
        lost = sum(len(spans - found.get(trace, set())) for trace, spans in rest.items())
        self.results.say(f"        tempo: of {len(rest)} traces from when it was killed or its disk full, it lost {lost} spans itself")


def nothing_set_aside(site, results):
    """No server refused for good what it was sent, and no log ran over. A point that came twice is
    "out of order" to a Prometheus without a window: its counts say that it has it."""
    log = (site.vispyr.folder / "log").read_text(errors="replace")
    reasons = [line for line in log.splitlines() if "set aside what the destination does not take" in line]
    again = [line for line in reasons if 'destination="prometheus"' in line and "out of order sample" in line]
    results.check("nothing was set aside", [line for line in reasons if line not in again], [])
    if again:
        results.say(f"        prometheus: called {len(again)} repeated points out of order, which were set aside")
    for figure in ("rejected", "dropped"):
        lines = [line for line in site.metrics().splitlines() if line.startswith(f"vispyr_{figure}_items_total{{")]
        results.check(f"nothing was {figure}", [line for line in lines if float(line.rsplit(" ", 1)[1])], [])


@contextlib.contextmanager
def disks(commands, results):
    """A small disk for each server, which is easily full."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="vispyr-disks-"))
    mounted = {}
    try:
        names = [server.name for server in commands] + ["otelcol-tls"] * any(server.name == "otelcol" for server in commands)
        for name in names:
            place = root / name
            place.mkdir()
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", place], capture_output=True, text=True)
            if done.returncode:
                results.skip("full disks", f"cannot mount a small disk here: {done.stderr.strip()}")
                break
            # The server's folder is within, so that its log and config are on the disk too; a log
            # that cannot be written is no one's data.
            mounted[name] = place / "server"
        yield mounted if len(mounted) == len(names) else {}
    finally:
        for folder in mounted.values():
            subprocess.run(["umount", "-l", folder.parent], capture_output=True)
        subprocess.run(["rm", "-rf", root])
