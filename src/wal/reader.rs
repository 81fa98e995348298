//! Reading one log for one destination: from memory near the end, else with positioned reads off
//! the async threads, and never beyond what is synced.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::watch;

use super::cursor::CursorId;
use super::record::{Entry, HEADER, Header};
use super::scan::ScanError;
use super::segment::{self, Entries};
use super::state::{Plan, Shared, choose};
use super::{Position, Record, WalError, disk, files, quarantine};
use crate::blocking;

/// Reads one log for one destination. Reading does not move the cursor; [`Reader::commit`] does.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    id: u64,
    /// Which cursor; of no cursor any more once the destination was removed.
    cursor: CursorId,
    position: u64,
    grown: watch::Receiver<u64>,
    open: Option<Open>,
}

/// The closed segment being read.
#[derive(Debug, Clone)]
struct Open {
    first: u64,
    limit: u64,
    file: Arc<File>,
    entries: Entries,
}

/// What a read from disk gave.
struct Found {
    records: Vec<Record>,
    /// Where to read on.
    position: u64,
    open: Option<Open>,
}

/// Records read from a file.
#[derive(Default)]
struct Read {
    records: Vec<Record>,
    damaged: Vec<(Entry, Bytes)>,
    /// The position of the last one, good or damaged.
    last: Option<u64>,
}

