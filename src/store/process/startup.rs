//! What a process of the store does before any thread is there: the kernel confines only those that start
//! afterwards.

use std::io;
use std::path::Path;

use super::confinement::{self, Confined, ConfinementError, Folders};
use super::{panics, parent};
use crate::durable::{self, lock::LockError};
use crate::telemetry::process::Usage;

/// Why a process of the store cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A folder, a socket, a limit or a thread.
    #[error("cannot {action} {what}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Threads are there already, which would not be confined.
    #[error("{0} threads run before the process is confined")]
    Threads(u64),
    /// Another process has its folder.
    #[error("the folder is {0}")]
    Locked(#[from] LockError),
    /// The kernel.
    #[error(transparent)]
    Confinement(#[from] ConfinementError),
    /// DuckDB.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
}

impl ProcessError {
    /// Of `action` on a path.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        ProcessError::Io { action, what: path.display().to_string(), source }
    }
}

/// Makes a process of the store of this one: a panic ends it, the kernel keeps it to `folders`, which are made if
/// need be, and it ends with its parent. How far the kernel confines it.
///
/// # Errors
/// See [`ProcessError`]: it must not go on then.
pub fn confine(folders: Folders<'_>) -> Result<Confined, ProcessError> {
    panics::end_the_process();
    for folder in [folders.reads, folders.writes, folders.sockets].concat() {
        durable::create_dir(folder).map_err(|source| ProcessError::io("create", folder, source))?;
    }
    let threads = Usage::own().threads;
    if threads != 1 {
        return Err(ProcessError::Threads(threads));
    }
    let confined = confinement::confine(folders)?;
    match confined {
        Confined::Fully => tracing::debug!("the kernel confines this process to its folders"),
        Confined::Partly => tracing::debug!("this kernel's Landlock is old: it confines this process in part"),
        Confined::Not => tracing::debug!("this kernel has no Landlock: it does not confine this process"),
    }
    parent::end_with_it();
    Ok(confined)
}
