//! Opening a log: which segments there are, what the last one holds, where the cursors stand.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::cursor::{Cursor, Loaded, Saved};
use super::record::Entry;
use super::scan::{Damage, ScanError, scan};
use super::segment::{self, Totals};
use super::state::{Active, Closed, Shared, State};
use super::{Config, Start, WalError, files, quarantine, writer};
use crate::signal::Signal;

const ID: &str = "id";
const ID_PREFIX: &str = "vispyr log 1 ";

impl ScanError {
    /// With the file it is about.
    pub(super) fn of(self, path: &Path) -> WalError {
        match self {
            ScanError::Io(source) => WalError::Io { context: "cannot read", path: path.to_owned(), source },
            ScanError::Newer(version) => WalError::Format {
                path: path.to_owned(),
                reason: format!("it holds records of version {version}, written by a newer vispyr"),
            },
        }
    }
}

/// Reads and repairs the log in `dir`.
pub(super) fn open(
    dir: PathBuf,
    signal: Signal,
    config: &Config,
    destinations: &[(String, Start)],
) -> Result<Shared, WalError> {
    files::create_dir(&dir).map_err(files::io("cannot create", &dir))?;
    let firsts = segment::list(&dir).map_err(files::io("cannot list", &dir))?;
    let id = identity(&dir, firsts.is_empty())?;
    let salt = id.as_u64_pair().1;
    remove_leftovers(&dir, &firsts).map_err(files::io("cannot tidy", &dir))?;
    let loaded = Saved::load(&dir).map_err(files::io("cannot read the cursors in", &dir))?;
    let saved = match &loaded {
        Loaded::Good(saved) => saved.clone(),
        Loaded::Missing => Saved::default(),
        Loaded::Damaged => {
            tracing::error!(%signal, "the cursors are damaged, every destination begins at the oldest record");
            Saved::default()
        }
        Loaded::Newer(version) => {
            let reason = format!("version {version}, written by a newer vispyr");
            return Err(WalError::Format { path: dir.join("cursors"), reason });
        }
    };
    let known = saved.cursors.values().copied().max().unwrap_or(0).max(saved.next);

    let mut corrupt_records = 0;
    let mut closed = VecDeque::new();
    for pair in firsts.windows(2) {
        let (totals, corrupt) = read_closed(&dir, salt, pair[0], pair[1], signal)?;
        corrupt_records += corrupt;
        closed.push_back(Closed { first: pair[0], totals, entries: Weak::<[Entry; 0]>::new() });
    }
    let active = match firsts.last() {
        Some(first) => {
            let (active, corrupt) = read_last(&dir, salt, *first, signal)?;
            corrupt_records += corrupt;
            active
        }
        None => {
            let file = writer::create(&dir, known).map_err(files::io("cannot create a segment in", &dir))?;
            Active { first: known, file: Arc::new(file), length: 0, entries: Vec::new() }
        }
    };
    let end = active.entries.last().map_or(active.first, |last| last.position + 1);
    let next = end.max(known);
    let oldest = closed.front().map_or(active.first, |closed| closed.first);
    let cursor = |(name, start): &(String, Start)| {
        let position = match saved.cursors.get(name) {
            Some(position) => (*position).max(oldest),
            None if *start == Start::Now && loaded != Loaded::Damaged => next,
            None => oldest,
        };
        Cursor::new(name, position)
    };
    for (name, position) in &saved.cursors {
        if destinations.iter().all(|(known, _)| known != name) {
            tracing::info!(%signal, destination = name, position, "destination is not configured any more, its cursor is forgotten");
        }
    }
    let state = State {
        cursors: destinations.iter().map(cursor).collect(),
        closed,
        active,
        next,
        readers: Default::default(),
        tail: Default::default(),
        damaged: Default::default(),
        corrupt_records,
        appended_items: 0,
        syncs: 0,
        sync_time: Default::default(),
    };
    if let Err(error) = state.saved().store(&dir) {
        // A full disk must not keep us from starting: nothing would ever empty it.
        tracing::warn!(%signal, %error, "cannot write the cursors");
    }
    let max_size = config.max_size.as_u64().max(1 << 16);
    let shared = Shared {
        dir,
        signal,
        id,
        salt,
        // At least four segments in the budget, so that dropping one does not drop everything;
        // offsets are 32 bits.
        segment_size: config.segment_size.as_u64().clamp(4096, 1 << 31).min(max_size / 4),
        max_size,
        when_full: config.when_full,
        state: Mutex::new(state),
        grown: watch::channel(next).0,
        queue: Default::default(),
        flusher: Default::default(),
        flushing: Default::default(),
        #[cfg(test)]
        faults: Default::default(),
    };
    shared.begin_accounts();
    Ok(shared)
}

