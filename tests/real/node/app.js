// A small shop front, instrumented as the Vispyr agent instruments an application: OpenTelemetry's
// automatic instrumentations, traces and metrics over OTLP gRPC, wall and heap profiles to
// Pyroscope's port. Ends on SIGTERM after everything has been sent, and prints what it counted.
'use strict';

const { NodeSDK, metrics, tracing } = require('@opentelemetry/sdk-node');
const { getNodeAutoInstrumentations } = require('@opentelemetry/auto-instrumentations-node');
const { OTLPTraceExporter } = require('@opentelemetry/exporter-trace-otlp-grpc');
const { OTLPMetricExporter } = require('@opentelemetry/exporter-metrics-otlp-grpc');

const counted = { server: 0, client: 0, spans: 0, points: 0, profiles: 0 };

class Counter {
  onStart() {}
  onEnd(span) {
    counted.spans += 1;
    if (span.kind === 1) counted.server += 1;
    if (span.kind === 2) counted.client += 1;
  }
  forceFlush() { return Promise.resolve(); }
  shutdown() { return Promise.resolve(); }
}

// Counts the data points of the exports that were acknowledged.
const metricExporter = new OTLPMetricExporter({ url: process.env.OTLP_URL, compression: 'gzip' });
const exportMetrics = metricExporter.export.bind(metricExporter);
metricExporter.export = (resourceMetrics, done) => exportMetrics(resourceMetrics, (result) => {
  if (result.code === 0) {
    for (const scope of resourceMetrics.scopeMetrics) {
      for (const metric of scope.metrics) counted.points += metric.dataPoints.length;
    }
  }
  done(result);
});

const sdk = new NodeSDK({
  spanProcessors: [
    new tracing.BatchSpanProcessor(new OTLPTraceExporter({ url: process.env.OTLP_URL, compression: 'gzip' }), {
      maxQueueSize: 50000, maxExportBatchSize: 2000, scheduledDelayMillis: 200,
    }),
    new Counter(),
  ],
  metricReaders: [
    new metrics.PeriodicExportingMetricReader({
      exporter: metricExporter, exportIntervalMillis: 5000, exportTimeoutMillis: 5000,
    }),
  ],
  instrumentations: [getNodeAutoInstrumentations({ '@opentelemetry/instrumentation-fs': { enabled: false } })],
});
sdk.start();

const Pyroscope = require('@pyroscope/nodejs').default ?? require('@pyroscope/nodejs');
Pyroscope.init({
  serverAddress: process.env.PYROSCOPE_URL,
  appName: process.env.OTEL_SERVICE_NAME,
  flushIntervalMs: Number(process.env.PROFILE_MS),
});
// The profiler only logs what becomes of its uploads, so the answers are counted at fetch.
const fetched = globalThis.fetch;
globalThis.fetch = async (...args) => {
  const answer = await fetched(...args);
  if (String(args[0]).includes('/ingest')) counted.profiles += answer.status === 200 ? 1 : 0;
  return answer;
};
Pyroscope.start();

const express = require('express');
const http = require('http');
const crypto = require('crypto');

const app = express();
const held = [];

app.get('/', (_request, response) => response.send('welcome'));
app.get('/products/:id', (request, response) => {
  // Work for the wall profile, memory for the heap profile.
  const hash = crypto.pbkdf2Sync(request.params.id, 'salt', 300, 32, 'sha512').toString('hex');
  held.push(Array.from({ length: 50 }, (_, i) => ({ hash, i })));
  if (held.length > 300) held.shift();
  response.json({ id: request.params.id, hash });
});
app.get('/basket', (request, response) => {
  const { port } = request.socket.address();
  http.get({ host: '127.0.0.1', port, path: '/products/7' }, (inner) => {
    inner.resume();
    inner.on('end', () => response.json({ items: 1 }));
  });
});
app.get('/broken', () => { throw new Error('out of stock'); });
// eslint-disable-next-line no-unused-vars
app.use((_error, _request, response, _next) => response.status(500).send('broken'));

const server = app.listen(0, '127.0.0.1', () => {
  process.stdout.write(JSON.stringify({ port: server.address().port }) + '\n');
});
// After a pause longer than the time that an idle connection is kept, Node looks at that time before
// it looks at what came meanwhile, and resets a connection on which a request waits. A loaded
// machine pauses, and each request is counted, so connections are kept.
server.keepAliveTimeout = 0;

process.on('SIGTERM', () => {
  server.close(async () => {
    await Pyroscope.stop();
    await sdk.shutdown();
    process.stdout.write(JSON.stringify(counted) + '\n', () => process.exit(0));
  });
  server.closeAllConnections();
});
