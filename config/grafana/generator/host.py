"""Host: what node_exporter says of the machines."""

from __future__ import annotations

from model import Dashboard, Row, below, gauge, graph, label_values, number, promql, steps

IDLE, BUSY = 'mode="idle"', 'mode!="idle"'
DISKS = 'device!~"loop.*|ram.*|sr.*"'
FILESYSTEMS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|nsfs"'
NETWORKS = 'device!~"lo|veth.*|docker.*|br-.*"'


def node(metric: str, labels: str = "") -> str:
    """A metric of node_exporter's, of the machines that are chosen."""
    return f'node_{metric}{{instance=~"$host"{labels and f", {labels}"}}}'


def rate(metric: str, labels: str = "") -> str:
    return f"rate({node(metric, labels)}[$__rate_interval])"


TAKEN = f"1 - {node('filesystem_avail_bytes', FILESYSTEMS)} / {node('filesystem_size_bytes', FILESYSTEMS)}"


DASHBOARD = Dashboard(
    "host",
    "Host",
    "The machines: processors, memory, disks, network, as node_exporter counts them.",
    [label_values("host", "Host", "The machine, by the address of its node_exporter", "node_boot_time_seconds", "instance")],
    [
        Row("Now", [
            gauge(
                "CPU", "Share of the time in which the processors were not idle.",
                promql(f"1 - avg({rate('cpu_seconds_total', IDLE)})"),
                thresholds=steps(0.8, 0.95),
            ),
            gauge(
                "Memory", "Share of the memory that programs cannot have any more.",
                promql(f"1 - sum({node('memory_MemAvailable_bytes')}) / sum({node('memory_MemTotal_bytes')})"),
                thresholds=steps(0.85, 0.95),
            ),
            gauge(
                "Fullest disk", "Share that is taken of the file system that has the least room.",
                promql(f"max({TAKEN})"),
                thresholds=steps(0.8, 0.9),
            ),
            number(
                "Load for each CPU", "Programs that run or want to, in the last 5 minutes. From 1 on some wait.",
                promql(f"max({node('load5')} / on (instance) count by (instance) ({node('cpu_seconds_total', IDLE)}))"),
                unit="short", decimals=2, thresholds=steps(1, 2),
            ),
            number(
                "Up since", "Of the machine that was started last.",
                promql(f"time() - max({node('boot_time_seconds')})"), unit="s", decimals=1, thresholds=below(300, 3600),
            ),
            number(
                "Machines", "Whose node_exporter sends.", promql(f"count({node('boot_time_seconds')})"), unit="short",
            ),
        ]),
        Row("Processors and memory", [
            graph(
                "CPU by what it did", "Processor seconds a second.",
                promql(f"sum by (mode) ({rate('cpu_seconds_total', BUSY)})", "{{mode}}"),
                unit="short", stacked=True,
            ),
            graph(
                "Load", "Programs that run or want to: the mean of 1, 5 and 15 minutes.",
                promql(node("load1"), "{{instance}} 1 min"),
                promql(node("load5"), "{{instance}} 5 min"),
                promql(node("load15"), "{{instance}} 15 min"),
                unit="short",
            ),
            graph(
                "Memory", "What programs have, what keeps files at hand, what nobody has.",
                promql(
                    f"{node('memory_MemTotal_bytes')} - {node('memory_MemFree_bytes')} - {node('memory_Buffers_bytes')}"
                    f" - {node('memory_Cached_bytes')}", "{{instance}} programs",
                ),
                promql(f"{node('memory_Cached_bytes')} + {node('memory_Buffers_bytes')}", "{{instance}} files"),
                promql(node("memory_MemFree_bytes"), "{{instance}} free"),
                unit="bytes", stacked=True,
            ),
            graph(
                "Context switches", "How often a processor went from one program to another.",
                promql(rate("context_switches_total"), "{{instance}}"), unit="ops",
            ),
        ]),
        Row("Disks", [
            graph(
                "Room", "Share of each file system that is taken.",
                promql(TAKEN, "{{instance}} {{mountpoint}}"),
                unit="percentunit", maximum=1, width=8, lines_at=steps(0.8, 0.9),
            ),
            graph(
                "Read and written", "Written is below the line.",
                promql(rate("disk_read_bytes_total", DISKS), "{{instance}} {{device}} read"),
                promql(f"-{rate('disk_written_bytes_total', DISKS)}", "{{instance}} {{device}} written"),
                unit="Bps", width=8, minimum=None,
            ),
            graph(
                "Busy", "Share of the time in which the disk had something to do.",
                promql(rate("disk_io_time_seconds_total", DISKS), "{{instance}} {{device}}"),
                unit="percentunit", maximum=1, width=8, lines_at=steps(0.8, 0.95),
            ),
        ]),
        Row("Network and files", [
            graph(
                "Network", "Sent is below the line.",
                promql(rate("network_receive_bytes_total", NETWORKS), "{{instance}} {{device}} received"),
                promql(f"-{rate('network_transmit_bytes_total', NETWORKS)}", "{{instance}} {{device}} sent"),
                unit="Bps", minimum=None,
            ),
            graph(
                "Open files", "Of all programs together.", promql(node("filefd_allocated"), "{{instance}}"), unit="short",
            ),
        ]),
    ],
)
