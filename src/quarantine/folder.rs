//! A folder of files that are kept for people, and its bound.
//!
//! A file in it is whole and synced, with its name, when [`Folder::write`] returns. What a crash leaves
//! half written goes with the next [`Folder::list`]. The folder is made when there is something to keep.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::durable;

/// What a folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Files.
    pub files: usize,
    /// Bytes of all.
    pub bytes: u64,
}

impl Bound {
    /// Whether one more of `size` bytes is within it.
    pub fn has_room(&self, held: &[(String, u64)], size: u64) -> bool {
        held.len() < self.files && held.iter().map(|(_, size)| size).sum::<u64>().saturating_add(size) <= self.bytes
    }

    /// Whether this much is over it.
    pub fn is_exceeded(&self, files: usize, bytes: u64) -> bool {
        files > self.files || bytes > self.bytes
    }
}

/// The folder. Who changes files in it sees to it that nobody else does at the same time.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// A folder that need not be there.
    pub fn at(dir: PathBuf) -> Self {
        Folder { dir }
    }

    /// Makes it, for its owner only as all of the data is, and syncs it into the one above.
    ///
    /// # Errors
    /// The system's.
    pub fn create(&self) -> io::Result<()> {
        durable::create_dir(&self.dir)
    }

    /// Where a file is, or would be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The files and their sizes, by name.
    ///
    /// # Errors
    /// The system's.
    pub fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if durable::is_temporary(&name) {
                fs::remove_file(entry.path())?;
                continue;
            }
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((name, metadata.len()));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Writes a file, whole or not at all; it lasts when this returns.
    ///
    /// # Errors
    /// The system's, and those of `write`.
    pub fn write<T>(&self, name: &str, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        durable::replace_with(&self.path(name), write)
    }

    /// Deletes a file for good, if it is there.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.delete(name)?;
        durable::sync_dir(&self.dir)
    }

    /// Deletes a file, if it is there. A power cut may bring it back.
    ///
    /// # Errors
    /// The system's.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn files_come_whole_and_half_written_ones_go() {
        let above = tempfile::tempdir().unwrap();
        let folder = Folder::at(above.path().join("a/b"));
        assert_eq!(folder.list().unwrap(), []);
        folder.create().unwrap();
        folder.write("two", |file| file.write_all(b"22")).unwrap();
        folder.write("one", |file| file.write_all(b"1")).unwrap();
        fs::write(folder.path("three.5.tmp"), "x").unwrap();
        fs::write(folder.path("somebody's.tmp"), "x").unwrap();
        let failed = folder.write("four", |_| Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        let held = folder.list().unwrap();
        assert_eq!(held, [("one".to_owned(), 1), ("somebody's.tmp".to_owned(), 1), ("two".to_owned(), 2)]);
        assert_eq!(fs::read_dir(folder.dir()).unwrap().count(), 3);
        fs::remove_file(folder.path("somebody's.tmp")).unwrap();
        let held = folder.list().unwrap();
        assert!(Bound { files: 3, bytes: 5 }.has_room(&held, 2));
        assert!(!Bound { files: 3, bytes: 5 }.has_room(&held, 3) && !Bound { files: 2, bytes: 9 }.has_room(&held, 1));
        folder.remove("one").unwrap();
        folder.remove("one").unwrap();
        assert_eq!(folder.list().unwrap(), [("two".to_owned(), 2)]);
    }
}
