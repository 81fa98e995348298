
BODY = '{"resourceLogs":[{"resource":{},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"knock"}}]}]}]}'

ready(machine)
# One connection after the other, each with one log record: curl's exit code and the answer's.
machine.succeed(
    "cat > /run/knock <<'EOF'\n"
    "while [ ! -e /run/enough ]; do\n"
    "  code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 30 http://127.0.0.1:4318/v1/logs"
    f" -H 'content-type: application/json' -d '{BODY}'); echo $? $code\n"
    "done > /run/knocks\n"
    "EOF",
    "systemd-run --quiet --unit=knock --property=Environment=PATH=/run/current-system/sw/bin /bin/sh /run/knock",
)
machine.wait_until_succeeds("[ -s /run/knocks ]", timeout=30)

for unit in ("vispyr-collector", "vispyr-store", "vispyr-collector"):
    with subtest(f"{unit} is started again while somebody sends"):
        before = int(machine.succeed("wc -l < /run/knocks"))
        machine.succeed(f"systemctl restart {unit}.service")
        ready(machine)
        until("requests since", lambda: int(machine.succeed("wc -l < /run/knocks")), lambda lines: lines > before + 20)

with subtest("not one connection was refused, not one request lost"):
    machine.succeed("touch /run/enough")
    machine.wait_until_fails("systemctl is-active --quiet knock.service", timeout=40)
    knocks = machine.succeed("sort /run/knocks | uniq -c").splitlines()
    assert [knock.split()[1:] for knock in knocks] == [["0", "200"]], knocks
    number = int(knocks[0].split()[0])
    until("log records", lambda: one(machine, "SELECT count(*) FROM logs WHERE body = 'knock'"), number)
