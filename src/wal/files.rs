//! File operations that must not be half done: whole-file replacement and folder syncs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::WalError;
use crate::durable;

/// Gives an I/O error its context.
pub(super) fn io(context: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
    move |source| WalError::Io { context, path: path.to_owned(), source }
}

pub(super) use crate::durable::{create_dir, sync_dir};

/// Replaces `dir/name`: after a crash the file is the old one or the new one, whole.
pub(super) fn replace(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    durable::replace(&dir.join(name), content)
}

/// Reads `buffer.len()` bytes at `offset`, fewer only at the end of the file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
