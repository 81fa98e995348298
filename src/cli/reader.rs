//! `vispyr reader`: runs the statements of users. Hidden: the store starts it.

use std::process::ExitCode;

use super::Service;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    service: Service,
    /// Its number among the readers of the store
    #[arg(long)]
    number: u64,
}

/// Runs a reader until its parent is gone.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::app::run_reader(args.service.start()?, args.number)?;
    Ok(ExitCode::SUCCESS)
}
