//! Builds the services, starts them in order, stops them in order.
//!
//! Order of start: the data directory is locked, all ports are bound, the logs are recovered, the
//! store comes up, then exporters and receivers, then `READY=1`. A store that is slow holds the
//! receivers back for a moment only: the logs keep what it has not had. Order of stop: the ports
//! close and what is in flight is answered, the exporters hand over what they can, the store ends,
//! the logs are closed; each within its share of two seconds.

mod addresses;
mod admission_metrics;
mod data_dir;
mod dead_letters;
#[cfg(feature = "demo")]
mod demo;
mod destination_metrics;
mod destinations;
mod engine_process;
mod exporting;
mod greeting;
mod history;
mod lag;
mod listeners;
mod log_metrics;
mod merger_process;
mod open_ports;
mod places;
mod port_metrics;
mod reader_process;
mod reload;
mod run_file;
mod services;
mod state;
mod storage;
mod store_client;
mod store_metrics;
mod store_start;
mod supervisor;
mod view;
mod watch;
mod watchdog;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

pub use addresses::{Addresses, read as read_addresses, read_port_descriptor};
pub use data_dir::DataDirError;
pub use destinations::check_destinations;
pub use engine_process::run as run_engine;
pub use merger_process::run as run_merger;
pub use reader_process::run as run_reader;

use supervisor::Told;

use crate::config::Config;
use crate::telemetry::recent::Recent;
pub use crate::web::status::{Destination, LogStatus, Rate, SignalStatus, Status};

/// How long all of the services together may take to stop. What is cut then is not lost: it was not
/// acknowledged, or it is in the logs.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What runs in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Receivers, logs, exporters, web.
    pub collector: bool,
    /// Store front, and the engine as its child.
    pub store: bool,
}

impl Roles {
    /// Both.
    pub const SERVE: Roles = Roles { collector: true, store: true };
    /// The collector alone.
    pub const COLLECTOR: Roles = Roles { collector: true, store: false };
    /// The store alone.
    pub const STORE: Roles = Roles { collector: false, store: true };
}

/// A checked config with the command line laid over it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The config file, to hand on to the engine; absolute.
    pub config_file: Option<PathBuf>,
    /// What it says by itself.
    pub file: Config,
    /// What it says, with the command line laid over it.
    pub config: Config,
    /// Where the data is; absolute.
    pub data_dir: PathBuf,
    /// The last warnings and errors of this process.
    pub recent: Recent,
    /// Whether the make-believe shop runs inside.
    pub demo: bool,
}

/// Runs until it is told to stop.
pub fn run(settings: Settings, roles: Roles) -> anyhow::Result<()> {
    for (key, instead) in &settings.config.gone {
        tracing::warn!(key, "this key of the config is gone and does nothing: {instead}");
    }
    let _hold = if roles.collector { Some(data_dir::hold(&settings.data_dir)?) } else { None };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads for network work")?;
    let result = runtime.block_on(serve(settings, roles));
    // What has not ended by now is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}

async fn serve(settings: Settings, roles: Roles) -> anyhow::Result<()> {
    let mut signals = supervisor::Signals::new().context("cannot take over signals")?;
    let mut services = tokio::select! {
        services = services::Services::start(&settings, roles) => services?,
        signal = signals.stop() => anyhow::bail!("{signal} before everything had started"),
    };
    supervisor::ready();
    greeting::print(&settings, roles, &services.opened());
    let failed = loop {
        tokio::select! {
            told = signals.told() => match told {
                Told::Stop(signal) => {
                    tracing::info!(signal, "stopping");
                    break None;
                }
                Told::Reload => {
                    supervisor::reloading();
                    tokio::select! {
                        changed = services.reload() => supervisor::reloaded(changed),
                        signal = signals.stop() => {
                            tracing::info!(signal, "stopping");
                            break None;
                        }
                    }
                }
            },
            part = services.ended() => {
                tracing::error!(part, "ended by itself, stopping");
                break Some(part);
            }
        }
    };
    supervisor::stopping();
    tokio::select! {
        () = services.stop(STOP_WITHIN) => tracing::info!("stopped"),
        () = tokio::time::sleep(STOP_WITHIN) => tracing::error!("not all services stopped in time"),
        signal = signals.stop() => tracing::warn!(signal, "told again, stopping at once"),
    }
    match failed {
        None => Ok(()),
        Some(part) => anyhow::bail!("{part} ended by itself"),
    }
}
