//! The store's folder: who may use it, and what is in it.
//!
//! ```text
//! LOCK  VERSION  catalog.sqlite  reserve  tmp/  merger/  lost+found/
//! sealed/<table>/date=YYYY-MM-DD/hour=HH/<id>-<checksum>.parquet
//! ```

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::sealed_file;
use super::sealed_files::{self, Swept};
use crate::durable;
use crate::durable::lock::{self, DirLock, LockError};
use crate::durable::version::{self, VersionError};
use crate::store::parquet_file::runs;

/// What this version writes into `VERSION`.
const VERSION: u32 = 1;

/// Name of the catalog in it.
pub const CATALOG: &str = "catalog.sqlite";

/// Name of the folder of sealed files in it.
pub const SEALED: &str = "sealed";

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
        self.dir.join(CATALOG)
    }

    /// Folder of the sealed files.
    pub fn sealed(&self) -> PathBuf {
        self.dir.join(SEALED)
    }

    /// Folder for what DuckDB cannot keep in memory.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Folder of what earlier versions could never store.
    pub fn earlier_quarantine(&self) -> PathBuf {
        self.dir.join("aside")
    }

    /// File that keeps space back.
    pub fn reserve(&self) -> PathBuf {
        self.dir.join("reserve")
    }

    /// Folder of files of which the store knows nothing, for a person to look at.
    pub fn lost_and_found(&self) -> PathBuf {
        self.dir.join("lost+found")
    }

    /// Tidies up after a crash: deletes our own temporary files, and moves what is neither that
    /// nor `known` (paths of sealed files) to [`Self::lost_and_found`].
    ///
    /// # Errors
    /// [`StoreDirError::Io`] for the first file with which that fails.
    pub fn sweep(&self, known: &HashSet<&str>) -> Result<Swept, StoreDirError> {
        let failed = |(path, error): (PathBuf, _)| io("tidy up", &path, error);
        let spilled = |name: &str| name.starts_with("duckdb_temp") || name.ends_with(runs::EXTENSION);
        let kept = |folder| self.lost_and_found().join(folder);
        let tmp = sealed_files::sweep(&self.tmp(), &HashSet::new(), &spilled, &kept("tmp")).map_err(failed)?;
        let sealed = sealed_files::sweep(&self.sealed(), known, &sealed_file::is_dispensable, &kept("sealed"))
            .map_err(failed)?;
        Ok(Swept { deleted: tmp.deleted + sealed.deleted, moved: tmp.moved + sealed.moved })
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

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
    fn only_our_temporary_files_are_deleted_and_strangers_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store_dir = StoreDir::open(dir.path()).unwrap();
        let hour = store_dir.sealed().join("spans/date=2026-01-01/hour=00");
        let other = store_dir.sealed().join("logs/date=2026-01-01/hour=00");
        for dir in [&hour, &other] {
            fs::create_dir_all(dir).unwrap();
        }
        let id = uuid::Uuid::from_u128(1);
        let parts = [sealed_file::new_name(id), format!("{}.part", sealed_file::name(id, 7))];
        let strangers = ["b.parquet", "b.parquet.part", "notes.txt"];
        for name in parts.iter().map(String::as_str).chain(strangers).chain(["a.parquet"]) {
            fs::write(hour.join(name), name).unwrap();
        }
        fs::write(other.join("c.parquet"), "x").unwrap();
        fs::write(store_dir.tmp().join("duckdb_temp_storage_DEFAULT-0.tmp"), "x").unwrap();
        fs::write(store_dir.tmp().join("mine"), "x").unwrap();
        let known = HashSet::from(["spans/date=2026-01-01/hour=00/a.parquet"]);
        assert_eq!(store_dir.sweep(&known).unwrap(), Swept { deleted: 3, moved: 5 });
        assert!(hour.join("a.parquet").exists() && !store_dir.sealed().join("logs").exists());
        let kept = store_dir.lost_and_found();
        for name in strangers {
            assert_eq!(fs::read_to_string(kept.join("sealed/spans/date=2026-01-01/hour=00").join(name)).unwrap(), name);
        }
        assert!(kept.join("sealed/logs/date=2026-01-01/hour=00/c.parquet").exists() && kept.join("tmp/mine").exists());
        assert_eq!(store_dir.sweep(&known).unwrap(), Swept::default());
        // A second one of the same name does not take the place of the first.
        fs::write(hour.join("b.parquet"), "second").unwrap();
        assert_eq!(store_dir.sweep(&known).unwrap().moved, 1);
        let kept = kept.join("sealed/spans/date=2026-01-01/hour=00");
        assert_eq!(fs::read_to_string(kept.join("b.parquet")).unwrap(), "b.parquet");
        assert_eq!(fs::read_to_string(kept.join("b.parquet.1")).unwrap(), "second");
    }
}
