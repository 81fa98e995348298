//! How far the records of each log have come: visible to queries, sealed.
//! Threads wait here for a change.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::signal::Signal;
use crate::store::catalog::Positions;
use crate::store::protocol::LogState;
use crate::wal::Position;

/// A query waits no longer than this for what a start has to bring back, and a start no longer for
/// the logs to connect.
const REPLAY_PATIENCE: Duration = Duration::from_secs(5);

/// Cursors of all logs that were ever seen.
#[derive(Debug)]
pub struct LogProgress {
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    visible: Positions,
    sealed: Positions,
    replay: Replay,
}

/// What the logs had when they first connected, which queries are to see.
#[derive(Debug, Default)]
enum Replay {
    /// No log has connected yet.
    #[default]
    Unknown,
    /// Until all of these are visible.
    Until(Positions),
    /// It is over.
    Done,
}

/// A question came while rows that were acknowledged are still being read back from the logs.
#[derive(Debug, thiserror::Error)]
#[error("the store has started again and still reads back what was acknowledged before: {left} records to go")]
pub struct StillReplaying {
    left: u64,
}

impl LogProgress {
    /// At the start of an engine.
    pub fn new(visible: Positions, sealed: Positions) -> Self {
        let state = State { visible, sealed, ..State::default() };
        LogProgress { started: Instant::now(), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The logs connect, in the order of [`Signal::ALL`]. Answers up to where each is visible and
    /// sealed, no further than it reaches.
    pub fn attach(&self, logs: &[LogState; 4]) -> [(Position, Position); 4] {
        let mut state = self.state.lock();
        let mut ends = Positions::new();
        let cursors = Signal::ALL.map(|signal| {
            let log = logs[signal as usize];
            let State { visible, sealed, .. } = &mut *state;
            for cursors in [&mut *visible, &mut *sealed] {
                let cursor = cursors.entry((log.id, signal)).or_default();
                *cursor = (*cursor).min(log.next);
            }
            let of = |cursors: &Positions| cursors.get(&(log.id, signal)).copied().unwrap_or_default();
            let (visible, sealed) = (of(visible), of(sealed));
            if log.next > visible.max(log.oldest) {
                ends.insert((log.id, signal), log.next);
            }
            (visible, sealed)
        });
        if let Replay::Unknown = state.replay {
            state.replay = Replay::Until(ends);
            self.changed.notify_all();
        }
        cursors
    }

    /// Waits until queries see everything that the logs had when they first connected. Right after
    /// the start it waits for them to connect; a store whose collector stays away answers from its
    /// sealed files.
    ///
    /// # Errors
    /// After [`REPLAY_PATIENCE`]: a short answer must not look like a whole one.
    pub fn wait_for_replay(&self) -> Result<(), StillReplaying> {
        let patience = Instant::now() + REPLAY_PATIENCE;
        let mut state = self.state.lock();
        loop {
            let until = match &state.replay {
                Replay::Done => return Ok(()),
                Replay::Unknown => patience.min(self.started + REPLAY_PATIENCE),
                Replay::Until(ends) => {
                    let seen = |log| state.visible.get(log).map_or(0, |position| position.0);
                    let left: u64 = ends.iter().map(|(log, end)| end.0.saturating_sub(seen(log))).sum();
                    if left == 0 {
                        state.replay = Replay::Done;
                        return Ok(());
                    }
                    if Instant::now() >= patience {
                        return Err(StillReplaying { left });
                    }
                    patience
                }
            };
            if Instant::now() >= until {
                return Ok(());
            }
            self.changed.wait_until(&mut state, until);
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

    /// Nothing comes of these logs any more.
    pub fn forget(&self, logs: &[Uuid]) {
        let mut state = self.state.lock();
        let State { visible, sealed, .. } = &mut *state;
        for cursors in [visible, sealed] {
            cursors.retain(|(log, _), _| !logs.contains(log));
        }
    }

    /// There is something else to be told.
    pub fn tell(&self) {
        self.change(|_| {});
    }

    /// The cursors of a log: visible, sealed.
    pub fn cursors(&self, log: Uuid, signal: Signal) -> (Position, Position) {
        let state = self.state.lock();
        let of = |cursors: &Positions| cursors.get(&(log, signal)).copied().unwrap_or_default();
        (of(&state.visible), of(&state.sealed))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn logs(next: u64) -> [LogState; 4] {
        let log = |n, next| LogState { id: Uuid::from_u128(n), oldest: Position(0), next: Position(next) };
        [log(1, next), log(2, 0), log(3, 0), log(4, 0)]
    }

    #[test]
    fn a_question_waits_for_the_logs_and_fails_rather_than_answer_short() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| progress.wait_for_replay());
            progress.attach(&logs(7));
            let error = asked.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("7 records to go"), "{error}");
            let asked = scope.spawn(|| progress.wait_for_replay());
            progress.visible(Uuid::from_u128(1), Signal::Traces, Position(6));
            progress.visible(Uuid::from_u128(1), Signal::Traces, Position(7));
            asked.join().unwrap().unwrap();
        });
        let before = Instant::now();
        progress.attach(&logs(9));
        progress.wait_for_replay().unwrap();
        assert!(before.elapsed() < REPLAY_PATIENCE, "what comes later is nobody's wait");
    }

    #[test]
    fn a_store_without_a_collector_answers_in_the_end() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        let before = Instant::now();
        progress.wait_for_replay().unwrap();
        assert!(before.elapsed() >= REPLAY_PATIENCE);
        let before = Instant::now();
        progress.wait_for_replay().unwrap();
        assert!(before.elapsed() < REPLAY_PATIENCE);
    }
}
