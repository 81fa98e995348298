//! Opening a log: which segments there are, what the last one holds, where the cursors stand.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Weak;

use super::cursor::{Cursor, Loaded, Saved};
use super::disk::FileId;
use super::record::Entry;
use super::scan::{Damage, ScanError, scan};
use super::segment::{self, Totals};
use super::state::{Active, Closed, Shared, State};
use super::{Config, Destination, Start, WalError, cursor, disk, files, gaps, health, identity, quarantine, writer};
use crate::durable;
use crate::signal::Signal;
use parking_lot::Mutex;
use tokio::sync::watch;

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
    destinations: &[Destination],
) -> Result<Shared, WalError> {
    files::create_dir(&dir).map_err(files::io("cannot create", &dir))?;
    let dir_id = FileId::at(&dir).map_err(files::io("cannot look at", &dir))?;
    let firsts = segment::list(&dir).map_err(files::io("cannot list", &dir))?;
    let loaded = Saved::load(&dir).map_err(files::io("cannot read the cursors in", &dir))?;
    let copy = if let Loaded::Good(saved) = &loaded { saved.id } else { None };
    let id = identity::load(&dir, &firsts, copy)?;
    let salt = identity::salt(id);
    remove_leftovers(&dir, &firsts).map_err(files::io("cannot tidy", &dir))?;
    let mut trusted = true;
    let saved = match loaded {
        Loaded::Good(saved) if saved.id.is_none_or(|of| of == id) => saved,
        Loaded::Missing if firsts.is_empty() => Saved::default(),
        Loaded::Newer(version) => {
            let reason = format!("version {version}, written by a newer vispyr");
            return Err(WalError::Format { path: dir.join("cursors"), reason });
        }
        lost => {
            let what = match lost {
                Loaded::Missing => "missing",
                Loaded::Good(_) => "those of another log",
                _ => "damaged",
            };
            tracing::error!(%signal, "the cursors are {what}, every destination begins at the oldest record");
            trusted = false;
            Saved::default()
        }
    };
    let known = saved.cursors.values().copied().max().unwrap_or(0).max(saved.next);

    let mut found = Found::default();
    let mut closed = VecDeque::new();
    for pair in firsts.windows(2) {
        let totals = read_closed(&dir, salt, pair[0]..pair[1], signal, &mut found)?;
        closed.push_back(Closed { first: pair[0], totals, entries: Weak::<[Entry; 0]>::new() });
    }
    let (active, end) = match firsts.last() {
        Some(first) => read_last(&dir, salt, *first, known, signal, &mut found)?,
        None => {
            let file = writer::create(&dir, known).map_err(files::io("cannot create a segment in", &dir))?;
            let active =
                Active::new(known, file, 0, Vec::new()).map_err(files::io("cannot look at a segment in", &dir))?;
            (active, 0)
        }
    };
    if known > end {
        found.missing.push(end..known);
    }
    let next = end.max(known);
    let oldest = closed.front().map_or(active.first, |closed| closed.first);
    if let Some(first) = firsts.first() {
        found.missing.push(0..*first);
    }
    let wanted = destinations.iter().filter_map(|known| saved.cursors.get(&known.name)).copied().min();
    let wanted = if trusted { wanted.unwrap_or(u64::MAX) } else { oldest };
    let missing: Vec<_> = found.missing.iter().flat_map(|gap| gaps::without(gap, &saved.told)).collect();
    let missing_records = tell_missing(signal, &missing, wanted);
    let cursor = |destination: &Destination| {
        let position = match saved.cursors.get(&destination.name) {
            Some(position) => (*position).max(oldest),
            None if destination.start == Start::Now && trusted => next,
            None => oldest,
        };
        Cursor::new(destination, position)
    };
    for (name, position) in &saved.cursors {
        if destinations.iter().all(|known| known.name != *name) {
            let records = next.saturating_sub(*position);
            tracing::info!(%signal, destination = name, position, records, "destination is not configured any more, its cursor is forgotten and with it what waited");
        }
    }
    let mut state = State {
        cursors: destinations.iter().map(cursor).collect(),
        closed,
        active,
        next,
        readers: Default::default(),
        tail: Default::default(),
        damaged: Default::default(),
        corrupt_records: found.corrupt,
        corrupt_unkept: found.unkept,
        missing_records,
        told: [saved.told, found.explained, missing].concat(),
        persisted: 0,
        unreadable: Default::default(),
        failing: None,
        overfull: None,
        appended_items: 0,
        syncs: 0,
        sync_time: Default::default(),
    };
    match state.saved(id).store(&dir) {
        Ok(()) => state.persisted = state.passed(),
        // A full disk must not keep us from starting: nothing would ever empty it.
        Err(error) => tracing::warn!(%signal, %error, "cannot write the cursors"),
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
        dir_id,
        #[cfg(test)]
        faults: Default::default(),
    };
    shared.begin_accounts();
    Ok(shared)
}

/// Removes what a crash has left of ours: half-written files and indexes without a segment. What
/// somebody else has put there stays.
fn remove_leftovers(dir: &Path, firsts: &[u64]) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| is_leftover(name, firsts)) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_leftover(name: &str, firsts: &[u64]) -> bool {
    let is_replaced = |file| [identity::NAME, cursor::NAME].contains(&file) || segment::of_index(file).is_some();
    let half_written = durable::of_temporary(name).is_some_and(is_replaced);
    let orphan = segment::of_index(name).is_some_and(|first| firsts.binary_search(&first).is_err());
    half_written || orphan || name == health::PROBE
}

