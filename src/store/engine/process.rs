//! The engine's process: it opens the store, listens, and ends when it is told to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError, forget, spawn};
use crate::store::Config;

/// How long a graceful end may take. Nothing is sealed for it: the next start goes on where this ends.
const END_WITHIN: Duration = Duration::from_millis(600);

/// Where an engine runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// `[store]`.
    pub store: Config,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Whether the engine before this one crashed.
    pub crashed: bool,
}

/// Runs the engine process until `shutdown`: opens the store, serves `ingest.sock`, lets `ask`
/// serve the questions. SIGUSR1 seals what is there.
pub async fn run(
    options: Options,
    ask: impl FnOnce(&Arc<Engine>) -> Result<(), EngineError>,
    shutdown: CancellationToken,
) -> Result<(), EngineError> {
    let Options { store, data_dir, crashed } = options;
    let socket = store.ingest_socket(&data_dir);
    let engine = tokio::task::block_in_place(|| Engine::open(&store, &data_dir, crashed))?;
    let server = engine.serve(&socket)?;
    let forget_socket = store.forget_socket(&data_dir);
    forget::serve(&engine, &forget_socket)?;
    let flushes = tokio::spawn(flush_on_signal(engine.clone()));
    ask(&engine)?;

    shutdown.cancelled().await;
    flushes.abort();
    server.stop();
    let _ = std::fs::remove_file(&socket);
    let _ = std::fs::remove_file(&forget_socket);
    // A seal that runs cannot be waited for, and need not be: what it leaves is swept at the start.
    // So the threads are closed by one of their own, which ends with the process at the latest.
    let (closed, end) = tokio::sync::oneshot::channel();
    let _closing = spawn("close", move || {
        engine.close();
        // Nobody waits any more if this fails.
        let _ = closed.send(());
    })?;
    if tokio::time::timeout(END_WITHIN, end).await.is_err() {
        tracing::info!("ending while files are being sealed");
    }
    Ok(())
}

async fn flush_on_signal(engine: Arc<Engine>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut asked) = signal(SignalKind::user_defined1()) else { return };
    while asked.recv().await.is_some() {
        let engine = engine.clone();
        if let Ok(Err(why)) = tokio::task::spawn_blocking(move || engine.flush()).await {
            tracing::warn!(why, "sealing failed");
        }
    }
}
