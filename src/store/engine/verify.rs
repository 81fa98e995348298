//! Sealed files are compared with their checksums: before queries see them after a start, and
//! again every day.
//!
//! A bit that has changed on the disk mostly gives other rows and no error, and a damaged footer
//! fails every question to its table. So views hold compared files alone, questions wait until all
//! are compared, and a file that differs is left out and named.

mod marks;

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duckdb::Connection;
use parking_lot::{Condvar, Mutex};

pub use self::marks::Marks;
use super::Stop;
use super::generation;
use super::sealed_file;
use super::sealed_files::LostFile;
use super::shared::Shared;
use crate::store::catalog::File;
use crate::store::sql::NOT_READY;

/// Questions wait no longer than this for the comparison after a start; then they fail.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one comparison of all files to the next.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Bytes a second that later comparisons read.
const PACE: u64 = 32 << 20;

/// Tries to put the views over the compared files before the engine gives up and starts again.
const TRIES: u32 = 50;

/// How far the comparison after a start has come.
#[derive(Debug, Default)]
pub struct Verification {
    left: Mutex<Left>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Left {
    files: usize,
    bytes: u64,
    /// The views are not over them yet.
    pending: bool,
}

impl Verification {
    /// Of files that have to be compared.
    pub fn new(files: &[File]) -> Self {
        let bytes = files.iter().map(|file| file.bytes).sum();
        let left = Left { files: files.len(), bytes, pending: !files.is_empty() };
        Verification { left: Mutex::new(left), changed: Condvar::new() }
    }

    /// Waits until all files are compared and the views are over those that are whole.
    ///
    /// # Errors
    /// What is left to do, if that takes long.
    pub fn wait(&self) -> Result<(), duckdb::Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut left = self.left.lock();
        while left.pending {
            if self.changed.wait_until(&mut left, deadline).timed_out() && left.pending {
                let message = format!(
                    "{NOT_READY}the sealed files are compared with their checksums after the start, {} files with {} \
                     are left: try again in a moment",
                    left.files,
                    bytesize::ByteSize(left.bytes)
                );
                return Err(duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(message)));
            }
        }
        Ok(())
    }

    fn compared(&self, file: &File) {
        let mut left = self.left.lock();
        left.files = left.files.saturating_sub(1);
        left.bytes = left.bytes.saturating_sub(file.bytes);
    }

    fn finish(&self) {
        self.left.lock().pending = false;
        self.changed.notify_all();
    }
}

/// The thread that compares.
pub struct Verifier {
    shared: Arc<Shared>,
    db: Connection,
    stop: Arc<Stop>,
}

impl Verifier {
    /// With a connection of its own; `stop` ends it.
    pub fn new(shared: Arc<Shared>, db: Connection, stop: Arc<Stop>) -> Self {
        Verifier { shared, db, stop }
    }

    /// Compares `pending` and puts the views over those that are whole; then all files, from time
    /// to time.
    pub fn run(self, mut pending: Vec<File>, marks: &Marks) {
        // The newest first: who looks at what is left sees how far back it is whole.
        pending.sort_by_key(|file| Reverse(file.max_time));
        let mut whole = Vec::new();
        for file in pending {
            match self.compare(&file) {
                None => return,
                Some(Ok(())) => whole.push(file.clone()),
                Some(Err(reason)) => self.shared.counters.lost_sealed(LostFile::new(&file, reason), file.bytes),
            }
            self.shared.verification.compared(&file);
        }
        if !whole.is_empty() {
            self.change_files(|files| files.append(&mut whole.clone()));
        }
        self.shared.verification.finish();
        marks.save(&self.shared.sealed_dir, &self.shared.files());
        while !self.stop.wait(AGAIN) {
            self.again(PACE);
            marks.save(&self.shared.sealed_dir, &self.shared.files());
        }
    }

    /// Compares all files that queries see, at so many bytes a second, and leaves out those that
    /// have changed.
    pub fn again(&self, pace: u64) {
        for file in self.shared.files() {
            match self.compare(&file) {
                None => return,
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    self.change_files(|files| files.retain(|known| known.path != file.path));
                    self.shared.counters.lost_sealed(LostFile::new(&file, reason), file.bytes);
                }
            }
            if self.stop.wait(Duration::from_secs(file.bytes) / u32::try_from(pace).unwrap_or(u32::MAX).max(1)) {
                return;
            }
        }
    }

    /// Whether a file is as it was written; the inner error is what is wrong with it. `None` if it
    /// was stopped.
    fn compare(&self, file: &File) -> Option<Result<(), String>> {
        let path = self.shared.sealed_dir.join(&file.path);
        loop {
            match compare(&path, file, || !self.stop.is_stopped()) {
                // Not the file's fault.
                Err(error) if is_shortage(&error) => {
                    tracing::warn!(%error, file = file.path, "cannot compare a sealed file now");
                    if self.stop.wait(Duration::from_secs(1)) {
                        return None;
                    }
                }
                Err(error) => return Some(Err(error.to_string())),
                Ok(compared) => return compared,
            }
        }
    }

    fn change_files(&self, change: impl Fn(&mut Vec<File>)) {
        let switched = || {
            self.shared.unbroken(
                self.shared.change_files(&change, |extent| generation::switch(&self.db, None, extent, None, || {})),
            )
        };
        let mut tries = 0;
        while let Err(error) = switched() {
            self.shared.check(&error, "cannot put the views over the compared files");
            tries += 1;
            if tries == TRIES {
                self.shared.fatal("the views cannot follow the compared files");
            }
            super::pause(Duration::from_millis(100));
        }
    }
}

fn compare(path: &Path, file: &File, go_on: impl Fn() -> bool) -> std::io::Result<Option<Result<(), String>>> {
    let Some((bytes, checksum)) = sealed_file::checksum(path, go_on)? else { return Ok(None) };
    Ok(Some(match (bytes == file.bytes, checksum == file.checksum) {
        (true, true) => Ok(()),
        (true, false) => Err("its checksum is wrong".to_owned()),
        (false, _) => Err(format!("it has {bytes} bytes instead of {}", file.bytes)),
    }))
}

/// Whether the system lacks something that it will have again.
fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::INTR];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}
