//! What is kept, since when, and for how long there is room, for `vispyr status` and `/metrics`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::plan::Aged;
use crate::signal::Signal;
use crate::store::schema::Table;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// What one signal takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SignalKept {
    /// Its name.
    pub signal: String,
    /// The earliest time in its files, nanoseconds since the Unix epoch. None if there is nothing.
    pub since: Option<i64>,
    /// Rows: those of dictionaries are not counted.
    pub rows: u64,
    /// Files, those of dictionaries among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the last 24 hours, or of the last hours times what makes a day of them.
    pub bytes_per_day: f64,
    /// Seconds that rows are kept, by their age.
    pub max_age_seconds: u64,
    /// Days until something has to go before its age, if each day is as the last. None: nothing has to.
    pub lasts_days: Option<f64>,
}

/// Rows that went before their age because the disk was full.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EarlyDrop {
    /// When that was, nanoseconds since the Unix epoch.
    pub at: u64,
    /// Of which signals.
    pub signals: Vec<String>,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their rows.
    pub rows: u64,
    /// Latest time in them, nanoseconds since the Unix epoch.
    pub upto: i64,
}

/// Everything at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// In the order of [`Signal::ALL`].
    pub signals: Vec<SignalKept>,
    /// Bytes of the disk that are free.
    pub disk_free: u64,
    /// Bytes of it that are to stay free.
    pub min_free_disk: u64,
    /// Bytes of files that were dropped or merged and are not deleted yet.
    pub ended_bytes: u64,
    /// Days until the disk has no more than `min_free_disk`, if each day is as the last. None: it will
    /// not come to that.
    pub disk_lasts_days: Option<f64>,
    /// The last time that rows went for want of room on the disk.
    pub last_early_drop: Option<EarlyDrop>,
}

/// The disk, and what is going to be free of it.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that stay free.
    pub min_free: u64,
    /// Bytes of files that are on their way off the disk.
    pub ended: u64,
}

/// What is kept of these files at the time `now`.
pub fn summary(files: &[Aged], config: &Config, room: Room, now: i64) -> Kept {
    let mut signals = Signal::ALL.map(|signal| {
        let of = |aged: &&Aged| Table::from_name(&aged.file.table).is_some_and(|table| table.signal() == signal);
        of_signal(signal, files.iter().filter(of), config, now)
    });
    let grows = |most: f64, bytes: u64, rate: f64, limit: u64| {
        let left = limit.saturating_sub(bytes) as f64;
        (most > limit as f64 && rate > 0.0).then(|| left / rate)
    };
    let steady = |kept: &SignalKept| kept.bytes_per_day * kept.max_age_seconds as f64 / DAY;
    let (bytes, rate): (u64, f64) =
        (signals.iter().map(|kept| kept.bytes).sum(), signals.iter().map(|kept| kept.bytes_per_day).sum());
    // A signal takes what its own limit lets it.
    let most: f64 = Signal::ALL
        .iter()
        .zip(&signals)
        .map(|(signal, kept)| {
            let own = config.of(*signal).max_size.map_or(f64::INFINITY, |size| size.as_u64() as f64);
            steady(kept).min(own)
        })
        .sum();
    let disk = bytes.saturating_add((room.free + room.ended).saturating_sub(room.min_free));
    let total = config.max_size.map_or(disk, |size| size.as_u64().min(disk));
    let all = grows(most, bytes, rate, total);
    for (signal, kept) in Signal::ALL.into_iter().zip(&mut signals) {
        let own = config
            .of(signal)
            .max_size
            .and_then(|size| grows(steady(kept), kept.bytes, kept.bytes_per_day, size.as_u64()));
        kept.lasts_days = [own, all].into_iter().flatten().reduce(f64::min);
    }
    let most = config.max_size.map_or(most, |size| most.min(size.as_u64() as f64));
    Kept {
        signals: signals.into(),
        disk_free: room.free,
        min_free_disk: room.min_free,
        ended_bytes: room.ended,
        disk_lasts_days: grows(most, bytes, rate, disk),
        last_early_drop: None,
    }
}

