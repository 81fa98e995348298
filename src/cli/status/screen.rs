//! The status as text for people.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytesize::ByteSize;
use serde_json::Value;

use crate::app::{SignalStatus, Status};
use crate::duration::Written;

/// The whole screen.
pub fn render(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut text, status);
    let _ = signals(&mut text, &status.signals);
    let _ = store(&mut text, &status.store);
    let _ = refusals(&mut text, &status.refusals);
    let _ = last_errors(&mut text, &status.last_errors);
    text
}

fn head(text: &mut String, status: &Status) -> std::fmt::Result {
    let state = match status.waiting_for.as_slice() {
        [] => "ready".to_owned(),
        waiting => format!("not ready, waiting for {}", waiting.join(", ")),
    };
    let uptime = Written(Duration::from_secs(status.uptime_seconds));
    writeln!(text, "Vispyr {}, up {uptime}, {state}", status.version)?;
    let disk = status.disk;
    writeln!(
        text,
        "data in {}, {} free of {}; memory {}\n",
        status.data_dir.display(),
        size(disk.free_bytes),
        size(disk.total_bytes),
        size(status.resident_bytes)
    )
}

fn signals(text: &mut String, signals: &[SignalStatus]) -> std::fmt::Result {
    writeln!(
        text,
        "{:<9}{:>13}{:>13}{:>9}{:>10}{:>10}{:>12}{:>9}",
        "", "received", "acknowledged", "refused", "last min", "mean", "log", "sync"
    )?;
    for s in signals {
        let sync = format!("{:.1} ms", s.log.sync_milliseconds);
        writeln!(
            text,
            "{:<9}{:>13}{:>13}{:>9}{:>8.0}/s{:>8.0}/s{:>12}{:>9}",
            s.signal,
            s.received_items,
            s.acknowledged_items,
            s.refused_requests,
            s.rate.last_minute,
            s.rate.since_start,
            size(s.log.size_bytes),
            sync
        )?;
    }
    writeln!(text, "received and acknowledged are spans, points, log records, profiles; refused are requests\n")?;
    destinations(text, signals)?;
    for s in signals {
        if s.log.corrupt_records > 0 {
            writeln!(text, "{:<9}{} corrupt records were skipped", s.signal, s.log.corrupt_records)?;
        }
        if s.log.missing_records > 0 {
            writeln!(text, "{:<9}{} records of the log are missing", s.signal, s.log.missing_records)?;
        }
        if let Some(problem) = s.log.problem() {
            writeln!(text, "{:<9}the log {problem}", s.signal)?;
        }
    }
    writeln!(text)
}

