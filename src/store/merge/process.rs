//! The merger's process, and how it is kept running.

use std::fs;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::server;
use crate::durable;
use crate::durable::lock;
use crate::store::Config;
use crate::store::process::confinement::Folders;
use crate::store::process::restarts::Restarts;
use crate::store::process::{self, Child, Command, ProcessError, parent, socket};

/// Runs the merger of the store that `config` names, given the data directory, until the process
/// ends. It reads and writes sealed files, and nothing else but what DuckDB has no memory for.
///
/// # Errors
/// Why it cannot start.
pub fn run(config: &Config, data_dir: &Path) -> Result<(), ProcessError> {
    let dir = config.dir(data_dir);
    let (sealed, spill) = (dir.join("sealed"), dir.join("merger"));
    durable::create_dir(&spill).map_err(|source| ProcessError::io("create", &spill, source))?;
    let _lock = lock::lock(&spill)?;
    clear(&spill).map_err(|source| ProcessError::io("clear", &spill, source))?;
    let sockets = config.socket_dir(data_dir);
    process::confine(Folders { reads: &[], writes: &[&sealed, &spill], sockets: &[&sockets] })?;
    let db = super::open(config.merge_memory.as_u64(), &spill)?;
    let listener = socket::bind(&config.merge_socket(data_dir))?;
    parent::tell_ready();
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

/// Keeps a merger running until `shutdown`; then it is ended, whatever it does. `command` runs it.
pub async fn supervise(command: Command, shutdown: CancellationToken) {
    let mut restarts = Restarts::default();
    while restarts.wait(&shutdown).await {
        let (why, lived) = match Child::start("merger", &command) {
            Ok(mut child) => {
                let exit = tokio::select! {
                    exit = child.wait() => exit,
                    () = shutdown.cancelled() => {
                        // What it has half written, nobody knows; a start removes it.
                        child.kill().await;
                        return;
                    }
                };
                (exit.to_string(), child.age())
            }
            Err(why) => (why, std::time::Duration::ZERO),
        };
        tracing::error!(why, "the merger ended, to be started again");
        restarts.note(lived);
    }
}
