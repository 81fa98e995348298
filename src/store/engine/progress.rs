//! How far the records of each log have come: visible to queries, sealed, set aside.
//! Threads wait here for a change.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::signal::Signal;
use crate::store::catalog::Positions;
use crate::store::protocol::LogState;
use crate::wal::Position;

/// Records set aside that nobody has been told of yet; older ones are forgotten.
const MAX_ASIDE: usize = 10_000;

/// Queries wait no longer than this for what a start has to bring back.
const REPLAY_PATIENCE: Duration = Duration::from_secs(5);

/// A record that can never be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its log.
    pub log: Uuid,
    /// The log's signal.
    pub signal: Signal,
    /// Its place there.
    pub position: Position,
    /// What is wrong with it.
    pub reason: String,
}

/// Cursors of all logs that were ever seen.
#[derive(Debug, Default)]
pub struct LogProgress {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    visible: Positions,
    sealed: Positions,
    aside: VecDeque<Aside>,
    replay: Replay,
}

/// What the logs had when they first connected, which queries are to see.
#[derive(Debug, Default)]
enum Replay {
    /// No log has connected yet.
    #[default]
    Unknown,
    /// Until all of these are visible, or it is too late to wait.
    Until(Positions, Instant),
    /// It is over.
    Done,
}

impl LogProgress {
    /// At the start of an engine: what is sealed is visible.
    pub fn new(sealed: Positions) -> Self {
        let state = State { visible: sealed.clone(), sealed, ..State::default() };
        LogProgress { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The logs connect, in the order of [`Signal::ALL`]. Answers up to where each is sealed, no
    /// further than it reaches.
    pub fn attach(&self, logs: &[LogState; 4]) -> [Position; 4] {
        let mut state = self.state.lock();
        let mut ends = Positions::new();
        let sealed = Signal::ALL.map(|signal| {
            let log = logs[signal as usize];
            let State { visible, sealed, .. } = &mut *state;
            for cursors in [visible, &mut *sealed] {
                let cursor = cursors.entry((log.id, signal)).or_default();
                *cursor = (*cursor).min(log.next);
            }
            let sealed = sealed.get(&(log.id, signal)).copied().unwrap_or_default();
            if log.next > sealed.max(log.oldest) {
                ends.insert((log.id, signal), log.next);
            }
            sealed
        });
        if let Replay::Unknown = state.replay {
            state.replay = Replay::Until(ends, Instant::now() + REPLAY_PATIENCE);
        }
        sealed
    }

    /// Waits until queries see everything that the logs had when they first connected: not at all
    /// if none has, and never for long.
    pub fn wait_for_replay(&self) {
        let mut state = self.state.lock();
        while let Replay::Until(positions, deadline) = &state.replay {
            let (deadline, seen) = (*deadline, &state.visible);
            let done = positions.iter().all(|(log, end)| seen.get(log).is_some_and(|position| position >= end));
            if done || Instant::now() >= deadline {
                state.replay = Replay::Done;
                return;
            }
            self.changed.wait_until(&mut state, deadline);
        }
    }

    /// Queries see every record of the log before `position`.
    pub fn visible(&self, log: Uuid, signal: Signal, position: Position) {
        self.change(|state| {
            state.visible.insert((log, signal), position);
        });
    }

    /// These are in sealed files.
    pub fn sealed(&self, positions: &Positions) {
        self.change(|state| state.sealed.extend(positions));
    }

    /// A record will never be stored.
    pub fn set_aside(&self, aside: Aside) {
        self.change(|state| {
            if state.aside.len() == MAX_ASIDE {
                state.aside.pop_front();
            }
            state.aside.push_back(aside);
        });
    }

    /// The cursors of a log: visible, sealed.
    pub fn cursors(&self, log: Uuid, signal: Signal) -> (Position, Position) {
        let state = self.state.lock();
        let of = |cursors: &Positions| cursors.get(&(log, signal)).copied().unwrap_or_default();
        (of(&state.visible), of(&state.sealed))
    }

    /// What was set aside since the last call.
    pub fn take_aside(&self) -> Vec<Aside> {
        self.state.lock().aside.drain(..).collect()
    }

    /// Waits until something has changed since `version`, or for `patience`. Answers the version.
    pub fn wait(&self, version: u64, patience: Duration) -> u64 {
        let mut state = self.state.lock();
        if state.version == version {
            self.changed.wait_for(&mut state, patience);
        }
        state.version
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.version += 1;
        self.changed.notify_all();
    }
}