/// Reads the log's identity, or makes it with the folder.
fn identity(dir: &Path, fresh: bool) -> Result<Uuid, WalError> {
    let path = dir.join(ID);
    let format = |reason: &str| WalError::Format { path: path.clone(), reason: reason.to_owned() };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim_end().strip_prefix(ID_PREFIX).ok_or_else(|| format("not a log of this version"))?;
            Uuid::parse_str(id).map_err(|_| format("not a log's identity"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && fresh => {
            let id = Uuid::new_v4();
            files::replace(dir, ID, format!("{ID_PREFIX}{id}\n").as_bytes())
                .map_err(files::io("cannot write", &path))?;
            Ok(id)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format("missing beside segments")),
        Err(error) => Err(files::io("cannot read", &path)(error)),
    }
}

/// Removes half-written files and indexes without a segment.
fn remove_leftovers(dir: &Path, firsts: &[u64]) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        let leftover = match path.extension().and_then(|extension| extension.to_str()) {
            Some("tmp") => true,
            Some("idx") => stem.is_none_or(|first| firsts.binary_search(&first).is_err()),
            _ => false,
        };
        if leftover {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Totals of a closed segment: from its index, else from its headers, and then the index is
/// written again. Bodies are checked when they are read.
fn read_closed(dir: &Path, salt: u64, first: u64, limit: u64, signal: Signal) -> Result<(Totals, u64), WalError> {
    if let Some(totals) = segment::read_totals(dir, first, salt) {
        return Ok((totals, 0));
    }
    let path = segment::path(dir, first);
    let file = File::open(&path).map_err(files::io("cannot open", &path))?;
    let found = scan(&file, salt, first..limit, false).map_err(|error| error.of(&path))?;
    let length = file.metadata().map_err(files::io("cannot read", &path))?.len();
    let totals = Totals::new(first, length, &found.entries);
    let index = segment::write_index(dir, first, salt, &totals, &found.entries);
    tracing::info!(%signal, segment = first, records = totals.records, written = index.is_ok(), "segment's index made anew");
    for damage in &found.damaged {
        quarantine_damage(dir, signal, first, &file, damage);
    }
    Ok((totals, found.damaged.len() as u64))
}

/// The last segment: checked whole (unless it was closed cleanly) and cut behind its last good
/// record. What is damaged before that stays, and is stepped over.
fn read_last(dir: &Path, salt: u64, first: u64, signal: Signal) -> Result<(Active, u64), WalError> {
    let path = segment::path(dir, first);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(files::io("cannot open", &path))?;
    let clean = segment::read_totals(dir, first, salt);
    if let Some(totals) = clean
        && let Ok(entries) = segment::read_entries(dir, first, salt, u64::MAX)
    {
        let _ = fs::remove_file(segment::index_path(dir, first));
        let active = Active { first, file: Arc::new(file), length: totals.length, entries: entries.to_vec() };
        return Ok((active, 0));
    }
    let _ = fs::remove_file(segment::index_path(dir, first));
    let found = scan(&file, salt, first..u64::MAX, true).map_err(|error| error.of(&path))?;
    let mut corrupt = 0;
    for damage in &found.damaged {
        // A whole record with a wrong checksum at the very end may have been acknowledged; a
        // torn one was not.
        if damage.range.start < found.end || damage.whole {
            corrupt += 1;
            quarantine_damage(dir, signal, first, &file, damage);
        }
    }
    let length = file.metadata().map_err(files::io("cannot read", &path))?.len();
    if found.end < length {
        tracing::info!(%signal, segment = first, bytes = length - found.end, "torn end of the log cut off");
        file.set_len(found.end).and_then(|()| file.sync_all()).map_err(files::io("cannot cut", &path))?;
    }
    Ok((Active { first, file: Arc::new(file), length: found.end, entries: found.entries }, corrupt))
}

fn quarantine_damage(dir: &Path, signal: Signal, segment: u64, file: &File, damage: &Damage) {
    let (offset, bytes) = (damage.range.start, damage.range.end - damage.range.start);
    tracing::error!(%signal, segment, offset, bytes, "damaged record skipped");
    let mut raw = vec![0; usize::try_from(bytes).unwrap_or(0).min(16 << 20)];
    if let Ok(read) = files::read_at(file, &mut raw, offset) {
        quarantine::keep(dir, segment, offset, &raw[..read]);
    }
}
