//! Files of level 0 that are not sealed yet, and up to where the logs are in them.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::writer_queue::SealReply;
use crate::store::catalog::{File, Positions};

/// Rows that are sealed at once, however young.
const MANY_ROWS: u64 = 1_000_000;

/// Bytes of files that are.
const MANY_BYTES: u64 = 128 << 20;

/// Files beyond which no more are taken before some are sealed: questions would take too long.
const MAX_FILES: usize = 4000;

/// What waits to be sealed.
#[derive(Debug, Default)]
pub struct Unsealed {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<File>,
    taken: Positions,
    /// When the first came.
    since: Option<Instant>,
    /// Who waits for what is here now to be sealed.
    asking: Vec<SealReply>,
    stopped: bool,
}

/// Files that are sealed together.
#[derive(Debug, Default)]
pub struct Round {
    /// They.
    pub files: Vec<File>,
    /// Up to where the logs are in them and in those sealed before.
    pub positions: Positions,
    /// Who waits for it.
    pub asking: Vec<SealReply>,
}

impl Unsealed {
    /// With what an earlier process has left.
    pub fn new(files: Vec<File>, taken: Positions) -> Self {
        let since = (!files.is_empty()).then(Instant::now);
        Unsealed { state: Mutex::new(State { files, taken, since, ..State::default() }), changed: Condvar::new() }
    }

    /// The catalog has taken further files.
    pub fn add(&self, files: impl Iterator<Item = File>, taken: &Positions) {
        let mut state = self.state.lock();
        state.files.extend(files);
        state.taken.extend(taken);
        // Records without rows move the logs, too.
        state.since.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    /// Asks for what is here now to be sealed. Answers whether there is anybody to do it.
    pub fn ask(&self, reply: SealReply) -> bool {
        let mut state = self.state.lock();
        if state.stopped {
            return false;
        }
        state.asking.push(reply);
        self.changed.notify_all();
        true
    }

    /// Files, rows and bytes that wait.
    pub fn counts(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        let sum = |of: fn(&File) -> u64| state.files.iter().map(of).sum();
        (state.files.len() as u64, sum(|file| file.rows), sum(|file| file.bytes))
    }

    /// Waits while there are too many, `patience` at most. Answers whether there is room.
    pub fn wait_for_room(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        if state.files.len() >= MAX_FILES && !state.stopped {
            self.changed.wait_for(&mut state, patience);
        }
        state.files.len() < MAX_FILES
    }

    /// Waits for something to seal: what has been here for `interval`, is much, or is asked for. `is_due`
    /// may know of another reason, and is asked now and then. `None` at the end.
    pub fn next(&self, interval: Duration, is_due: impl Fn() -> bool) -> Option<Round> {
        const NOW_AND_THEN: Duration = Duration::from_millis(500);
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            let rows: u64 = state.files.iter().map(|file| file.rows).sum();
            let bytes: u64 = state.files.iter().map(|file| file.bytes).sum();
            let old = state.since.is_some_and(|since| since.elapsed() >= interval);
            let asked = !state.asking.is_empty();
            if old || asked || rows >= MANY_ROWS || bytes >= MANY_BYTES || state.since.is_some() && is_due() {
                state.since = None;
                let State { files, taken, asking, .. } = &mut *state;
                return Some(Round {
                    files: files.clone(),
                    positions: std::mem::take(taken),
                    asking: std::mem::take(asking),
                });
            }
            self.changed.wait_for(&mut state, NOW_AND_THEN);
        }
    }

    /// The files of a round are sealed.
    pub fn sealed(&self, round: &Round) {
        let mut state = self.state.lock();
        // Others were only added behind them.
        state.files.drain(..round.files.len());
        self.changed.notify_all();
    }

    /// Ends all waiting, now and later.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        state.asking.clear();
        self.changed.notify_all();
    }
}
