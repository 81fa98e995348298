//! The data directory is ours alone, writable, and of a version that we understand; or the
//! program says in one sentence what is the matter and does not start.

use std::io;
use std::path::{Path, PathBuf};

use crate::durable;
use crate::durable::lock::{self, DirLock, LockError};
use crate::durable::version::{self, VersionError};

/// The version of the layout of `wal/` that this program reads and writes.
const VERSION: u32 = 1;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or written to.
    #[error("cannot write to the data directory {}: {source}; {}choose another with --data-dir or data_dir", dir.display(), remedy(source))]
    NotWritable {
        /// The directory.
        dir: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another instance runs on it.
    #[error("the data directory {} is in use by another vispyr{}; stop it, or choose another with --data-dir or data_dir", dir.display(), holder(*pid))]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The other instance's process, if it has written it down.
        pid: Option<u32>,
    },
    /// It was written by a program newer than this one.
    #[error("{} says {found}, this vispyr knows versions up to {VERSION}: the data is from a newer version; start that one, or choose another directory with --data-dir or data_dir", file.display())]
    Newer {
        /// The version file.
        file: PathBuf,
        /// What it says.
        found: u32,
    },
    /// The version file makes no sense.
    #[error("{} holds {found:?} instead of a version number: this is no data directory of vispyr, or it is damaged", file.display())]
    NoVersion {
        /// The version file.
        file: PathBuf,
        /// What it says.
        found: String,
    },
}

/// What helps against it, beside another directory.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "change its owner, or ",
        io::ErrorKind::StorageFull => "its disk is full: make room on it, or ",
        io::ErrorKind::QuotaExceeded => "the quota of its owner is used up: raise it, or ",
        _ => "",
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// The collector's hold on the data directory; given up when dropped, and by the system when the
/// process ends in whatever way.
#[derive(Debug)]
pub struct Hold {
    _lock: DirLock,
}

/// Makes the directory (for its owner only) if it is not there, locks `wal/` in it and checks its version.
pub fn hold(dir: &Path) -> Result<Hold, DataDirError> {
    let not_writable = |source| DataDirError::NotWritable { dir: dir.to_owned(), source };
    let wal = dir.join("wal");
    durable::create_dir(&wal).map_err(not_writable)?;
    let lock = lock::lock(&wal).map_err(|error| match error {
        LockError::Held(pid) => DataDirError::InUse { dir: dir.to_owned(), pid },
        LockError::Io(error) => not_writable(error),
    })?;
    let file = wal.join("VERSION");
    version::check(&file, VERSION).map_err(|error| match error {
        VersionError::Newer(found) => DataDirError::Newer { file, found },
        VersionError::NoVersion(found) => DataDirError::NoVersion { file, found },
        VersionError::Io(error) => not_writable(error),
    })?;
    Ok(Hold { _lock: lock })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_for_its_owner_alone_and_held_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        let first = hold(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(dir.join("wal/VERSION")).unwrap(), "1\n");
        let error = hold(&dir).unwrap_err();
        assert!(matches!(&error, DataDirError::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
        drop(first);
        hold(&dir).unwrap();
    }

    #[test]
    fn what_helps_depends_on_what_is_wrong() {
        for (code, hint) in [
            (rustix::io::Errno::ACCESS, "(os error 13); change its owner, or choose another with"),
            (rustix::io::Errno::NOSPC, "(os error 28); its disk is full: make room on it, or choose another with"),
            (rustix::io::Errno::ROFS, "(os error 30); choose another with"),
        ] {
            let said = DataDirError::NotWritable { dir: "/data".into(), source: code.into() }.to_string();
            assert!(said.starts_with("cannot write to the data directory /data: ") && said.contains(hint), "{said}");
        }
    }

    #[test]
    fn newer_and_nonsense_versions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(hold(folder.path()).unwrap());
        let file = folder.path().join("wal/VERSION");
        fs::write(&file, "2\n").unwrap();
        assert!(matches!(hold(folder.path()), Err(DataDirError::Newer { found: 2, .. })));
        for nonsense in ["one", "0", "-1"] {
            fs::write(&file, nonsense).unwrap();
            assert!(matches!(hold(folder.path()), Err(DataDirError::NoVersion { .. })), "{nonsense:?}");
        }
    }
}
