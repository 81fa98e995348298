//! The settings: TOML, each part's own struct, joined here and checked as a whole.
//!
//! serde stops at the first mistake, and a person who fixes a file one mistake a run is a person
//! badly served. So [`document`] hands every key to serde on its own, gathers what it says with
//! the line it stands on, and [`rules`] then compares the keys that are good with each other.

mod credentials;
mod document;
mod grafana;
mod mistake;
mod place;
mod ports;
mod rules;
mod schema;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use grafana::Grafana;
pub use mistake::{Mistake, Mistakes};
pub use place::{data_dir, run_dir, runtime_dir};

use crate::{exporters, net, quarantine, receivers, store, telemetry, wal, web};

/// Everything that the file can say. `Config::default()` is the product without a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where everything is kept. Not set: `$STATE_DIRECTORY`, else `$XDG_DATA_HOME/vispyr`, else
    /// `~/.local/share/vispyr`.
    pub data_dir: Option<PathBuf>,
    /// TLS of every port that has no section of its own for it.
    pub tls: net::Tls,
    /// Credentials for every port that has no section of its own for them.
    pub auth: net::Auth,
    /// The ports for telemetry.
    pub receivers: receivers::Config,
    /// What may be in flight.
    pub admission: receivers::admission::Config,
    /// The logs.
    pub wal: wal::Config,
    /// What destinations refused for good.
    pub dead_letters: quarantine::dead_letters::Config,
    /// Where everything goes besides the store, by name.
    pub exporters: exporters::Exporters,
    /// The store.
    pub store: store::Config,
    /// Asking it.
    pub sql: store::sql::Config,
    /// The same over PostgreSQL's protocol.
    pub postgres: store::front::postgres::Config,
    /// The page, metrics and health.
    pub web: web::Config,
    /// Our own log.
    pub log: telemetry::log::Config,
    /// The Grafana beside us.
    pub grafana: Grafana,
    /// Keys of earlier versions that the file has, and what there is instead: they do nothing.
    #[serde(skip)]
    pub gone: Vec<(String, String)>,
}

impl Config {
    /// Reads a file. Every mistake in it is reported at once.
    pub fn load(file: &Path) -> Result<Self, Mistakes> {
        let text = std::fs::read_to_string(file).map_err(|e| Mistakes::unreadable(file, &e))?;
        let mut config = Self::parse(file, &text)?;
        config.find_credentials();
        Ok(config)
    }

    /// Reads the text of a file; `file` is for the messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Mistakes> {
        let mut document = document::Document::read(text);
        let mut config = document.take_config();
        config.gone = document.take_gone();
        for broken in rules::check(&config) {
            document.add_broken_rule(broken);
        }
        let mistakes = document.into_mistakes();
        if mistakes.is_empty() { Ok(config) } else { Err(Mistakes::new(file, mistakes)) }
    }
}

#[cfg(test)]
mod tests;