/// How often what cannot be read is asked for.
const TRIES: u32 = 3;

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, cursor: CursorId) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let id = NUMBER.fetch_add(1, Ordering::Relaxed);
        let grown = shared.grown.subscribe();
        let position = {
            let state = shared.state.lock();
            state.cursors.get(cursor).map_or(state.next, |cursor| cursor.position)
        };
        Reader { shared, id, cursor, position, grown, open: None }
    }

    /// The destination's cursor: the first record that is not done.
    pub fn cursor(&self) -> Position {
        let state = self.shared.state.lock();
        Position(state.cursors.get(self.cursor).map_or(self.position, |cursor| cursor.position))
    }

    /// Where it reads on.
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    /// The next records after those already read, together up to about `max_bytes` of memory (at
    /// least one). Waits until there is one, also after the log was closed: stop it by dropping
    /// the future, which loses nothing. Reading happens off the async threads.
    ///
    /// # Errors
    ///
    /// A segment could not be read. Trying again is right; the reader stays where it is.
    pub async fn next(&mut self, max_bytes: usize) -> Result<Vec<Record>, WalError> {
        loop {
            self.grown.borrow_and_update();
            let plan = self.shared.state.lock().plan(self.id, &mut self.position, max_bytes);
            let (position, open) = (self.position, self.open.take());
            let shared = self.shared.clone();
            let found = match plan {
                Plan::Wait => {
                    if self.grown.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                    continue;
                }
                Plan::Ready(records) => {
                    self.advance(records.last().map_or(position, |record| record.position.0 + 1));
                    return Ok(records);
                }
                Plan::Active { file, entries } => {
                    off_thread(move || shared.read_active(&file, &entries, position)).await?
                }
                Plan::Closed { first, limit, entries } => {
                    let open = open.filter(|open| open.first == first);
                    let entries = entries.or_else(|| open.as_ref().map(|open| open.entries.clone()));
                    off_thread(move || shared.read_closed(first, limit, open, entries, position, max_bytes)).await?
                }
            };
            self.open = found.open;
            self.advance(found.position);
            if !found.records.is_empty() {
                return Ok(found.records);
            }
        }
    }

    fn advance(&mut self, position: u64) {
        self.position = position;
        self.shared.state.lock().advance(self.id, position);
    }

    /// Reads on from `position`, or from the oldest record if that is gone.
    pub fn seek(&mut self, position: Position) {
        self.advance(position.0);
    }

    /// Every record before `position` is done: the cursor moves there and segments may go. Never
    /// moves back, nor beyond the end. Persisted within a second and at close; after a crash it
    /// may be a little old. Does nothing once the destination was removed from the log.
    pub fn commit(&self, position: Position) {
        if self.shared.state.lock().commit(self.cursor, position.0) {
            self.shared.flusher.request();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.readers.remove(&self.id);
        let state = &mut *state;
        state.tail.trim(state.readers.values().copied());
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WalError> + Send + 'static,
) -> Result<T, WalError> {
    match blocking::LOG.run(work).await {
        Ok(result) => result,
        Err(source) => Err(WalError::Io { context: "cannot read a segment", path: "wal".into(), source }),
    }
}

impl Shared {
    fn read_active(&self, file: &File, entries: &[Entry], position: u64) -> Result<Found, WalError> {
        let read = self.read(file, entries).map_err(files::io("cannot read the active segment in", &self.dir))?;
        let position = read.last.map_or(position, |last| last + 1);
        let first = self.state.lock().active.first;
        self.quarantine(first, &read.damaged);
        Ok(Found { records: read.records, position, open: None })
    }

    fn read_closed(
        &self,
        first: u64,
        limit: u64,
        open: Option<Open>,
        entries: Option<Entries>,
        position: u64,
        max_bytes: usize,
    ) -> Result<Found, WalError> {
        let path = segment::path(&self.dir, first);
        let known = entries.clone();
        let opened = || -> Result<Open, ScanError> {
            let entries = match entries {
                Some(entries) => entries,
                None => self.entries(first, limit)?,
            };
            let file = match open {
                Some(open) => open.file,
                None => Arc::new(File::open(&path)?),
            };
            Ok(Open { first, limit, file, entries })
        };
        let open = match opened() {
            Ok(open) => open,
            // Dropped since, or lost: the next plan begins behind it.
            Err(error) if self.is_gone(first) || self.loses(first, &error, known.as_deref()) => {
                return Ok(Found { records: Vec::new(), position, open: None });
            }
            Err(error) => return Err(error.of(&path)),
        };
        let chosen = choose(&open.entries, position, max_bytes);
        let read = self.read(&open.file, chosen).map_err(files::io("cannot read", &path))?;
        let position = read.last.map_or(open.limit, |last| last + 1);
        self.quarantine(first, &read.damaged);
        Ok(Found { records: read.records, position, open: Some(open) })
    }

    fn is_gone(&self, first: u64) -> bool {
        self.state.lock().closed.iter().all(|closed| closed.first != first)
    }

    /// A segment that should be there is not, or cannot be opened: what was in it is lost. False
    /// if asking again may help.
    fn loses(&self, first: u64, error: &ScanError, entries: Option<&[Entry]>) -> bool {
        let ScanError::Io(error) = error else { return false };
        let missing = error.kind() == io::ErrorKind::NotFound && self.in_place().is_ok();
        let lost = missing || disk::is_unreadable(error) && self.gives_up(first);
        if !lost {
            return false;
        }
        if self.state.lock().lose_segment(first, entries) {
            tracing::error!(signal = %self.signal, segment = first, %error, "a segment of the log is gone, with the records in it");
            self.flusher.request();
        }
        true
    }

    /// What cannot be read is given up after some tries, if the disk works otherwise: one that
    /// has gone away altogether may come back with all that is on it.
    fn gives_up(&self, position: u64) -> bool {
        let tries = {
            let mut state = self.state.lock();
            let tries = state.unreadable.entry(position).or_default();
            *tries += 1;
            *tries
        };
        tries >= TRIES && self.disk_answers()
    }

    /// Reads records that lie together with one read, and tells the damaged ones apart.
    fn read(&self, file: &File, entries: &[Entry]) -> io::Result<Read> {
        let mut read = Read::default();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(read) };
        let start = u64::from(first.offset);
        match disk::read_bytes(file, start, (last.end() - start) as usize) {
            Ok(bytes) => {
                for entry in entries {
                    let from = ((u64::from(entry.offset) - start) as usize).min(bytes.len());
                    let raw = bytes.slice(from..(from + entry.length as usize).min(bytes.len()));
                    self.sort(&mut read, entry, raw);
                }
                Ok(read)
            }
            Err(error) if disk::is_unreadable(&error) => self.read_singly(file, entries),
            Err(error) => Err(error),
        }
    }

    /// Some of these records cannot be read: only those are lost.
    fn read_singly(&self, file: &File, entries: &[Entry]) -> io::Result<Read> {
        let mut read = Read::default();
        for entry in entries {
            let offset = u64::from(entry.offset);
            let raw = match disk::read_bytes(file, offset, entry.length as usize) {
                Ok(raw) => raw,
                Err(error) if disk::is_unreadable(&error) && self.gives_up(entry.position) => {
                    let mut rest = vec![0; entry.length as usize];
                    let length = disk::read_around(file, &mut rest, offset, &mut Vec::new())?;
                    rest.truncate(length);
                    rest.into()
                }
                // Those before it are good.
                Err(_) if read.last.is_some() => return Ok(read),
                Err(error) => return Err(error),
            };
            self.sort(&mut read, entry, raw);
        }
        Ok(read)
    }

    fn sort(&self, read: &mut Read, entry: &Entry, raw: Bytes) {
        let batch = raw
            .first_chunk::<HEADER>()
            .and_then(|header| Header::decode(header, self.salt).ok())
            .filter(|header| header.position == entry.position)
            .and_then(|header| header.batch(self.signal, &raw.slice(HEADER..)));
        match batch {
            Some(batch) => read.records.push(Record { position: Position(entry.position), batch }),
            None => read.damaged.push((*entry, raw)),
        }
        read.last = Some(entry.position);
    }

    fn quarantine(&self, segment: u64, damaged: &[(Entry, Bytes)]) {
        for (entry, raw) in damaged {
            if self.state.lock().damage(entry) {
                let position = entry.position;
                tracing::error!(signal = %self.signal, segment, position, items = entry.items, "damaged record skipped");
                if !quarantine::keep(&self.dir, segment, u64::from(entry.offset), raw) {
                    self.state.lock().corrupt_unkept += 1;
                }
            }
        }
    }
}
