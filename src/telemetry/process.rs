//! What a process takes: memory, processor time, file descriptors, from /proc.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use rustix::fs::{Dir, Mode, OFlags};

use super::metrics::{Kind, write};

/// What a process takes now.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Bytes of memory that are resident.
    pub resident_bytes: u64,
    /// Seconds of processor time so far, user and system.
    pub cpu_seconds: f64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Of this process.
    pub fn own() -> Self {
        // Kept open, for a process that may not open it any more.
        static OWN: LazyLock<Option<(File, Mutex<Dir>)>> = LazyLock::new(|| {
            let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fds = rustix::fs::open("/proc/self/fd", directory, Mode::empty()).ok()?;
            Some((File::open("/proc/self/stat").ok()?, Mutex::new(Dir::new(fds).ok()?)))
        });
        let own = || {
            let (stat, fds) = OWN.as_ref()?;
            let mut text = [0; 1024];
            let length = stat.read_at(&mut text, 0).ok()?;
            let mut fds = fds.lock();
            fds.rewind();
            let names = fds.by_ref().filter_map(Result::ok);
            let open = names.filter(|entry| !entry.file_name().to_bytes().starts_with(b".")).count();
            Self::read(&String::from_utf8_lossy(text.get(..length)?), open as u64)
        };
        own().unwrap_or_default()
    }

    /// Of another process; nothing if it is gone.
    pub fn of_process(pid: u32) -> Option<Self> {
        Self::of(&pid.to_string())
    }

    fn of(process: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let open_fds = fs::read_dir(format!("/proc/{process}/fd")).map_or(0, |entries| entries.count() as u64);
        Self::read(&stat, open_fds)
    }

    fn read(stat: &str, open_fds: u64) -> Option<Self> {
        // proc_pid_stat(5): the name in parentheses may hold anything; field 3 follows it.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |n: usize| fields.get(n - 3).and_then(|text| text.parse::<u64>().ok());
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        Some(Usage {
            resident_bytes: field(24)? * rustix::param::page_size() as u64,
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks as f64,
            open_fds,
            threads: field(20)?,
        })
    }
}

/// The figures of this process under the names that Prometheus' own clients use.
#[derive(Debug)]
pub struct OwnUsage {
    /// When the process started, seconds since the Unix epoch.
    pub started: f64,
}

impl Collector for OwnUsage {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let usage = Usage::own();
        let one = |value: f64| [(Vec::new(), value)];
        let (gauge, counter) = (Kind::Gauge, Kind::Counter);
        let e = &mut encoder;
        write(e, counter, "process_cpu_seconds", "Processor time, user and system", one(usage.cpu_seconds))?;
        write(e, gauge, "process_resident_memory_bytes", "Resident memory", one(usage.resident_bytes as f64))?;
        write(e, gauge, "process_open_fds", "Open file descriptors", one(usage.open_fds as f64))?;
        write(e, gauge, "process_threads", "Threads", one(usage.threads as f64))?;
        write(e, gauge, "process_start_time_seconds", "Start, since the Unix epoch", one(self.started))
    }
}
