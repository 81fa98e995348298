//! The ids of one kind of entry: mappings, locations or functions.

use std::collections::HashSet;

use crate::wire::Limits;
use crate::wire::error::{Reason, WireError};
use crate::wire::fields::{Fields, error};

/// Ids are nearly always 1, 2, 3, ...: a bit for each of these, a set for the others.
pub(super) struct Ids {
    what: &'static str,
    dense: Vec<u64>,
    sparse: HashSet<u64>,
}

impl Ids {
    /// Collects the ids (field 1) of the entries in field `tag` of the profile.
    pub(super) fn read(payload: &[u8], tag: u32, what: &'static str) -> Result<Self, WireError> {
        let entries = || Fields(payload).filter(move |(number, _)| *number == tag).map(|(_, value)| value.bytes());
        let count = entries().count();
        if count > Limits::ENTRIES {
            let reason = Reason::TooMany { what: "entries", count, limit: Limits::ENTRIES };
            return Err(error(payload, payload, what.to_owned(), reason));
        }
        let mut ids = Ids { what, dense: vec![0; count / 16 + 1], sparse: HashSet::new() };
        for (index, entry) in entries().enumerate() {
            let id = Fields(entry).filter(|(tag, _)| *tag == 1).last().map_or(0, |(_, id)| id.number());
            // 0 means "none" where it is referred to: such an entry cannot be reached.
            if id != 0 && !ids.insert(id) {
                let reason = Reason::DuplicateId { what, id };
                return Err(error(payload, entry, format!("{what}[{index}].id"), reason));
            }
        }
        Ok(ids)
    }

    fn insert(&mut self, id: u64) -> bool {
        let (word, bit) = (id / 64, 1 << (id % 64));
        match usize::try_from(word).ok().and_then(|word| self.dense.get_mut(word)) {
            Some(word) => {
                let new = *word & bit == 0;
                *word |= bit;
                new
            }
            None => self.sparse.insert(id),
        }
    }

    /// Whether there is an entry with this id.
    pub(super) fn check(&self, id: u64) -> Result<(), Reason> {
        let found = match usize::try_from(id / 64).ok().and_then(|word| self.dense.get(word)) {
            Some(word) => word >> (id % 64) & 1 == 1,
            None => self.sparse.contains(&id),
        };
        if found { Ok(()) } else { Err(Reason::Dangling { what: self.what, id }) }
    }
}
