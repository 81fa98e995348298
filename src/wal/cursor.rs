//! The destinations' cursors and their file.
//!
//! One file for all, `cursors`: a line of JSON and a line with its CRC32C. It also notes the next
//! position of the log, so that a position is not given away twice even when the end of the last
//! segment was lost after it had been synced.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;

use uuid::Uuid;

use super::segment::Entries;
use super::{Destination, disk, files};

/// Its name.
pub(super) const NAME: &str = "cursors";

/// Which cursor, for as long as the log is open: never used again for another destination, so a
/// reader of one that was removed moves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct CursorId(pub(super) u64);

/// The cursors by the order in which their destinations came.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    known: BTreeMap<CursorId, Cursor>,
    /// The next destination's.
    next: CursorId,
}

impl Cursors {
    /// A further destination, whose name is not there yet.
    pub(super) fn push(&mut self, cursor: Cursor) -> CursorId {
        let id = self.next;
        self.next = CursorId(id.0 + 1);
        self.known.insert(id, cursor);
        id
    }

    /// Forgets a destination.
    pub(super) fn remove(&mut self, id: CursorId) -> Option<Cursor> {
        self.known.remove(&id)
    }

    /// The one of this name.
    pub(super) fn find(&self, name: &str) -> Option<CursorId> {
        self.known.iter().find(|(_, cursor)| cursor.name == name).map(|(id, _)| *id)
    }

    pub(super) fn get(&self, id: CursorId) -> Option<&Cursor> {
        self.known.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: CursorId) -> Option<&mut Cursor> {
        self.known.get_mut(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Cursor> {
        self.known.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Cursor> {
        self.known.values_mut()
    }

    pub(super) fn by_id(&self) -> impl Iterator<Item = (CursorId, &Cursor)> {
        self.known.iter().map(|(id, cursor)| (*id, cursor))
    }
}

impl FromIterator<Cursor> for Cursors {
    fn from_iter<T: IntoIterator<Item = Cursor>>(cursors: T) -> Self {
        let mut all = Cursors::default();
        for cursor in cursors {
            all.push(cursor);
        }
        all
    }
}

/// A destination's place in the log.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) name: String,
    /// The first position that is not done.
    pub(super) position: u64,
    /// See [`Destination::lossless`].
    pub(super) lossless: bool,
    /// Items that it still had to get when it came.
    due_at_first: u64,
    /// [`super::state::State::appended_items`] at that moment.
    appended_at_first: u64,
    pub(super) dropped_items: u64,
    pub(super) dropped_bytes: u64,
    /// The entries of the closed segment it is in (by first position), once somebody has read
    /// them: what exact lag needs.
    pub(super) entries: Option<(u64, Entries)>,
}

impl Cursor {
    pub(super) fn new(destination: &Destination, position: u64) -> Self {
        Cursor {
            name: destination.name.clone(),
            position,
            lossless: destination.lossless,
            due_at_first: 0,
            appended_at_first: 0,
            dropped_items: 0,
            dropped_bytes: 0,
            entries: None,
        }
    }

    /// Its account begins: what it still has to get, of all that was appended so far.
    pub(super) fn begin(&mut self, due: u64, appended: u64) {
        (self.due_at_first, self.appended_at_first) = (due, appended);
    }

    /// Items that it had to get since its account began.
    pub(super) fn due(&self, appended: u64) -> u64 {
        self.due_at_first + (appended - self.appended_at_first)
    }
}

/// What the file holds.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Saved {
    pub(super) version: u32,
    pub(super) next: u64,
    pub(super) cursors: BTreeMap<String, u64>,
    /// The log's identity once more, for when `id` is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Uuid>,
    /// Gaps in the log that are known; see [`super::gaps`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) told: Vec<Range<u64>>,
}

/// What was found of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// There is none.
    Missing,
    /// It is not readable; kept as `cursors.damaged`.
    Damaged,
    /// Written by a newer version.
    Newer(u32),
    Good(Saved),
}

impl Saved {
    /// Writes the file; durable when it returns.
    pub(super) fn store(&self, dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string(self)?;
        let crc = crc32c::crc32c(text.as_bytes());
        text.push_str(&format!("\ncrc32c {crc:08x}\n"));
        files::replace(dir, NAME, text.as_bytes())
    }

    /// Reads the file.
    pub(super) fn load(dir: &Path) -> io::Result<Loaded> {
        let bytes = match disk::read_file(&dir.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if disk::is_unreadable(&error) => Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Missing),
            Err(error) => return Err(error),
        };
        match parse(&bytes) {
            Some(saved) if saved.version > 1 => Ok(Loaded::Newer(saved.version)),
            Some(saved) => Ok(Loaded::Good(saved)),
            None => {
                // Only for people to look at: a full or failing disk is not in the way of the start.
                let _ = std::fs::rename(dir.join(NAME), dir.join("cursors.damaged"));
                Ok(Loaded::Damaged)
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Saved> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (json, rest) = text.split_once('\n')?;
    let crc = u32::from_str_radix(rest.strip_prefix("crc32c ")?.strip_suffix('\n')?, 16).ok()?;
    if crc != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}
