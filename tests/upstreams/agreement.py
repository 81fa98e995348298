"""Whether the servers and the store agree with each other and with what was sent."""

import time

import holdings


class Agreement:
    """`at_least_once`: something broke, so that a server may have got things twice. Then distinct
    ones are compared (a span by its id, a sample or data point by series and time, a log record by
    service, time and body, a profile's total by service and type as a multiple), and how many came
    twice is said."""

    def __init__(self, site, results, begin, at_least_once=False):
        self.site, self.results, self.begin = site, results, begin
        self.store = holdings.Store(site.vispyr)
        self.at_least_once = at_least_once

    def settle(self, name, find, expected, seconds=40, explain=None):
        """Asks until the answer is what is expected."""
        deadline = time.monotonic() + seconds
        while True:
            found = find()
            if found == expected or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        difference = ""
        if found != expected:
            difference = (explain or describe)(found, expected)
        self.results.check(name, size(found) if found == expected else difference, size(expected))
        return found

    @staticmethod
    def steady(ask, seconds=20):
        """The answer once it is the same twice: what was acknowledged last may take a second to be seen."""
        deadline = time.monotonic() + seconds
        answer = ask()
        while time.monotonic() < deadline:
            time.sleep(2)
            before, answer = answer, ask()
            if before == answer:
                break
        return answer

    def check(self, account=None):
        """All signals. `account`: what the shop sent, where nothing else did."""
        if account:
            self.against(account)
        self.traces()
        self.metrics()
        self.logs()
        self.profiles()

    def against(self, account):
        """The store has what was sent."""
        acknowledged = {kind: tally["acknowledged"] for kind, tally in account.items()}
        unsettled = {kind: tally for kind, tally in account.items() if tally["sent"] != tally["acknowledged"]}
        self.results.check("shop: all that it sent was acknowledged", unsettled, {})
        self.settle("store: traces as sent", lambda: len(self.store.spans()[0]), acknowledged["traces"])
        self.settle("store: spans as sent", lambda: count(self.store.spans()[0]), acknowledged["spans"])
        logs, points = acknowledged["log_records"], sum(
            number for kind, number in acknowledged.items()
            if kind.endswith("_points") or kind in ("remote_write_samples", "native_histograms")
        )
        if not self.at_least_once:
            self.settle("store: log records as sent", self.store.log_rows, logs)
            self.settle("store: metric points as sent", self.store.points, points)

    def traces(self):
        expected, rows = self.store.spans()
        self.results.say(f"        {count(expected)} spans of {len(expected)} traces, {rows - count(expected)} twice in the store")
        for name in ("otelcol", "otelcol-tls"):
            if server := self.site.get(name):
                self.settle(f"{name}: ids of spans as in the store", lambda: holdings.otelcol_spans(server)[0], expected)
                self.doubled(f"{name}: spans", holdings.otelcol_spans(server)[1] - count(expected))
        if tempo := self.site.get("tempo"):
            self.tempo(tempo, expected)

    def tempo(self, tempo, expected):
        headers = self.site.headers
        self.settle(
            "tempo: ids of spans, trace by trace, as in the store",
            lambda: holdings.tempo_spans(tempo, expected, headers), expected, explain=self.missing,
        )
        end = time.time()
        many = {trace for trace, spans in expected.items() if len(spans) > 1}
        search = lambda query: holdings.tempo_search(tempo, query, self.begin, end, headers) & expected.keys()
        self.settle("tempo: TraceQL {} | count() > 1", lambda: search("{} | count() > 1"), many, explain=self.missing)
        failed = self.store.traces_where("status_code = 'error'") & expected.keys()
        self.settle("tempo: TraceQL { status = error }", lambda: search("{ status = error }"), failed, explain=self.missing)
        slow = self.store.traces_where("service_name = 'storefront' AND kind = 'server' AND duration_ns > 100000000") & expected.keys()
        query = '{ resource.service.name = "storefront" && kind = server && duration > 100ms }'
        self.settle(f"tempo: TraceQL {query}", lambda: search(query), slow, explain=self.missing)

    @staticmethod
    def missing(found, expected):
        lost = set(expected) - set(found)
        return f"{len(lost)} of {len(expected)} are missing, {len(set(found) - set(expected))} too many: {sorted(lost)[:3]}"

    def metrics(self):
        if prometheus := self.site.get("prometheus"):
            # Prometheus adds differences up before it writes, and does not take that back when it
            # cannot write: what is then sent again it takes for old, and says it is fine.
            apart = self.store.deltas() if self.at_least_once else set()
            strict = lambda samples: {name: number for name, number in samples.items() if name not in apart}
            everything = lambda: holdings.prometheus_samples(prometheus, self.begin, time.time() + 5)
            expected = self.steady(self.store.samples)
            self.settle("prometheus: samples by metric as in the store", lambda: strict(everything()), strict(expected))
            found = everything()
            for name in sorted(apart & expected.keys()):
                self.results.say(f"        prometheus: of {expected[name]} differences of {name} it has {found.get(name, 0)}")
        expected = self.store.otlp_points()
        for name in ("otelcol", "otelcol-tls"):
            if server := self.site.get(name):
                self.settle(f"{name}: data points by metric as in the store", lambda: holdings.otelcol_points(server)[0], expected)
                self.doubled(f"{name}: data points", holdings.otelcol_points(server)[1] - sum(expected.values()))

    def logs(self):
        expected, rows = self.store.logs()
        for name in ("otelcol", "otelcol-tls"):
            if server := self.site.get(name):
                self.settle(f"{name}: log records as in the store", lambda: holdings.otelcol_logs(server)[0], expected)
                self.doubled(f"{name}: log records", holdings.otelcol_logs(server)[1] - rows)

    def profiles(self):
        ids = self.store.otlp_profiles()
        for name in ("otelcol", "otelcol-tls"):
            if server := self.site.get(name):
                self.settle(f"{name}: ids of OTLP profiles as in the store", lambda: holdings.otelcol_profiles(server), ids)
        if pyroscope := self.site.get("pyroscope"):
            self.pyroscope(pyroscope)

    def pyroscope(self, pyroscope):
        expected = self.store.profiles()
        asked = holdings.PyroscopeQueries(pyroscope, self.begin, time.time() + 5, self.site.headers)
        if self.at_least_once:
            # What came twice counts twice until Pyroscope has compacted it, so the points of time
            # are compared, of which one may hold its value more than once.
            self.settle("pyroscope: profiles by service and type as in the store", asked.times, self.store.profile_times())
            doubled = [total / expected[key] for key, total in asked.totals().items() if key in expected]
            self.results.check("pyroscope: smallest total, in those of the store", min(doubled, default=0), lambda n: n >= 1)
            self.results.say(f"        pyroscope: largest total, what came twice included: {max(doubled, default=0):.3f} of the store's")
            return
        self.settle("pyroscope: SelectMergeStacktraces, totals by service and type as in the store", asked.totals, expected)
        for (service, kind), total in sorted(expected.items()):
            if kind.startswith(("wall:wall", "process_cpu:cpu", "memory:inuse_space")):
                self.settle(f"pyroscope: /render of {service} {kind}", lambda: asked.rendered(service, kind), total, seconds=10)

    def doubled(self, what, number):
        if self.at_least_once:
            self.results.say(f"        {what}: {number} came twice")
        else:
            self.results.check(f"{what}: none came twice", number, 0)


def count(traces):
    return sum(len(spans) for spans in traces.values())


def size(found):
    """For one line: an answer that is large is told by its size."""
    if isinstance(found, dict) and found and isinstance(next(iter(found.values())), set):
        return f"{count(found)} in {len(found)}"
    if isinstance(found, dict):
        return f"{sum(found.values())} in {len(found)}"
    return len(found) if isinstance(found, set) else found


def describe(found, expected):
    """Where two answers differ."""
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted(found.keys() | expected.keys(), key=str)
        short = lambda value: f"{len(value)}" if isinstance(value, set) else value
        different = [(key, short(found.get(key)), short(expected.get(key))) for key in keys if found.get(key) != expected.get(key)]
        return f"{len(different)} of {len(keys)} differ (found, expected): {different[:4]}"
    if isinstance(found, set):
        return f"{len(expected - found)} missing, {len(found - expected)} too many: {sorted(expected - found)[:2]} {sorted(found - expected)[:2]}"
    return found
