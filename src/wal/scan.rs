//! Finding the records of a segment file, whatever happened to it.
//!
//! A record whose header is good tells its length, so a damaged body is stepped over. Behind a
//! damaged header the scan looks where its length field points, and if there is no good header,
//! searches on byte by byte. Positions must rise and stay below the next segment's first, so a
//! stale copy of a record is not taken for one.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::disk::read_around;
use super::record::{BadHeader, Entry, HEADER, Header, MAGIC};

/// What a segment holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// The good records.
    pub(super) entries: Vec<Entry>,
    /// Stretches that are none, one a damaged record where that can be told.
    pub(super) damaged: Vec<Damage>,
    /// How many records were damaged: told by the positions around them, where those are good.
    pub(super) corrupt: u64,
    /// Positions of records that have left no trace, not even a damaged one.
    pub(super) missing: Vec<Range<u64>>,
    /// One past the last byte that was completely written, be it damaged; what follows is torn.
    pub(super) end: u64,
    /// One past the highest position that a record in here can have.
    pub(super) next: u64,
}

/// A stretch of a segment that is no good record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) range: Range<u64>,
    /// It was not completely written: a crash has torn it, and nobody was told that it is there.
    pub(super) torn: bool,
}

/// Why a segment could not be scanned.
#[derive(Debug)]
pub(super) enum ScanError {
    Io(io::Error),
    Newer(u8),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        ScanError::Io(error)
    }
}

/// Lists the records of `file` with positions in `positions`. Those beyond are stale (written,
/// never acknowledged, and written again into the next segment after a failed sync) and left out
/// silently. With `bodies`, checks every body too, which reads the whole file.
pub(super) fn scan(file: &File, salt: u64, positions: Range<u64>, bodies: bool) -> Result<Scan, ScanError> {
    let length = file.metadata()?.len();
    let mut window = Window::new(file, if bodies { 1 << 20 } else { 4096 });
    let mut found = Scan { next: positions.start, ..Scan::default() };
    let mut gap = Gap { from: positions.start, damaged: 0 };
    let mut at = 0;
    while at < length {
        let header = match window.header(at)? {
            Some(bytes) => Header::decode(&bytes, salt),
            None => Err(BadHeader::Damaged),
        };
        match header {
            Ok(header) => {
                let end = at + u64::from(header.record_length());
                if end > length || u32::try_from(end).is_err() {
                    found.damaged.push(Damage { range: at..length, torn: true });
                    break;
                }
                let wanted = header.position >= found.next && header.position < positions.end;
                if wanted && (!bodies || window.crc(at + HEADER as u64..end)? == header.body_crc) {
                    found.close(gap, header.position);
                    gap = Gap { from: header.position + 1, damaged: 0 };
                    found.entries.push(Entry::new(&header, at as u32));
                    found.next = header.position + 1;
                } else if header.position < positions.end {
                    found.damaged.push(Damage { range: at..end, torn: false });
                    found.next = found.next.max(header.position + 1);
                    gap.damaged += 1;
                }
                found.end = end;
                at = end;
            }
            Err(BadHeader::Newer(version)) => return Err(ScanError::Newer(version)),
            Err(BadHeader::Damaged) => {
                let next = resynchronise(&mut window, at, length, salt, found.next)?;
                let torn = next == length && window.is_torn(at..length)?;
                found.damaged.push(Damage { range: at..next, torn });
                if !torn {
                    gap.damaged += 1;
                }
                if next == length && !torn {
                    // As many records as fit: none of their positions is given away again.
                    found.next += (next - at).div_ceil(HEADER as u64);
                    found.end = next;
                }
                at = next;
            }
        }
    }
    // Behind the last segment nothing is known to be missing.
    let end = if positions.end == u64::MAX { gap.from } else { positions.end };
    found.close(gap, end);
    found.next = found.next.min(positions.end);
    Ok(found)
}

