"""Pipeline: Vispyr's own figures. What came in, where it is, what waits, what was lost, what the store does."""

from __future__ import annotations

from model import Dashboard, Row, below, graph, number, promql, steps

# Both units count here: what is there at all is better than nothing.
ITEMS = "short"


def rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


DASHBOARD = Dashboard(
    "pipeline",
    "Pipeline",
    "Vispyr itself: what came in, where it went, what waits, what was lost, what the store does.",
    [],
    [
        Row("Now", [
            number("Received", "Items a second.", promql("sum(rate(vispyr_received_items_total[$__rate_interval]))"), unit="cps", decimals=0),
            number(
                "Longest wait", "How long the oldest item that a destination lacks has waited. The store's are in it, and wait to be sealed.",
                promql(
                    'max(vispyr_destination_lag_seconds unless on (job, instance, destination) vispyr_destination_info{type="store"}) or vector(0)'
                ),
                unit="s", decimals=0, thresholds=steps(60, 300),
            ),
            number(
                "Lost in an hour", "Items that were dropped for a destination.",
                promql("sum(increase(vispyr_dropped_items_total[1h])) or vector(0)"), unit=ITEMS, decimals=0, thresholds=steps(None, 1),
            ),
            number(
                "Dead letters", "Records that a destination refused for good; `vispyr dead-letters list` shows them.",
                promql("sum(vispyr_dead_letters) or vector(0)"), unit=ITEMS, thresholds=steps(1, 100),
            ),
            number(
                "Room on the disk", "Of the disk with Vispyr's data.",
                promql("min(vispyr_disk_free_bytes / vispyr_disk_total_bytes)"), unit="percentunit", maximum=1, thresholds=below(0.1, 0.2),
            ),
            number(
                "Store", "Whether it answers.", promql("min(vispyr_store_up)"), thresholds=below(0.5, 1),
                mappings=[{"type": "value", "options": {"0": {"text": "away", "index": 0}, "1": {"text": "up", "index": 1}}}],
            ),
        ]),
        Row("In", [
            graph("Received", "Items a second, by receiver and signal.", promql(rate("vispyr_received_items_total", "receiver, signal"), "{{receiver}} {{signal}}"), unit="cps", width=8),
            graph("Received", "Bytes a second.", promql(rate("vispyr_received_bytes_total", "signal"), "{{signal}}"), unit="Bps", width=8),
            graph(
                "Not acknowledged", "Items a second that were received and refused. What is acknowledged is on the disk.",
                promql(
                    "clamp_min(sum by (signal) (rate(vispyr_received_items_total[$__rate_interval]))"
                    " - sum by (signal) (rate(vispyr_acknowledged_items_total[$__rate_interval])), 0)", "{{signal}}",
                ),
                unit="cps", width=8, lines_at=steps(None, 1),
            ),
        ]),
        Row("Out", [
            graph("Forwarded", "Items a second, by destination.", promql(rate("vispyr_forwarded_items_total", "destination, signal"), "{{destination}} {{signal}}"), unit="cps", width=8),
            graph(
                "Waiting", "Items in the log that a destination has not had.",
                promql("sum by (destination, signal) (vispyr_waiting_items)", "{{destination}} {{signal}}"), unit=ITEMS, width=8,
            ),
            graph(
                "Lag", "How long the oldest of them has waited.",
                promql("max by (destination, signal) (vispyr_destination_lag_seconds)", "{{destination}} {{signal}}"),
                unit="s", width=8, lines_at=steps(60, 300),
            ),
            graph(
                "Answers of destinations", "Requests a second, by how they ended.",
                promql(rate("vispyr_delivery_requests_total", "destination, outcome"), "{{destination}} {{outcome}}"), unit="reqps", width=8,
            ),
            graph(
                "Lost", "Items that were dropped for a destination, by the hour.",
                promql("sum by (destination, signal) (increase(vispyr_dropped_items_total[1h]))", "{{destination}} {{signal}}"),
                unit=ITEMS, width=8, lines_at=steps(None, 1),
            ),
            graph(
                "Ledger", "Acknowledged items less those that are forwarded, waiting, dropped or set aside for each destination: 0 but for what is under way.",
                promql(
                    "sum by (destination) (vispyr_due_items_total) - sum by (destination) (vispyr_forwarded_items_total)"
                    " - sum by (destination) (vispyr_waiting_items) - sum by (destination) (vispyr_dropped_items_total)"
                    " - (sum by (destination) (vispyr_dead_letter_items_total) or 0 * sum by (destination) (vispyr_due_items_total))",
                    "{{destination}}",
                ),
                unit=ITEMS, width=8, minimum=None,
            ),
        ]),
        Row("Log", [
            graph(
                "Size", "Share of what each log may take (wal.max_size).",
                promql("vispyr_log_size_bytes / vispyr_log_max_size_bytes", "{{signal}}"),
                unit="percentunit", maximum=1, width=8, lines_at=steps(0.5, 0.8),
            ),
            graph(
                "Syncs", "A second: requests that come together share one.",
                promql(rate("vispyr_log_syncs_total", "signal"), "{{signal}}"), unit="ops", width=8,
            ),
            graph(
                "Time for a sync", "Mean: what each sender waits at least.",
                promql(f"{rate('vispyr_log_sync_seconds_total', 'signal')} / ({rate('vispyr_log_syncs_total', 'signal')} > 0)", "{{signal}}"),
                unit="s", width=8, lines_at=steps(0.05, 0.2),
            ),
        ]),
        Row("Store", [
            graph("Stored", "Items a second.", promql(rate("vispyr_store_items_total", "signal"), "{{signal}}"), unit="cps", width=8),
            graph("Kept", "Bytes on the disk.", promql("sum by (signal) (vispyr_store_kept_bytes)", "{{signal}}"), unit="bytes", stacked=True, width=8),
            graph("Bytes a row", "On the disk.", promql("sum by (signal) (vispyr_store_kept_bytes) / (sum by (signal) (vispyr_store_kept_rows) > 0)", "{{signal}}"), unit="bytes", width=8),
            graph(
                "Files", "Small files, which wait to be merged, and sealed ones.",
                promql("sum(vispyr_store_level0_files)", "small"), promql("sum(vispyr_store_sealed_files)", "sealed"), unit="short", width=8,
            ),
            graph(
                "Work", "Share of the time in which rows were written, and files sealed and merged.",
                promql("sum(rate(vispyr_store_inserts_seconds_total[$__rate_interval]))", "writing"),
                promql("sum(rate(vispyr_store_seals_seconds_total[$__rate_interval]))", "sealing"),
                promql("sum(rate(vispyr_store_merges_seconds_total[$__rate_interval]))", "merging"),
                unit="percentunit", width=8,
            ),
            graph(
                "Statements", "SQL statements a second, by how they ended.",
                promql(rate("vispyr_sql_statements_total", "outcome"), "{{outcome}}"), unit="reqps", width=8,
            ),
        ]),
        Row("Processes", [
            graph(
                "Memory", "Resident, of Vispyr and of what Prometheus asks beside it.",
                promql('process_resident_memory_bytes', "{{job}}"), promql("vispyr_engine_resident_memory_bytes", "store's writer"), unit="bytes", width=8,
            ),
            graph(
                "CPU", "Processor seconds a second.",
                promql("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}}"),
                promql("rate(vispyr_engine_cpu_seconds_total[$__rate_interval])", "store's writer"), unit="short", width=8,
            ),
            graph("Servers", "Whether Prometheus reaches each: 1 is yes.", promql("up", "{{job}} {{instance}}"), unit="short", maximum=1, width=8),
        ]),
    ],
)
