//! `vispyr engine`: the only process that holds DuckDB. Hidden: the store starts and watches it.

use std::process::ExitCode;

use super::Service;
use crate::store::engine::{EXIT_FINAL, EngineError};

/// Runs the engine until it is told to stop or its parent is gone.
pub fn run(args: Service) -> anyhow::Result<ExitCode> {
    match crate::app::run_engine(args.start()?) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.downcast_ref::<EngineError>().is_some_and(EngineError::is_final) => {
            tracing::error!(%error, "the store cannot start");
            Ok(ExitCode::from(EXIT_FINAL))
        }
        Err(error) => Err(error),
    }
}
