//! What earlier versions set aside: a folder of files. Records in it of which the collector has no
//! dead letter yet are told to it; nothing in it is deleted.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use uuid::Uuid;

use crate::signal::Signal;
use crate::store::protocol::{Part, Quarantined};
use crate::wal::Position;

/// The longest first line that is read.
const MAX_HEAD: u64 = 1 << 20;

/// The first line of a file, as far as it is of use.
#[derive(Debug, serde::Deserialize)]
struct Head {
    /// The earliest versions do not name it.
    log: Option<Uuid>,
    signal: Signal,
    position: u64,
    reason: String,
}

/// The records in the folder, which need not be there. Says what else is in it.
pub(super) fn records(dir: &Path) -> Vec<Quarantined> {
    let paths: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let is_record = |path: &&std::path::PathBuf| path.extension().is_some_and(|extension| extension == "record");
    let others = paths.iter().filter(|path| !is_record(path)).count();
    if others > 0 {
        tracing::warn!(dir = %dir.display(), files = others,
            "an earlier version has set items or rows aside here; they are left for you to look at and to remove");
    }
    let notes = paths.iter().filter(is_record).filter_map(|path| {
        let mut line = String::new();
        BufReader::new(fs::File::open(path).ok()?).take(MAX_HEAD).read_line(&mut line).ok()?;
        let Head { log, signal, position, reason } = serde_json::from_str(&line).ok()?;
        Some(Quarantined::of_log(log?, signal, Position(position), reason, Part::Record))
    });
    notes.collect()
}
