//! `vispyr engine`: the only process that holds DuckDB. Hidden: the store starts and watches it.

use std::process::ExitCode;

use super::{Logging, Place};
use crate::store::engine::{EXIT_FINAL, EngineError};

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
    match crate::app::run_engine(settings) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.downcast_ref::<EngineError>().is_some_and(EngineError::is_final) => {
            tracing::error!(%error, "the store cannot start");
            Ok(ExitCode::from(EXIT_FINAL))
        }
        Err(error) => Err(error),
    }
}
