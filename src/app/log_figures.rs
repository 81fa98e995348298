//! The logs' side of the ledger, read at the moment of a scrape.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use crate::signal::Signal;
use crate::telemetry::figures::{Kind, Sample, write};
use crate::wal::{CursorStats, Logs, Stats};

/// Reads the logs' figures for `/metrics`.
#[derive(Debug)]
pub struct LogFigures {
    logs: Logs,
    /// What each destination still had to get when the program started: signal, destination,
    /// items. The ledger of one run needs it: waiting at the start + acknowledged = forwarded +
    /// waiting + dropped + set aside.
    at_start: Vec<(&'static str, String, u64)>,
}

impl LogFigures {
    /// Call it before anything is appended.
    pub fn new(logs: Logs) -> Self {
        let mut at_start = Vec::new();
        for signal in Signal::ALL {
            for cursor in logs.of(signal).stats().cursors {
                at_start.push((signal.name(), cursor.destination, cursor.lag_items));
            }
        }
        LogFigures { logs, at_start }
    }
}

impl Collector for LogFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let stats = Signal::ALL.map(|signal| (signal, self.logs.of(signal).stats()));
        let by_signal = |value: fn(&Stats) -> f64| {
            let sample = |(signal, stats): &(Signal, Stats)| (vec![("signal", signal.name().to_owned())], value(stats));
            stats.iter().map(sample).collect::<Vec<Sample>>()
        };
        let by_destination = |value: fn(&CursorStats) -> f64| {
            let mut samples: Vec<Sample> = Vec::new();
            for (signal, stats) in &stats {
                for cursor in &stats.cursors {
                    samples.push((labels(signal.name(), &cursor.destination), value(cursor)));
                }
            }
            samples
        };
        let at_start: Vec<Sample> =
            self.at_start.iter().map(|(signal, to, items)| (labels(signal, to), *items as f64)).collect();
        let e = &mut encoder;
        let (gauge, counter) = (Kind::Gauge, Kind::Counter);
        write(e, gauge, "log_size_bytes", "Size of the log on disk", by_signal(|s| s.size as f64))?;
        write(e, gauge, "log_segments", "Segments of the log", by_signal(|s| s.segments as f64))?;
        write(e, counter, "log_records", "Records ever appended to the log", by_signal(|s| s.next.0 as f64))?;
        let corrupt = by_signal(|s| s.corrupt_records as f64);
        write(e, counter, "log_corrupt_records", "Records skipped for a wrong checksum", corrupt)?;
        write(e, counter, "log_syncs", "Syncs of the log", by_signal(|s| s.syncs as f64))?;
        let sync_time = by_signal(|s| s.sync_time.as_secs_f64());
        write(e, counter, "log_sync_seconds", "Time spent in syncs of the log", sync_time)?;
        let waiting = "Items, acknowledged, that the destination has not accepted yet";
        write(e, gauge, "waiting_items", waiting, by_destination(|c| c.lag_items as f64))?;
        let bytes = by_destination(|c| c.lag_bytes as f64);
        write(e, gauge, "waiting_bytes", "Bytes that the destination has not accepted yet", bytes)?;
        let records = by_destination(|c| c.lag_records as f64);
        write(e, gauge, "waiting_records", "Records that the destination has not accepted yet", records)?;
        let lag = by_destination(|c| c.lag_time.as_secs_f64());
        write(e, gauge, "lag_seconds", "Age of the oldest record that the destination has not accepted yet", lag)?;
        write(e, gauge, "waiting_at_start_items", "Items that waited when the program started", at_start)?;
        let dropped = "dropped for the destination because the log was full";
        let items = by_destination(|c| c.dropped_items as f64);
        write(e, counter, "dropped_items", &format!("Items {dropped}"), items)?;
        let bytes = by_destination(|c| c.dropped_bytes as f64);
        write(e, counter, "dropped_bytes", &format!("Bytes {dropped}"), bytes)
    }
}

fn labels(signal: &str, destination: &str) -> Vec<(&'static str, String)> {
    vec![("destination", destination.to_owned()), ("signal", signal.to_owned())]
}
