//! The `vispyr` program: arguments and exit code.

use std::process::ExitCode;

use clap::Parser;
use vispyr::cli::Arguments;
use vispyr::cli::printable::printable;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // Freed memory goes back to the system at once, not after some time: a large body would find
    // that of the one before it still taken. It takes a gzip bomb from 135 to 80 MiB and costs
    // nothing that the benchmark of receiving could show.
    #[expect(unsafe_code, reason = "the only way to set an option")]
    // SAFETY: it stores a number in a static, before there is another thread.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, 0);
    }
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
