//! Whether a log can take records: its folder is where it was, and the disk takes writes.
//!
//! A folder that was removed, moved or covered by another file system is not made again while the
//! log runs: a second log of the same identity would give positions away that the first has given
//! already. Nothing is acknowledged until the folder is back, or the program starts anew.

use std::fs::{self, File};
use std::io::{self, Write as _};

use super::disk::FileId;
use super::segment;
use super::state::Shared;

/// The file that is written to try the disk.
pub(super) const PROBE: &str = "probe.tmp";

impl Shared {
    /// The folder is still the one that was opened.
    pub(super) fn in_place(&self) -> io::Result<()> {
        match FileId::at(&self.dir) {
            Ok(id) if id == self.dir_id => Ok(()),
            Ok(_) => Err(gone("another folder is in its place")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone("it was removed or moved")),
            Err(error) => Err(error),
        }
    }

    /// The segment that is written has still its name: what is in it will be found at the next start.
    pub(super) fn active_is_linked(&self) -> io::Result<bool> {
        let (first, id) = {
            let state = self.state.lock();
            (state.active.first, state.active.id)
        };
        match FileId::at(&segment::path(&self.dir, first)) {
            Ok(found) => Ok(found == id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a segment of ours, and none of a folder that is in the place of ours.
    pub(super) fn remove_segment(&self, first: u64) -> io::Result<()> {
        self.in_place()?;
        segment::remove(&self.dir, first)
    }

    /// Whether the disk takes something, or is only full.
    pub(super) fn disk_answers(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self.probe() {
            Ok(()) => true,
            Err(error) => matches!(error.kind(), StorageFull | QuotaExceeded),
        }
    }

    /// Writes and syncs a little.
    fn probe(&self) -> io::Result<()> {
        self.in_place()?;
        let path = self.dir.join(PROBE);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(&[0; 4096])?;
            file.sync_data()
        };
        let written = write();
        let _ = fs::remove_file(&path);
        written
    }

    /// See [`super::Log::failing`].
    pub(super) fn failing(&self) -> Option<String> {
        if self.queue.is_abandoned() {
            return Some("its thread has ended by a fault of this program, which has to be started again".to_owned());
        }
        self.state.lock().failing.clone()
    }

    /// See [`super::Log::check`].
    pub(super) fn check(&self) -> Result<(), String> {
        let linked = self.in_place();
        let was_failing = self.state.lock().failing.is_some();
        // Without appends nobody else would notice that the disk works again.
        let result = if was_failing { linked.and_then(|()| self.probe()) } else { linked };
        let failing = result.err().map(|error| error.to_string());
        self.state.lock().failing = failing;
        self.failing().map_or(Ok(()), Err)
    }
}

fn gone(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("the folder of the log is gone: {what} while it was in use"))
}
