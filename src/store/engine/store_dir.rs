//! The store's folder: who may use it, and what is in it.
//!
//! ```text
//! LOCK  VERSION  catalog.sqlite  tmp/  sealed/<table>/date=YYYY-MM-DD/hour=HH/<id>.parquet
//! ```

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::durable;
use crate::durable::lock::{self, DirLock, LockError};
use crate::durable::version::{self, VersionError};

/// What this version writes into `VERSION`.
const VERSION: u32 = 1;

/// How long to wait for an instance that is just ending to let go of the folder.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreDirError {
    /// A file operation failed: no permission, read-only file system, no space.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("the store in {} is {held}", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// By whom, as far as it is known.
        held: LockError,
    },
    /// Written by a later Vispyr.
    #[error("the store in {} has version {found}, this vispyr knows up to {VERSION}: use the newer vispyr", dir.display())]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// What its `VERSION` says.
        found: u32,
    },
    /// Its version file makes no sense.
    #[error("{} holds {found:?} instead of a version number: this is no store of vispyr, or it is damaged", path.display())]
    NoVersion {
        /// The version file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

/// The folder, locked for as long as this lives.
#[derive(Debug)]
pub struct StoreDir {
    dir: PathBuf,
    _lock: DirLock,
}

impl StoreDir {
    /// Locks the folder, making it if it is not there.
    pub fn open(dir: &Path) -> Result<Self, StoreDirError> {
        let store_dir = StoreDir { dir: dir.to_owned(), _lock: lock(dir)? };
        check_version(dir)?;
        for sub in [store_dir.sealed(), store_dir.tmp()] {
            durable::create_dir(&sub).map_err(|e| io("create", &sub, e))?;
        }
        Ok(store_dir)
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The catalog's file.
    pub fn catalog(&self) -> PathBuf {
        self.dir.join("catalog.sqlite")
    }

    /// Folder of the sealed files.
    pub fn sealed(&self) -> PathBuf {
        self.dir.join("sealed")
    }

    /// Folder for what DuckDB cannot keep in memory.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Folder of records that can never be stored.
    pub fn aside(&self) -> PathBuf {
        self.dir.join("aside")
    }

    /// Removes what a crash may have left behind: temporary files, and sealed files that the
    /// catalog does not know. Returns how many files went.
    pub fn sweep(&self, known: &HashSet<&str>) -> Result<usize, StoreDirError> {
        let nothing = HashSet::new();
        Ok(sweep(&self.tmp(), &self.tmp(), &nothing)? + sweep(&self.sealed(), &self.sealed(), known)?)
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> StoreDirError {
    StoreDirError::Io { action, path: path.to_owned(), source }
}

fn lock(dir: &Path) -> Result<DirLock, StoreDirError> {
    durable::create_dir(dir).map_err(|e| io("create", dir, e))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock::lock(dir) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held(_)) if Instant::now() < deadline => super::pause(Duration::from_millis(20)),
            Err(LockError::Io(e)) => return Err(io("lock", dir, e)),
            Err(held) => return Err(StoreDirError::Locked { dir: dir.to_owned(), held }),
        }
    }
}

fn check_version(dir: &Path) -> Result<(), StoreDirError> {
    let path = dir.join("VERSION");
    version::check(&path, VERSION).map_err(|error| match error {
        VersionError::Newer(found) => StoreDirError::Newer { dir: dir.to_owned(), found },
        VersionError::NoVersion(found) => StoreDirError::NoVersion { path, found },
        VersionError::Io(error) => io("read or write", &path, error),
    })
}

/// Removes every file below `dir` whose path below `root` is not in `known`, and empty folders.
fn sweep(root: &Path, dir: &Path, known: &HashSet<&str>) -> Result<usize, StoreDirError> {
    let mut gone = 0;
    for entry in fs::read_dir(dir).map_err(|e| io("read", dir, e))? {
        let entry = entry.map_err(|e| io("read", dir, e))?;
        let path = entry.path();
        if entry.file_type().map_err(|e| io("read", &path, e))?.is_dir() {
            gone += sweep(root, &path, known)?;
            // Only succeeds if it is empty, which is the wish.
            let _ = fs::remove_dir(&path);
            continue;
        }
        let name = path.strip_prefix(root).ok().and_then(Path::to_str);
        if name.is_none_or(|name| !known.contains(name)) {
            fs::remove_file(&path).map_err(|e| io("remove", &path, e))?;
            gone += 1;
        }
    }
    Ok(gone)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = StoreDir::open(dir.path()).unwrap();
        let message = StoreDir::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("in use by another vispyr (process {})", std::process::id())), "{message}");
        drop(store_dir);
        StoreDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_newer_store_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        StoreDir::open(dir.path()).unwrap();
        fs::write(dir.path().join("VERSION"), "2\n").unwrap();
        let message = StoreDir::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("version 2") && message.contains("newer vispyr"), "{message}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let message = StoreDir::open(Path::new("/proc/vispyr/store")).unwrap_err().to_string();
        assert!(message.contains("cannot create /proc/vispyr/store"), "{message}");
    }

    #[test]
    fn what_the_catalog_does_not_know_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = StoreDir::open(dir.path()).unwrap();
        let hour = store_dir.sealed().join("spans/date=2026-01-01/hour=00");
        let other = store_dir.sealed().join("logs/date=2026-01-01/hour=00");
        for dir in [&hour, &other] {
            fs::create_dir_all(dir).unwrap();
        }
        for path in [hour.join("a.parquet"), hour.join("b.parquet.part"), other.join("c.parquet")] {
            fs::write(path, "x").unwrap();
        }
        fs::write(store_dir.tmp().join("spill"), "x").unwrap();
        let known = HashSet::from(["spans/date=2026-01-01/hour=00/a.parquet"]);
        assert_eq!(store_dir.sweep(&known).unwrap(), 3);
        assert!(hour.join("a.parquet").exists() && !store_dir.sealed().join("logs").exists());
        assert_eq!(store_dir.sweep(&known).unwrap(), 0);
    }
}
