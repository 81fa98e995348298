//! File operations that a power cut leaves done or undone, never half done.
//!
//! | module | what |
//! |---|---|
//! | [`lock`] | one process at a time in a folder |
//! | [`reserve`] | space kept back for when the disk is full |
//! | [`version`] | which version of the program wrote a folder |
//!
//! A name in a folder lasts only once the folder is synced, and a new folder's own name only once
//! the folder above it is.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub mod lock;
pub mod reserve;
pub mod version;

/// What the name of a file that is being written ends with. Other programs have such names, too.
const TEMPORARY: &str = ".tmp";

/// Replaces the file `path`: after a crash or a power cut it is the old one or the new one, whole.
///
/// # Errors
/// The system's. The old file is still there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(content))
}

/// Like [`replace`], for content that `write` writes.
///
/// # Errors
/// The system's, and those of `write`. The old file is still there.
pub fn replace_with<T>(path: &Path, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
    replace_by(path, write, rename)
}

/// Like [`replace`], for a file that can be made anew: it is whole or as it was, but after a power cut
/// it may be as it was although this had returned. Spares the sync of the folder.
///
/// # Errors
/// The system's. The old file is still there.
pub fn replace_lightly(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_by(path, |file| file.write_all(content), |from, to| fs::rename(from, to))
}

fn replace_by<T>(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<T>,
    rename: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<T> {
    // Two processes may be at it at once.
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}{TEMPORARY}", std::process::id()));
    let temporary = PathBuf::from(name);
    let replaced = File::create(&temporary).and_then(|mut file| {
        let written = write(&mut file)?;
        #[cfg(test)]
        syncs::count();
        file.sync_all()?;
        rename(&temporary, path)?;
        Ok(written)
    });
    if replaced.is_err() {
        // It may be what fills the disk.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

/// The name of the file that a temporary file of [`replace`] is for; nothing for other files.
pub fn of_temporary(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(TEMPORARY)?;
    match stem.rsplit_once('.') {
        Some((file, process)) if process.parse::<u32>().is_ok() => Some(file),
        // As it was before there was a process in it.
        _ => Some(stem),
    }
}

/// Whether a file has the name that [`replace`] gives to one that is being written: ours to delete, once
/// nobody writes it.
pub fn is_temporary(name: &str) -> bool {
    let process = name.strip_suffix(TEMPORARY).and_then(|stem| stem.rsplit_once('.'));
    process.is_some_and(|(_, process)| process.parse::<u32>().is_ok())
}

/// Renames a file or folder; the new name lasts when this returns.
///
/// # Errors
/// The system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_dir(parent(to))?;
    if parent(from) != parent(to) {
        sync_dir(parent(from))?;
    }
    Ok(())
}

/// Syncs a folder, so that the names in it that are new, changed or gone stay so.
///
/// # Errors
/// The system's.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(test)]
    syncs::count();
    File::open(dir)?.sync_all()
}

/// Makes a folder and those above it that are missing, each for its owner alone, and syncs them
/// into the folders above them.
///
/// # Errors
/// The system's.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    let missing = dir.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // Some more than were missing: an earlier try may have ended between making and syncing.
    let named = dir.ancestors().filter(|at| !at.as_os_str().is_empty());
    for (level, at) in named.take(missing.max(3)).enumerate() {
        match sync_dir(parent(at)) {
            // Further up may be somebody else's, who does not let us look.
            Err(error) if level < missing.max(1) && error.kind() != io::ErrorKind::PermissionDenied => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The folder that a name is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// How many syncs there were, for tests.
#[cfg(test)]
pub(crate) mod syncs {
    use std::cell::Cell;

    thread_local! { static SYNCS: Cell<u64> = const { Cell::new(0) } }

    pub(super) fn count() {
        SYNCS.set(SYNCS.get() + 1);
    }

    /// Those that `work` does on this thread.
    pub(crate) fn of(work: impl FnOnce()) -> u64 {
        let before = SYNCS.get();
        work();
        SYNCS.get() - before
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/state");
        create_dir(path.parent().unwrap()).unwrap();
        assert_eq!(fs::metadata(dir.path().join("a")).unwrap().permissions().mode() & 0o777, 0o700);
        replace(&path, b"old").unwrap();
        let failed = replace_with(&path, |file| {
            file.write_all(b"ne")?;
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_name_is_moved_between_folders() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("to/b"));
        fs::write(&from, "x").unwrap();
        create_dir(to.parent().unwrap()).unwrap();
        rename(&from, &to).unwrap();
        assert!(!from.exists() && to.exists());
    }
}
