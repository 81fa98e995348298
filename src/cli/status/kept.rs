//! What the store keeps, as text for people.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytesize::ByteSize;
use serde::Deserialize;
use serde_json::Value;

use crate::duration::Written;
use crate::store::retention::kept::Kept;

/// A line for each signal, and what went early.
pub fn render(text: &mut String, kept: &Value) -> std::fmt::Result {
    let Ok(kept) = Kept::deserialize(kept) else { return Ok(()) };
    if kept.signals.is_empty() {
        return Ok(());
    }
    writeln!(text, "  {:<9}{:>18}{:>14}{:>8}{:>12}{:>12}   room", "kept", "since", "rows", "files", "size", "a day")?;
    for signal in &kept.signals {
        let since = signal.since.map_or_else(|| "-".to_owned(), minute);
        let max_age = Written(Duration::from_secs(signal.max_age_seconds)).to_string();
        let room = match signal.lasts_days {
            _ if signal.bytes == 0 => String::new(),
            None => format!("for all of {max_age}"),
            Some(days) if days < 1.0 => format!("for {:.0} hours more, instead of {max_age}", days * 24.0),
            Some(days) => format!("for {days:.0} days more, instead of {max_age}"),
        };
        writeln!(
            text,
            "  {:<9}{since:>18}{:>14}{:>8}{:>12}{:>12}   {room}",
            signal.signal,
            signal.rows,
            signal.files,
            size(signal.bytes),
            size(signal.bytes_per_day as u64)
        )?;
    }
    if kept.ended_bytes > 0 {
        writeln!(text, "  {} of dropped and merged files are deleted within minutes", size(kept.ended_bytes))?;
    }
    if kept.disk_free < kept.min_free_disk {
        let (free, least) = (size(kept.disk_free), size(kept.min_free_disk));
        writeln!(text, "  the disk has {free} free, less than store.retention.min_free_disk, {least}")?;
    }
    if let Some(early) = &kept.last_early_drop {
        writeln!(
            text,
            "  at {} {} rows of {} up to {} were dropped before their time: the disk was full",
            minute(i64::try_from(early.at).unwrap_or(i64::MAX)),
            early.rows,
            early.signals.join(", "),
            minute(early.upto)
        )?;
    }
    Ok(())
}

fn minute(nanos: i64) -> String {
    let time = UNIX_EPOCH + Duration::from_nanos(nanos.max(0).cast_unsigned());
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::store::retention::kept::{EarlyDrop, SignalKept};

    #[test]
    fn each_signal_says_since_when_and_for_how_long() {
        let signal = |name: &str, lasts_days| SignalKept {
            signal: name.to_owned(),
            since: Some(1_795_904_837_000_000_000),
            rows: 12_345,
            files: 7,
            bytes: 5 << 20,
            bytes_per_day: 1_048_576.0,
            max_age_seconds: 30 * 86_400,
            lasts_days,
        };
        let kept = Kept {
            signals: vec![
                signal("traces", None),
                signal("metrics", Some(0.5)),
                signal("logs", Some(12.0)),
                SignalKept { signal: "profiles".to_owned(), ..SignalKept::default() },
            ],
            disk_free: 1 << 20,
            min_free_disk: 2 << 20,
            ended_bytes: 3 << 20,
            last_early_drop: Some(EarlyDrop {
                at: 1_795_904_837_000_000_000,
                signals: vec!["traces".to_owned()],
                rows: 99,
                upto: 1_795_804_837_000_000_000,
                ..EarlyDrop::default()
            }),
            ..Kept::default()
        };
        let mut text = String::new();
        render(&mut text, &serde_json::to_value(kept).unwrap()).unwrap();
        let expected = "  kept                  since          rows   files        size       a day   room
  traces     2026-11-28 22:27         12345       7     5.0 MiB     1.0 MiB   for all of 30d
  metrics    2026-11-28 22:27         12345       7     5.0 MiB     1.0 MiB   for 12 hours more, instead of 30d
  logs       2026-11-28 22:27         12345       7     5.0 MiB     1.0 MiB   for 12 days more, instead of 30d
  profiles                  -             0       0         0 B         0 B   
  3.0 MiB of dropped and merged files are deleted within minutes
  the disk has 1.0 MiB free, less than store.retention.min_free_disk, 2.0 MiB
  at 2026-11-28 22:27 99 rows of traces up to 2026-11-27 18:40 were dropped before their time: the disk was full
";
        assert_eq!(text, expected);
        // A store that says nothing of it.
        render(&mut text, &Value::Null).unwrap();
        assert_eq!(text, expected);
    }
}
