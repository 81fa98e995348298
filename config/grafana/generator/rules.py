"""config/prometheus/application.rules.yml: the alerts ask what the dashboards show, by the same expressions."""

from __future__ import annotations

import red

BY = ("service_name", "route")
RECENT = {"only": (), "window": "5m"}

TEXT = f"""\
# Alert rules for applications, by their spans and the metrics of their runtimes. Made by
# config/grafana/generator; application.rules.test.yml holds their tests (promtool test rules).
#
# The links in `dashboard` lead to the Grafana on this machine.
groups:
  - name: vispyr-requests
    rules:
      # Of requests that were answered: the agent's figures where a service has them, else Tempo's.
      - record: service_name_route:requests:rate5m
        expr: |
          {red.rate(*BY, **RECENT)}
      - record: service_name_route:request_errors:rate5m
        expr: |
          {red.errors(*BY, **RECENT)}
      - record: service_name_route:request_duration_seconds:p99_5m
        expr: |
          {red.quantile(0.99, *BY, **RECENT)}

  - name: vispyr-application
    rules:
      - alert: ApplicationErrors
        expr: |
          sum by (service_name) (service_name_route:request_errors:rate5m) / sum by (service_name) (service_name_route:requests:rate5m) > 0.05
          and sum by (service_name) (service_name_route:request_errors:rate5m) > 0.01
        for: 5m
        labels: {{ severity: warning }}
        annotations:
          summary: "{{{{ $value | humanizePercentage }}}} of the requests to {{{{ $labels.service_name }}}} fail"
          description: "The panel of errors shows which route, the table of traces what they say."
          dashboard: "http://127.0.0.1:3000/d/vispyr-application?var-service={{{{ $labels.service_name }}}}"

      - alert: ApplicationSlow
        expr: |
          service_name_route:request_duration_seconds:p99_5m > 1
          and service_name_route:requests:rate5m > 0.02
        for: 10m
        labels: {{ severity: warning }}
        annotations:
          summary: "{{{{ $labels.route }}}} of {{{{ $labels.service_name }}}} takes {{{{ $value | humanizeDuration }}}} (P99)"
          description: "The diamonds in the panel of latencies lead to slow traces, and those to what ran meanwhile."
          dashboard: "http://127.0.0.1:3000/d/vispyr-application?var-service={{{{ $labels.service_name }}}}"

      # Saturation: what there is only one of, or so much of.

      - alert: ApplicationEventLoopBusy
        expr: nodejs_eventloop_utilization_ratio > 0.9
        for: 10m
        labels: {{ severity: warning }}
        annotations:
          summary: "The event loop of {{{{ $labels.service_name }}}} is busy {{{{ $value | humanizePercentage }}}} of the time"
          description: "Node has one thread for requests: they wait for each other. The wall profile shows what it does."
          dashboard: "http://127.0.0.1:3000/d/vispyr-runtime?var-service={{{{ $labels.service_name }}}}"

      - alert: ApplicationHeapNearlyFull
        expr: |
          sum by (service_name, job, instance) (jvm_memory_used_after_last_gc_bytes{{jvm_memory_type="heap"}})
            / sum by (service_name, job, instance) (jvm_memory_limit_bytes{{jvm_memory_type="heap"}} > 0) > 0.9
        for: 10m
        labels: {{ severity: warning }}
        annotations:
          summary: "{{{{ $labels.service_name }}}} needs {{{{ $value | humanizePercentage }}}} of its heap"
          description: "So much is left after a collection: soon it does nothing else, then it ends. The heap profile shows what holds it."
          dashboard: "http://127.0.0.1:3000/d/vispyr-runtime?var-service={{{{ $labels.service_name }}}}"

      # Absent data.

      # Who had some requests a minute for an hour, and then none.
      - alert: ApplicationSilent
        expr: |
          sum by (service_name) (avg_over_time(service_name_route:requests:rate5m[1h] offset 15m)) > 0.1
          unless sum by (service_name) (service_name_route:requests:rate5m) > 0
        for: 10m
        labels: {{ severity: warning }}
        annotations:
          summary: "Nothing comes from {{{{ $labels.service_name }}}} any more"
          description: "For an hour it had requests. It is away, its clients are, or its telemetry is."
          dashboard: "http://127.0.0.1:3000/d/vispyr-services?var-service={{{{ $labels.service_name }}}}"

      - alert: TelemetryAbsent
        expr: |
          sum by (job, instance) (rate(vispyr_received_items_total[10m])) == 0
          and sum by (job, instance) (rate(vispyr_received_items_total[1h] offset 10m)) > 0
        for: 5m
        labels: {{ severity: warning }}
        annotations:
          summary: "Vispyr on {{{{ $labels.instance }}}} receives nothing any more"
          description: "No trace, metric, log or profile for 15 minutes: senders are away, or do not reach it."
          dashboard: "http://127.0.0.1:3000/d/vispyr-pipeline"

      - alert: VispyrNotWatched
        expr: absent(up{{job="vispyr"}})
        for: 15m
        labels: {{ severity: warning }}
        annotations:
          summary: "Prometheus does not ask Vispyr for its metrics"
          description: "None of the alerts about it can fire. The scrape job must be called vispyr."
          dashboard: "http://127.0.0.1:3000/d/vispyr-pipeline"
"""
