"""Nothing breaks: the demo shop and a real Node application send, and every server has the same as
the store, exactly once."""

import time
import urllib.request

import harness
import holdings
import node_app
from agreement import Agreement
from installation import Site


def run(vispyr, commands, results, seconds):
    with Site(vispyr, commands) as site:
        began = time.time() - 20
        shop = site.shop(seconds)
        account = site.account(shop, seconds)
        agreement = Agreement(site, results, began)
        agreement.against(account)
        node(site, results, seconds)
        agreement.check()
        dashboard(site, results, began)
        types(site, results, began)
        if results.failed:
            site.show_logs(results)


def node(site, results, seconds):
    """A real application on top."""
    application = node_app.NodeApp(results)
    try:
        application.prepare()
    except harness.Unavailable as why:
        results.skip("node", why)
        return
    application.send_and_check(site.vispyr, seconds)


def dashboard(site, results, began):
    """The queries of the original dashboard, names and labels as the original gateway gave them."""
    prometheus, check = site.get("prometheus"), results.check
    if prometheus:
        now = time.time() + 5

        def labels(query):
            found = [set(series["metric"]) - {"__name__"} for series in prometheus.query(query, now)]
            return set.union(*found) if found else set()

        def answers(query):
            return len(prometheus.query(query, now))

        cpu = '100 - avg(rate(node_cpu_seconds_total{mode="idle"}[10m])) * 100'
        check("dashboard: processor", answers(cpu), 1)
        memory = "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100"
        check("dashboard: memory", answers(memory), lambda n: n > 0)
        latency = (
            "histogram_quantile(0.99, sum by (le, service_name, http_target) "
            '(traces_spanmetrics_duration_milliseconds_bucket{span_kind="SPAN_KIND_SERVER"}))'
        )
        check("dashboard: 99th percentile by route", answers(latency), lambda n: n > 3)
        wanted = {"service_name", "span_name", "span_kind", "status_code", "http_method", "http_target", "le"}
        found = labels('last_over_time(traces_spanmetrics_duration_milliseconds_bucket{http_target!=""}[10m])')
        check("dashboard: labels of the span metrics are there", sorted(wanted - found), [])
        value = lambda label, **query: set(prometheus.get(f"/api/v1/label/{label}/values", **query)["data"])
        routes = value("http_route", **{"match[]": '{__name__=~"http_server_duration_milliseconds_.+"}'})
        expected = {
            row[0] for row in site.vispyr.sql(
                "SELECT DISTINCT labels.\"http.route\"::VARCHAR FROM series WHERE metric = 'http.server.duration'"
            ) if row[0]
        }
        check("dashboard: label_values(http_route)", sorted(routes), sorted(expected))
        services = {row[0] for row in site.vispyr.sql("SELECT DISTINCT service_name FROM spans")}
        check("dashboard: label_values(service_name)", sorted(services - value("service_name")), [])
        exemplars = prometheus.get(
            "/api/v1/query_exemplars", query='{__name__=~".+"}', start=began, end=now,
        )["data"]
        traces = {e["labels"].get("trace_id") for series in exemplars for e in series["exemplars"]} - {None}
        known = {row[0] for row in site.vispyr.sql("SELECT DISTINCT trace_id FROM exemplars WHERE trace_id IS NOT NULL")}
        check("dashboard: exemplars lead to traces of the store", sorted(traces - known), [])
        check("dashboard: there are exemplars", len(traces), lambda n: n > 0)
    if tempo := site.get("tempo"):
        trace, size = site.vispyr.sql("SELECT trace_id, count(*) FROM spans GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1")[0]
        found = holdings.tempo_spans(tempo, [trace])
        check("dashboard: one trace by its id", len(found.get(trace, ())), int(size))


def types(site, results, began):
    """What the store and Pyroscope call the types of profiles."""
    pyroscope = site.get("pyroscope")
    if not pyroscope:
        return
    folded(site, pyroscope, results)
    asked = holdings.PyroscopeQueries(pyroscope, began, time.time() + 60)
    agreement = Agreement(site, results, began)
    ours = agreement.store.profiles()
    agreement.settle("pyroscope: names of types, and totals, with folded stacks, as in the store", asked.totals, ours, seconds=20)
    wall = "wall:wall:nanoseconds:wall:nanoseconds"
    functions = asked.functions(node_app.SERVICE, wall)
    if functions:
        results.check("pyroscope: Node's busy function", [f for f in functions if "pbkdf2Sync" in f], lambda found: len(found) > 0)


def folded(site, pyroscope, results):
    """Folded stacks, whose type is in the application's name or nowhere."""
    now = int(time.time())
    address = site.vispyr.addresses["pyroscope"]
    names = ("cpu", "wall", "itimer", "alloc_space", "inuse_objects", "mutex_count", "block_duration", "goroutines", "")
    for number, name in enumerate(names):
        app = f"folded-{name}.{name}" if name else "folded"
        units = "bytes" if name == "alloc_space" else "samples"
        path = f"/ingest?name={app}%7B%7D&from={now - 10}&until={now}&units={units}&sampleRate=100&aggregationType=sum"
        request = urllib.request.Request(f"http://{address}{path}", data=b"main;work 7\nmain;rest 3\n", method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            results.check(f"folded stacks of {app}: accepted", answer.status, 200)
    there = "SELECT count(*) FROM profiles WHERE format = 'folded'"
    results.check("store: folded stacks are there", site.vispyr.settle(there, len(names)), len(names))
