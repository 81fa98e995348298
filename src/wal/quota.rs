//! The quota of a log: its budget on disk (`max_size`, `when_full`), and a disk that is full.

use std::io;

use super::queue::Pending;
use super::segment::Entries;
use super::writer::Writer;
use super::{AppendError, WhenFull, cursor_flusher};

impl Writer {
    /// Makes room for the group within the budget; answers those for whom there is none.
    pub(super) fn admit(&mut self, group: Vec<Pending>) -> Vec<Pending> {
        let total = group.iter().map(Pending::length).sum();
        if self.make_room(total).is_ok_and(|room| room) {
            return group;
        }
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for pending in group {
            let error = match self.make_room(bytes + pending.length()) {
                Ok(true) => {
                    bytes += pending.length();
                    taken.push(pending);
                    continue;
                }
                Ok(false) => AppendError::Full(self.shared.signal),
                Err(source) => AppendError::Io { signal: self.shared.signal, source },
            };
            let _ = pending.reply.send(Err(error));
        }
        taken
    }

    /// Makes room for `wanted` bytes, if the rules allow.
    fn make_room(&mut self, wanted: u64) -> io::Result<bool> {
        loop {
            let mut state = self.shared.state.lock();
            if state.size() + wanted <= self.shared.max_size {
                return Ok(true);
            }
            if wanted > self.shared.max_size {
                return Ok(false);
            }
            let passed = state.passed();
            let may_drop = self.shared.when_full == WhenFull::DropOldest;
            if let Some(front) = state.closed.front() {
                let (first, end, limit) = (front.first, front.totals.end, state.limit(0));
                if end > passed && !may_drop {
                    return Ok(false);
                }
                let inside = state.cursors.iter().any(|cursor| cursor.position > first && cursor.position < end);
                let entries = if inside {
                    drop(state);
                    let entries = self.shared.entries(first, limit).unwrap_or_default();
                    state = self.shared.state.lock();
                    entries
                } else {
                    Entries::default()
                };
                // The cursor flusher may have deleted it meanwhile.
                if state.closed.front().is_none_or(|front| front.first != first) {
                    continue;
                }
                let dropped = state.drop_oldest(&entries);
                drop(state);
                // First the file: after a crash no cursor may point at what is gone. A full disk is no
                // reason to keep the segment.
                if let Err(error) = cursor_flusher::save(&self.shared) {
                    tracing::warn!(signal = %self.shared.signal, %error, "cannot write the cursors, trying again");
                    self.shared.flusher.request();
                }
                if let Some(dropped) = dropped {
                    if end > passed {
                        let records = dropped.totals.records;
                        tracing::warn!(signal = %self.shared.signal, segment = first, records, "log full, oldest segment dropped");
                    }
                    self.shared.remove_segment(first)?;
                }
            } else {
                if state.next > passed && !may_drop {
                    return Ok(false);
                }
                drop(state);
                self.begin_segment()?;
            }
        }
    }

    /// The disk is full: deletes at once what nobody waits for. False if there is nothing.
    pub(super) fn free_space(&self) -> bool {
        let saved = cursor_flusher::save(&self.shared).is_ok();
        if saved && cursor_flusher::sweep(&self.shared) > 0 || cursor_flusher::sweep_unsaved(&self.shared) > 0 {
            return true;
        }
        let mut state = self.shared.state.lock();
        if !state.cursors.is_empty() {
            return false;
        }
        let Some(oldest) = state.closed.pop_front() else { return false };
        drop(state);
        self.shared.remove_segment(oldest.first).is_ok()
    }
}
