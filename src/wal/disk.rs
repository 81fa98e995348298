//! Reading files of which some sectors may be unreadable.
//!
//! A sector that the disk cannot read any more must cost the records that lie on it, and neither
//! the start nor the records behind it. [`read_around`] gives such a page as zeros, and the
//! checksums of the records tell which of them are hit.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use bytes::Bytes;

/// The kernel reads files in pages of this size, and fails for whole pages.
const PAGE: u64 = 4096;

/// Whether the disk has lost what was to be read, so that asking again gives nothing else.
pub(super) fn is_unreadable(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let lost = [Errno::IO, Errno::BADMSG, Errno::UCLEAN];
    error.raw_os_error().is_some_and(|code| lost.iter().any(|errno| errno.raw_os_error() == code))
}

/// Reads `buffer.len()` bytes at `offset`, fewer only at the end of the file.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read_some(file, &mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// As [`read_at`], with zeros for pages that cannot be read. Their places are added to `unreadable`.
pub(super) fn read_around(
    file: &File,
    buffer: &mut [u8],
    offset: u64,
    unreadable: &mut Vec<Range<u64>>,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        let at = offset + done as u64;
        match read_some(file, &mut buffer[done..], at) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_unreadable(&error) => {
                let rest = file.metadata()?.len().saturating_sub(at).min((buffer.len() - done) as u64);
                let skip = (PAGE - at % PAGE).min(rest);
                if skip == 0 {
                    break;
                }
                let skipped = usize::try_from(skip).unwrap_or(usize::MAX);
                buffer[done..done + skipped].fill(0);
                done += skipped;
                unreadable.push(at..at + skip);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Reads into memory that is not cleared first; fewer than `length` bytes only at the end of the file.
pub(super) fn read_bytes(file: &File, start: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = Vec::with_capacity(length);
    while buffer.len() < length {
        let at = start + buffer.len() as u64;
        #[cfg(test)]
        if faults::readable(file, at, length - buffer.len())? < length - buffer.len() {
            return Err(rustix::io::Errno::IO.into());
        }
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    buffer.truncate(length);
    Ok(Bytes::from(buffer))
}

/// A whole small file.
pub(super) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut content = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0)];
    let read = read_at(&file, &mut content, 0)?;
    content.truncate(read);
    Ok(content)
}

fn read_some(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    #[cfg(test)]
    let buffer = {
        let readable = faults::readable(file, at, buffer.len())?;
        &mut buffer[..readable]
    };
    file.read_at(buffer, at)
}

/// Which file a name stands for: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64, u64);

impl FileId {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|meta| FileId(meta.dev(), meta.ino()))
    }

    /// Of what `path` names now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|meta| FileId(meta.dev(), meta.ino()))
    }
}

/// Sectors that fail when they are read, for tests.
#[cfg(test)]
pub(super) mod faults {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io;
    use std::ops::Range;
    use std::path::Path;

    use parking_lot::Mutex;

    use super::{FileId, PAGE};

    static UNREADABLE: Mutex<BTreeMap<FileId, Vec<Range<u64>>>> = Mutex::new(BTreeMap::new());

    /// Pages that cannot be read until this is dropped. Holds the file open, so that no other gets
    /// its number.
    #[must_use]
    pub(in crate::wal) struct Broken(FileId, #[allow(dead_code, reason = "only held")] File);

    /// From now on the pages with these bytes of the file cannot be read.
    pub(in crate::wal) fn break_sectors(path: &Path, range: Range<u64>) -> Broken {
        let range = range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE);
        let file = File::open(path).unwrap();
        let id = FileId::of(&file).unwrap();
        UNREADABLE.lock().entry(id).or_default().push(range);
        Broken(id, file)
    }

    impl Drop for Broken {
        fn drop(&mut self) {
            UNREADABLE.lock().remove(&self.0);
        }
    }

    /// How many of these bytes come before the next that fails, as the kernel gives them.
    pub(super) fn readable(file: &File, at: u64, length: usize) -> io::Result<usize> {
        let unreadable = UNREADABLE.lock();
        if unreadable.is_empty() {
            return Ok(length);
        }
        let Some(broken) = FileId::of(file).ok().and_then(|id| unreadable.get(&id)) else { return Ok(length) };
        let end = at + length as u64;
        let next = broken.iter().filter(|range| range.start < end && range.end > at).map(|range| range.start).min();
        match next {
            None => Ok(length),
            Some(start) if start > at => Ok((start - at) as usize),
            Some(_) => Err(io::Error::from_raw_os_error(5)),
        }
    }
}
