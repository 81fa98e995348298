//! The logs' side of the ledger, and how far each destination is behind, read at the moment of a
//! scrape.
//!
//! For each destination and signal: due = forwarded + rejected + skipped + waiting + dropped + set
//! aside. Due is what waited at the start and what was acknowledged since.

use std::path::PathBuf;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::signal::Signal;
use crate::telemetry::health::{Condition, Health};
use crate::telemetry::metrics::{Kind, Sample, write};
use crate::wal::{CursorStats, Logs, Stats};
use crate::web::status::Disk;

/// Reads the logs' metrics for `/metrics`.
#[derive(Debug)]
pub struct LogMetrics {
    /// The logs.
    pub logs: Logs,
    /// How the destinations are.
    pub health: Health,
    /// Where the logs are, for the room that is left there.
    pub data_dir: PathBuf,
}

impl Collector for LogMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let stats = Signal::ALL.map(|signal| (signal, self.logs.of(signal).stats()));
        let e = &mut encoder;
        of_logs(e, &stats)?;
        of_destinations(e, &stats)?;
        self.of_health(e, &stats)?;
        let disk = Disk::of(&self.data_dir);
        let one = |bytes: u64| [(Vec::new(), bytes as f64)];
        write(e, Kind::Gauge, "disk_total_bytes", "Size of the file system with the data", one(disk.total_bytes))?;
        write(e, Kind::Gauge, "disk_free_bytes", "What we may still write there", one(disk.free_bytes))
    }
}

type All = [(Signal, Stats); 4];
type Metric = fn(&CursorStats) -> f64;

fn of_logs(e: &mut DescriptorEncoder<'_>, stats: &All) -> std::fmt::Result {
    let by_signal = |value: fn(&Stats) -> f64| {
        let sample = |(signal, stats): &(Signal, Stats)| (vec![("signal", signal.name().to_owned())], value(stats));
        stats.iter().map(sample).collect::<Vec<Sample>>()
    };
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    write(e, gauge, "log_size_bytes", "Size of the log on disk", by_signal(|s| s.size as f64))?;
    write(e, gauge, "log_max_size_bytes", "What the log may take on disk", by_signal(|s| s.max_size as f64))?;
    write(e, gauge, "log_segments", "Segments of the log", by_signal(|s| s.segments as f64))?;
    write(e, counter, "log_records", "Records ever appended to the log", by_signal(|s| s.next.0 as f64))?;
    let corrupt = by_signal(|s| s.corrupt_records as f64);
    write(
        e,
        counter,
        "log_corrupt_records",
        "Records skipped because they were damaged or could not be read",
        corrupt,
    )?;
    let unkept = by_signal(|s| s.corrupt_unkept as f64);
    write(e, counter, "log_corrupt_unkept", "Damaged stretches of the log of which nothing is kept", unkept)?;
    let missing = by_signal(|s| s.missing_records as f64);
    write(e, counter, "log_missing_records", "Records of the log that are gone without a trace", missing)?;
    let failing = by_signal(|s| f64::from(u8::from(s.failing.is_some())));
    write(e, gauge, "log_failing", "Whether the log takes nothing", failing)?;
    write(e, counter, "log_syncs", "Syncs of the log", by_signal(|s| s.syncs as f64))?;
    let sync_time = by_signal(|s| s.sync_time.as_secs_f64());
    write(e, counter, "log_sync_seconds", "Time spent in syncs of the log", sync_time)
}

fn of_destinations(e: &mut DescriptorEncoder<'_>, stats: &All) -> std::fmt::Result {
    let by_destination = |value: fn(&CursorStats) -> f64| {
        let mut samples: Vec<Sample> = Vec::new();
        for (signal, stats) in stats {
            for cursor in &stats.cursors {
                samples.push((labels(*signal, &cursor.destination), value(cursor)));
            }
        }
        samples
    };
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    let due = "Items that the destination had to get since it came or the program started";
    write(e, counter, "due_items", due, by_destination(|c| c.due_items as f64))?;
    let waiting = "Items, acknowledged, that the destination has not accepted yet";
    write(e, gauge, "waiting_items", waiting, by_destination(|c| c.lag_items as f64))?;
    let dropped = "dropped for the destination because the log was full or a record was damaged";
    let items = by_destination(|c| c.dropped_items as f64);
    write(e, counter, "dropped_items", &format!("Items {dropped}"), items)?;
    let bytes = by_destination(|c| c.dropped_bytes as f64);
    write(e, counter, "dropped_bytes", &format!("Bytes {dropped}"), bytes)?;
    let behind = "that the destination has not accepted yet";
    let lags: [(&str, &str, Metric); 4] = [
        ("records", "Records", |c| c.lag_records as f64),
        ("items", "Items", |c| c.lag_items as f64),
        ("bytes", "Payload bytes", |c| c.lag_bytes as f64),
        ("seconds", "Age of the oldest record", |c| c.lag_time.as_secs_f64()),
    ];
    for (unit, what, value) in lags {
        let (name, help) = (format!("destination_lag_{unit}"), format!("{what} {behind}"));
        write(e, gauge, &name, &help, by_destination(value))?;
    }
    Ok(())
}

impl LogMetrics {
    fn of_health(&self, e: &mut DescriptorEncoder<'_>, stats: &All) -> std::fmt::Result {
        let by_destination = |value: fn(&Condition) -> bool| {
            let mut samples: Vec<Sample> = Vec::new();
            for (signal, stats) in stats {
                for CursorStats { destination, .. } in &stats.cursors {
                    let yes = value(&self.health.of(destination, *signal));
                    samples.push((labels(*signal, destination), f64::from(u8::from(yes))));
                }
            }
            samples
        };
        let up = "Whether the destination took what it was sent last";
        write(e, Kind::Gauge, "destination_up", up, by_destination(|c| c.failing_since.is_none()))?;
        let wrong = "Whether the destination takes nothing before its config is mended";
        write(e, Kind::Gauge, "destination_misconfigured", wrong, by_destination(|c| c.misconfigured))
    }
}

fn labels(signal: Signal, destination: &str) -> Vec<(&'static str, String)> {
    vec![("destination", destination.to_owned()), ("signal", signal.name().to_owned())]
}
