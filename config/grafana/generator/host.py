"""Host: what node_exporter says of the machines."""

from __future__ import annotations

from model import Dashboard, Row, below, gauge, graph, label_values, number, promql, steps

HOST = 'instance=~"$host"'
DISKS = f'{HOST}, device!~"loop.*|ram.*|sr.*"'
FILESYSTEMS = f'{HOST}, fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs"'
NETWORKS = f'{HOST}, device!~"lo|veth.*|docker.*|br-.*"'


def rate(metric: str, labels: str = HOST) -> str:
    return f"rate({metric}{{{labels}}}[$__rate_interval])"


DASHBOARD = Dashboard(
    "host",
    "Host",
    "The machines: processors, memory, disks, network, as node_exporter counts them.",
    [label_values("host", "Host", "The machine, by the address of its node_exporter", "node_boot_time_seconds", "instance")],
    [
        Row("Now", [
            gauge(
                "CPU", "Share of the time in which the processors were not idle.",
                promql(f"1 - avg({rate('node_cpu_seconds_total', HOST + ', mode=' + chr(34) + 'idle' + chr(34))})"),
                thresholds=steps(0.8, 0.95),
            ),
            gauge(
                "Memory", "Share of the memory that programs cannot have any more.",
                promql(f"1 - sum(node_memory_MemAvailable_bytes{{{HOST}}}) / sum(node_memory_MemTotal_bytes{{{HOST}}})"),
                thresholds=steps(0.85, 0.95),
            ),
            gauge(
                "Fullest disk", "Share that is taken of the file system that has the least room.",
                promql(f"max(1 - node_filesystem_avail_bytes{{{FILESYSTEMS}}} / node_filesystem_size_bytes{{{FILESYSTEMS}}})"),
                thresholds=steps(0.8, 0.9),
            ),
            number(
                "Load for each CPU", "Programs that run or want to, in the last 5 minutes. From 1 on some wait.",
                promql(
                    f"max(node_load5{{{HOST}}} / on (instance) count by (instance) "
                    f"(node_cpu_seconds_total{{{HOST}, mode=\"idle\"}}))"
                ),
                unit="short", decimals=2, thresholds=steps(1, 2),
            ),
            number(
                "Up since", "Of the machine that was started last.",
                promql(f"time() - max(node_boot_time_seconds{{{HOST}}})"), unit="s", decimals=1, thresholds=below(300, 3600),
            ),
            number(
                "Machines", "Whose node_exporter sends.", promql(f"count(node_boot_time_seconds{{{HOST}}})"), unit="short",
            ),
        ]),
        Row("Processors and memory", [
            graph(
                "CPU by what it did", "Processor seconds a second.",
                promql(f"sum by (mode) ({rate('node_cpu_seconds_total', HOST + ', mode!=' + chr(34) + 'idle' + chr(34))})", "{{mode}}"),
                unit="short", stacked=True,
            ),
            graph(
                "Load", "Programs that run or want to: the mean of 1, 5 and 15 minutes.",
                promql(f"node_load1{{{HOST}}}", "{{instance}} 1 min"),
                promql(f"node_load5{{{HOST}}}", "{{instance}} 5 min"),
                promql(f"node_load15{{{HOST}}}", "{{instance}} 15 min"),
                unit="short",
            ),
            graph(
                "Memory", "What programs have, what keeps files at hand, what nobody has.",
                promql(
                    f"node_memory_MemTotal_bytes{{{HOST}}} - node_memory_MemFree_bytes{{{HOST}}} - node_memory_Buffers_bytes{{{HOST}}}"
                    f" - node_memory_Cached_bytes{{{HOST}}}", "{{instance}} programs",
                ),
                promql(f"node_memory_Cached_bytes{{{HOST}}} + node_memory_Buffers_bytes{{{HOST}}}", "{{instance}} files"),
                promql(f"node_memory_MemFree_bytes{{{HOST}}}", "{{instance}} free"),
                unit="bytes", stacked=True,
            ),
            graph(
                "Context switches", "How often a processor went from one program to another.",
                promql(rate("node_context_switches_total"), "{{instance}}"), unit="ops",
            ),
        ]),
        Row("Disks", [
            graph(
                "Room", "Share of each file system that is taken.",
                promql(
                    f"1 - node_filesystem_avail_bytes{{{FILESYSTEMS}}} / node_filesystem_size_bytes{{{FILESYSTEMS}}}",
                    "{{instance}} {{mountpoint}}",
                ),
                unit="percentunit", maximum=1, width=8, lines_at=steps(0.8, 0.9),
            ),
            graph(
                "Read and written", "Written is below the line.",
                promql(rate("node_disk_read_bytes_total", DISKS), "{{instance}} {{device}} read"),
                promql(f"-{rate('node_disk_written_bytes_total', DISKS)}", "{{instance}} {{device}} written"),
                unit="Bps", width=8, minimum=None,
            ),
            graph(
                "Busy", "Share of the time in which the disk had something to do.",
                promql(rate("node_disk_io_time_seconds_total", DISKS), "{{instance}} {{device}}"),
                unit="percentunit", maximum=1, width=8, lines_at=steps(0.8, 0.95),
            ),
        ]),
        Row("Network and files", [
            graph(
                "Network", "Sent is below the line.",
                promql(rate("node_network_receive_bytes_total", NETWORKS), "{{instance}} {{device}} received"),
                promql(f"-{rate('node_network_transmit_bytes_total', NETWORKS)}", "{{instance}} {{device}} sent"),
                unit="Bps", minimum=None,
            ),
            graph(
                "Open files", "Of all programs together.", promql(f"node_filefd_allocated{{{HOST}}}", "{{instance}}"), unit="short",
            ),
        ]),
    ],
)
