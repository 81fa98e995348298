//! Space that is kept back on a disk, to be given up when the disk is full: for the work that
//! makes room again and needs some first.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

/// Free space beside the reserve, as a multiple of it, at which it is taken.
const PLENTY: u64 = 2;

/// A file that takes up space.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    size: u64,
}

impl Reserve {
    /// Of `size` bytes, in the file `path`; not taken yet.
    pub fn new(path: PathBuf, size: u64) -> Self {
        Reserve { path, size }
    }

    /// Takes the space, if it is not taken and there is plenty. Failing is logged and nothing more:
    /// not every file system can keep space back.
    pub fn take(&self) {
        if self.is_taken() || free(&self.path).is_none_or(|free| free / PLENTY < self.size) {
            return;
        }
        let mut options = fs::OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let taken =
            options.open(&self.path).and_then(|file| Ok(fallocate(&file, FallocateFlags::empty(), 0, self.size)?));
        if let Err(error) = taken {
            tracing::debug!(%error, path = %self.path.display(), "cannot keep space back");
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Gives the space up. Answers whether there was any.
    ///
    /// # Errors
    /// The system's.
    pub fn give_up(&self) -> io::Result<bool> {
        if !self.is_taken() {
            return Ok(false);
        }
        fs::remove_file(&self.path)?;
        tracing::warn!(path = %self.path.display(), bytes = self.size, "the disk is full, the space kept back is given up");
        Ok(true)
    }

    /// Gives the space up if next to nothing is free beside it.
    pub fn give_up_if_full(&self) {
        if free(&self.path).is_some_and(|free| free < self.size / 4)
            && let Err(error) = self.give_up()
        {
            tracing::warn!(%error, path = %self.path.display(), "cannot give up the space kept back");
        }
    }

    fn is_taken(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|file| file.len() > 0)
    }
}

/// Bytes that we may still write on the disk of a file.
fn free(file: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(file.parent()?).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_takes_space_and_gives_it_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let reserve = Reserve::new(path.clone(), 1 << 20);
        assert!(!reserve.give_up().unwrap());
        reserve.take();
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
        reserve.give_up_if_full();
        assert!(path.exists(), "the disk is not full");
        assert!(reserve.give_up().unwrap());
        assert!(!path.exists());
        // More than there is is not even tried.
        Reserve::new(path.clone(), u64::MAX / 4).take();
        assert!(!path.exists());
    }
}
