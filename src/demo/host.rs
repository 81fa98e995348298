//! The host's metrics as Prometheus' node_exporter has them, scraped every 15 s, and as remote
//! write 1.0 carries them: metadata in requests of its own, a stale marker when a series ends.

use crate::wire::prompb::v1::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};

use super::load::mix;

/// The NaN that says that a series has ended (Prometheus `model/value`).
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

const CPUS: u64 = 4;
/// A container's network device lives for this many seconds, then is away for as long.
const CONTAINER: u64 = 600;

const GAUGE: i32 = 2;
const COUNTER: i32 = 1;

/// Name, type and help of each metric.
static FAMILIES: [(&str, i32, &str); 21] = [
    ("node_boot_time_seconds", GAUGE, "Node boot time, in unixtime."),
    ("node_context_switches_total", COUNTER, "Total number of context switches."),
    ("node_cpu_seconds_total", COUNTER, "Seconds the CPUs spent in each mode."),
    ("node_disk_io_time_seconds_total", COUNTER, "Total seconds spent doing I/Os."),
    ("node_disk_read_bytes_total", COUNTER, "The total number of bytes read successfully."),
    ("node_disk_written_bytes_total", COUNTER, "The total number of bytes written successfully."),
    ("node_filefd_allocated", GAUGE, "File descriptor statistics: allocated."),
    ("node_filesystem_avail_bytes", GAUGE, "Filesystem space available to non-root users in bytes."),
    ("node_filesystem_size_bytes", GAUGE, "Filesystem size in bytes."),
    ("node_load1", GAUGE, "1m load average."),
    ("node_load15", GAUGE, "15m load average."),
    ("node_load5", GAUGE, "5m load average."),
    ("node_memory_Buffers_bytes", GAUGE, "Memory information field Buffers_bytes."),
    ("node_memory_Cached_bytes", GAUGE, "Memory information field Cached_bytes."),
    ("node_memory_MemAvailable_bytes", GAUGE, "Memory information field MemAvailable_bytes."),
    ("node_memory_MemFree_bytes", GAUGE, "Memory information field MemFree_bytes."),
    ("node_memory_MemTotal_bytes", GAUGE, "Memory information field MemTotal_bytes."),
    ("node_network_receive_bytes_total", COUNTER, "Network device statistic receive_bytes."),
    ("node_network_transmit_bytes_total", COUNTER, "Network device statistic transmit_bytes."),
    ("node_network_up", GAUGE, "Value is 1 if operstate is 'up', 0 otherwise."),
    ("node_uname_info", GAUGE, "Labeled system information as provided by the uname system call."),
];

/// The host: what its counters stand at.
#[derive(Debug)]
pub struct Host {
    booted: u64,
    scraped: u64,
    cpu: Vec<[f64; 5]>,
    load: [f64; 3],
    read: f64,
    written: f64,
    io_time: f64,
    received: f64,
    transmitted: f64,
    switches: f64,
    container: bool,
}

const MODES: [&str; 5] = ["idle", "iowait", "system", "user", "softirq"];

impl Host {
    /// Booted a day before `now` (unix nanoseconds).
    pub fn new(now: u64) -> Host {
        let day = 86_400.0;
        Host {
            booted: now / 1_000_000_000 - 86_400,
            scraped: now,
            cpu: vec![[0.85 * day, 0.01 * day, 0.04 * day, 0.09 * day, 0.01 * day]; CPUS as usize],
            load: [0.4; 3],
            read: 4e9,
            written: 2e10,
            io_time: 900.0,
            received: 6e9,
            transmitted: 9e9,
            switches: 8e8,
            container: false,
        }
    }

    /// One scrape at `now` (unix nanoseconds), after `requests` came since the last.
    pub fn scrape(&mut self, now: u64, requests: u64) -> WriteRequest {
        let seconds = (now.saturating_sub(self.scraped) as f64 / 1e9).max(0.001);
        self.scraped = now;
        let rate = requests as f64 / seconds;
        let noise = |n: u64| mix(n, now / 1_000_000_000) as f64 / u64::MAX as f64;
        let busy = (0.04 + rate * 0.012 + 0.05 * noise(1)).min(0.97);

        for (number, modes) in self.cpu.iter_mut().enumerate() {
            let busy = busy * (0.7 + 0.6 * noise(10 + number as u64)).min(1.0);
            let shares = [1.0 - busy * 1.02, busy * 0.05, busy * 0.22, busy * 0.7, busy * 0.05];
            for (counter, share) in modes.iter_mut().zip(shares) {
                *counter += seconds * share.max(0.0);
            }
        }
        for (load, minutes) in self.load.iter_mut().zip([1.0, 5.0, 15.0]) {
            let weight = (-seconds / (60.0 * minutes)).exp();
            *load = *load * weight + busy * CPUS as f64 * (1.0 - weight);
        }
        self.read += seconds * 30e3 * noise(2);
        self.written += requests as f64 * 9e3 + seconds * 20e3;
        self.io_time += seconds * busy * 0.1;
        self.received += requests as f64 * 4e3;
        self.transmitted += requests as f64 * 31e3;
        self.switches += requests as f64 * 240.0 + seconds * 900.0;

        let mut request = Scrape::at(now);
        self.write(&mut request, busy, noise(3));
        let container = (now / 1_000_000_000 / CONTAINER).is_multiple_of(2);
        self.write_container(&mut request, container);
        request.into_request()
    }

