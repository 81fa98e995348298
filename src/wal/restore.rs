//! The file of the segment that is written, removed while it is in use: what is in it was
//! acknowledged, and is still there for as long as it is open.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::state::Active;
use super::writer::Writer;
use super::{disk, files, segment};

/// Bytes that are copied at once.
const COPY: u64 = 1 << 20;

impl Writer {
    /// The file that is written has lost its name, and everything in it would be lost with it: it
    /// is copied into a file of the same name. Where that cannot be, a new segment is begun.
    pub(super) fn restore(&mut self) {
        let (first, file, length) = {
            let state = self.shared.state.lock();
            (state.active.first, state.active.file.clone(), state.active.length)
        };
        let copy = || -> io::Result<()> {
            self.shared.in_place()?;
            let path = segment::path(&self.shared.dir, first);
            let to = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            let mut at = 0;
            while at < length {
                let chunk = disk::read_bytes(&file, at, (length - at).min(COPY) as usize)?;
                if chunk.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                to.write_all_at(&chunk, at)?;
                at += chunk.len() as u64;
            }
            to.sync_all()?;
            files::sync_dir(&self.shared.dir)?;
            let mut state = self.shared.state.lock();
            let entries = std::mem::take(&mut state.active.entries);
            state.active = Active::new(first, to, length, entries)?;
            Ok(())
        };
        match copy() {
            Ok(()) => {
                tracing::error!(signal = %self.shared.signal, segment = first, "the file of the log was removed while it was in use, written anew");
            }
            Err(error) => {
                tracing::error!(signal = %self.shared.signal, segment = first, %error, "the file of the log was removed while it was in use");
                self.spoiled = true;
            }
        }
    }
}