/// A line a destination and signal.
fn destinations(text: &mut String, signals: &[SignalStatus]) -> std::fmt::Result {
    let all = || signals.iter().flat_map(|s| s.log.destinations.iter().map(move |to| (s, to)));
    let width = all().map(|(_, to)| to.name.len()).chain([11]).max().unwrap_or(0) + 2;
    writeln!(
        text,
        "{:<9}{:<width$}{:>12}{:>12}{:>16}{:>10}{:>14}",
        "", "destination", "waiting", "", "behind", "dropped", "dead letters"
    )?;
    for (s, to) in all() {
        let behind = match to.waiting_records {
            0 => "-".to_owned(),
            _ if to.store => "not sealed yet".to_owned(),
            _ => Written(Duration::from_secs(to.lag_seconds as u64)).to_string(),
        };
        let waiting = format!("({})", size(to.waiting_bytes));
        writeln!(
            text,
            "{:<9}{:<width$}{:>12}{:>12}{:>16}{:>10}{:>14}",
            s.signal, to.name, to.waiting_items, waiting, behind, to.dropped_items, to.dead_letters
        )?;
        let time = to.last_error_time.as_deref().unwrap_or("?");
        match (&to.failing_since, &to.last_error) {
            (Some(since), error) => {
                writeln!(text, "{:<9}takes nothing since {since}: {}", "", clean(error.as_deref().unwrap_or("?")))?;
            }
            (None, Some(error)) => writeln!(text, "{:<9}last error {time}, well since: {}", "", clean(error))?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// What a destination says is foreign text: nothing in it may move the cursor or change colours.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn store(text: &mut String, store: &Value) -> std::fmt::Result {
    if store.is_null() {
        return writeln!(text, "store: none");
    }
    if let Some(reason) = store["unreachable"].as_str() {
        return writeln!(text, "store: does not answer: {reason}");
    }
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let sum = |field: &str| {
        let tables = store["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
        tables.iter().map(|table| number(&table[field])).sum::<u64>()
    };
    writeln!(
        text,
        "store: DuckDB {}, process {}, memory {}; {} rows in {} files of the last minute ({}), {} rows in {} sealed files ({})",
        store["duckdb"].as_str().unwrap_or("?"),
        number(&store["pid"]),
        size(number(&store["process"]["resident_bytes"])),
        sum("level0_rows"),
        sum("level0_files"),
        size(sum("level0_bytes")),
        sum("sealed_rows"),
        sum("sealed_files"),
        size(sum("sealed_bytes"))
    )?;
    if let Some(error) = store["seal_error"].as_str() {
        writeln!(text, "  the last round of sealing failed: {error}")?;
    }
    if number(&store["unsealable_rows"]) > 0 {
        let rows = number(&store["unsealable_rows"]);
        writeln!(text, "  {rows} rows could not be sealed whole: see vispyr dead-letters")?;
    }
    let lost = number(&store["missing_files"]);
    if lost > 0 {
        let first = &store["lost_files"][0];
        let (path, reason) = (first["path"].as_str().unwrap_or("?"), first["reason"].as_str().unwrap_or("?"));
        writeln!(text, "  sealed files that are lost, their rows with them: {lost}, the first is {path}: {reason}")?;
    }
    super::kept::render(text, &store["kept"])?;
    for signal in store["signals"].as_array().map(Vec::as_slice).unwrap_or_default() {
        if number(&signal["undecodable_records"]) > 0 {
            let name = signal["signal"].as_str().unwrap_or("?");
            let reason = signal["last_undecodable"].as_str().unwrap_or("?");
            let records = number(&signal["undecodable_records"]);
            writeln!(text, "  {records} records of {name} can never be stored, the last one: {reason}")?;
        }
    }
    Ok(())
}

/// A line for each kind of refusal.
fn refusals(text: &mut String, refusals: &Value) -> std::fmt::Result {
    let Some(refusals) = refusals.as_array().filter(|refusals| !refusals.is_empty()) else { return Ok(()) };
    writeln!(text, "\nrefused requests, by receiver and reason")?;
    for one in refusals {
        let word = |field: &str| one[field].as_str().unwrap_or_default();
        let time = UNIX_EPOCH + Duration::from_nanos(one["last_time"].as_u64().unwrap_or(0));
        writeln!(
            text,
            "  {} {} {}: {}, last {} from {}: {}",
            word("receiver"),
            word("signal"),
            word("reason"),
            one["requests"].as_u64().unwrap_or(0),
            humantime::format_rfc3339_seconds(time),
            one["peer"].as_str().unwrap_or("?"),
            clean(word("last"))
        )?;
    }
    Ok(())
}

fn last_errors(text: &mut String, errors: &Value) -> std::fmt::Result {
    let Some(errors) = errors.as_array().filter(|errors| !errors.is_empty()) else {
        return writeln!(text, "\nno warnings or errors");
    };
    writeln!(text, "\nlast warnings and errors:")?;
    for error in errors.iter().rev().take(5).rev() {
        let time = UNIX_EPOCH + Duration::from_nanos(error["time"].as_u64().unwrap_or(0));
        let field = |name: &str| error[name].as_str().unwrap_or("?").to_owned();
        let time = humantime::format_rfc3339_seconds(time);
        writeln!(text, "  {time} {} {}: {}", field("level"), field("target"), field("message"))?;
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}
