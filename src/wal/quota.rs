//! The quota of a log: its budget on disk (`max_size`, `when_full`), and a disk that is full.

use std::io;
use std::time::{Duration, Instant};

use super::queue::Pending;
use super::segment::Entries;
use super::state::{Overfull, Shared, State};
use super::writer::Writer;
use super::{AppendError, cursor_flusher};

/// For so long after it has refused something a log is called full. While one is, room comes back a
/// segment at a time, so that it takes and refuses by turns.
const OVERFULL: Duration = Duration::from_secs(10);

/// Why there is no room.
enum NoRoom {
    /// These destinations have not had what would have to go, and it may not be dropped for them.
    Kept(Vec<String>),
    Io(io::Error),
}

impl Shared {
    /// The destinations of whose records the log is full: it has just refused something, or has done so
    /// and has no room for another segment.
    pub(super) fn full_of(&self, state: &State) -> Vec<String> {
        match &state.overfull {
            Some(refused) if refused.at.elapsed() <= OVERFULL => refused.behind.clone(),
            Some(_) if state.size() + self.segment_size > self.max_size => {
                state.kept_for(state.end_of_oldest(), self.when_full)
            }
            _ => Vec::new(),
        }
    }
}

impl Writer {
    /// Makes room for the group within the budget; answers those for whom there is none.
    pub(super) fn admit(&mut self, group: Vec<Pending>) -> Vec<Pending> {
        let total = group.iter().map(Pending::length).sum();
        if self.make_room(total).is_ok() {
            self.note_room();
            return group;
        }
        let signal = self.shared.signal;
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for pending in group {
            let wanted = bytes + pending.length();
            let error = match self.make_room(wanted) {
                Ok(()) => {
                    bytes = wanted;
                    taken.push(pending);
                    continue;
                }
                Err(NoRoom::Kept(behind)) => {
                    self.note_overfull(&behind);
                    AppendError::Full { signal, behind }
                }
                Err(NoRoom::Io(source)) => AppendError::Io { signal, source },
            };
            let _ = pending.reply.send(Err(error));
        }
        taken
    }

    /// Something was refused: says so when that begins.
    fn note_overfull(&self, behind: &[String]) {
        let now = Overfull { at: Instant::now(), behind: behind.to_vec() };
        if self.shared.state.lock().overfull.replace(now).is_none() {
            let destinations = behind.join(", ");
            tracing::warn!(signal = %self.shared.signal, destinations, "log full of what destinations have not had, senders are told to try again");
        }
    }

    /// Nothing was refused: says so when it has been long enough.
    fn note_room(&self) {
        let mut state = self.shared.state.lock();
        if state.overfull.take_if(|full| full.at.elapsed() > OVERFULL).is_some() {
            drop(state);
            tracing::info!(signal = %self.shared.signal, "the log has room for all that comes again");
        }
    }

    /// Makes room for `wanted` bytes, if the rules allow. They are not more than the log may take: a group
    /// is at most a segment or one record, and `append` has refused what never fits.
    fn make_room(&mut self, wanted: u64) -> Result<(), NoRoom> {
        loop {
            let mut state = self.shared.state.lock();
            if state.size() + wanted <= self.shared.max_size {
                return Ok(());
            }
            let end = state.end_of_oldest();
            let behind = state.kept_for(end, self.shared.when_full);
            if !behind.is_empty() {
                return Err(NoRoom::Kept(behind));
            }
            let Some(first) = state.closed.front().map(|front| front.first) else {
                drop(state);
                self.begin_segment().map_err(NoRoom::Io)?;
                continue;
            };
            let limit = state.limit(0);
            let passed = state.passed();
            let inside = state.cursors.iter().any(|cursor| cursor.position > first && cursor.position < end);
            let entries = if inside {
                drop(state);
                let entries = self.shared.entries(first, limit).unwrap_or_default();
                state = self.shared.state.lock();
                entries
            } else {
                Entries::default()
            };
            // The cursor flusher may have deleted it meanwhile, or a reload may have changed for whom it is kept.
            if state.closed.front().is_none_or(|front| front.first != first)
                || !state.kept_for(end, self.shared.when_full).is_empty()
            {
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
                self.shared.remove_segment(first).map_err(NoRoom::Io)?;
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
