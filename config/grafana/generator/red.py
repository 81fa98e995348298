"""Rate, errors and duration of what services were asked, in PromQL.

The agent makes such metrics of all spans, Tempo of those that reach it, under the same name and labels but
`source="tempo"`, and in seconds where the agent has milliseconds. Where a service has the agent's, they
count: its spans may have been sampled."""

from __future__ import annotations

SERVED = 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"'
FAILED = 'status_code="STATUS_CODE_ERROR"'
SERVICE = 'service_name=~"$service"'
WINDOW = "$__rate_interval"

# The later wins where it is there: what the instrumentation calls the route, else the span's name if it names
# one, else the path that was asked for, under its new and its old name.
ROUTE = (
    ("span_name", "(.+)"), ("http_target", "([^?]+).*"), ("url_path", "(.+)"), ("span_name", "(.*/.*)"), ("http_route", "(.+)"),
)


def _with_route(series: str) -> str:
    for label, pattern in ROUTE:
        series = f'label_replace({series}, "route", "$1", "{label}", "{pattern}")'
    return series


def _sum(series: str, by: tuple[str, ...]) -> str:
    """`route` is made of labels; the others are there."""
    return f"sum by ({', '.join(by)}) ({_with_route(series) if 'route' in by else series})"


def _both(agent: str, tempo: str) -> str:
    return f"{agent} or on (service_name) {tempo}"


def _selector(source: str, *more: str) -> str:
    return "{" + ", ".join((f'source="{source}"', SERVED, *more)) + "}"


def rate(*by: str, only: tuple[str, ...] = (SERVICE,), window: str = WINDOW) -> str:
    """Requests a second."""
    agent, tempo = (
        _sum(f"rate(traces_spanmetrics_calls_total{_selector(source, *only)}[{window}])", by) for source in ("", "tempo")
    )
    return _both(agent, tempo)


def errors(*by: str, only: tuple[str, ...] = (SERVICE,), window: str = WINDOW) -> str:
    """Failed requests a second; 0 where none failed."""
    total = rate(*by, only=only, window=window)
    return f"({rate(*by, only=(*only, FAILED), window=window)}) or 0 * ({total})"


def error_share(*by: str, only: tuple[str, ...] = (SERVICE,), window: str = WINDOW) -> str:
    """Failed requests of all."""
    return f"({errors(*by, only=only, window=window)}) / ({rate(*by, only=only, window=window)})"


def quantile(q: float, *by: str, only: tuple[str, ...] = (SERVICE,), window: str = WINDOW) -> str:
    """Seconds that a share `q` of the requests took at most."""

    def of(metric: str, source: str) -> str:
        buckets = _sum(f"rate({metric}_bucket{_selector(source, *only)}[{window}])", ("le", *by))
        return f"histogram_quantile({q}, {buckets})"

    agent = of("traces_spanmetrics_duration_milliseconds", "")
    return _both(f"{agent} / 1000", of("traces_spanmetrics_latency", "tempo"))
