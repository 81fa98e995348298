//! One process at a time in a folder.
//!
//! The lock is on the folder itself: a lock on a file in it ends when somebody removes the file,
//! and then a second process gets in. The file `LOCK` says who has the folder, and is locked too,
//! for the versions of this program that know only that.
//!
//! Where several processes change the files of one folder, each waits for its [`turn`].

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// The lock on a folder; given up when dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct DirLock {
    _dir: File,
    _file: File,
}

/// Why a folder is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("in use by another vispyr (process {})", .0.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    Held(Option<u32>),
    /// The system's answer.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Locks a folder that is there, without waiting.
///
/// # Errors
/// [`LockError::Held`] if another process has it, else the system's.
pub fn lock(dir: &Path) -> Result<DirLock, LockError> {
    let path = dir.join("LOCK");
    let folder = File::open(dir)?;
    let mut options = fs::OpenOptions::new();
    options.create(true).read(true).write(true).truncate(false).mode(0o600);
    let mut file = options.open(&path)?;
    take(&folder, &file)?;
    take(&file, &file)?;
    let mut own = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    if let Err(error) = own() {
        // The lock is what counts; a full disk must not prevent the start.
        tracing::warn!(%error, path = %path.display(), "cannot note the process that has the folder");
    }
    Ok(DirLock { _dir: folder, _file: file })
}

/// A turn at changing files of a folder; given up when dropped, and by the system when the process
/// ends.
#[derive(Debug)]
pub struct DirTurn {
    _dir: File,
}

/// Waits until no other process has its turn at a folder. Not for a folder that is [`lock`]ed: this
/// would wait for as long as its owner runs.
///
/// # Errors
/// The system's.
pub fn turn(dir: &Path) -> io::Result<DirTurn> {
    let dir = File::open(dir)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&dir, FlockOperation::LockExclusive))?;
    Ok(DirTurn { _dir: dir })
}

/// Locks `target`; `file` says who has it otherwise.
fn take(target: &File, mut file: &File) -> Result<(), LockError> {
    match rustix::fs::flock(target, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => {
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            Err(LockError::Held(owner.trim().parse().ok()))
        }
        Err(error) => Err(io::Error::from(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(dir: &Path) -> Option<Option<u32>> {
        match lock(dir) {
            Ok(_) => None,
            Err(LockError::Held(pid)) => Some(pid),
            Err(LockError::Io(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_second_process_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        assert_eq!(held(dir.path()), Some(Some(std::process::id())));
        drop(first);
        assert_eq!(held(dir.path()), None);
    }

    #[test]
    fn a_removed_lock_file_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let _first = lock(dir.path()).unwrap();
        fs::remove_file(dir.path().join("LOCK")).unwrap();
        assert_eq!(held(dir.path()), Some(None));
        // Trying has made the file again, which lets nobody in either.
        assert_eq!(held(dir.path()), Some(None));
    }

    #[test]
    fn a_version_that_locks_only_the_file_is_kept_out_and_keeps_out() {
        let dir = tempfile::tempdir().unwrap();
        let older = File::create(dir.path().join("LOCK")).unwrap();
        rustix::fs::flock(&older, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert_eq!(held(dir.path()), Some(None));
        drop(older);
        let _ours = lock(dir.path()).unwrap();
        let older = File::open(dir.path().join("LOCK")).unwrap();
        assert!(rustix::fs::flock(&older, FlockOperation::NonBlockingLockExclusive).is_err());
    }
}
