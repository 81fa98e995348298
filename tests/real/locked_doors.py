"""The OpenTelemetry SDKs for Python and Node at locked doors: TLS with a bearer token, client
certificates, and everything that must not open them. They are set up by the environment variables
of the OpenTelemetry specification ("OpenTelemetry Protocol Exporter"), as users do it."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import tempfile
import time

import harness
from harness import HERE, Server, run
from node_app import NodeApp
from python_sdk import PythonSdk

TOKEN, WRONG_TOKEN = "real-token-0123456789", "other-token-0123456789"
SPANS = 10
# Where set, Python's requests believes these rather than what an exporter was told.
OVERRIDING = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Where the test itself looks.
OPEN = {
    "web": "[web.tls]\nenabled = false\n[web.auth]\nenabled = false",
    "sql": "[sql.tls]\nenabled = false\n[sql.auth]\nenabled = false",
}


class Certificates:
    """Made by openssl: an authority, what it has signed, and what another one has."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="vispyr-locked-"))
        for authority in ("ours", "other"):
            self.openssl(
                f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={authority} "
                f"-keyout {authority}-key.pem -out {authority}.pem"
            )
        for name, authority, days in [
            ("server", "ours", 30), ("server-expired", "ours", -1), ("server-other", "other", 30),
            ("client", "ours", 30), ("client-expired", "ours", -1), ("client-other", "other", 30),
        ]:
            purpose = "serverAuth" if name.startswith("server") else "clientAuth"
            (self.folder / "extensions").write_text(
                f"subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage={purpose}\n"
            )
            self.openssl(
                f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}-key.pem -out {name}.csr"
            )
            self.openssl(
                f"x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}-key.pem -CAcreateserial -days {days} "
                f"-extfile extensions -out {name}.pem"
            )

    def openssl(self, arguments):
        run(["openssl", *arguments.split()], "openssl", cwd=self.folder)

    def show(self, name):
        """What the server shows from its next reload on."""
        for source, target in [(f"{name}.pem", "shown.pem"), (f"{name}-key.pem", "shown-key.pem")]:
            shutil.copy(self.folder / source, self.folder / target)


class LockedDoors:
    def __init__(self, results):
        self.results = results
        self.python, self.node = PythonSdk(results), NodeApp(results)

    def prepare(self):
        self.python.prepare()
        self.node.prepare()
        shutil.copy(HERE / "node/locked.js", self.node.folder / "locked.js")

    def send_and_check(self, server, _seconds):
        self.files = Certificates()
        try:
            self.tokens(server.program)
            self.client_certificates(server.program)
        finally:
            shutil.rmtree(self.files.folder, ignore_errors=True)

    def serve(self, program, more):
        folder = self.files.folder
        self.files.show("server")
        tls = f'[tls]\ncertificate_file = "{folder}/shown.pem"\nkey_file = "{folder}/shown-key.pem"\n'
        return Server(program, tls + more, OPEN)

    def send(self, server, environment, scheme, seconds):
        """Each SDK over each protocol sends a batch; which of them were acknowledged."""
        folder = self.files.folder
        base = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_") and key not in OVERRIDING},
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ours.pem"),
            "OTEL_SERVICE_NAME": "real-locked",
            **{key: str(value) for key, value in environment.items()},
        }
        senders = {
            "python": ([self.python.venv / "bin/python", HERE / "python/locked.py"], seconds),
            # In milliseconds, where Python has seconds.
            "node": (["node", self.node.folder / "locked.js"], 1000 * seconds),
        }

        def one(sdk, protocol):
            program, timeout = senders[sdk]
            endpoint = f"{scheme}://{server.addresses['otlp_grpc' if protocol == 'grpc' else 'otlp_http']}"
            environment = {**base, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": str(timeout)}
            output = run([*program, protocol, SPANS], f"{sdk} {protocol}", env=environment, seconds=60)
            return json.loads(output.strip().splitlines()[-1])["acknowledged"]

        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            names = [(sdk, protocol) for sdk in senders for protocol in ("grpc", "http")]
            answers = threads.map(lambda name: one(*name), names)
            return {f"{sdk} {protocol}": answer for (sdk, protocol), answer in zip(names, answers)}

    def expect(self, what, server, environment, opens, scheme="https"):
        # Some try again until their time is over; where all is well, a busy machine gets enough of it.
        answers = self.send(server, environment, scheme, 30 if opens else 5)
        self.results.check(f"locked: {what}", answers, {name: opens for name in answers})
        return sum(answers.values())

    def reload(self, server, times):
        server.process.send_signal(signal.SIGHUP)
        said = lambda: (server.folder / "log").read_text().count("certificates and credentials were read again") >= times
        harness.wait_for("the reload", said)

    def tokens(self, program):
        tokens = self.files.folder / "tokens"
        tokens.write_text(f"{TOKEN}\n")
        tokens.chmod(0o600)
        server = self.serve(program, f'[auth]\nbearer_tokens_file = "{tokens}"\n')
        good = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}"}
        wrong = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{WRONG_TOKEN}"}
        distrusting = {**good, "OTEL_EXPORTER_OTLP_CERTIFICATE": self.files.folder / "other.pem"}
        try:
            taken = self.expect("TLS and a token", server, good, True)
            self.expect("a wrong token", server, wrong, False)
            self.expect("no token", server, {}, False)
            self.expect("a client without TLS", server, good, False, "http")
            self.expect("a client that trusts another authority", server, distrusting, False)
            for n, (what, name, opens) in enumerate([
                ("a server whose certificate has expired", "server-expired", False),
                ("a server of another authority", "server-other", False),
                ("the good certificate again", "server", True),
            ]):
                self.files.show(name)
                self.reload(server, n + 1)
                taken += self.expect(what, server, good, opens)
            self.account(server, taken)
            log = (server.folder / "log").read_text()
            self.results.check("locked: tokens in the log", [token in log for token in (TOKEN, WRONG_TOKEN)], [False, False])
        finally:
            server.stop()

    def client_certificates(self, program):
        folder = self.files.folder
        server = self.serve(program, f'client_ca_file = "{folder}/ours.pem"\n')
        shown = lambda name: {
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": folder / f"{name}.pem",
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": folder / f"{name}-key.pem",
        }
        try:
            taken = self.expect("a client certificate", server, shown("client"), True)
            self.expect("no client certificate", server, {}, False)
            self.expect("a client certificate that has expired", server, shown("client-expired"), False)
            self.expect("a client certificate of another authority", server, shown("client-other"), False)
            self.account(server, taken)
        finally:
            server.stop()

    def account(self, server, taken):
        """What was acknowledged is in the store, and nothing else."""
        statement = "SELECT count(DISTINCT span_id) FROM spans WHERE service_name = 'real-locked'"
        expected = SPANS * taken
        server.settle(statement, expected)
        time.sleep(1)  # What must not be there could still come.
        self.results.check("locked: spans in the store", server.one(statement), expected)
