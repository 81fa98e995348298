//! The merger's process, and how it is kept running.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::server;
use crate::durable;
use crate::durable::lock;
use crate::store::Config;
use crate::store::engine::confinement::{self, Confined, Folders};
use crate::store::engine::socket;

/// A merger that lived this long starts again at once.
const LIVED_WELL: Duration = Duration::from_secs(5);

/// The waits before the next start otherwise.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];

/// Why the merger could not start.
#[derive(Debug, thiserror::Error)]
pub enum MergerError {
    /// A folder or its socket.
    #[error("cannot prepare {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another merger has its folder.
    #[error("the merger's folder is {0}")]
    Locked(#[from] lock::LockError),
    /// The kernel.
    #[error(transparent)]
    Confinement(#[from] confinement::ConfinementError),
    /// Its socket.
    #[error(transparent)]
    Socket(#[from] crate::store::engine::EngineError),
    /// DuckDB.
    #[error("duckdb: {0}")]
    Duckdb(#[from] duckdb::Error),
}

/// Runs the merger of the store that `config` names, given the data directory, until the process
/// ends. It reads and writes sealed files, and nothing else but what DuckDB has no memory for. Once
/// the kernel holds it to that, `confined` is called, which may start threads.
///
/// # Errors
/// Why it cannot start.
pub fn run(config: &Config, data_dir: &Path, confined: impl FnOnce()) -> Result<(), MergerError> {
    let dir = config.dir(data_dir);
    let (sealed, spill) = (dir.join("sealed"), dir.join("merger"));
    let sockets = config.socket_dir(data_dir);
    for folder in [&sealed, &spill, &sockets] {
        let failed = |source| MergerError::Folder { path: folder.clone(), source };
        durable::create_dir(folder).map_err(failed)?;
    }
    let _lock = lock::lock(&spill)?;
    clear(&spill).map_err(|source| MergerError::Folder { path: spill.clone(), source })?;
    match confinement::confine(Folders { reads: &[], writes: &[&sealed, &spill], sockets: &[&sockets] })? {
        Confined::Fully => tracing::debug!("the kernel confines the merger to its folders"),
        Confined::Partly => tracing::info!("this kernel's Landlock is old: it confines the merger in part"),
        Confined::Not => tracing::warn!("this kernel has no Landlock: it does not confine the merger to its folders"),
    }
    confined();
    let db = super::open(config.merge_memory.as_u64(), &spill)?;
    let listener = socket::bind(&config.merge_socket(data_dir))?;
    server::serve(&listener, db);
    Ok(())
}

/// What a merger before this one has left.
fn clear(spill: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(spill)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with("duckdb_temp")) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Keeps a merger running until `shutdown`; then it is ended, whatever it does. `program` with `args`
/// runs it.
pub async fn supervise(program: PathBuf, args: Vec<OsString>, shutdown: CancellationToken) {
    let mut backoff = Duration::ZERO;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(backoff) => {}
        }
        let started = Instant::now();
        let spawned = Command::new(&program)
            .args(&args)
            // It ends when this does, so that it does not outlive us.
            .stdin(Stdio::piped())
            // The service manager speaks to this process alone.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let ended = match spawned {
            Ok(mut child) => {
                let _lifeline = child.stdin.take();
                tokio::select! {
                    ended = child.wait() => ended.map_or_else(|error| error.to_string(), |status| status.to_string()),
                    () = shutdown.cancelled() => {
                        // What it has half written, nobody knows; a start removes it.
                        let _ = child.kill().await;
                        return;
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(ended, "the merger ended, to be started again");
        backoff = match started.elapsed() >= LIVED_WELL {
            true => Duration::ZERO,
            false => (backoff * 2).clamp(BACKOFF[0], BACKOFF[1]),
        };
    }
}
