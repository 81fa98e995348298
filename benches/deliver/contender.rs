//! The two programs that are compared, each as a process of its own: how it is configured, what
//! processor time and memory it has taken, and how what it delivered is counted.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::sink::Arrived;

/// Who, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// Ours: always a log that is synced.
    Vispyr,
    /// The OpenTelemetry Collector with its usual queue in memory.
    Collector,
    /// The OpenTelemetry Collector with its queue in `file_storage` and `fsync: true`.
    DurableCollector,
}

impl Contender {
    /// For the table.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Vispyr => "vispyr, durable",
            Contender::Collector => "otelcol, in memory",
            Contender::DurableCollector => "otelcol, synced queue",
        }
    }

    /// How many requests of the load have arrived. Ours joins requests and leaves their bytes
    /// alone, the Collector (without its batch processor) makes one of each again.
    pub fn requests(self, arrived: Arrived, message: u64) -> f64 {
        match self {
            Contender::Vispyr => arrived.bytes as f64 / message as f64,
            _ => arrived.requests as f64,
        }
    }

    fn command(self, folder: &Path, receive: SocketAddr, sink: SocketAddr, gzip: bool) -> Command {
        let compression = if gzip { "gzip" } else { "none" };
        if self == Contender::Vispyr {
            let config = folder.join("vispyr.toml");
            let off = ["receivers.otlp_http", "receivers.remote_write", "receivers.pyroscope", "store"];
            let off = off.map(|name| format!("[{name}]\nenabled = false\n")).concat();
            let text = format!(
                "{off}[receivers.otlp_grpc]\nlisten = \"{receive}\"\n[web]\nlisten = \"127.0.0.1:0\"\n\
                 [log]\nlevel = \"warn\"\n[exporters.sink]\ntype = \"otlp\"\nurl = \"http://{sink}\"\n\
                 compression = \"{compression}\"\njoin_compressed = true\n"
            );
            std::fs::write(&config, text).unwrap();
            let mut command = Command::new(vispyr());
            command.arg("collector").arg("--config").arg(config).arg("--data-dir").arg(folder.join("data"));
            return command;
        }
        let config = folder.join("otelcol.yaml");
        let durable = self == Contender::DurableCollector;
        let storage = folder.join("queue");
        std::fs::create_dir_all(&storage).unwrap();
        // JSON is YAML. The queue blocks rather than refuses, so that no time goes into refusing.
        let mut queue = serde_json::json!({"enabled": true, "block_on_overflow": true});
        let mut text = serde_json::json!({
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": receive.to_string()}}}},
            "service": {
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_grpc"]}},
                // Its own figures as usual, on a port that is free.
                "telemetry": {"logs": {"level": "warn"}, "metrics": {"readers": [{"pull": {"exporter": {
                    "prometheus": {"host": "127.0.0.1", "port": free_port()},
                }}}]}},
            },
        });
        if durable {
            queue["storage"] = "file_storage".into();
            text["extensions"] = serde_json::json!({"file_storage": {"directory": storage, "fsync": true}});
            text["service"]["extensions"] = serde_json::json!(["file_storage"]);
        }
        text["exporters"] = serde_json::json!({"otlp_grpc": {
            "endpoint": sink.to_string(), "compression": compression, "tls": {"insecure": true}, "sending_queue": queue,
        }});
        std::fs::write(&config, serde_json::to_vec_pretty(&text).unwrap()).unwrap();
        let mut command = Command::new(otelcol());
        command.arg(format!("--config={}", config.display()));
        command
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The program of this build.
fn vispyr() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_vispyr"))
}

/// `$VISPYR_UPSTREAMS`, else the cache: where tests/upstreams/build-otelcol puts it.
fn otelcol() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache"))).unwrap();
    folder("VISPYR_UPSTREAMS").unwrap_or_else(|| cache().join("vispyr/upstreams")).join("otelcol")
}

/// One that runs.
pub struct Running {
    process: Child,
    /// Where it receives.
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Starts it and waits until it listens.
    pub fn start(contender: Contender, sink: SocketAddr, gzip: bool) -> Running {
        // On the disk where the build is, not in memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = contender.command(folder.path(), address, sink, gzip);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut running = Running { process, address, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline && running.process.try_wait().unwrap().is_none(), "it does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    /// Processor time of all its threads.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // After the name in brackets: state is the third field, utime and stime 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // Linux counts in hundredths for everybody (USER_HZ).
        Duration::from_millis(10 * ticks)
    }

    /// Resident memory in bytes: now and at its highest.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
