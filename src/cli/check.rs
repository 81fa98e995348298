//! `vispyr check`: every mistake of a config at once.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Config;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

/// Exit code 0 and one line if the config is good, 1 and a line a mistake on stderr if not.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(file) = args.file.or(args.config) else { anyhow::bail!("no file given") };
    match Config::load(&file) {
        Ok(_) => {
            writeln!(std::io::stdout(), "{}: good", file.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(mistakes) => {
            let count = mistakes.count();
            writeln!(std::io::stderr(), "{mistakes}\n{count} mistake{}", if count == 1 { "" } else { "s" })?;
            Ok(ExitCode::FAILURE)
        }
    }
}
