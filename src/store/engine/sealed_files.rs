//! The sealed files on disk: those that the catalog names, and all others.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::sealed_file::{self, EXTENSION, LEVEL0, PART};
use crate::durable;
use crate::store::catalog::File;

/// A sealed file that queries do not see.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LostFile {
    /// Table whose rows it holds.
    pub table: String,
    /// Path below the folder of sealed files.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl LostFile {
    /// Logs that it is lost.
    pub fn new(file: &File, reason: String) -> Self {
        tracing::error!(
            file = file.path,
            rows = file.rows,
            reason,
            "sealed file lost, its rows are missing from answers"
        );
        LostFile { table: file.table.clone(), path: file.path.clone(), rows: file.rows, reason }
    }
}

impl std::fmt::Display for LostFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LostFile { table, path, rows, reason } = self;
        let hour = sealed_file::hour_in(path).map(|hour| format!(" of {hour} UTC")).unwrap_or_default();
        write!(f, "{rows} rows of {table}{hour} are missing, the sealed file {path} is lost: {reason}")
    }
}

/// What was found of the files that the catalog names.
#[derive(Debug, Default)]
pub struct Found {
    /// They are there, with the size that they had.
    pub files: Vec<File>,
    /// They are not. A store that lost a file answers for the rest.
    pub lost: Vec<LostFile>,
}

/// Looks for the files that the catalog names, and gives those their names that a crash after the
/// catalog's transaction has left with `.part`.
///
/// # Errors
/// The system's, if such a file cannot be renamed.
pub fn find(files: Vec<File>, sealed: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut publish = Vec::new();
    for file in files {
        let path = sealed.join(&file.path);
        let mut metadata = fs::metadata(&path);
        if let Err(error) = &metadata
            && error.kind() == io::ErrorKind::NotFound
        {
            let part = fs::metadata(part_of(&path));
            if part.as_ref().is_ok_and(|part| part.len() == file.bytes) {
                publish.push(file.path.clone());
                metadata = part;
            }
        }
        match metadata {
            Ok(metadata) if metadata.len() == file.bytes => found.files.push(file),
            Ok(metadata) => {
                let reason = format!("it has {} bytes instead of {}", metadata.len(), file.bytes);
                found.lost.push(LostFile::new(&file, reason));
            }
            Err(error) => found.lost.push(LostFile::new(&file, error.to_string())),
        }
    }
    self::publish(sealed, publish.iter().map(String::as_str))?;
    Ok(found)
}

/// Takes `.part` off the names of files that the catalog has taken. Durable when it returns.
///
/// # Errors
/// The system's. Those that have their name already are left alone, so it can be tried again.
pub fn publish<'a>(sealed: &Path, files: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for file in files {
        let path = sealed.join(file);
        let renamed = fs::rename(part_of(&path), &path);
        if let Err(error) = renamed
            && !(error.kind() == io::ErrorKind::NotFound && path.exists())
        {
            return Err(error);
        }
        folders.extend(path.parent().map(Path::to_owned));
        super::failpoint::reach("in_publish");
    }
    folders.iter().try_for_each(|folder| durable::sync_dir(folder))
}

/// The name of a file before the catalog takes it.
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(PART);
    PathBuf::from(name)
}

/// The paths, below `sealed`, of all files that have been taken by a catalog, and of those whose
/// content is complete but of which it is not known.
///
/// # Errors
/// The system's.
pub fn list(sealed: &Path) -> io::Result<(Vec<String>, Vec<String>)> {
    let (mut taken, mut parts) = (Vec::new(), Vec::new());
    walk(sealed, sealed, &mut |path, name| {
        if name.ends_with(EXTENSION) && !name.ends_with(LEVEL0) {
            taken.push(path.to_owned());
        } else if sealed_file::is_part(name) && sealed_file::checksum_in(name).is_some() {
            parts.push(path.to_owned());
        }
    })?;
    taken.sort();
    parts.sort();
    Ok((taken, parts))
}

/// Calls with every file below `dir` whose name is text: its path below `root`, and its name.
fn walk(root: &Path, dir: &Path, call: &mut impl FnMut(&str, &str)) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(root, &path, call)?;
        } else if let (Some(below), Some(name)) =
            (path.strip_prefix(root).ok().and_then(Path::to_str), path.file_name().and_then(|name| name.to_str()))
        {
            call(below, name);
        }
    }
    Ok(())
}

/// What a sweep has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Temporary files of ours that were deleted.
    pub deleted: usize,
    /// Files of which nobody knows anything, which are in `lost+found` now.
    pub moved: usize,
}

/// Tidies a folder after a crash. `ours` says of a name whether it is a temporary file of ours,
/// which is deleted. Everything else that is not `known` may be somebody's data and moves to
/// `lost_and_found`, with its path below `root`.
///
/// # Errors
/// What could not be done, and on which path.
pub fn sweep(
    root: &Path,
    known: &HashSet<&str>,
    ours: &dyn Fn(&str) -> bool,
    lost_and_found: &Path,
) -> Result<Swept, (PathBuf, io::Error)> {
    let mut swept = Swept::default();
    sweep_below(root, root, known, ours, lost_and_found, &mut swept)?;
    Ok(swept)
}

fn sweep_below(
    root: &Path,
    dir: &Path,
    known: &HashSet<&str>,
    ours: &dyn Fn(&str) -> bool,
    lost_and_found: &Path,
    swept: &mut Swept,
) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let entry = entry.map_err(at(dir))?;
        let path = entry.path();
        if entry.file_type().map_err(at(&path))?.is_dir() {
            sweep_below(root, &path, known, ours, lost_and_found, swept)?;
            // Only succeeds if it is empty, which is the wish.
            let _ = fs::remove_dir(&path);
            continue;
        }
        let below = path.strip_prefix(root).unwrap_or(&path);
        if below.to_str().is_some_and(|below| known.contains(below)) {
            continue;
        }
        if entry.file_name().to_str().is_some_and(ours) {
            fs::remove_file(&path).map_err(at(&path))?;
            swept.deleted += 1;
        } else {
            let kept = set_aside(&path, &lost_and_found.join(below)).map_err(at(&path))?;
            tracing::warn!(file = %path.display(), kept = %kept.display(), "unknown file in the store, moved to lost+found");
            swept.moved += 1;
        }
    }
    Ok(())
}

/// Moves a file to `to`, or to a name beside it if that is taken. Answers which.
///
/// # Errors
/// The system's.
pub fn set_aside(from: &Path, to: &Path) -> io::Result<PathBuf> {
    if let Some(folder) = to.parent() {
        durable::create_dir(folder)?;
    }
    let mut target = to.to_owned();
    let mut number = 1;
    while target.symlink_metadata().is_ok() {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{number}"));
        target = PathBuf::from(name);
        number += 1;
    }
    durable::rename(from, &target)?;
    Ok(target)
}
