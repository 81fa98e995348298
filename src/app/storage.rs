//! What the collector keeps on disk: the logs and the dead letters.

use anyhow::Context;

use super::Settings;
use crate::exporters;
use crate::quarantine::dead_letters::DeadLetters;
use crate::signal::Signal;
use crate::telemetry::Telemetry;
use crate::wal::{Log, Logs};

/// Opens the four logs at once: each may have a tail to repair.
pub async fn open_logs(settings: &Settings) -> anyhow::Result<Logs> {
    let config = settings.config.wal.clone();
    let exporters = exporters::with_store(&settings.config.exporters, settings.config.store.enabled);
    let dir = settings.data_dir.join("wal");
    let opened = tokio::task::spawn_blocking(move || {
        let open = |signal: Signal| {
            let destinations = exporters::config::destinations(&exporters, signal);
            Log::open(dir.join(signal.name()), signal, &config, &destinations)
        };
        std::thread::scope(|threads| {
            let threads = Signal::ALL.map(|signal| threads.spawn(move || open(signal)));
            threads.map(|thread| thread.join())
        })
    });
    let mut logs = Vec::with_capacity(4);
    for result in opened.await? {
        let result = result.map_err(|_| anyhow::anyhow!("opening a log panicked"))?;
        logs.push(result.context("cannot open the log")?);
    }
    let logs = <[Log; 4]>::try_from(logs).map_err(|_| anyhow::anyhow!("not four logs"))?;
    Ok(Logs::new(logs))
}

/// Reads the dead letters' heads.
pub async fn open_letters(settings: &Settings, telemetry: &Telemetry) -> anyhow::Result<DeadLetters> {
    let (dir, max_size) = (settings.data_dir.join("dead-letters"), settings.config.dead_letters.max_size);
    let telemetry = telemetry.clone();
    let opened = tokio::task::spawn_blocking(move || DeadLetters::open(dir, max_size, &telemetry)).await?;
    opened.context("cannot read the dead letters")
}
