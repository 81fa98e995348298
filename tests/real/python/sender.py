"""Sends traces, metrics and logs with the OpenTelemetry SDK over HTTP/protobuf, and prints what
was acknowledged: sender.py ENDPOINT SECONDS"""

import collections
import json
import logging
import sys
import time
import warnings

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode

warnings.simplefilter("ignore", DeprecationWarning)
counted = collections.Counter()


class CountedSpans(OTLPSpanExporter):
    def export(self, spans):
        result = super().export(spans)
        counted["spans" if result.value == 0 else "lost spans"] += len(spans)
        return result


class CountedLogs(OTLPLogExporter):
    def export(self, batch):
        result = super().export(batch)
        counted["logs" if result.value == 0 else "lost logs"] += len(batch)
        return result


class CountedMetrics(OTLPMetricExporter):
    def export(self, metrics_data, *args, **kwargs):
        result = super().export(metrics_data, *args, **kwargs)
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = metric.data.data_points
                    kind = type(metric.data).__name__ if result.value == 0 else "lost points"
                    counted[kind] += len(points)
                    if result.value == 0:
                        counted["exemplars"] += sum(len(point.exemplars) for point in points)
        return result


def main():
    endpoint, seconds = sys.argv[1], float(sys.argv[2])
    resource = Resource.create({"service.name": "real-python", "service.version": "1"})

    tracing = TracerProvider(resource=resource)
    spans = CountedSpans(endpoint=f"{endpoint}/v1/traces", compression=Compression.Gzip)
    tracing.add_span_processor(BatchSpanProcessor(spans, max_queue_size=100_000, max_export_batch_size=512))
    trace.set_tracer_provider(tracing)

    reader = PeriodicExportingMetricReader(CountedMetrics(endpoint=f"{endpoint}/v1/metrics"), 2_000)
    exponential = View(instrument_name="real.size", aggregation=ExponentialBucketHistogramAggregation())
    metering = MeterProvider(resource=resource, metric_readers=[reader], views=[exponential])
    metrics.set_meter_provider(metering)

    logged = LoggerProvider(resource=resource)
    logs = CountedLogs(endpoint=f"{endpoint}/v1/logs", compression=Compression.Deflate)
    logged.add_log_record_processor(BatchLogRecordProcessor(logs, max_queue_size=100_000))
    logger = logging.getLogger("real")
    logger.addHandler(LoggingHandler(logger_provider=logged))
    logger.setLevel(logging.DEBUG)

    made = work(seconds, trace.get_tracer("real", "1"), metrics.get_meter("real", "1"), logger)
    tracing.shutdown()
    logged.shutdown()
    metering.shutdown()
    print(json.dumps({"made": made, "acknowledged": counted}))


def work(seconds, tracer, meter, logger):
    requests = meter.create_counter("real.requests", unit="{request}")
    active = meter.create_up_down_counter("real.active")
    durations = meter.create_histogram("real.duration", unit="s")
    sizes = meter.create_histogram("real.size", unit="By")
    meter.create_observable_gauge("real.temperature", [lambda _: [Observation(21.5)]], unit="Cel")

    made = collections.Counter()
    end = time.monotonic() + seconds
    before = None
    while time.monotonic() < end:
        n = made["requests"]
        made["requests"] += 1
        links = [Link(before)] if before and n % 10 == 0 else []
        with tracer.start_as_current_span(
            "request", kind=SpanKind.SERVER, links=links, attributes={"n": n, "tags": ["a", "b"], "even": n % 2 == 0}
        ) as span:
            before = span.get_span_context()
            with tracer.start_as_current_span("step", attributes={"ratio": n / 7}):
                pass
            requests.add(1, {"route": f"/{n % 3}"})
            active.add(1 if n % 2 else -1)
            durations.record(n % 100 / 50, {"route": f"/{n % 3}"})
            sizes.record(n % 1000 + 0.5)
            logger.info("request %d", n, extra={"n": n})
            made["lines"] += 1
            if n % 25 == 0:
                try:
                    raise ValueError(f"bad request {n}")
                except ValueError as error:
                    span.record_exception(error)
                    span.set_status(StatusCode.ERROR, str(error))
                    logger.exception("it failed")
                    made["lines"] += 1
                    made["errors"] += 1
        time.sleep(0.01)
    return made


if __name__ == "__main__":
    main()
