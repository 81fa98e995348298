//! The `vispyr` program: arguments and exit code.

use std::process::ExitCode;

use clap::Parser;
use vispyr::cli::Arguments;
use vispyr::cli::printable::printable;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vispyr: {}", printable(&describe(&error)));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong and why, each cause once: some messages tell their cause themselves.
fn describe(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}
