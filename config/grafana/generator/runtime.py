"""Runtime: what the runtimes of Node, the JVM and Go say of themselves, by OpenTelemetry's names and by those
of Prometheus' client libraries."""

from __future__ import annotations

from model import Dashboard, Panel, Row, graph, label_values, promql, steps

SERVICE = 'service_name=~"$service"'
HEAP = 'jvm_memory_type="heap"'
# A sum keeps the service alone, what is scraped has only its job.
EITHER = "{{service_name}}{{job}}"
LEGEND = "{{service_name}}"


def otel(metric: str, *labels: str) -> str:
    return f"{metric}{{{', '.join((SERVICE, *labels))}}}"


def total(series: str, *by: str) -> str:
    """Of a service, and of what else is named."""
    return f"sum by ({', '.join(('service_name', *by))}) ({series})"


def rate(series: str) -> str:
    return f"rate({series}[$__rate_interval])"


def mean(metric: str, *by: str) -> str:
    """The mean of a histogram's values over the last minutes."""
    values, count = (total(rate(otel(f"{metric}_{part}")), *by) for part in ("sum", "count"))
    return f"{values} / ({count} > 0)"


def scraped(metric: str) -> str:
    """A metric of a program that Prometheus asks itself; it is known by its job."""
    return f'{metric}{{job=~"$job"}}'


def runtime(title: str, description: str, *targets: dict, **more: object) -> Panel:
    return graph(title, description, *targets, width=8, height=7, **more)  # type: ignore[arg-type]


DASHBOARD = Dashboard(
    "runtime",
    "Runtime",
    "What the runtimes of Node, the JVM and Go say of themselves.",
    [
        label_values(
            "service", "Service", "A service that sends metrics by OpenTelemetry",
            '{__name__=~"nodejs_.+|v8js_.+|jvm_.+|go_.+|process_cpu_.+"}', "service_name",
        ),
        label_values("job", "Job", "A program whose metrics Prometheus fetches", "go_goroutines", "job"),
    ],
    [
        Row("Node", [
            runtime(
                "Event loop delay, P99", "How much later than asked for a callback was called.",
                promql(otel("nodejs_eventloop_delay_p99_seconds"), LEGEND), unit="s", lines_at=steps(0.1, 0.5),
            ),
            runtime(
                "Event loop utilization", "Share of the time in which the only thread was at work. At 1 requests wait.",
                promql(otel("nodejs_eventloop_utilization_ratio"), LEGEND), unit="percentunit", maximum=1, lines_at=steps(0.7, 0.9),
            ),
            runtime(
                "Heap", "What JavaScript objects take, and what they may.",
                promql(total(otel("v8js_memory_heap_used_bytes")), "{{service_name}} used"),
                promql(total(otel("v8js_memory_heap_limit_bytes")), "{{service_name}} size"), unit="bytes",
            ),
            runtime(
                "Time in garbage collection", "Share of the time, by kind of collection.",
                promql(total(rate(otel("v8js_gc_duration_seconds_sum")), "v8js_gc_type"), "{{service_name}} {{v8js_gc_type}}"),
                unit="percentunit", lines_at=steps(0.05, 0.1),
            ),
            runtime(
                "Longest collections", "Mean of the collections, by kind.",
                promql(mean("v8js_gc_duration_seconds", "v8js_gc_type"), "{{service_name}} {{v8js_gc_type}}"), unit="s",
            ),
            runtime(
                "CPU", "Share of a processor, of services of any language that tell.",
                promql(f"{otel('process_cpu_utilization_ratio')} or {otel('jvm_cpu_recent_utilization_ratio')}", LEGEND),
                unit="percentunit", lines_at=steps(0.8, 0.95),
            ),
        ]),
        Row("JVM", [
            runtime(
                "Memory", "What is in use, by kind of memory.",
                promql(total(otel("jvm_memory_used_bytes"), "jvm_memory_type"), "{{service_name}} {{jvm_memory_type}}"),
                unit="bytes",
            ),
            runtime(
                "Heap after collection", "Share of the heap that the last collection could not free: what is really needed.",
                promql(
                    f"{total(otel('jvm_memory_used_after_last_gc_bytes', HEAP))} / {total(otel('jvm_memory_limit_bytes', HEAP))}", LEGEND,
                ),
                unit="percentunit", maximum=1, lines_at=steps(0.8, 0.9),
            ),
            runtime(
                "Time in garbage collection", "Share of the time, by collector.",
                promql(total(rate(otel("jvm_gc_duration_seconds_sum")), "jvm_gc_name"), "{{service_name}} {{jvm_gc_name}}"),
                unit="percentunit", lines_at=steps(0.05, 0.1),
            ),
            runtime(
                "Threads", "By state.",
                promql(total(otel("jvm_thread_count"), "jvm_thread_state"), "{{service_name}} {{jvm_thread_state}}"),
                unit="short", stacked=True,
            ),
            runtime(
                "Classes", "That are loaded now.", promql(total(otel("jvm_class_count")), LEGEND), unit="short",
            ),
            runtime(
                "CPU", "Share of all processors that the process took lately.",
                promql(otel("jvm_cpu_recent_utilization_ratio"), LEGEND), unit="percentunit", lines_at=steps(0.8, 0.95),
            ),
        ]),
        Row("Go", [
            runtime(
                "Goroutines", "A number that only grows is a leak.",
                promql(f"{total(otel('go_goroutine_count'))} or {scraped('go_goroutines')}", EITHER), unit="short",
            ),
            runtime(
                "Memory", "What Go objects take.",
                promql(f"{total(otel('go_memory_used_bytes'))} or {scraped('go_memstats_alloc_bytes')}", EITHER), unit="bytes",
            ),
            runtime(
                "Allocated", "Bytes a second: what the collector has to clear away.",
                promql(
                    f"{total(rate(otel('go_memory_allocated_bytes_total')))} or {rate(scraped('go_memstats_alloc_bytes_total'))}",
                    EITHER,
                ), unit="Bps",
            ),
            runtime(
                "Longest pause", "Of the last garbage collections.",
                promql('go_gc_duration_seconds{quantile=~"1|1.0", job=~"$job"}', "{{job}}"), unit="s", lines_at=steps(0.01, 0.1),
            ),
            runtime(
                "CPU", "Processor seconds a second.", promql(rate(scraped("process_cpu_seconds_total")), "{{job}}"), unit="short",
            ),
            runtime(
                "Resident memory", "What the process takes of the machine's memory.",
                promql(scraped("process_resident_memory_bytes"), "{{job}}"), unit="bytes",
            ),
        ]),
    ],
)
