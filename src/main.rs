//! The `vispyr` program: arguments and exit code.

use std::process::ExitCode;

use clap::Parser;
use vispyr::cli::Arguments;
use vispyr::cli::printable::printable;

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    limit_kept_memory();
    match Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vispyr: {}", printable(&describe(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Has glibc give freed memory back to the system at fixed sizes. By itself it keeps blocks as large as the largest that
/// was freed: 50 MiB after eight bodies of 15 MiB at a time.
#[cfg(target_env = "gnu")]
fn limit_kept_memory() {
    /// Bytes of a block that goes back at once. What DuckDB and Arrow use again and again is smaller.
    const BLOCK: libc::c_int = 4 << 20;
    /// Free bytes at the end of an arena that stay.
    const END: libc::c_int = 2 << 20;
    #[expect(unsafe_code, reason = "the only way to set an option")]
    // SAFETY: it stores two numbers, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, END);
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
