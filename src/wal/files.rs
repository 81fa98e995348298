//! File operations that must not be half done: whole-file replacement and folder syncs.

use std::io;
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
