//! The writer thread: group commit.
//!
//! Appends queue up while a sync runs; the thread then takes them all, writes them with one
//! vectored write and one `fdatasync`, makes them visible to readers and answers their senders.
//!
//! When a write fails (a full disk), the segment is cut back to what was synced, the senders get
//! the error, and the next append tries again. When a sync fails, the kernel may have marked the
//! pages clean although they are not on disk, so a second `fdatasync` of the same file proves
//! nothing: the group is written again, once, into a new segment. What stays behind in the old
//! one is stale by position (see [`super::scan`]).

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::queue::Pending;
use super::record::{Entry, Header};
use super::segment::{self, Entries, Totals};
use super::state::{Active, Closed, Shared};
use super::{AppendError, Position, Record, files};
use crate::signal::Batch;

/// Bytes written with one sync at most. More gains nothing, and a crash tears less.
const GROUP_BYTES: u64 = 8 << 20;
/// Pieces that one `pwritev` takes (`IOV_MAX`).
const PIECES: usize = 1024;
/// Records a segment holds at most: bounds the memory of its entries to 4 MiB.
const SEGMENT_RECORDS: usize = 128 << 10;

/// How often a lasting failure is logged.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Failures to come, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) writes: std::sync::atomic::AtomicU32,
    pub(super) syncs: std::sync::atomic::AtomicU32,
    /// The thread panics at the next group.
    pub(super) panics: std::sync::atomic::AtomicBool,
}

