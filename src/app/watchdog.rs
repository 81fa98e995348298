//! Whether all is well, for the service manager's watchdog.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::store_client::StoreClient;
use super::supervisor;
use crate::signal::Signal;
use crate::wal::{Log, Logs};

/// How long the writer of a log may take to come round: a disk under load takes a while.
const LOG_SILENCE: Duration = Duration::from_secs(10);

/// How long the store may not answer before the watchdog gets no more pings.
const STORE_SILENCE: Duration = Duration::from_secs(60);

/// A log whose folder is gone takes nothing before a new start.
async fn in_place(log: Log) -> Result<(), String> {
    tokio::task::spawn_blocking(move || log.in_place()).await.map_err(|error| error.to_string())?
}

/// Well is who can append to its logs and, where the store is ours, gets answers from it.
pub async fn run(logs: Option<Logs>, store: Option<Arc<StoreClient>>, shutdown: CancellationToken) {
    let answered = Arc::new(Mutex::new(Instant::now()));
    let check = || {
        let (logs, store, answered) = (logs.clone(), store.clone(), answered.clone());
        async move {
            if let Some(logs) = logs {
                for signal in Signal::ALL {
                    match tokio::time::timeout(LOG_SILENCE, logs.of(signal).alive()).await {
                        Ok(true) => in_place(logs.of(signal).clone()).await?,
                        Ok(false) => return Err(format!("the {signal} log has ended")),
                        Err(_) => return Err(format!("the {signal} log does not come round: the disk hangs")),
                    }
                }
            }
            if let Some(store) = store {
                match store.fetch().await {
                    Ok(_) => *answered.lock() = Instant::now(),
                    Err(reason) if answered.lock().elapsed() > STORE_SILENCE => {
                        return Err(format!("the store does not answer: {reason}"));
                    }
                    Err(_) => {}
                }
            }
            Ok(())
        }
    };
    supervisor::watchdog(check, shutdown).await;
}
