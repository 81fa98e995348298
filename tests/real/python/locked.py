"""Sends one batch of spans with an exporter that is set up by the environment alone, and prints
whether it was acknowledged: locked.py grpc|http SPANS"""

import json
import logging
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter


def main():
    logging.disable(logging.CRITICAL)
    made = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(SimpleSpanProcessor(made))
    tracer = provider.get_tracer("locked")
    for n in range(int(sys.argv[2])):
        with tracer.start_as_current_span("knock", attributes={"n": n}):
            pass
    exporter = OTLPSpanExporter()
    try:
        acknowledged = exporter.export(made.get_finished_spans()) == SpanExportResult.SUCCESS
    except OSError:
        acknowledged = False
    exporter.shutdown()
    print(json.dumps({"acknowledged": acknowledged}))


main()