    /// The last words: what lives no longer gets its stale marker. `None` when there is nothing.
    pub fn farewell(&mut self, now: u64) -> Option<WriteRequest> {
        let mut request = Scrape::at(now);
        self.write_container(&mut request, false);
        (!request.series.is_empty()).then(|| request.into_request())
    }

    fn write(&self, scrape: &mut Scrape, busy: f64, noise: f64) {
        for (cpu, modes) in self.cpu.iter().enumerate() {
            for (mode, seconds) in MODES.iter().zip(modes) {
                scrape.add("node_cpu_seconds_total", &[("cpu", &cpu.to_string()), ("mode", mode)], *seconds);
            }
        }
        let gib = 1024.0 * 1024.0 * 1024.0;
        let available = (11.0 - 5.0 * busy + 0.4 * noise) * gib;
        for (name, value) in [
            ("node_boot_time_seconds", self.booted as f64),
            ("node_context_switches_total", self.switches.floor()),
            ("node_filefd_allocated", (2_000.0 + 400.0 * noise).floor()),
            ("node_load1", self.load[0]),
            ("node_load5", self.load[1]),
            ("node_load15", self.load[2]),
            ("node_memory_Buffers_bytes", (0.3 * gib).floor()),
            ("node_memory_Cached_bytes", (4.0 * gib).floor()),
            ("node_memory_MemAvailable_bytes", available.floor()),
            ("node_memory_MemFree_bytes", (available - 4.0 * gib).floor()),
            ("node_memory_MemTotal_bytes", 16.0 * gib),
            ("up", 1.0),
            ("scrape_duration_seconds", 0.012 + 0.004 * noise),
        ] {
            scrape.add(name, &[], value);
        }
        for (name, value) in [
            ("node_disk_io_time_seconds_total", self.io_time),
            ("node_disk_read_bytes_total", self.read.floor()),
            ("node_disk_written_bytes_total", self.written.floor()),
        ] {
            scrape.add(name, &[("device", "nvme0n1")], value);
        }
        let root = [("device", "/dev/nvme0n1p2"), ("fstype", "ext4"), ("mountpoint", "/")];
        scrape.add("node_filesystem_avail_bytes", &root, 212.0 * gib - self.written.floor() / 4.0);
        scrape.add("node_filesystem_size_bytes", &root, 468.0 * gib);
        scrape.add("node_network_receive_bytes_total", &[("device", "eth0")], self.received.floor());
        scrape.add("node_network_transmit_bytes_total", &[("device", "eth0")], self.transmitted.floor());
        scrape.add("node_network_up", &[("device", "eth0")], 1.0);
        let uname = [("machine", "x86_64"), ("nodename", "demo-host"), ("release", "6.12.48"), ("sysname", "Linux")];
        scrape.add("node_uname_info", &uname, 1.0);
    }

    fn write_container(&mut self, scrape: &mut Scrape, alive: bool) {
        if alive || self.container {
            let value = if alive { 1.0 } else { f64::from_bits(STALE) };
            scrape.add("node_network_up", &[("device", "veth1f2e3d")], value);
        }
        self.container = alive;
    }
}

/// The metadata of all metrics: a request without any series, as Prometheus' senders make it.
pub fn metadata() -> WriteRequest {
    let family = |(name, kind, help): &(&str, i32, &str)| MetricMetadata {
        r#type: *kind,
        metric_family_name: (*name).into(),
        help: (*help).into(),
        unit: String::new(),
    };
    WriteRequest { timeseries: Vec::new(), metadata: FAMILIES.iter().map(family).collect() }
}

/// The series of one scrape.
struct Scrape {
    timestamp: i64,
    series: Vec<TimeSeries>,
}

impl Scrape {
    fn at(now: u64) -> Scrape {
        Scrape { timestamp: (now / 1_000_000) as i64, series: Vec::new() }
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let own = [("__name__", name), ("instance", "demo-host:9100"), ("job", "node")];
        let mut labels: Vec<Label> = own
            .iter()
            .chain(labels)
            .map(|(name, value)| Label { name: (*name).into(), value: (*value).into() })
            .collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        let samples = vec![Sample { value, timestamp: self.timestamp }];
        self.series.push(TimeSeries { labels, samples, ..TimeSeries::default() });
    }

    fn into_request(self) -> WriteRequest {
        WriteRequest { timeseries: self.series, metadata: Vec::new() }
    }
}
