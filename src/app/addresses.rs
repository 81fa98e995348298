//! `run/addresses.json` in the data directory: what listens where, for the commands that look for
//! a running server and for tests, which ask for port 0. `run/ports.json` beside it says how its
//! ports are protected.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::run_file;
use crate::net::PortDescriptor;

/// Addresses by name: `otlp_grpc`, `otlp_http`, `remote_write`, `pyroscope`, `web`, `sql`, `postgres`.
pub type Addresses = BTreeMap<String, SocketAddr>;

/// Where they are written.
pub fn addresses_file(data_dir: &Path) -> PathBuf {
    crate::config::run_dir(data_dir).join("addresses.json")
}

/// Where the descriptors of the ports are written.
fn descriptors_file(data_dir: &Path) -> PathBuf {
    crate::config::run_dir(data_dir).join("ports.json")
}

/// What this process has opened.
#[derive(Debug, Clone, Default)]
pub struct Opened {
    /// What listens where.
    pub addresses: BTreeMap<&'static str, SocketAddr>,
    /// How each is protected.
    pub descriptors: BTreeMap<&'static str, PortDescriptor>,
}

impl Opened {
    /// Writes it down for others.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        // The addresses last: a client that finds one finds its descriptor, too.
        run_file::write(&descriptors_file(data_dir), &self.descriptors)?;
        run_file::write(&addresses_file(data_dir), &self.addresses)
    }

    /// Takes it out again at the end.
    pub fn forget(&self, data_dir: &Path) {
        run_file::forget(&addresses_file(data_dir), &self.addresses);
        run_file::forget(&descriptors_file(data_dir), &self.descriptors);
    }
}

/// The addresses of a running server; nothing if none has run here.
pub fn read(data_dir: &Path) -> Option<Addresses> {
    run_file::read(&addresses_file(data_dir))
}

/// How a running server's port is protected.
pub fn read_port_descriptor(data_dir: &Path, name: &str) -> Option<PortDescriptor> {
    run_file::read(&descriptors_file(data_dir))?.remove(name)
}
