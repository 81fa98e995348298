//! `vispyr collector`: receivers, logs, exporters and the web page, without the store.

use std::process::ExitCode;

use super::{Logging, Place};
use crate::app::{self, Roles};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    logging: Logging,
}

/// Runs until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut settings = args.place.settings()?;
    args.logging.start(&mut settings)?;
    app::run(settings, Roles::COLLECTOR)?;
    Ok(ExitCode::SUCCESS)
}
