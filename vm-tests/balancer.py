

def of_both(statement: str) -> set[str]:
    return {str(row[0]) for backend in (backend1, backend2) for row in sql(backend, statement)}


start_all()
for backend in (backend1, backend2):
    ready(backend)
balancer.wait_for_unit("nginx.service")

with subtest("both get some of it"):
    first = shop(balancer, seconds=10, rate=10)
    spans = "SELECT DISTINCT concat(trace_id, span_id) FROM spans"
    until("spans of both", lambda: len(of_both(spans)), acknowledged(first, "spans"))

with subtest("one backend is away for a while, and nothing is lost"):
    sender = Shop(balancer, seconds=20, rate=10)
    time.sleep(4)  # The shop is to have connections to both.
    backend1.succeed("systemctl stop vispyr-collector.service 'vispyr-*.socket'")
    time.sleep(6)
    backend1.succeed("systemctl start vispyr-collector.service")
    second = sender.account()
    lost = {kind: tally for kind, tally in second.items() if tally["sent"] != tally["acknowledged"]}
    assert not lost, lost
    ready(backend1)
    expected = acknowledged(together([first, second]), "spans")
    until("spans of both", lambda: len(of_both(spans)), expected)
