//! The command line: one file a subcommand, each with its arguments and a `run`; `collector` and
//! `store` take nothing of their own.

pub mod check;
mod collector;
pub mod dead_letters;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
mod forget;
mod generate;
pub mod printable;
mod reader;
pub mod repair;
pub mod serve;
mod server;
pub mod sql;
pub mod status;
pub mod tail;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use crate::app::{self, Roles, Settings};
use crate::config::Config;
use crate::telemetry::log;
use crate::telemetry::recent::Recent;

/// Vispyr Backend keeps the traces, metrics, logs and profiles of your applications and answers
/// SQL across them.
#[derive(Debug, clap::Parser)]
#[command(name = "vispyr", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run everything: the collector, and the store as its child process
    Serve(serve::Args),
    /// Run the collector alone: receivers, logs, exporters, web page
    Collector(Service),
    /// Run the store alone: DuckDB and its SQL interface
    Store(Service),
    /// Ask a running store
    Sql(sql::Args),
    /// Show rates, lag, disk and last errors of a running collector on one screen
    Status(collector::Asked),
    /// Show what a running collector acknowledges at this moment, as lines of JSON
    Tail(tail::Args),
    /// Show what destinations refused for good, send it again, or let it go
    DeadLetters(dead_letters::Args),
    /// Read the config and report every mistake in it
    Check(check::Args),
    /// Make the catalog of a store that does not run again from its files
    Repair(repair::Args),
    /// Delete rows of a running store for good
    Forget(forget::Args),
    /// Send the telemetry of a make-believe shop
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// The process that owns DuckDB; the store starts it
    #[command(hide = true)]
    Engine(Service),
    /// The process that merges sealed files; the store starts it
    #[command(hide = true)]
    Merger(Service),
    /// A process that runs statements; the store starts it
    #[command(hide = true)]
    Reader(reader::Args),
    /// Write shell completions and man pages, for packages
    #[command(hide = true)]
    Generate(generate::Args),
}

impl Arguments {
    /// Does what was asked. The exit code is for answers that are no errors, such as a config
    /// with mistakes.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Collector(args) => app::run(args.start()?, Roles::COLLECTOR).map(|()| ExitCode::SUCCESS),
            Command::Store(args) => app::run(args.start()?, Roles::STORE).map(|()| ExitCode::SUCCESS),
            Command::Sql(args) => sql::run(args),
            Command::Status(args) => status::run(args),
            Command::Tail(args) => tail::run(args),
            Command::DeadLetters(args) => dead_letters::run(args),
            Command::Check(args) => check::run(args),
            Command::Forget(args) => forget::run(args),
            Command::Repair(args) => repair::run(args),
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args),
            Command::Engine(args) => engine::run(args),
            Command::Merger(args) => app::run_merger(args.start()?).map(|()| ExitCode::SUCCESS),
            Command::Reader(args) => reader::run(args),
            Command::Generate(args) => generate::run(args),
        }
    }
}

/// What every command that runs or finds a server takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Place {
    /// Config file; without it, everything has its default
    #[arg(long, short, value_name = "FILE", env = "VISPYR_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where the data is [default: $STATE_DIRECTORY, else $XDG_DATA_HOME/vispyr, else
    /// ~/.local/share/vispyr]
    #[arg(long, short, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What every server takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Service {
    #[command(flatten)]
    place: Place,
    /// Overrides log.level: error, warn, info, debug, trace, off; or by module
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Overrides log.format
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<log::Format>,
}

impl Place {
    /// Reads the config.
    pub fn config(&self) -> anyhow::Result<Config> {
        match &self.config {
            None => Ok(Config::default()),
            Some(file) => Config::load(file).map_err(|mistakes| {
                let count = mistakes.count();
                let s = if count == 1 { "" } else { "s" };
                anyhow::anyhow!("the config has {count} mistake{s}:\n{mistakes}")
            }),
        }
    }

    /// Reads the config and finds the data directory.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let file = self.config()?;
        let mut config = file.clone();
        if config.store.socket_dir.is_none() {
            config.store.socket_dir = crate::config::runtime_dir();
        }
        let data_dir = crate::config::data_dir(self.data_dir.as_deref(), &config)
            .context("no place for the data: neither --data-dir nor data_dir nor HOME is set")?;
        let config_file = self.config.as_deref().map(std::path::absolute).transpose()?;
        Ok(Settings { config_file, file, config, data_dir, recent: Recent::default(), demo: false })
    }
}

impl Service {
    /// Reads the config, lays the command line over it and starts the log.
    fn start(self) -> anyhow::Result<Settings> {
        let mut settings = self.place.settings()?;
        let log = &mut settings.config.log;
        if let Some(level) = self.log_level {
            log.level = level;
        }
        if let Some(format) = self.log_format {
            log.format = format;
        }
        settings.recent = log::start(log).map_err(|message| anyhow::anyhow!("--log-level: {message}"))?;
        Ok(settings)
    }
}
