// Sends one batch of spans with an exporter that is set up by the environment alone, and prints
// whether it was acknowledged: node locked.js grpc|http SPANS
'use strict';

const [protocol, spans] = process.argv.slice(2);
const { tracing, resources } = require('@opentelemetry/sdk-node');
const { OTLPTraceExporter } = protocol === 'grpc'
  ? require('@opentelemetry/exporter-trace-otlp-grpc')
  : require('@opentelemetry/exporter-trace-otlp-proto');

const made = new tracing.InMemorySpanExporter();
const provider = new tracing.BasicTracerProvider({
  resource: resources.resourceFromAttributes({ 'service.name': process.env.OTEL_SERVICE_NAME }),
  spanProcessors: [new tracing.SimpleSpanProcessor(made)],
});
const tracer = provider.getTracer('locked');
for (let n = 0; n < Number(spans); n += 1) tracer.startSpan('knock', { attributes: { n } }).end();

provider.forceFlush().then(() => {
  new OTLPTraceExporter().export(made.getFinishedSpans(), (result) => {
    process.stdout.write(JSON.stringify({ acknowledged: result.code === 0 }) + '\n', () => process.exit(0));
  });
});
