
FOLDER = "/var/lib/vispyr-certificate"


def answer(url: str, options: str = "") -> str:
    """Head and body, as the visitor sees them."""
    return str(visitor.succeed(f"curl -sS -i --max-time 10 {options} {url}"))


def header(head: str, name: str) -> list[str]:
    """Each value of a header, in the order in which they came."""
    lines = [line.split(":", 1) for line in head.splitlines() if line.lower().startswith(name + ":")]
    return [value.strip() for _, value in lines]


def serial() -> str:
    """That of the certificate that the port shows."""
    return str(visitor.succeed("echo | openssl s_client -connect backend:443 2>/dev/null | openssl x509 -noout -serial")).strip()


def main_process() -> str:
    return str(backend.succeed("systemctl show --value --property=MainPID nginx.service")).strip()


start_all()
for machine in (backend, named):
    machine.wait_for_unit("nginx.service")
    machine.wait_for_unit("grafana.service")
    machine.wait_until_succeeds("curl -sf http://127.0.0.1:3000/api/health", timeout=60)
visitor.wait_until_succeeds("curl -s --max-time 2 http://backend/ && curl -s --max-time 2 http://named/", timeout=60)
for machine in (backend, named):
    certificate = machine.succeed(f"cat {FOLDER}/certificate.pem")
    visitor.succeed(f"cat > /root/{machine.name}.pem <<'EOF'\n{certificate}EOF")

with subtest("HTTP is redirected to HTTPS"):
    redirect = answer("http://backend/d/application?from=now-1h")
    assert " 301 " in redirect.splitlines()[0], redirect
    assert header(redirect, "location") == ["https://backend/d/application?from=now-1h"], redirect

with subtest("Grafana answers behind the certificate"):
    page = answer("https://backend/api/health", "--cacert /root/backend.pem")
    assert " 200" in page.splitlines()[0] and '"database": "ok"' in page, page
    page = answer("https://telemetry.example/api/health", "--cacert /root/named.pem --connect-to telemetry.example:443:named:443")
    assert " 200" in page.splitlines()[0] and '"database": "ok"' in page, page

with subtest("only who trusts that certificate, for that name, gets an answer"):
    visitor.fail("curl -s --max-time 5 https://backend/")
    visitor.fail("curl -s --max-time 5 --cacert /root/named.pem https://backend/")
    visitor.fail("curl -s --max-time 5 --cacert /root/named.pem https://named/")

with subtest("security headers, each once; a certificate signed by itself is not for ever"):
    for name, value in (
        ("x-frame-options", "SAMEORIGIN"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
    ):
        assert header(page, name) == [value], f"{name}: {page}"
    assert not header(page, "strict-transport-security"), page
    assert header(page, "server") == ["nginx"], page

with subtest("Grafana itself cannot be reached"):
    for name in ("backend", "named"):
        visitor.fail(f"curl -s --max-time 1 http://{name}:3000/")

with subtest("the private key is nginx' alone"):
    for machine in (backend, named):
        machine.succeed(f"[ $(stat -c %U:%a {FOLDER}) = nginx:700 ]", f"[ $(stat -c %U:%a {FOLDER}/key.pem) = nginx:600 ]")
        machine.succeed("useradd --no-create-home --groups nginx stranger")
        machine.fail(f"runuser -u stranger -- cat {FOLDER}/key.pem")

with subtest("a certificate that is good stays"):
    before = serial()
    backend.succeed("systemctl start vispyr-certificate.service", "systemctl restart nginx.service")
    until("the certificate", serial, before)
    backend.reboot()
    backend.wait_for_unit("nginx.service")
    until("the certificate", serial, before)

with subtest("one that ends within a month is made again, and nginx shows it without a restart"):
    process = main_process()
    backend.succeed(
        f"cd {FOLDER} && openssl req -x509 -config request.cnf -key key.pem -days 20 -out certificate.pem",
        "systemctl reload nginx.service",
    )
    until("the certificate", serial, lambda found: found != before)
    ending = serial()
    backend.succeed("systemctl start vispyr-certificate.service")
    until("the certificate", serial, lambda found: found not in (before, ending))
    assert main_process() == process, "nginx was started again"
    backend.succeed(f"openssl x509 -checkend 60000000 -noout -in {FOLDER}/certificate.pem")

with subtest("it is looked at daily"):
    backend.succeed("systemctl is-active vispyr-certificate.timer")
