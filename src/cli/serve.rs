//! `vispyr serve`: the collector and the store front in one process, the engine as its child.

use std::process::ExitCode;

use super::Service;
use crate::app::{self, Roles};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    service: Service,
    #[cfg(feature = "demo")]
    /// Let a make-believe shop send its telemetry: an hour of history, then live
    #[arg(long)]
    demo: bool,
}

/// Runs until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.service.start()?;
    #[cfg(feature = "demo")]
    let settings = app::Settings { demo: args.demo, ..settings };
    app::run(settings, Roles::SERVE)?;
    Ok(ExitCode::SUCCESS)
}