/// Positions between two good records.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: u64,
    /// Damaged stretches that lie there.
    damaged: u64,
}

impl Scan {
    /// The gap ends before `position`: what is not there was damaged or is missing.
    fn close(&mut self, gap: Gap, position: u64) {
        if gap.damaged > 0 {
            self.corrupt += gap.damaged.max(position - gap.from);
        } else if position > gap.from {
            self.missing.push(gap.from..position);
        }
    }
}

/// Where the next good header behind the damaged one at `at` is; `length` if there is none.
fn resynchronise(window: &mut Window<'_>, at: u64, length: u64, salt: u64, lowest: u64) -> io::Result<u64> {
    let good = |window: &mut Window<'_>, at: u64| -> io::Result<bool> {
        Ok(match window.header(at)? {
            Some(bytes) => Header::decode(&bytes, salt).is_ok_and(|header| header.position >= lowest),
            None => false,
        })
    };
    if let Some(bytes) = window.header(at)?
        && let Some(claimed) = Header::claimed_length(&bytes)
        && at + claimed < length
        && good(window, at + claimed)?
    {
        return Ok(at + claimed);
    }
    let mut at = at + 1;
    while at + HEADER as u64 <= length {
        let chunk = window.some(at)?;
        match chunk.iter().position(|byte| *byte == MAGIC[0]) {
            Some(skip) => {
                at += skip as u64;
                if good(window, at)? {
                    return Ok(at);
                }
                at += 1;
            }
            None => at += chunk.len().max(1) as u64,
        }
    }
    Ok(length)
}

/// A sliding piece of the file, so that a scan needs little memory.
struct Window<'a> {
    file: &'a File,
    /// Bytes read at once.
    step: usize,
    start: u64,
    buffer: Vec<u8>,
    /// What the disk could not read: there the buffer holds zeros.
    unreadable: Vec<Range<u64>>,
}

impl<'a> Window<'a> {
    fn new(file: &'a File, step: usize) -> Self {
        Window { file, step, start: 0, buffer: Vec::new(), unreadable: Vec::new() }
    }

    /// At least `wanted` bytes from `at`, unless the file ends before.
    fn at_least(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let have = self.start + self.buffer.len() as u64;
        if at < self.start || at + wanted as u64 > have {
            self.buffer.resize(self.step.max(wanted), 0);
            let read = read_around(self.file, &mut self.buffer, at, &mut self.unreadable)?;
            self.buffer.truncate(read);
            self.start = at;
        }
        let skip = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.buffer.len());
        Ok(&self.buffer[skip..])
    }

    /// Some bytes from `at`; none only at the end.
    fn some(&mut self, at: u64) -> io::Result<&[u8]> {
        self.at_least(at, 1)
    }

    fn header(&mut self, at: u64) -> io::Result<Option<[u8; HEADER]>> {
        Ok(self.at_least(at, HEADER)?.first_chunk::<HEADER>().copied())
    }

    /// Whether the end of the file, which begins with no good header, was never completely
    /// written: too short for a header, or zeros, as a power cut leaves them where the file had
    /// grown already. Anything else was a record.
    fn is_torn(&mut self, range: Range<u64>) -> io::Result<bool> {
        if range.end - range.start < HEADER as u64 {
            return Ok(true);
        }
        let mut at = range.start;
        while at < range.end {
            let chunk = self.some(at)?;
            if chunk.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += chunk.len().max(1) as u64;
        }
        Ok(!self.unreadable.iter().any(|page| page.start < range.end && page.end > range.start))
    }

    fn crc(&mut self, range: Range<u64>) -> io::Result<u32> {
        let mut crc = 0;
        let mut at = range.start;
        while at < range.end {
            let chunk = self.some(at)?;
            if chunk.is_empty() {
                break;
            }
            let take = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(chunk.len());
            crc = crc32c::crc32c_append(crc, &chunk[..take]);
            at += take as u64;
        }
        Ok(crc)
    }
}
