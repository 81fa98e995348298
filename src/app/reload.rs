//! SIGHUP: the config file is read again, and what can change while everything runs is changed.
//!
//! All or nothing: a config with a mistake, a certificate that cannot be read, a destination whose
//! files are missing: everything that is wrong is said, and the old config goes on. No port is
//! closed and no record is lost over it: the logs stay open, and a destination that goes on
//! otherwise goes on at its cursor.

mod keys;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use self::keys::Keys;
use super::exporting::{Changes, Exporting};
use super::open_ports;
use super::{Roles, Settings};
use crate::config::Config;
use crate::exporters;
use crate::net::Ports;
use crate::quarantine::dead_letters::DeadLetters;
use crate::receivers::Admission;

/// The config in force, key by key. Cheap to clone.
pub type Running = Arc<Mutex<Keys>>;

/// What can be changed while it runs.
#[derive(Debug)]
pub struct Reload {
    file: Option<PathBuf>,
    with_store: bool,
    /// What runs, by its keys.
    running: Running,
    ports: Ports,
    /// The parts that only a collector has.
    collector: Option<Collector>,
}

/// What a collector can change.
#[derive(Debug)]
pub struct Collector {
    /// The exporters.
    pub exporting: Exporting,
    /// The limits of the receivers.
    pub admission: Arc<Admission>,
    /// What destinations refused.
    pub letters: DeadLetters,
}

/// Why everything stays as it is; all that is wrong, a sentence each.
#[derive(Debug)]
struct Refused(Vec<String>);

impl Reload {
    /// For parts that run with these settings.
    pub fn new(settings: &Settings, roles: Roles, ports: Ports, collector: Option<Collector>) -> Self {
        Reload {
            file: settings.config_file.clone(),
            with_store: settings.config.store.enabled,
            running: Arc::new(Mutex::new(Keys::of(&settings.file, roles))),
            ports,
            collector,
        }
    }

    /// The config in force.
    pub fn running(&self) -> Running {
        self.running.clone()
    }

    /// Reads the file again and changes what has changed. Says what it did. False if all stays as
    /// it was.
    pub async fn run(&mut self) -> bool {
        let refused = match self.change().await {
            Ok(()) => return true,
            Err(refused) => refused,
        };
        for mistake in &refused.0 {
            tracing::error!("{mistake}");
        }
        let mistakes = refused.0.len();
        tracing::error!(mistakes, "the config is refused, the old one goes on");
        false
    }

    async fn change(&mut self) -> Result<(), Refused> {
        let config = self.read().await?;
        let (open, ports) = (self.ports.clone(), config.ports());
        let prepared = blocking(move || open.prepare(ports)).await?;
        let mut wrong = Vec::new();
        let prepared = prepared.map_err(|findings| wrong.extend(findings.iter().map(ToString::to_string))).ok();
        let exporters = exporters::with_store(&config.exporters, self.with_store);
        if let Some(collector) = &self.collector {
            wrong.extend(collector.exporting.check(&exporters).await.iter().map(ToString::to_string));
        }
        let (true, Some(prepared)) = (wrong.is_empty(), prepared) else { return Err(Refused(wrong)) };
        let changes = match &self.collector {
            Some(collector) => {
                let changes = collector.exporting.apply(&exporters).await;
                let changes = changes.map_err(|error| Refused(vec![error.to_string()]))?;
                collector.admission.change(config.admission.clone());
                collector.letters.set_max_size(config.dead_letters.max_size);
                changes
            }
            None => Changes::default(),
        };
        open_ports::tell(&prepared.apply());
        let difference = self.running.lock().change_to(&config);
        if !difference.later.is_empty() {
            let keys = difference.later.join(", ");
            tracing::warn!(keys, "these keys have changed in the config, but take effect only at the next start");
        }
        let Changes { added, changed, removed } = changes;
        tracing::info!(
            keys = told(&difference.now).join(", "),
            destinations_added = added.join(", "),
            destinations_started_again = changed.join(", "),
            destinations_removed = removed.join(", "),
            "config, certificates and credentials were read again"
        );
        Ok(())
    }

    async fn read(&self) -> Result<Config, Refused> {
        let Some(file) = self.file.clone() else { return Ok(Config::default()) };
        let read = blocking(move || Config::load(&file)).await?;
        read.map_err(|mistakes| Refused(mistakes.to_string().lines().map(str::to_owned).collect()))
    }
}

/// Those that are worth a word: destinations are named as a whole.
fn told(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).filter(|key| !key.starts_with("exporters.")).collect()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Refused(vec![error.to_string()]))
}
