//! Dead letters that the collector has sent again.
//!
//! To the engine such a letter is a log of one record, whose identity is the letter's: it is stored
//! once, in one transaction with its position, whoever is killed meanwhile and however often the
//! collector sends it. What came of it the collector is told at each change, and when it asks again.
//!
//! Its position is needed for as long as it may come again. Once the collector has deleted it, the next
//! transaction of the catalog forgets the position.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use super::ingest_queue::IngestQueue;
use super::progress::LogProgress;
use super::quarantine::Quarantine;
use crate::signal::Signal;
use crate::store::protocol::{Resend, Resent};
use crate::wal::{Position, Record};

/// Rows of letters are sealed once none has come for so long: the collector lets go of a letter only when it
/// is sealed.
const PAUSE: Duration = Duration::from_secs(2);

/// Letters on their way into the store, and those that the collector asks about.
#[derive(Debug, Default)]
pub struct Resends {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    letters: BTreeMap<Uuid, Letter>,
    /// When rows of one were inserted last, that are not being sealed yet.
    inserted: Option<Instant>,
    /// Those that never come again, and whose positions the catalog may still have.
    released: BTreeSet<Uuid>,
}

#[derive(Debug)]
struct Letter {
    signal: Signal,
    refused: Option<String>,
    /// What the collector was told last.
    told: Option<Resent>,
}

impl Resends {
    /// A letter comes. It is queued unless it was before.
    pub fn take(&self, resend: Resend, queues: &[IngestQueue; 4], progress: &LogProgress, quarantine: &Quarantine) {
        let Resend { id, batch } = resend;
        let signal = batch.signal;
        // There is a dead letter of it, or it could not be sent.
        quarantine.kept(id);
        let stored = progress.cursors(id, signal).0 > Position(0);
        {
            let mut state = self.state.lock();
            state.released.remove(&id);
            let known = state.letters.get(&id).is_some_and(|letter| letter.refused.is_none());
            state.letters.insert(id, Letter { signal, refused: None, told: None });
            if stored {
                // By an earlier process: it is to be sealed soon.
                state.inserted.get_or_insert_with(Instant::now);
            }
            if known || stored {
                drop(state);
                progress.tell();
                return;
            }
        }
        queues[signal as usize].push_resend(id, Record { position: Position(0), batch });
    }

    /// Whether this is no log but a letter.
    pub fn is_letter(&self, log: Uuid) -> bool {
        self.state.lock().letters.contains_key(&log)
    }

    /// The letter cannot be stored.
    pub fn refused(&self, id: Uuid, reason: &str) {
        if let Some(letter) = self.state.lock().letters.get_mut(&id) {
            letter.refused = Some(reason.to_owned());
        }
    }

    /// Rows of a letter were inserted.
    pub fn inserted(&self) {
        self.state.lock().inserted = Some(Instant::now());
    }

    /// Whether rows of letters are to be sealed now.
    pub fn are_due(&self) -> bool {
        self.state.lock().inserted.is_some_and(|at| at.elapsed() >= PAUSE)
    }

    /// They are being sealed.
    pub fn sealing(&self) {
        self.state.lock().inserted = None;
    }

    /// The collector has deleted the letter, after it was sealed.
    pub fn released(&self, id: Uuid) {
        let mut state = self.state.lock();
        if !state.letters.contains_key(&id) {
            state.released.insert(id);
        }
    }

    /// The letters whose positions are not needed any more. Once the catalog has forgotten them:
    /// [`Self::forgotten`].
    pub fn to_forget(&self) -> Vec<Uuid> {
        self.state.lock().released.iter().copied().collect()
    }

    /// The catalog has forgotten them.
    pub fn forgotten(&self, letters: &[Uuid]) {
        let mut state = self.state.lock();
        for id in letters {
            state.released.remove(id);
        }
    }

    /// What the collector has not been told yet.
    pub fn news(&self, progress: &LogProgress) -> Vec<(Uuid, Resent)> {
        let mut state = self.state.lock();
        let mut news = Vec::new();
        for (id, letter) in &mut state.letters {
            let (visible, sealed) = progress.cursors(*id, letter.signal);
            let now = match &letter.refused {
                Some(reason) => Resent::Refused(reason.clone()),
                None if sealed > Position(0) => Resent::Sealed,
                None if visible > Position(0) => Resent::Visible,
                None => continue,
            };
            if letter.told.as_ref() != Some(&now) {
                letter.told = Some(now.clone());
                news.push((*id, now));
            }
        }
        // Both are final, until it is sent once more.
        state.letters.retain(|_, letter| !matches!(letter.told, Some(Resent::Sealed | Resent::Refused(_))));
        news
    }
}
