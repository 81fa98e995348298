//! Which dictionary rows have been given out: each id once a day, until that is forgotten.

use hashbrown::HashSet;

/// The ids of one dictionary, with the days on which they were given out.
#[derive(Debug, Default)]
pub(crate) struct Emitted {
    seen: HashSet<(i64, i32)>,
    /// What the record being decoded has added.
    added: Vec<(i64, i32)>,
}

impl Emitted {
    /// Whether this is the first time that `id` is met on `day`: then its row is to be given out.
    pub(crate) fn first(&mut self, id: i64, day: i32) -> bool {
        let new = self.seen.insert((id, day));
        if new {
            self.added.push((id, day));
        }
        new
    }

    /// The record was good.
    pub(crate) fn keep(&mut self) {
        self.added.clear();
    }

    /// The record was malformed and its rows are taken back.
    pub(crate) fn take_back(&mut self) {
        for key in self.added.drain(..) {
            self.seen.remove(&key);
        }
    }

    /// Everything is given out again from here on.
    pub(crate) fn forget(&mut self) {
        self.seen.clear();
        self.added.clear();
    }
}
