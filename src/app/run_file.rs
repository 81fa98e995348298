//! Small JSON files in `run/` of the data directory: what a running server tells the commands that
//! look for it, by the name of the port. Collector and store may be two processes on one directory,
//! so each leaves the other's entries alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable;
use crate::durable::lock::{self, DirTurn};

/// Adds `ours`, whole or not at all.
pub fn write<T>(file: &Path, ours: &BTreeMap<&'static str, T>) -> io::Result<()>
where
    T: Serialize + DeserializeOwned + Clone,
{
    if let Some(folder) = file.parent() {
        durable::create_dir(folder)?;
    }
    let _turn = turn(file)?;
    let mut all: BTreeMap<String, T> = read(file).unwrap_or_default();
    all.extend(ours.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone())));
    durable::replace(file, &serde_json::to_vec_pretty(&all)?)
}

/// Reads all; nothing if no server has run here.
pub fn read<T: DeserializeOwned>(file: &Path) -> Option<BTreeMap<String, T>> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// Takes ours out again at the end, so that nobody is sent to a port that is someone else's.
pub fn forget<T>(file: &Path, ours: &BTreeMap<&'static str, T>)
where
    T: Serialize + DeserializeOwned + PartialEq,
{
    let remove = || {
        let _turn = turn(file)?;
        let Some(mut all) = read::<T>(file) else { return Ok(()) };
        all.retain(|name, entry| ours.get(name.as_str()) != Some(entry));
        if all.is_empty() { fs::remove_file(file) } else { durable::replace(file, &serde_json::to_vec_pretty(&all)?) }
    };
    match remove() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, file = %file.display(), "cannot tidy up");
        }
        _ => {}
    }
}

/// The other process must not write between our reading and writing.
fn turn(file: &Path) -> io::Result<DirTurn> {
    lock::turn(file.parent().unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collector and store start at the same moment where they are units of their own.
    #[test]
    fn two_that_write_at_once_leave_each_other_s_entries_alone() {
        const ROUNDS: usize = 200;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("run/addresses.json");
        let again = |name: &'static str| {
            for round in 0..ROUNDS {
                let ours = BTreeMap::from([(name, round)]);
                write(&file, &ours).unwrap();
                assert_eq!(read::<usize>(&file).unwrap().get(name), Some(&round), "{name}");
                forget(&file, &ours);
                assert_eq!(read::<usize>(&file).unwrap_or_default().get(name), None, "{name}");
            }
            write(&file, &BTreeMap::from([(name, ROUNDS)])).unwrap();
        };
        std::thread::scope(|threads| {
            for name in ["web", "sql"] {
                threads.spawn(move || again(name));
            }
        });
        let all = read::<usize>(&file).unwrap();
        assert_eq!(all, BTreeMap::from([("sql".to_owned(), ROUNDS), ("web".to_owned(), ROUNDS)]));
    }
}
