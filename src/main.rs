//! The `vispyr` program: arguments and exit code.

use std::process::ExitCode;

use clap::Parser;
use vispyr::cli::Arguments;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // One line for one cause; a message that has several brings its own.
            eprintln!("vispyr: {error:#}");
            ExitCode::FAILURE
        }
    }
}
