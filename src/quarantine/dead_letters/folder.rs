//! One destination's folder of dead letters, and its bound.
//!
//! Two locks: [`Folder::index`] for what is known, never held over a file operation, since a
//! scrape takes it; and [`Folder::files`] for whoever changes files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use uuid::Uuid;

use super::dead_letter::{self, DeadLetter, DeadLetterId, Head};
use crate::quarantine::folder as kept;
use crate::signal::{Batch, Signal};

/// Letters of one destination at most: bounds the memory of their heads to some megabytes.
pub(super) const MAX_LETTERS: usize = 10_000;

/// Items by signal.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Items([u64; 4]);

impl Items {
    /// Adds those of a dead letter; of a damaged one nothing is known.
    pub(super) fn add(&mut self, letter: &DeadLetter) {
        if let Ok(head) = &letter.head {
            self.0[head.signal as usize] += u64::from(head.items);
        }
    }

    /// Those of a signal.
    pub(super) fn of(&self, signal: Signal) -> u64 {
        self.0[signal as usize]
    }
}

/// What is known of the dead letters of one destination.
#[derive(Debug, Default)]
pub(super) struct Index {
    letters: BTreeMap<u64, DeadLetter>,
    /// Bytes of all.
    pub(super) size: u64,
    /// Items that had to go for room, since the start.
    pub(super) dropped: Items,
    /// Items that the destination accepted later, since the start.
    pub(super) resent: Items,
    /// Items that were dropped by hand, since the start.
    pub(super) deleted: Items,
}

impl Index {
    /// The dead letters, the oldest first.
    pub(super) fn letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.letters.values()
    }

    /// Number of dead letters.
    pub(super) fn count(&self) -> usize {
        self.letters.len()
    }

    fn put(&mut self, letter: DeadLetter) {
        self.size += letter.size;
        if let Some(old) = self.letters.insert(letter.id.number(), letter) {
            self.size -= old.size;
        }
    }

    fn take(&mut self, id: &DeadLetterId) -> Option<DeadLetter> {
        let letter = self.letters.remove(&id.number())?;
        self.size -= letter.size;
        Some(letter)
    }
}

/// The dead letters of one destination.
#[derive(Debug)]
pub(super) struct Folder {
    kept: kept::Folder,
    destination: String,
    pub(super) index: Mutex<Index>,
    files: Mutex<()>,
}

/// The destinations that have a folder in `dir`.
pub(super) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

impl Folder {
    fn empty(above: &Path, destination: &str) -> Self {
        let kept = kept::Folder::at(above.join(destination));
        Folder { kept, destination: destination.to_owned(), index: Mutex::default(), files: Mutex::default() }
    }

    /// Reads the heads in a folder that is there, and removes what a crash left half written.
    pub(super) fn open(above: &Path, destination: &str) -> io::Result<Self> {
        let folder = Folder::empty(above, destination);
        for (name, size) in folder.kept.list()? {
            let Some(id) = DeadLetterId::of_file(destination, &name) else { continue };
            let path = folder.kept.path(&name);
            let head = dead_letter::read_head(&path).unwrap_or_else(|error| Err(format!("cannot read it: {error}")));
            folder.index.lock().put(DeadLetter { id, size, head, taken: false });
        }
        Ok(folder)
    }

    /// A folder for a destination's first dead letter, for its owner only as all of the data is.
    pub(super) fn create(above: &Path, destination: &str) -> io::Result<Self> {
        let folder = Folder::empty(above, destination);
        folder.kept.create()?;
        Ok(folder)
    }

    /// Where a dead letter is, if it is there.
    pub(super) fn path(&self, id: &DeadLetterId) -> Option<PathBuf> {
        self.index.lock().letters.contains_key(&id.number()).then(|| self.kept.path(&id.file_name()))
    }

    /// Writes a dead letter, unless there is one of the same origin; durable when it returns.
    pub(super) fn add(&self, batch: &Batch, reason: &str, origin: Option<Uuid>, now: u64) -> io::Result<DeadLetterId> {
        let _alone = self.files.lock();
        if let Some(origin) = origin {
            let is_same = |letter: &&DeadLetter| letter.head.as_ref().is_ok_and(|head| head.origin == Some(origin));
            if let Some(known) = self.index.lock().letters().find(is_same) {
                return Ok(known.id.clone());
            }
        }
        // Milliseconds, so that numbers are not given again after the folder was emptied.
        let after = self.index.lock().letters.last_key_value().map_or(0, |(last, _)| last + 1);
        let id = DeadLetterId::new(&self.destination, after.max(now / 1_000_000));
        let head = Head::new(&self.destination, batch, reason, origin, now);
        let size = self.write(&id, &head, &batch.payload)?;
        self.index.lock().put(DeadLetter { id: id.clone(), size, head: Ok(head), taken: false });
        Ok(id)
    }

    /// Lets the oldest go until the rest takes at most `max_size` and is not more than
    /// `max_letters`; those that went. The newest stays.
    pub(super) fn bound(&self, max_size: u64, max_letters: usize) -> Vec<DeadLetter> {
        let _alone = self.files.lock();
        let bound = kept::Bound { files: max_letters, bytes: max_size };
        let mut gone = Vec::new();
        loop {
            let oldest = {
                let index = self.index.lock();
                let full = bound.is_exceeded(index.count(), index.size);
                index.letters().next().filter(|_| full && index.count() > 1).map(|oldest| oldest.id.clone())
            };
            let Some(id) = oldest else { break };
            if let Err(error) = self.kept.delete(&id.file_name()) {
                tracing::warn!(letter = %id, %error, "cannot delete a dead letter");
                break;
            }
            let mut index = self.index.lock();
            if let Some(letter) = index.take(&id) {
                index.dropped.add(&letter);
                gone.push(letter);
            }
        }
        gone
    }

    /// Deletes a dead letter, and counts it where `count` says; nothing if it is not there.
    pub(super) fn remove(
        &self,
        id: &DeadLetterId,
        count: impl FnOnce(&mut Index) -> &mut Items,
    ) -> io::Result<Option<DeadLetter>> {
        let _alone = self.files.lock();
        if self.path(id).is_none() {
            return Ok(None);
        }
        self.kept.remove(&id.file_name())?;
        let mut index = self.index.lock();
        let letter = index.take(id);
        if let Some(letter) = &letter {
            count(&mut index).add(letter);
        }
        Ok(letter)
    }

    /// A dead letter was sent again and taken, but is not gone yet.
    pub(super) fn note_taken(&self, id: &DeadLetterId) {
        if let Some(letter) = self.index.lock().letters.get_mut(&id.number()) {
            letter.taken = true;
        }
    }

    /// A dead letter was sent again, and stays for `reason`.
    pub(super) fn note_retry(&self, id: &DeadLetterId, reason: &str, now: u64) -> io::Result<()> {
        let _alone = self.files.lock();
        let Some(path) = self.path(id) else { return Ok(()) };
        let (mut head, batch) = dead_letter::read(&path)?.map_err(io::Error::other)?;
        head.note_retry(reason, now);
        let size = self.write(id, &head, &batch.payload)?;
        self.index.lock().put(DeadLetter { id: id.clone(), size, head: Ok(head), taken: false });
        Ok(())
    }

    /// Writes a dead letter's file, whole or not at all.
    fn write(&self, id: &DeadLetterId, head: &Head, payload: &[u8]) -> io::Result<u64> {
        self.kept.write(&id.file_name(), |file| dead_letter::write(file, head, payload))
    }
}
