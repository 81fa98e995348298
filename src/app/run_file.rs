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

/// Adds `ours`, whole or not at all.
pub fn write<T>(file: &Path, ours: &BTreeMap<&'static str, T>) -> io::Result<()>
where
    T: Serialize + DeserializeOwned + Clone,
{
    if let Some(folder) = file.parent() {
        durable::create_dir(folder)?;
    }
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
    let Some(mut all) = read::<T>(file) else { return };
    all.retain(|name, entry| ours.get(name.as_str()) != Some(entry));
    let result = if all.is_empty() {
        fs::remove_file(file)
    } else {
        serde_json::to_vec_pretty(&all).map_err(io::Error::from).and_then(|text| durable::replace(file, &text))
    };
    if let Err(error) = result {
        tracing::warn!(%error, file = %file.display(), "cannot tidy up");
    }
}
