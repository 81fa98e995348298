//! How far the records of each log have come: visible to queries, sealed.
//! Threads wait here for a change.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::signal::Signal;
use crate::store::catalog::Positions;
use crate::store::protocol::LogState;
use crate::wal::Position;

/// A query waits no longer than this for what was acknowledged before it, and a start no longer for
/// the logs to connect.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was acknowledged so long ago every answer has.
const LAG: Duration = Duration::from_secs(1);

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
    /// How far the logs were known to reach, and when: the oldest first, at most one of which is older
    /// than [`LAG`].
    reaches: VecDeque<(Instant, Positions)>,
}

impl State {
    fn reach(&mut self, at: Instant, reach: Positions) {
        self.reaches.push_back((at, reach));
        while self.reaches.get(1).is_some_and(|(at, _)| at.elapsed() >= LAG) {
            self.reaches.pop_front();
        }
    }

    /// Records that are not visible of those that the logs had [`LAG`] before `asked`; `None` if no log has
    /// connected.
    fn left(&self, asked: Instant) -> Option<u64> {
        let known = |(at, _): &&(Instant, Positions)| *at + LAG <= asked;
        let (_, reach) = self.reaches.iter().take_while(known).last().or(self.reaches.front())?;
        let seen = |log| self.visible.get(log).map_or(0, |position| position.0);
        Some(reach.iter().map(|(log, end)| end.0.saturating_sub(seen(log))).sum())
    }
}

/// A question came while rows that were acknowledged are not visible yet.
#[derive(Debug, thiserror::Error)]
#[error("the store is behind with what was acknowledged: {left} records to go")]
pub struct Behind {
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
        let mut reach = Positions::new();
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
                reach.insert((log.id, signal), log.next);
            }
            (visible, sealed)
        });
        // Acknowledged some time ago, most of it.
        let before = Instant::now().checked_sub(LAG).unwrap_or_else(Instant::now);
        state.reaches.clear();
        state.reach(before, reach);
        self.changed.notify_all();
        cursors
    }

    /// The logs reach so far now, in the order of [`Signal::ALL`].
    pub fn reach(&self, logs: &[LogState; 4], next: [Position; 4]) {
        let reach = Signal::ALL.into_iter().zip(logs.iter().zip(next));
        let reach = reach.map(|(signal, (log, next))| ((log.id, signal), next)).collect();
        self.state.lock().reach(Instant::now(), reach);
    }

    /// Waits until queries see everything that was acknowledged [`LAG`] ago. Right after the start it waits for
    /// the logs to connect; a store whose collector stays away answers from its files.
    ///
    /// # Errors
    /// After [`PATIENCE`]: a short answer must not look like a whole one.
    pub fn wait_until_whole(&self) -> Result<(), Behind> {
        let asked = Instant::now();
        let mut state = self.state.lock();
        loop {
            let until = match state.left(asked) {
                Some(0) => return Ok(()),
                Some(left) if asked.elapsed() >= PATIENCE => return Err(Behind { left }),
                Some(_) => asked + PATIENCE,
                None => (asked + PATIENCE).min(self.started + PATIENCE),
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
            let asked = scope.spawn(|| progress.wait_until_whole());
            progress.attach(&logs(7));
            let error = asked.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("7 records to go"), "{error}");
            let asked = scope.spawn(|| progress.wait_until_whole());
            progress.visible(Uuid::from_u128(1), Signal::Traces, Position(6));
            progress.visible(Uuid::from_u128(1), Signal::Traces, Position(7));
            asked.join().unwrap().unwrap();
        });
        // What comes later is waited for once it is some time old.
        let before = Instant::now();
        let next = [9, 0, 0, 0].map(Position);
        progress.reach(&logs(9), next);
        progress.wait_until_whole().unwrap();
        assert!(before.elapsed() < LAG);
        progress.state.lock().reaches[1].0 -= LAG;
        let error = progress.wait_until_whole().unwrap_err();
        assert!(error.to_string().contains("2 records to go"), "{error}");
        progress.visible(Uuid::from_u128(1), Signal::Traces, Position(9));
        progress.wait_until_whole().unwrap();
    }

    #[test]
    fn a_store_without_a_collector_answers_in_the_end() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        let before = Instant::now();
        progress.wait_until_whole().unwrap();
        assert!(before.elapsed() >= PATIENCE);
        let before = Instant::now();
        progress.wait_until_whole().unwrap();
        assert!(before.elapsed() < PATIENCE);
    }
}
