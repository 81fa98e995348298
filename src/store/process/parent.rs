//! The process that has started this one. It holds the other end of our standard input.

use std::io::Read;

use rustix::fs::FileType;

use super::exit;

/// Begins to watch for the end of our parent, which ends this process: one that was killed cannot stop us.
/// What is in memory is in the logs, so there is nothing to save.
pub fn end_with_it() {
    // A person's terminal is no parent.
    if !stdin_is(&[FileType::Fifo, FileType::Socket]) {
        return;
    }
    let watch = || {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|n| n > 0) {}
        tracing::warn!("the parent process is gone, ending");
        exit(0);
    };
    if let Err(error) = std::thread::Builder::new().name("parent".to_owned()).spawn(watch) {
        tracing::warn!(%error, "cannot watch the parent process");
    }
}

/// Tells our parent that this process does its work from now on.
pub fn tell_ready() {
    // Only a socket takes what is written to a standard input.
    if stdin_is(&[FileType::Socket]) {
        // If nobody listens any more, this process ends anyway.
        let _ = rustix::io::write(std::io::stdin(), b"\n");
    }
}

fn stdin_is(kinds: &[FileType]) -> bool {
    rustix::fs::fstat(std::io::stdin()).is_ok_and(|file| kinds.contains(&FileType::from_raw_mode(file.st_mode)))
}