fn of_signal<'a>(signal: Signal, files: impl Iterator<Item = &'a Aged>, config: &Config, now: i64) -> SignalKept {
    let mut kept = SignalKept {
        signal: signal.name().to_owned(),
        max_age_seconds: config.max_age(signal).as_secs(),
        ..SignalKept::default()
    };
    let day = i64::try_from(Duration::from_secs(86_400).as_nanos()).unwrap_or(i64::MAX);
    let (mut recent, mut first) = (0, now);
    for aged in files {
        let file = &aged.file;
        kept.files += 1;
        kept.bytes += file.bytes;
        if !Table::from_name(&file.table).is_some_and(Table::is_dictionary) {
            kept.rows += file.rows;
            // One row of absurd time is not since when rows are kept.
            let since = aged.since();
            kept.since = Some(kept.since.map_or(since, |other| other.min(since)));
        }
        first = first.min(aged.time());
        if aged.time() >= now.saturating_sub(day) {
            recent += file.bytes;
        }
    }
    // At least an hour: a start would be taken for a flood.
    let hours = (now.saturating_sub(first).min(day) as f64 / 3.6e12).max(1.0);
    kept.bytes_per_day = recent as f64 * 24.0 / hours;
    kept
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;
    use crate::store::catalog::File;

    const NOW: i64 = 1_800_000_000_000_000_000;

    fn file(table: Table, hours_ago: i64, bytes: u64) -> Aged {
        let time = NOW - hours_ago * 3_600_000_000_000;
        let (path, table, times) = (String::new(), table.name().to_owned(), Some(time));
        Aged {
            file: File { table, path, rows: 10, min_time: times, max_time: times, bytes, checksum: 0, level: 1 },
            created: time,
        }
    }

    #[test]
    fn each_signal_has_its_own_figures() {
        let files = [
            file(Table::Spans, 50, 1000),
            file(Table::Spans, 12, 240),
            file(Table::Resources, 12, 10),
            file(Table::Logs, 2, 100),
        ];
        let room = Room { free: 5000, min_free: 1000, ended: 500 };
        let kept = summary(&files, &Config::default(), room, NOW);
        let [traces, metrics, logs, _] = &kept.signals[..] else { panic!("{kept:?}") };
        assert_eq!((traces.rows, traces.files, traces.bytes), (20, 3, 1250));
        assert_eq!(traces.since, Some(NOW - 50 * 3_600_000_000_000));
        assert_eq!(traces.bytes_per_day, 250.0);
        assert_eq!((metrics.since, metrics.rows, metrics.bytes_per_day), (None, 0, 0.0));
        // Two hours are a twelfth of a day.
        assert_eq!(logs.bytes_per_day, 1200.0);
        // 4500 bytes at 1450 a day; a month of them would be more.
        let days = 4500.0 / 1450.0;
        assert_eq!(kept.disk_lasts_days, Some(days));
        assert!(kept.signals.iter().all(|signal| signal.lasts_days == Some(days)));
    }

    #[test]
    fn a_limit_of_size_is_no_want_of_room() {
        let files = [file(Table::Spans, 23, 500), file(Table::Spans, 1, 500), file(Table::Logs, 30, 5)];
        let mut config = Config { max_age: Duration::from_secs(10 * 86_400), ..Config::default() };
        let room = |free| Room { free, min_free: 0, ended: 0 };
        let lasts = |config: &Config, free| {
            let kept = summary(&files, config, room(free), NOW);
            (kept.signals[0].lasts_days.map(|days| days as i64), kept.disk_lasts_days.map(|days| days as i64))
        };
        assert_eq!(lasts(&config, 1 << 40), (None, None), "ten days fit");
        assert_eq!(lasts(&config, 3200), (Some(3), Some(3)));
        config.traces.max_size = Some(ByteSize(2100));
        assert_eq!(lasts(&config, 3200), (Some(1), None), "dropped by size before the disk is full");
        config.traces.max_size = None;
        config.max_size = Some(ByteSize(3200));
        assert_eq!(lasts(&config, 1 << 40), (Some(2), None));
        assert_eq!(lasts(&config, 1000), (Some(0), Some(0)));
    }
}
