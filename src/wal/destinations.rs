//! Destinations: what a log is told of them, and how they come and go while it runs. A reload of the
//! config must lose nothing of the others, and a destination that nobody wants any more must not hold
//! its segments until the next start.
//!
//! The cursor file is written before either returns. A new destination that begins "now" would
//! otherwise begin later after a crash, and lose what came in between; a removed one would come
//! back, at the place where it was.

use super::cursor::{Cursor, CursorId};
use super::state::{Shared, State};
use super::{CursorStats, Position, cursor_flusher};
use crate::signal::now_nanos;

/// Where a destination that the log does not know yet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At the oldest record still in the log.
    #[default]
    Oldest,
    /// At the next record to be appended.
    Now,
}

/// A destination, as a log is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name, by which the log knows it again.
    pub name: String,
    /// Where it begins if the log does not know it yet.
    pub start: Start,
    /// Nothing is dropped for it, whatever [`super::Config::when_full`] says: while the log is full of what
    /// it has not had, new data is refused.
    pub lossless: bool,
}

impl Destination {
    /// One for which `when_full` holds.
    pub fn new(name: impl Into<String>, start: Start) -> Self {
        Destination { name: name.into(), start, lossless: false }
    }

    /// The same, for which nothing is dropped.
    pub fn lossless(self) -> Self {
        Destination { lossless: true, ..self }
    }
}

impl State {
    /// A destination's account begins with what it still has to get.
    fn begin_account(&mut self, id: CursorId) {
        let Some(cursor) = self.cursors.get(id) else { return };
        let (due, appended) = (self.lag(cursor, 0).lag_items, self.appended_items);
        if let Some(cursor) = self.cursors.get_mut(id) {
            cursor.begin(due, appended);
        }
    }
}

impl Shared {
    /// The accounts of those that were there when the log was opened.
    pub(super) fn begin_accounts(&self) {
        self.resolve();
        let mut state = self.state.lock();
        let ids: Vec<CursorId> = state.cursors.by_id().map(|(id, _)| id).collect();
        for id in ids {
            state.begin_account(id);
        }
    }

    /// See [`super::Log::add`].
    pub(super) fn add(&self, destination: &Destination) -> Position {
        let position = {
            let mut state = self.state.lock();
            if let Some(known) = state.cursors.find(&destination.name).and_then(|id| state.cursors.get_mut(id)) {
                known.lossless = destination.lossless;
                return Position(known.position);
            }
            let position = match destination.start {
                Start::Oldest => state.oldest(),
                Start::Now => state.next,
            };
            let id = state.cursors.push(Cursor::new(destination, position));
            // The oldest and the next position are no segment's middle: exact without its entries.
            state.begin_account(id);
            position
        };
        self.persist();
        Position(position)
    }

    /// See [`super::Log::remove`].
    pub(super) fn remove(&self, name: &str) -> Option<CursorStats> {
        // For an exact account of what it leaves behind.
        self.resolve();
        let left = {
            let mut state = self.state.lock();
            let id = state.cursors.find(name)?;
            let cursor = state.cursors.remove(id)?;
            state.lag(&cursor, now_nanos())
        };
        // First the file: a cursor must not point at what is gone.
        self.persist();
        cursor_flusher::sweep(self);
        Some(left)
    }

    fn persist(&self) {
        if let Err(error) = cursor_flusher::save(self) {
            // A full disk, mostly. The cursor flusher tries again until it has gone well.
            tracing::warn!(signal = %self.signal, %error, "cannot write the cursors, trying again");
            self.flusher.request();
        }
    }
}
