//! Segment files by name, and the index file that stands beside a closed one.
//!
//! The index of segment `N.log` is `N.idx`: totals, then one [`Entry`] a record. With it a log of
//! 8 GiB opens without reading its payloads, and lag is exact. It is only a shortcut: one that is
//! missing, torn or does not fit the segment's length is made anew from the record headers.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{Entry, u32_at, u64_at};
use super::scan::{Scan, ScanError, scan};
use crate::durable;

const MAGIC: [u8; 8] = *b"VispIdx1";
const HEAD: usize = 80;
const ENTRY: usize = 32;

/// The entries of a segment, in order of position.
pub(super) type Entries = Arc<[Entry]>;

/// Totals of a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// One past the last record's position.
    pub(super) end: u64,
    /// Bytes of the file that count: what was synced.
    pub(super) length: u64,
    pub(super) records: u64,
    pub(super) items: u64,
    /// Payload bytes.
    pub(super) bytes: u64,
    /// When the first record was received.
    pub(super) received: u64,
}

impl Totals {
    /// The totals of `entries` in a file of `length` bytes that begins at position `first`.
    pub(super) fn new(first: u64, length: u64, entries: &[Entry]) -> Self {
        Totals {
            end: entries.last().map_or(first, |entry| entry.position + 1),
            length,
            records: entries.len() as u64,
            items: entries.iter().map(|entry| u64::from(entry.items)).sum(),
            bytes: entries.iter().map(|entry| u64::from(entry.payload)).sum(),
            received: entries.first().map_or(0, |entry| entry.received),
        }
    }
}

/// The segment that begins at `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

/// Its index.
pub(super) fn index_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.idx"))
}

/// The first position of the segment whose index has this name; nothing for other files.
pub(super) fn of_index(name: &str) -> Option<u64> {
    first_of(name, ".idx")
}

fn first_of(name: &str, suffix: &str) -> Option<u64> {
    let stem = name.strip_suffix(suffix)?;
    (stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit())).then(|| stem.parse().ok())?
}

/// The first positions of the segments in `dir`, rising.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(entry?.file_name().to_str().and_then(|name| first_of(name, ".log")));
    }
    found.sort_unstable();
    Ok(found)
}

/// Deletes a segment and its index.
pub(super) fn remove(dir: &Path, first: u64) -> io::Result<()> {
    let _ = fs::remove_file(index_path(dir, first));
    fs::remove_file(path(dir, first))
}

/// Writes the index of a closed segment.
pub(super) fn write_index(dir: &Path, first: u64, salt: u64, totals: &Totals, entries: &[Entry]) -> io::Result<()> {
    let mut out = Vec::with_capacity(HEAD + entries.len() * ENTRY);
    out.extend_from_slice(&MAGIC);
    for number in [salt, first, totals.end, totals.length, totals.records, totals.items, totals.bytes, totals.received]
    {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&[0; 8]);
    for entry in entries {
        out.extend_from_slice(&entry.position.to_le_bytes());
        out.extend_from_slice(&entry.received.to_le_bytes());
        for number in [entry.offset, entry.length, entry.payload, entry.items] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    let entries_crc = crc32c::crc32c(&out[HEAD..]);
    out[72..76].copy_from_slice(&entries_crc.to_le_bytes());
    let head_crc = crc32c::crc32c(&out[..76]);
    out[76..80].copy_from_slice(&head_crc.to_le_bytes());
    durable::replace_lightly(&index_path(dir, first), &out)
}

/// The totals of an index, if it is whole and belongs to this segment as it is now.
pub(super) fn read_totals(dir: &Path, first: u64, salt: u64) -> Option<Totals> {
    let file = File::open(index_path(dir, first)).ok()?;
    let mut head = [0; HEAD];
    if super::disk::read_at(&file, &mut head, 0).ok()? < HEAD {
        return None;
    }
    let totals = parse_head(&head, first, salt)?;
    let entries = file.metadata().ok()?.len().checked_sub(HEAD as u64)?;
    let segment = fs::metadata(path(dir, first)).ok()?.len();
    (entries == totals.records.checked_mul(ENTRY as u64)? && segment == totals.length).then_some(totals)
}

/// The entries of a closed segment: from its index, or else from the segment's headers.
pub(super) fn read_entries(dir: &Path, first: u64, salt: u64, next: u64) -> Result<Entries, ScanError> {
    if let Some(entries) =
        super::disk::read_file(&index_path(dir, first)).ok().and_then(|bytes| parse(&bytes, first, salt))
    {
        return Ok(entries);
    }
    let file = File::open(path(dir, first))?;
    let Scan { entries, .. } = scan(&file, salt, first..next, false)?;
    Ok(entries.into())
}

fn parse_head(bytes: &[u8], first: u64, salt: u64) -> Option<Totals> {
    let good = bytes.len() >= HEAD
        && bytes[..8] == MAGIC
        && u32_at(bytes, 76) == crc32c::crc32c(&bytes[..76])
        && u64_at(bytes, 8) == salt
        && u64_at(bytes, 16) == first;
    good.then(|| Totals {
        end: u64_at(bytes, 24),
        length: u64_at(bytes, 32),
        records: u64_at(bytes, 40),
        items: u64_at(bytes, 48),
        bytes: u64_at(bytes, 56),
        received: u64_at(bytes, 64),
    })
}

fn parse(bytes: &[u8], first: u64, salt: u64) -> Option<Entries> {
    parse_head(bytes, first, salt)?;
    let body = &bytes[HEAD..];
    if crc32c::crc32c(body) != u32_at(bytes, 72) || !body.len().is_multiple_of(ENTRY) {
        return None;
    }
    let entry = |bytes: &[u8]| Entry {
        position: u64_at(bytes, 0),
        received: u64_at(bytes, 8),
        offset: u32_at(bytes, 16),
        length: u32_at(bytes, 20),
        payload: u32_at(bytes, 24),
        items: u32_at(bytes, 28),
    };
    Some(body.chunks_exact(ENTRY).map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_synced_once() {
        let dir = tempfile::tempdir().unwrap();
        let entry = Entry { position: 7, received: 1, offset: 0, length: 60, payload: 20, items: 2 };
        let totals = Totals::new(7, 60, &[entry]);
        std::fs::write(path(dir.path(), 7), [0; 60]).unwrap();
        let syncs = durable::syncs::of(|| write_index(dir.path(), 7, 5, &totals, &[entry]).unwrap());
        assert_eq!(syncs, 1);
        assert_eq!(read_totals(dir.path(), 7, 5), Some(totals));
    }
}
