//! The identity of a log: the file `id`.
//!
//! Positions mean nothing without it: the store keeps by it which records it has had, and half of
//! it is the salt of every record header. One wrong digit would make all records look damaged, or
//! new to the store. So it has a checksum, and a copy in the file of the cursors. A log of before
//! that is known by its records: they must have the salt.

use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::record::{HEADER, Header};
use super::{WalError, disk, files, segment};

/// Its name.
pub(super) const NAME: &str = "id";
const PREFIX: &str = "vispyr log 1 ";
/// What any version of it begins with.
const ANY_VERSION: &str = "vispyr log ";
const CHECKSUM: &str = " crc32c ";

/// What the file holds.
enum Found {
    Good(Uuid),
    /// As it was written before there was a checksum.
    Unchecked(Uuid),
    /// Of another version.
    Other,
    Damaged,
    Missing,
}

/// The half that is in every record header.
pub(super) fn salt(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

/// Reads the identity of the log in `dir`, whose segments begin at `firsts`, or makes it with the
/// folder. `copy` is the one beside the cursors.
pub(super) fn load(dir: &Path, firsts: &[u64], copy: Option<Uuid>) -> Result<Uuid, WalError> {
    let path = dir.join(NAME);
    let found = read(&path).map_err(files::io("cannot read", &path))?;
    let trusted = match found {
        Found::Good(id) => return Ok(id),
        Found::Other => return Err(WalError::Format { path, reason: "not a log of this version".to_owned() }),
        Found::Unchecked(id) if copy.is_none_or(|copy| copy == id) && is_of_records(dir, firsts, id) => Some(id),
        Found::Unchecked(_) | Found::Damaged => {
            tracing::error!(path = %path.display(), copy = copy.is_some(), "the identity of the log is damaged");
            copy
        }
        Found::Missing if firsts.is_empty() => Some(copy.unwrap_or_else(Uuid::new_v4)),
        Found::Missing => {
            tracing::error!(path = %path.display(), copy = copy.is_some(), "the identity of the log is missing");
            copy
        }
    };
    let trusted = match trusted {
        // A power cut at the first start leaves files without content: no record hangs on the identity.
        None if hold_nothing(dir, firsts).map_err(files::io("cannot read the segments in", dir))? => {
            tracing::warn!(path = %path.display(), "the log holds nothing yet, it gets a new identity");
            Some(Uuid::new_v4())
        }
        trusted => trusted,
    };
    let Some(id) = trusted.filter(|id| is_of_records(dir, firsts, *id)) else { return Err(lost(path)) };
    let written = files::replace(dir, NAME, text(id).as_bytes());
    match written {
        // A log without a file of its identity could not be opened again.
        Err(error) if matches!(found, Found::Missing) => Err(files::io("cannot write", &path)(error)),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cannot write the identity of the log anew");
            Ok(id)
        }
        Ok(()) => Ok(id),
    }
}

fn lost(path: PathBuf) -> WalError {
    let reason = "it is damaged or missing, and the cursors hold no copy that fits the records; put it back from a \
                  backup, or move the folder of this log away to begin a new one";
    WalError::Format { path, reason: reason.to_owned() }
}

fn text(id: Uuid) -> String {
    let line = format!("{PREFIX}{id}");
    let crc = crc32c::crc32c(line.as_bytes());
    format!("{line}{CHECKSUM}{crc:08x}\n")
}

fn read(path: &Path) -> io::Result<Found> {
    let bytes = match disk::read_file(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
        Err(error) if disk::is_unreadable(&error) => return Ok(Found::Damaged),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end();
    let (line, checked) = match text.split_once(CHECKSUM) {
        Some((line, crc)) => {
            if u32::from_str_radix(crc, 16).ok() != Some(crc32c::crc32c(line.as_bytes())) {
                return Ok(Found::Damaged);
            }
            (line, true)
        }
        None => (text, false),
    };
    let id = line.strip_prefix(PREFIX).map(Uuid::parse_str);
    Ok(match id {
        Some(Ok(id)) if checked => Found::Good(id),
        Some(Ok(id)) => Found::Unchecked(id),
        None if line.starts_with(ANY_VERSION) => Found::Other,
        _ => Found::Damaged,
    })
}

/// Whether the records have the salt of this identity; true if there is none to look at.
fn is_of_records(dir: &Path, firsts: &[u64], id: Uuid) -> bool {
    let salts = firsts.iter().filter_map(|first| first_salt(&segment::path(dir, *first)));
    let (mut any, salt) = (false, salt(id));
    for found in salts.take(4) {
        if found == salt {
            return true;
        }
        any = true;
    }
    !any
}

/// Whether the segments are empty, or of zero bytes alone.
fn hold_nothing(dir: &Path, firsts: &[u64]) -> io::Result<bool> {
    let mut buffer = vec![0; 1 << 16];
    for first in firsts {
        let file = std::fs::File::open(segment::path(dir, *first))?;
        let mut at = 0;
        loop {
            let read = match disk::read_at(&file, &mut buffer, at) {
                Err(error) if disk::is_unreadable(&error) => return Ok(false),
                read => read?,
            };
            if read == 0 {
                break;
            }
            if buffer[..read].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += read as u64;
        }
    }
    Ok(true)
}

/// The salt of the first record of a segment, if its header is good.
fn first_salt(path: &Path) -> Option<u64> {
    let file = std::fs::File::open(path).ok()?;
    let mut bytes = [0; HEADER];
    let read = disk::read_at(&file, &mut bytes, 0).ok()?;
    (read == HEADER).then(|| Header::salt(&bytes)).flatten()
}
