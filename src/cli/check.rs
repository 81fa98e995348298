//! `vispyr check`: every mistake of a config at once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::access::{Doors, Finding};
use crate::config::{Config, Mistakes};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file
    #[arg(value_name = "FILE", required_unless_present = "config")]
    file: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Do not read the certificates and secrets that it names: they are on another machine
    #[arg(long)]
    no_files: bool,
}

/// Exit code 0 and one line if the config is good, 1 and a line a mistake on stderr if not. What is
/// allowed but odd goes to stderr, too.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Some(file) = args.file.or(args.config) else { anyhow::bail!("no file given") };
    let checked =
        Config::load(&file).and_then(|config| if args.no_files { Ok(Vec::new()) } else { files(&file, &config) });
    match checked {
        Ok(notices) => {
            if let Some(notices) = notices.first().map(|_| Mistakes::at_keys(&file, &notices)) {
                writeln!(std::io::stderr(), "{notices}")?;
            }
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

/// Reads the certificates and secrets that the config names; what should be known of them.
fn files(file: &Path, config: &Config) -> Result<Vec<(String, String)>, Mistakes> {
    let texts = |finding: &Finding| (finding.key.clone(), finding.message.clone());
    match Doors::open(config.ports()) {
        Ok((_, notices)) => {
            let warning = |notice: &Finding| (notice.key.clone(), format!("warning: {}", notice.message));
            Ok(notices.iter().map(warning).collect())
        }
        Err(findings) => Err(Mistakes::at_keys(file, &findings.iter().map(texts).collect::<Vec<_>>())),
    }
}
