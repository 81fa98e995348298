"""What an operator may do wrong costs the unit that it is about, says so in one clear line, and
is over once it is mended."""

import pathlib
import subprocess
import sys
import time

import machine
from installed import UNITS, Installed

COLLECTOR, STORE = UNITS
LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', 4318)); print(flush=True); time.sleep(600)"


def run(arguments, results):
    with Installed(arguments, "mistakes") as debian:
        debian.install()
        debian.wait_until_active()
        for scenario in certificate, tokens, rotation, port, config:
            try:
                scenario(debian, results)
            except (machine.Failed, subprocess.TimeoutExpired) as why:
                results.fail(scenario.__name__, why)
            debian.configure("")
            debian.run("rm -f /etc/credstore/*; systemctl reset-failed; systemctl restart vispyr-collector vispyr-store")
            debian.wait_until_active()


def told(debian, results, name, unit, *words, heading=0):
    """`unit` does not start, with one line that has these words, below a heading or not; the other
    unit runs."""
    cursor = debian.run("journalctl -n 0 --show-cursor --quiet | sed 's/^-- cursor: //'").strip()
    debian.attempt(f"systemctl restart {unit}")
    # It is tried again, later each time; so the lines of its first process count.
    lines = debian.wait(name, lambda: said(debian, unit, cursor))
    first = lines[0].split("[", 1)[1].split("]", 1)[0]
    lines = [line.split("]: ", 1)[1] for line in lines if f"[{first}]" in line]
    results.check(f"{name}: one line", lines, lambda lines: len(lines) == 1 + heading)
    results.check(f"{name}: names what is wrong", lines, lambda lines: all(word in lines[-1] for word in words))
    other = STORE if unit == COLLECTOR else COLLECTOR
    results.check(f"{name}: {other} runs", debian.attempt(f"systemctl is-active {other}")[1].strip(), "active")
    results.check(f"{name}: {unit} does not", debian.attempt(f"systemctl is-active {unit}")[1].strip(),
                  lambda state: state in ("failed", "activating"))


def said(debian, unit, cursor):
    lines = debian.run(f"journalctl --no-pager --output=short --after-cursor='{cursor}' --unit={unit} --identifier=vispyr")
    return [line for line in lines.splitlines() if "stopping" not in line and "stopped" not in line and "]: " in line]


def certificate(debian, results):
    debian.run("mkdir -p /etc/credstore; cd /etc/credstore; echo nonsense >vispyr.certificate; "
               "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out vispyr.key")
    debian.configure('[receivers.otlp_http.tls]\ncertificate_file = "$CREDENTIALS_DIRECTORY/vispyr.certificate"\n'
                     'key_file = "$CREDENTIALS_DIRECTORY/vispyr.key"\n')
    told(debian, results, "wrong certificate", COLLECTOR, "receivers.otlp_http.tls.certificate_file", "vispyr.certificate")


def tokens(debian, results):
    debian.configure('[sql.auth]\nbearer_tokens_file = "$CREDENTIALS_DIRECTORY/vispyr.tokens"\n')
    told(debian, results, "missing tokens", STORE, "sql.auth.bearer_tokens_file", "vispyr.tokens")
    # It comes by itself once they are there.
    debian.run("mkdir -p /etc/credstore; umask 077; echo secret >/etc/credstore/vispyr.tokens")
    debian.wait("the store comes by itself", lambda: debian.states() == ["active", "active"], 60)
    results.check("missing tokens: mended, the store asks for them", status(debian), "401")
    results.check("missing tokens: with them it answers", status(debian, "secret"), "200")


def rotation(debian, results):
    debian.run("mkdir -p /etc/credstore; umask 077; echo old >/etc/credstore/vispyr.tokens")
    debian.configure('[sql.auth]\nbearer_tokens_file = "$CREDENTIALS_DIRECTORY/vispyr.tokens"\n')
    debian.run(f"systemctl restart {STORE}")
    debian.wait("old token", lambda: status(debian, "old") == "200")
    debian.run(f"umask 077; echo new >/etc/credstore/vispyr.tokens; systemctl reload {STORE}")
    results.check("rotation: a reload takes the new token", (status(debian, "old"), status(debian, "new")), ("401", "200"))
    mode = debian.run(f"stat -c %a /etc/credstore/vispyr.tokens").strip()
    user = debian.run(f"stat -c %u /proc/{debian.main_process(STORE)}").strip()
    denied = debian.attempt(f"setpriv --reuid {int(user) + 1} --clear-groups cat /run/credentials/{STORE}.service/vispyr.tokens")[0]
    results.check("a credential is for its unit alone", (mode, denied != 0), ("600", True))


def status(debian, token=None):
    header = f"--header 'Authorization: Bearer {token}'" if token else ""
    return debian.run(f"curl --silent --output /dev/null --write-out '%{{http_code}}' {header} "
                      "--data-binary 'SELECT 1' http://127.0.0.1:12346/api/v1/sql").strip()


def port(debian, results):
    debian.run("systemctl stop vispyr-otlp-http.socket vispyr-collector.service")
    other = debian.client(sys.executable, "-c", LISTEN, stdout=subprocess.PIPE)
    try:
        other.stdout.readline()
        told(debian, results, "port taken", COLLECTOR, "port 4318 on 127.0.0.1 is taken", "receivers.otlp_http.listen")
    finally:
        other.kill()
        other.wait()
    debian.wait("it comes by itself", lambda: debian.states() == ["active", "active"], 60)
    results.check("port taken: it comes by itself once the port is free", debian.states(), ["active", "active"])


def config(debian, results):
    debian.configure("[wal]\nmax_sise = 3\n")
    told(debian, results, "mistake in the config", COLLECTOR, "vispyr.toml:2", "wal.max_sise", heading=1)
