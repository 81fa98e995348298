//! `run/addresses.json` in the data directory: what listens where, for the commands that look for
//! a running server and for tests, which ask for port 0.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::data_dir;

/// Addresses by name: `otlp_grpc`, `otlp_http`, `remote_write`, `pyroscope`, `web`, `sql`.
pub type Addresses = BTreeMap<String, SocketAddr>;

/// Where they are written.
pub fn addresses_file(data_dir: &Path) -> PathBuf {
    crate::config::run_dir(data_dir).join("addresses.json")
}

/// Writes them, whole or not at all. Collector and store may be two processes on one directory,
/// so the other one's entries stay.
pub fn write(data_dir: &Path, ours: &BTreeMap<&'static str, SocketAddr>) -> io::Result<()> {
    let file = addresses_file(data_dir);
    data_dir::make(&crate::config::run_dir(data_dir))?;
    let mut all = read(data_dir).unwrap_or_default();
    all.extend(ours.iter().map(|(name, address)| ((*name).to_owned(), *address)));
    let new = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, serde_json::to_vec_pretty(&all)?)?;
    fs::rename(&new, &file)
}

/// Reads them; nothing if no server has run here.
pub fn read(data_dir: &Path) -> Option<Addresses> {
    serde_json::from_slice(&fs::read(addresses_file(data_dir)).ok()?).ok()
}

/// Takes ours out again at the end, so that nobody is sent to a port that is someone else's.
pub fn forget(data_dir: &Path, ours: &BTreeMap<&'static str, SocketAddr>) {
    let Some(mut all) = read(data_dir) else { return };
    all.retain(|name, address| ours.get(name.as_str()) != Some(address));
    let file = addresses_file(data_dir);
    let result = if all.is_empty() {
        fs::remove_file(&file)
    } else {
        serde_json::to_vec_pretty(&all).map_err(io::Error::from).and_then(|text| fs::write(&file, text))
    };
    if let Err(error) = result {
        tracing::warn!(%error, file = %file.display(), "cannot tidy up");
    }
}
