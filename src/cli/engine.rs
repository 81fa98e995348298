//! `vispyr engine`: the only process that holds DuckDB. Hidden: the store starts and watches it.

use std::process::ExitCode;

use super::{Logging, Place};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    logging: Logging,
}

/// Runs the engine until it is told to stop or its parent is gone.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut settings = args.place.settings()?;
    args.logging.start(&mut settings)?;
    crate::app::run_engine(settings)?;
    Ok(ExitCode::SUCCESS)
}
