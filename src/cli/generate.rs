//! `vispyr generate`: shell completions and man pages. They are made of the command line itself when
//! a package is built, so they are never those of another version. Hidden: only packages need it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Arguments;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to: vispyr.bash, _vispyr, vispyr.fish and a man page for each command
    dir: PathBuf,
}

/// Writes them all.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    write(&args.dir).with_context(|| format!("cannot write to {}", args.dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "vispyr", dir)?;
    }
    clap_mangen::generate_to(Arguments::command(), dir)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_command_for_people_has_its_page_and_completion() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let read = |name: &str| fs::read_to_string(dir.path().join(name));
        let completions = ["vispyr.bash", "_vispyr", "vispyr.fish"].map(|name| read(name).unwrap());
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            let page = read(&format!("vispyr-{name}.1"));
            if command.is_hide_set() {
                assert!(page.is_err(), "{name} is hidden and has a page");
                continue;
            }
            let page = page.unwrap();
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                let escaped = option.replace('-', "\\-");
                assert!(page.contains(&escaped), "no --{option} in the page of {name}");
                for completion in &completions {
                    assert!(completion.contains(option), "no --{option} in a completion of {name}");
                }
            }
        }
        assert!(read("vispyr.1").unwrap().contains("vispyr\\-serve"));
    }
}
