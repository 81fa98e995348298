//! Records that can never be stored are kept for a person to look at: the log lets go of them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::durable;
use crate::signal::Signal;
use crate::wal::{Position, Record};

/// Files that are kept at most; the first ones tell the most.
const MAX_FILES: usize = 1000;

/// Their bytes at most.
const MAX_BYTES: u64 = 64 << 20;

/// The folder, which is made when there is something to keep.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    /// Files and bytes in it.
    extent: Mutex<(usize, u64)>,
}

/// The longest first line that is read.
const MAX_HEAD: u64 = 1 << 20;

/// What the collector is told of a file, out of its first line.
#[derive(Debug, serde::Deserialize)]
struct Told {
    /// Files of earlier versions do not name it.
    log: Option<Uuid>,
    signal: Signal,
    position: u64,
    reason: String,
}

/// What stands in the first line of a file; the payload follows as it came.
#[derive(Debug, serde::Serialize)]
struct Head<'a> {
    signal: &'a str,
    position: u64,
    log: Uuid,
    reason: &'a str,
    format: &'a str,
    compression: &'a str,
    items: u32,
    received: u64,
    query: &'a str,
    content_type: &'a str,
}

impl Folder {
    /// A folder that may not be there.
    pub fn new(dir: PathBuf) -> Self {
        let sizes = fs::read_dir(&dir).into_iter().flatten().flatten().filter_map(|entry| entry.metadata().ok());
        let extent = sizes.fold((0, 0), |(files, bytes), metadata| (files + 1, bytes + metadata.len()));
        Folder { dir, extent: Mutex::new(extent) }
    }

    /// Keeps a row that cannot be sealed, if there is room. Binary columns are base64.
    pub fn keep_row(&self, table: &str, reason: &str, columns: &[(String, String)]) {
        let columns = columns.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let Ok(text) = serde_json::to_vec(&Row { table, reason, columns }) else { return };
        let path = self.dir.join(format!("{table}-{}.row", uuid::Uuid::new_v4()));
        let mut extent = self.extent.lock();
        let size = text.len() as u64;
        if extent.0 >= MAX_FILES || extent.1 + size > MAX_BYTES {
            return;
        }
        match fs::create_dir_all(&self.dir).and_then(|()| fs::write(&path, text)) {
            Ok(()) => *extent = (extent.0 + 1, extent.1 + size),
            Err(e) => tracing::warn!(error = %e, path = %path.display(), "cannot keep a row that was set aside"),
        }
    }

    /// Keeps a record of a log, if there is room: on disk for good before the log hears that it is
    /// done. The collector, which is told of it, makes a dead letter of it.
    pub fn keep(&self, log: Uuid, record: &Record, reason: &str) {
        self.keep_as("record", log, record, reason);
    }

    /// Keeps items out of a record of which the rest is stored, if there is room. The collector is
    /// not told: a dead letter of the whole record would bring the rest a second time.
    pub fn keep_items(&self, log: Uuid, items: &Record, reason: &str) {
        self.keep_as("items", log, items, reason);
    }

    fn keep_as(&self, what: &str, log: Uuid, record: &Record, reason: &str) {
        let size = record.batch.payload.len() as u64;
        let path = self.dir.join(format!("{}-{}.{what}", record.batch.signal, record.position.0));
        let mut extent = self.extent.lock();
        if extent.0 >= MAX_FILES || extent.1 + size > MAX_BYTES || path.exists() {
            return;
        }
        match write(&path, log, record, reason) {
            Ok(()) => *extent = (extent.0 + 1, extent.1 + size),
            Err(e) => tracing::warn!(error = %e, path = %path.display(), "cannot keep a record that was set aside"),
        }
    }

    /// The records of a log from a position on, and why they were set aside: for a collector that
    /// was not there, or ended before it had made dead letters of them.
    pub fn of_log(&self, log: Uuid, signal: Signal, from: Position) -> Vec<(Position, String)> {
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let records = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "record"));
        let told = records.filter_map(|file| {
            let mut line = String::new();
            BufReader::new(fs::File::open(file.path()).ok()?).take(MAX_HEAD).read_line(&mut line).ok()?;
            let told: Told = serde_json::from_str(&line).ok()?;
            let is_asked_for = told.log == Some(log) && told.signal == signal && told.position >= from.0;
            is_asked_for.then_some((Position(told.position), told.reason))
        });
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }
}

/// What stands in the file of a row.
#[derive(Debug, serde::Serialize)]
struct Row<'a> {
    table: &'a str,
    reason: &'a str,
    columns: std::collections::BTreeMap<&'a str, &'a str>,
}

fn write(path: &Path, log: Uuid, record: &Record, reason: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let batch = &record.batch;
    let head = Head {
        log,
        signal: batch.signal.name(),
        position: record.position.0,
        reason,
        format: batch.format.name(),
        compression: batch.compression.name(),
        items: batch.items,
        received: batch.received,
        query: &batch.meta.query,
        content_type: &batch.meta.content_type,
    };
    durable::replace_with(path, |file| {
        serde_json::to_writer(&mut *file, &head)?;
        file.write_all(b"\n")?;
        file.write_all(&batch.payload)
    })
}
