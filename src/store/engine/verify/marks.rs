//! Which files were compared since the machine has started, and have not been written since: they
//! need not be compared again when only the engine has ended.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable;
use crate::store::catalog::File;

/// The file `verified.json`. One that is not there or not readable marks nothing.
#[derive(Debug)]
pub struct Marks {
    path: PathBuf,
    saved: Saved,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// The start of the machine that they are of.
    boot: String,
    files: BTreeMap<String, Mark>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    checksum: u64,
}

impl Mark {
    fn of(path: &Path, checksum: u64) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let changed = (found.ctime(), found.ctime_nsec());
        Some(Mark { device: found.dev(), inode: found.ino(), size: found.size(), changed, checksum })
    }
}

impl Marks {
    /// Reads those in the store's folder that still count.
    pub fn load(dir: &Path) -> Self {
        let path = dir.join("verified.json");
        let saved = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Saved>(&bytes).ok());
        let boot = boot();
        let saved = saved.filter(|saved| !boot.is_empty() && saved.boot == boot);
        Marks { path, saved: saved.unwrap_or_default() }
    }

    /// Whether this file was compared and has not been written since.
    pub fn has(&self, sealed: &Path, file: &File) -> bool {
        let mark = self.saved.files.get(&file.path);
        mark.is_some() && mark == Mark::of(&sealed.join(&file.path), file.checksum).as_ref()
    }

    /// Marks these.
    pub fn save(&self, sealed: &Path, files: &[File]) {
        let mark = |file: &File| Some((file.path.clone(), Mark::of(&sealed.join(&file.path), file.checksum)?));
        let saved = Saved { boot: boot(), files: files.iter().filter_map(mark).collect() };
        let written =
            serde_json::to_vec(&saved).map_err(Into::into).and_then(|json| durable::replace(&self.path, &json));
        if let Err(error) = written {
            tracing::debug!(%error, path = %self.path.display(), "cannot note which sealed files are compared");
        }
    }
}

/// Identity of this start of the machine; empty if the system does not tell.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_until_the_file_is_written_or_the_machine_starts_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, checksum) = ("a".to_owned(), 7);
        let file =
            File { table: "logs".into(), path, rows: 1, min_time: None, max_time: None, bytes: 1, checksum, level: 1 };
        fs::write(dir.path().join("a"), "x").unwrap();
        let marks = Marks::load(dir.path());
        assert!(!marks.has(dir.path(), &file));
        marks.save(dir.path(), std::slice::from_ref(&file));
        assert!(Marks::load(dir.path()).has(dir.path(), &file));
        assert!(!Marks::load(dir.path()).has(dir.path(), &File { checksum: 8, ..file.clone() }));

        let saved = fs::read_to_string(dir.path().join("verified.json")).unwrap();
        fs::write(dir.path().join("verified.json"), saved.replace(&boot(), "another")).unwrap();
        assert!(!Marks::load(dir.path()).has(dir.path(), &file));
        fs::write(dir.path().join("verified.json"), saved).unwrap();
        assert!(Marks::load(dir.path()).has(dir.path(), &file));
        // Another file of the same size in its place.
        fs::write(dir.path().join("b"), "y").unwrap();
        fs::rename(dir.path().join("b"), dir.path().join("a")).unwrap();
        assert!(!Marks::load(dir.path()).has(dir.path(), &file));
    }
}