/// What reading the segments has shown.
#[derive(Debug, Default)]
struct Found {
    /// Damaged records.
    corrupt: u64,
    /// Damaged stretches that are not in the quarantine.
    unkept: u64,
    /// Positions of records that have left no trace.
    missing: Vec<Range<u64>>,
    /// Positions behind the last good record that damaged ones may have had.
    explained: Vec<Range<u64>>,
}

/// Says which records are gone that some destination has still to get: those from `wanted` on.
/// How many.
fn tell_missing(signal: Signal, missing: &[Range<u64>], wanted: u64) -> u64 {
    let mut all = 0;
    for gap in missing {
        let (first, end) = (gap.start.max(wanted), gap.end);
        if first < end {
            let records = end - first;
            tracing::error!(%signal, first, last = end - 1, records, "records of the log are missing: a segment is gone or was cut short");
            all += records;
        }
    }
    all
}

/// Totals of a closed segment: from its index, else from its headers, and then the index is
/// written again. Bodies are checked when they are read.
fn read_closed(
    dir: &Path,
    salt: u64,
    positions: Range<u64>,
    signal: Signal,
    found: &mut Found,
) -> Result<Totals, WalError> {
    let first = positions.start;
    if let Some(totals) = segment::read_totals(dir, first, salt) {
        if totals.end < positions.end {
            found.missing.push(totals.end..positions.end);
        }
        return Ok(totals);
    }
    let path = segment::path(dir, first);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if disk::is_unreadable(&error) => {
            tracing::error!(%signal, segment = first, %error, "a segment cannot be opened");
            found.missing.push(positions);
            return Ok(Totals::new(first, 0, &[]));
        }
        Err(error) => return Err(files::io("cannot open", &path)(error)),
    };
    let scanned = scan(&file, salt, positions, false).map_err(|error| error.of(&path))?;
    let length = file.metadata().map_err(files::io("cannot read", &path))?.len();
    let totals = Totals::new(first, length, &scanned.entries);
    let index = segment::write_index(dir, first, salt, &totals, &scanned.entries);
    tracing::info!(%signal, segment = first, records = totals.records, written = index.is_ok(), "segment's index made anew");
    for damage in &scanned.damaged {
        found.unkept += u64::from(!quarantine_damage(dir, signal, first, &file, damage));
    }
    found.corrupt += scanned.corrupt;
    found.missing.extend(scanned.missing);
    Ok(totals)
}

/// The last segment: checked whole (unless it was closed cleanly) and cut where a crash has torn
/// it. What is damaged stays, and is stepped over. With it one past the last position that a
/// record in it can have; `known` is the next position that the cursors tell.
fn read_last(
    dir: &Path,
    salt: u64,
    first: u64,
    known: u64,
    signal: Signal,
    found: &mut Found,
) -> Result<(Active, u64), WalError> {
    let path = segment::path(dir, first);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(files::io("cannot open", &path))?;
    let clean = segment::read_totals(dir, first, salt);
    if let Some(totals) = clean
        && let Ok(entries) = segment::read_entries(dir, first, salt, u64::MAX)
    {
        let _ = fs::remove_file(segment::index_path(dir, first));
        let active = Active::new(first, file, totals.length, entries.to_vec());
        let active = active.map_err(files::io("cannot look at", &path))?;
        return Ok((active, totals.end));
    }
    let _ = fs::remove_file(segment::index_path(dir, first));
    let scanned = scan(&file, salt, first..u64::MAX, true).map_err(|error| error.of(&path))?;
    // What is torn was acknowledged all the same if the cursors have heard of it.
    let cut_short = known > scanned.next;
    for damage in scanned.damaged.iter().filter(|damage| !damage.torn || cut_short) {
        found.unkept += u64::from(!quarantine_damage(dir, signal, first, &file, damage));
    }
    let length = file.metadata().map_err(files::io("cannot read", &path))?.len();
    if scanned.end < length {
        tracing::info!(%signal, segment = first, bytes = length - scanned.end, "torn end of the log cut off");
        file.set_len(scanned.end).and_then(|()| file.sync_all()).map_err(files::io("cannot cut", &path))?;
    }
    found.corrupt += scanned.corrupt;
    found.missing.extend(scanned.missing);
    found.explained.push(scanned.entries.last().map_or(first, |last| last.position + 1)..scanned.next);
    let active = Active::new(first, file, scanned.end, scanned.entries);
    let active = active.map_err(files::io("cannot look at", &path))?;
    Ok((active, scanned.next))
}

/// Whether it is kept.
fn quarantine_damage(dir: &Path, signal: Signal, segment: u64, file: &File, damage: &Damage) -> bool {
    let (offset, bytes) = (damage.range.start, damage.range.end - damage.range.start);
    tracing::error!(%signal, segment, offset, bytes, "damaged record skipped");
    let mut raw = vec![0; usize::try_from(bytes).unwrap_or(0).min(16 << 20)];
    let read = disk::read_around(file, &mut raw, offset, &mut Vec::new());
    read.is_ok_and(|read| quarantine::keep(dir, segment, offset, &raw[..read]))
}
