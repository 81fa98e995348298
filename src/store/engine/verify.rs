//! Sealed files are compared with their checksums: after a start, and again every day.
//!
//! A bit that has changed on the disk mostly gives other rows and no error, and a damaged footer
//! fails every question to its table. So a file that differs is left out of answers and named, and after a
//! start questions wait until all files are compared that may have been written since they were last.

mod marks;

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

pub use self::marks::{Marks, boot};
use super::Stop;
use super::sealed_file;
use super::sealed_files::LostFile;
use super::shared::Shared;
use crate::store::catalog::File;

/// Questions wait no longer than this for the comparison after a start; then answers say so.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one comparison of all files to the next.
const AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Bytes a second that later comparisons read.
const PACE: u64 = 32 << 20;

/// A question came while files are still being compared.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sealed files are compared with their checksums after the start, {files} files with {bytes} are left: one that is \
     damaged may give wrong rows"
)]
pub struct NotCompared {
    files: usize,
    bytes: bytesize::ByteSize,
}

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
    /// Not all are compared.
    pending: bool,
}

impl Verification {
    /// Of files that have to be compared.
    pub fn new(files: &[File]) -> Self {
        let bytes = files.iter().map(|file| file.bytes).sum();
        let left = Left { files: files.len(), bytes, pending: !files.is_empty() };
        Verification { left: Mutex::new(left), changed: Condvar::new() }
    }

    /// Waits until all files are compared, and those that are not whole are left out of answers.
    ///
    /// # Errors
    /// What is left to do, if that takes long.
    pub fn wait(&self) -> Result<(), NotCompared> {
        let deadline = Instant::now() + PATIENCE;
        let mut left = self.left.lock();
        while left.pending {
            if self.changed.wait_until(&mut left, deadline).timed_out() && left.pending {
                return Err(NotCompared { files: left.files, bytes: bytesize::ByteSize(left.bytes) });
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
    stop: Arc<Stop>,
}

impl Verifier {
    /// `stop` ends it.
    pub fn new(shared: Arc<Shared>, stop: Arc<Stop>) -> Self {
        Verifier { shared, stop }
    }

    /// Compares `pending`; then all files, from time to time.
    pub fn run(self, mut pending: Vec<File>, marks: &Marks) {
        // The newest are asked for most.
        pending.sort_by_key(|file| Reverse(file.max_time));
        if self.compare_all(&pending, u64::MAX).is_none() {
            return;
        }
        self.shared.verification.finish();
        marks.save(&self.shared.sealed_dir, &self.files());
        while !self.stop.wait(AGAIN) {
            self.again(PACE);
            marks.save(&self.shared.sealed_dir, &self.files());
        }
    }

    /// Compares all files, at so many bytes a second.
    pub fn again(&self, pace: u64) {
        let _ = self.compare_all(&self.files(), pace);
    }

    /// Compares one file, now.
    pub fn check(&self, file: &File) {
        if let Some(compared) = self.compare(file) {
            self.note(file, compared.err());
        }
    }

    fn files(&self) -> Vec<File> {
        self.shared.catalog.lock().files().unwrap_or_default()
    }

    /// `None` if it was stopped.
    fn compare_all(&self, files: &[File], pace: u64) -> Option<()> {
        for file in files {
            self.note(file, self.compare(file)?.err());
            self.shared.verification.compared(file);
            if self.stop.wait(Duration::from_secs(file.bytes) / u32::try_from(pace).unwrap_or(u32::MAX).max(1)) {
                return None;
            }
        }
        Some(())
    }

    /// Answers do without a file that has something wrong with it, and with one that is whole again. One that is
    /// not current any more may be gone.
    fn note(&self, file: &File, wrong: Option<String>) {
        let mut catalog = self.shared.catalog.lock();
        let known = catalog.lost().unwrap_or_default().into_iter().find(|(lost, _)| lost.path == file.path);
        if known.map(|(_, reason)| reason) == wrong || !catalog.files().is_ok_and(|files| files.contains(file)) {
            return;
        }
        if let Err(error) = catalog.mark_lost(&file.path, wrong.as_deref()) {
            tracing::error!(%error, file = file.path, "cannot note whether a file is lost");
        }
        drop(catalog);
        self.shared.counters.found(&file.path);
        if let Some(reason) = wrong {
            self.shared.counters.lost(LostFile::new(file, reason));
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
pub(crate) fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::INTR];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}
