
PORTS = {"4317": "grpc", "4318": "/v1/logs", "9090": "/api/v1/write", "9999": "/ingest", "12346": "/api/v1/sql"}
CA, TOKEN = "--cacert /etc/pki/authority.pem", "-H 'authorization: Bearer good-token'"


def code(options: str, port: str = "4318", path: str = "/v1/logs", on: Any = None) -> str:
    """The status of an empty request; 000 where there was no TLS connection."""
    send = "-H 'content-type: application/json' --data-binary '{}'"
    return (on or machine).execute(f"curl -s -o /dev/null -w '%{{http_code}}' --max-time 5 {options} {send} https://localhost:{port}{path}")[1].strip()


def serial() -> str:
    """That of the certificate that the port shows."""
    return machine.succeed("echo | openssl s_client -connect localhost:4318 2>/dev/null | openssl x509 -noout -serial").strip()


def shown(options: str) -> int:
    return one_with(f"{CA} {TOKEN} {options}", "SELECT count(*) FROM spans")


def one_with(options: str, statement: str) -> int:
    answer = machine.succeed(
        f"curl -sSf {options} https://localhost:12346/api/v1/sql -H 'content-type: text/plain' --data-binary {shlex.quote(statement)}"
    )
    row = json.loads(answer)["rows"][0]
    return int(next(iter(row.values())) if isinstance(row, dict) else row[0])


start_all()
machine.wait_for_unit("vispyr-collector.service")
machine.wait_for_unit("vispyr-store.service")
machine.wait_until_succeeds("curl -sf http://localhost:12345/-/ready", timeout=60)

with subtest("nobody comes in without TLS"):
    for port in PORTS:
        machine.fail(f"curl -sf --max-time 5 {TOKEN} http://localhost:{port}/")

with subtest("nobody comes in without a token, or with a wrong one"):
    for port, path in PORTS.items():
        if path != "grpc":
            assert code(CA, port, path) == "401", f"port {port} without a token: {code(CA, port, path)}"
            wrong = code(f"{CA} -H 'authorization: Bearer bad-token'", port, path)
            assert wrong == "401", f"port {port} with a wrong token: {wrong}"

with subtest("a client that trusts another authority does not send"):
    assert code(f"--cacert /etc/pki/other.pem {TOKEN}") == "000"

with subtest("who has both comes in, by every protocol"):
    machine.succeed("install -m 600 /etc/pki/tokens /root/token")
    account = shop(machine, 8, options="--tls --host localhost --ca-file /etc/pki/authority.pem --token-file /root/token")
    lost = {kind: tally for kind, tally in account.items() if tally["sent"] != tally["acknowledged"]}
    assert not lost, lost
    until("spans", lambda: shown(""), acknowledged(account, "spans"))

with subtest("a new certificate and a new token, by reload, without a closed port"):
    before = serial()
    machine.succeed("make-certificates /etc/pki 77", "echo next-token > /etc/pki/tokens")
    assert serial() == before, "taken before the reload"
    machine.succeed("systemctl reload vispyr-collector.service vispyr-store.service")
    until("the certificate", serial, "serial=4D", seconds=20)
    assert code(f"{CA} {TOKEN}") == "401", "the old token is still good"
    assert code(f"{CA} -H 'authorization: Bearer next-token'") in ("200", "400")
    machine.succeed("echo good-token > /etc/pki/tokens", "systemctl reload vispyr-collector.service vispyr-store.service")

with subtest("a reload with a broken certificate changes nothing, and says so"):
    machine.succeed("cp /etc/pki/server.pem /root/server.pem", "echo broken > /etc/pki/server.pem")
    machine.execute("systemctl reload vispyr-collector.service")
    machine.wait_until_succeeds("journalctl -b -u vispyr-collector | grep -E 'server.pem|certificate'", timeout=20)
    assert serial() == "serial=4D"
    assert code(f"{CA} {TOKEN}") in ("200", "400")
    machine.succeed("cp /root/server.pem /etc/pki/server.pem", "systemctl reload vispyr-collector.service")

with subtest("with client certificates: only those of the authority"):
    ready(strict)
    assert code(f"{CA} {TOKEN}", on=strict) == "000", "came in without a certificate"
    assert code(f"{CA} {TOKEN} --cert /etc/pki/stranger.pem --key /etc/pki/stranger.key", on=strict) == "000"
    assert code(f"{CA} {TOKEN} --cert /etc/pki/client.pem --key /etc/pki/client.key", on=strict) in ("200", "400")

with subtest("no secret is in what Nix made of the config, or in the journal"):
    made = "/etc/static/ /etc/systemd/system/"
    machine.succeed(f"grep -RqsF bearer_tokens_file {made}")  # It is looked through.
    for secret in ("good-token", "next-token"):
        machine.fail(f"grep -RqsF {secret} {made}")
        machine.fail(f"journalctl -b --no-pager -u vispyr-collector -u vispyr-store | grep -qF {secret}")
