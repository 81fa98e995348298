//! What the store keeps, in `/metrics`.

use prometheus_client::encoding::DescriptorEncoder;

use crate::store::engine::stats::Stats;
use crate::store::retention::kept::SignalKept;
use crate::store::retention::plan::Why;
use crate::telemetry::metrics::{Kind, Sample, write};

/// Writes it.
pub fn encode(e: &mut DescriptorEncoder, stats: &Stats) -> std::fmt::Result {
    let (gauge, counter) = (Kind::Gauge, Kind::Counter);
    let kept = &stats.kept;
    let one = |value: f64| [(Vec::new(), value)];
    let of_signals = |value: fn(&SignalKept) -> Option<f64>| -> Vec<Sample> {
        let sample = |of: &SignalKept| Some((vec![("signal", of.signal.clone())], value(of)?));
        kept.signals.iter().filter_map(sample).collect()
    };
    let since = "Earliest time that is kept";
    let seconds = |of: &SignalKept| of.since.map(|since| since as f64 / 1e9);
    write(e, gauge, "store_kept_since_timestamp_seconds", since, of_signals(seconds))?;
    write(e, gauge, "store_kept_rows", "Rows that are kept", of_signals(|of| Some(of.rows as f64)))?;
    write(e, gauge, "store_kept_files", "Files that are kept", of_signals(|of| Some(of.files as f64)))?;
    write(e, gauge, "store_kept_bytes", "Bytes of files that are kept", of_signals(|of| Some(of.bytes as f64)))?;
    let per_day = "Bytes that a day takes, as the last one did";
    write(e, gauge, "store_kept_bytes_per_day", per_day, of_signals(|of| Some(of.bytes_per_day)))?;
    let lasts = "Days until something goes before its age, at today's rate; none where nothing has to";
    write(e, gauge, "store_kept_lasts_days", lasts, of_signals(|of| of.lasts_days))?;
    let disk =
        "Days until the disk has no more than min_free_disk, at today's rate; none where it will not come to that";
    write(e, gauge, "store_disk_lasts_days", disk, kept.disk_lasts_days.map(|days| (Vec::new(), days)))?;
    let least = "Bytes of the disk that are to stay free";
    write(e, gauge, "store_min_free_disk_bytes", least, one(kept.min_free_disk as f64))?;
    let ended = "Bytes of dropped and merged files that are not deleted yet";
    write(e, gauge, "store_ended_bytes", ended, one(kept.ended_bytes as f64))?;
    let dropped = [(Why::Age, "age"), (Why::Size, "size"), (Why::Disk, "disk")].map(|(why, name)| {
        let files = stats.dropped_files.get(&why).copied().unwrap_or_default();
        (vec![("reason", name.to_owned())], files as f64)
    });
    write(e, counter, "store_dropped_files", "Files that were dropped with their rows", dropped)?;
    write(e, counter, "store_deleted_files", "Files that have left the disk", one(stats.deleted_files as f64))
}
