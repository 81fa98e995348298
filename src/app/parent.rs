//! The process that has started this one.

use std::io::Read;
use std::os::unix::fs::FileTypeExt;

use crate::store::engine;

/// A parent that was killed cannot stop us; but it holds the other end of our standard input,
/// which then ends. What is in memory is in the logs, so there is nothing to save.
pub fn end_with_it() {
    let stdin_is_a_pipe = std::fs::metadata("/proc/self/fd/0").is_ok_and(|file| file.file_type().is_fifo());
    if !stdin_is_a_pipe {
        return;
    }
    let watch = || {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|n| n > 0) {}
        tracing::warn!("the parent process is gone, ending");
        engine::exit(0);
    };
    if let Err(error) = std::thread::Builder::new().name("parent".to_owned()).spawn(watch) {
        tracing::warn!(%error, "cannot watch the parent process");
    }
}