/// The thread's own state. The active segment's file, length and entries are in [`Shared`], and
/// only this thread changes them.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    /// The active segment may hold bytes that were never acknowledged and could not be cut off.
    pub(super) spoiled: bool,
    /// When it was last said that writing fails; nothing while it works.
    trouble: Option<Instant>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue.abandon();
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Writer { shared, spoiled: false, trouble: None }
    }

    /// The thread's body.
    pub(super) fn run(mut self) {
        let max_bytes = GROUP_BYTES.min(self.shared.segment_size);
        loop {
            let group = self.shared.queue.take(max_bytes);
            if group.is_empty() {
                break;
            }
            self.commit(group);
        }
        self.index_active();
    }

    /// Writes a group and answers all of it.
    fn commit(&mut self, group: Vec<Pending>) {
        #[cfg(test)]
        assert!(!self.shared.faults.panics.load(std::sync::atomic::Ordering::SeqCst), "as the test wants");
        let group = self.admit(group);
        if group.is_empty() {
            return;
        }
        match self.write(&group) {
            Ok(entries) => {
                self.publish(group, entries);
                if self.trouble.take().is_some() {
                    self.shared.state.lock().failing = None;
                    tracing::info!(signal = %self.shared.signal, "the log takes records again");
                }
            }
            Err(error) => {
                self.complain(&error);
                for pending in group {
                    let source = again(&error);
                    let _ = pending.reply.send(Err(AppendError::Io { signal: self.shared.signal, source }));
                }
            }
        }
    }

    /// Says what is wrong, not at every group.
    fn complain(&mut self, error: &io::Error) {
        self.shared.state.lock().failing = Some(error.to_string());
        if self.trouble.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
            self.trouble = Some(Instant::now());
            tracing::error!(signal = %self.shared.signal, %error, "cannot write to the log, senders are told to try again");
        }
    }

    /// Writes and syncs a group behind the last record. On an error nothing of it counts.
    fn write(&mut self, group: &[Pending]) -> io::Result<Vec<Entry>> {
        let first = match self.try_write(group) {
            Ok(entries) => return Ok(entries),
            Err(failed) => failed,
        };
        let again = match &first {
            Failed::Sync(error) => {
                tracing::error!(signal = %self.shared.signal, %error, "sync failed, writing again into a new segment");
                true
            }
            Failed::Unlinked => {
                self.restore();
                true
            }
            Failed::Write(error) => is_full(error) && self.free_space(),
        };
        if !again {
            return Err(first.into_inner());
        }
        self.try_write(group).map_err(Failed::into_inner)
    }

    fn try_write(&mut self, group: &[Pending]) -> Result<Vec<Entry>, Failed> {
        let total: u64 = group.iter().map(Pending::length).sum();
        let (length, records) = {
            let state = self.shared.state.lock();
            (state.active.length, state.active.entries.len())
        };
        let full = length > 0 && length + total > self.shared.segment_size;
        if full || self.spoiled || records + group.len() > SEGMENT_RECORDS {
            self.begin_segment().map_err(Failed::Write)?;
        }
        self.write_once(group)
    }

    fn write_once(&mut self, group: &[Pending]) -> Result<Vec<Entry>, Failed> {
        let (file, start, next) = {
            let state = self.shared.state.lock();
            (state.active.file.clone(), state.active.length, state.next)
        };
        let mut entries = Vec::with_capacity(group.len());
        let mut headers = Vec::with_capacity(group.len());
        let mut offset = start;
        for (pending, position) in group.iter().zip(next..) {
            let header = Header { position, ..pending.header };
            let Ok(at) = u32::try_from(offset) else {
                return Err(Failed::Write(io::Error::other("segment too long")));
            };
            entries.push(Entry::new(&header, at));
            offset += pending.length();
            headers.push(header.encode(self.shared.salt));
        }
        let mut pieces = Vec::with_capacity(group.len() * 2);
        for (pending, header) in group.iter().zip(&headers) {
            let Batch { meta, payload, .. } = &pending.batch;
            let parts = [&header[..], meta.query.as_bytes(), meta.content_type.as_bytes(), payload];
            pieces.extend(parts.into_iter().filter(|part| !part.is_empty()).map(IoSlice::new));
        }
        let written = self.write_pieces(&file, &mut pieces, start);
        let failed = match written {
            Ok(()) => match self.sync(&file) {
                // Synced is not enough: it must be found again at the next start.
                Ok(()) => match self.shared.active_is_linked() {
                    Ok(true) => return Ok(entries),
                    Ok(false) => Failed::Unlinked,
                    Err(error) => Failed::Write(error),
                },
                Err(error) => {
                    self.spoiled = true;
                    Failed::Sync(error)
                }
            },
            Err(error) => Failed::Write(error),
        };
        if let Err(error) = file.set_len(start) {
            tracing::warn!(signal = %self.shared.signal, %error, "cannot cut back a segment");
            self.spoiled = true;
        }
        Err(failed)
    }

    fn write_pieces(&self, file: &File, mut pieces: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.shared.faults.writes.load(std::sync::atomic::Ordering::SeqCst) > 0 {
            self.shared.faults.writes.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            let half = pieces.len() / 2 + 1;
            let _ = rustix::io::pwritev(file, &pieces[..half], offset);
            return Err(io::Error::from_raw_os_error(28));
        }
        while !pieces.is_empty() {
            let count = pieces.len().min(PIECES);
            match rustix::io::pwritev(file, &pieces[..count], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut pieces, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let started = Instant::now();
        let result = file.sync_data();
        #[cfg(test)]
        if self.shared.faults.syncs.load(std::sync::atomic::Ordering::SeqCst) > 0 {
            self.shared.faults.syncs.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(5));
        }
        let mut state = self.shared.state.lock();
        state.syncs += 1;
        state.sync_time += started.elapsed();
        result
    }

    /// Makes a synced group visible, then answers its senders.
    fn publish(&self, group: Vec<Pending>, entries: Vec<Entry>) {
        let mut replies = Vec::with_capacity(group.len());
        let next = {
            let mut state = self.shared.state.lock();
            let near = !state.readers.is_empty();
            for (pending, entry) in group.into_iter().zip(entries) {
                let position = Position(entry.position);
                state.active.length = entry.end();
                state.appended_items += u64::from(entry.items);
                state.active.entries.push(entry);
                state.next = entry.position + 1;
                if near {
                    state.tail.push(Record { position, batch: pending.batch });
                }
                replies.push((pending.reply, position));
            }
            let state = &mut *state;
            state.tail.trim(state.readers.values().copied());
            state.next
        };
        self.shared.grown.send_replace(next);
        for (reply, position) in replies {
            let _ = reply.send(Ok(position));
        }
    }

    /// Closes the active segment and begins the next. An empty one is replaced: after a failed
    /// sync its pages are not to be trusted.
    pub(super) fn begin_segment(&mut self) -> io::Result<()> {
        let (first, next, empty) = {
            let state = self.shared.state.lock();
            (state.active.first, state.next, state.active.length == 0)
        };
        self.shared.in_place()?;
        // Until it has succeeded nothing may go into the old one: a file of the new name may exist.
        self.spoiled = true;
        if empty {
            segment::remove(&self.shared.dir, first).or_else(missing_is_fine)?;
        }
        let file = create(&self.shared.dir, next)?;
        let new = Active::new(next, file, 0, Vec::new())?;
        self.spoiled = false;
        let mut state = self.shared.state.lock();
        let old = std::mem::replace(&mut state.active, new);
        if empty {
            return Ok(());
        }
        let entries: Entries = old.entries.into();
        let totals = Totals::new(old.first, old.length, &entries);
        state.closed.push_back(Closed { first: old.first, totals, entries: Arc::downgrade(&entries) });
        for cursor in state.cursors.iter_mut().filter(|c| c.position > old.first && c.position < totals.end) {
            cursor.entries = Some((old.first, entries.clone()));
        }
        drop(state);
        self.index(old.first, &totals, &entries);
        self.shared.flusher.request();
        Ok(())
    }

    fn index(&self, first: u64, totals: &Totals, entries: &[Entry]) {
        if let Err(error) = segment::write_index(&self.shared.dir, first, self.shared.salt, totals, entries) {
            let _ = fs::remove_file(segment::index_path(&self.shared.dir, first));
            tracing::warn!(signal = %self.shared.signal, segment = first, %error, "cannot write a segment's index");
        }
    }

    /// At a clean end: spares the next start the scan of the last segment.
    fn index_active(&self) {
        let (first, length, entries) = {
            let state = self.shared.state.lock();
            (state.active.first, state.active.length, state.active.entries.clone())
        };
        self.index(first, &Totals::new(first, length, &entries), &entries);
    }
}

/// What failed: after a failed sync the file must not be synced again and believed.
enum Failed {
    Write(io::Error),
    Sync(io::Error),
    /// The file has no name any more.
    Unlinked,
}

impl Failed {
    fn into_inner(self) -> io::Error {
        match self {
            Failed::Write(error) | Failed::Sync(error) => error,
            Failed::Unlinked => io::Error::new(io::ErrorKind::NotFound, "the file of the log was removed"),
        }
    }
}

/// Creates the segment that begins at `first`; its name is durable when this returns.
pub(super) fn create(dir: &Path, first: u64) -> io::Result<File> {
    let path = segment::path(dir, first);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    files::sync_dir(dir)?;
    Ok(file)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The same error for another sender.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
