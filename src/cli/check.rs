//! `vispyr check`: every mistake of a config at once; with `--data`, every damaged file of a store.

mod data;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::Place;
use crate::app;
use crate::config::{Config, Mistakes};
use crate::net::{Finding, Ports};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Config file
    #[arg(value_name = "FILE", required_unless_present_any = ["config", "data"])]
    file: Option<PathBuf>,
    /// The same, as the other commands take it
    #[arg(long, short, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
    /// Do not read the certificates and secrets that it names: they are on another machine
    #[arg(long)]
    no_files: bool,
    /// Also try whether each destination answers
    #[arg(long, conflicts_with = "no_files")]
    connect: bool,
    /// Compare all files of the store with their checksums, whether it runs or not
    #[arg(long, conflicts_with_all = ["no_files", "connect"])]
    data: bool,
    /// Where the data is, for --data
    #[arg(long, short, value_name = "DIR", requires = "data")]
    data_dir: Option<PathBuf>,
}

/// Exit code 0 and one line if the config is good, 1 and a line a mistake on stderr if not. What is
/// allowed but odd goes to stderr, too.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.data {
        let place = Place { config: args.file.or(args.config), data_dir: args.data_dir };
        let settings = place.settings()?;
        return data::run(&settings.config.store.dir(&settings.data_dir));
    }
    let Some(file) = args.file.or(args.config) else { anyhow::bail!("no file given") };
    let checked = Config::load(&file).and_then(|config| {
        let of_files = if args.no_files { Vec::new() } else { files(&file, &config, args.connect)? };
        let gone =
            |(key, instead): &(String, String)| (key.clone(), format!("warning: gone, it does nothing: {instead}"));
        Ok(config.gone.iter().map(gone).chain(of_files).collect::<Vec<_>>())
    });
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

/// Reads the certificates and secrets that the config names, and tries the destinations if it is
/// told to; what should be known of them.
fn files(file: &Path, config: &Config, connect: bool) -> Result<Vec<(String, String)>, Mistakes> {
    let mut wrong = app::check_destinations(&config.exporters, connect);
    let notices = match Ports::open(config.ports()) {
        Ok((_, notices)) => notices,
        Err(findings) => {
            wrong.extend(findings.iter().map(|finding| (finding.key.clone(), finding.message.clone())));
            Vec::new()
        }
    };
    if !wrong.is_empty() {
        return Err(Mistakes::at_keys(file, &wrong));
    }
    let warning = |notice: &Finding| (notice.key.clone(), format!("warning: {}", notice.message));
    Ok(notices.iter().map(warning).collect())
}
