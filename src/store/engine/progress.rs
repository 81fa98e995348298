//! How far the records of each log have come: visible to queries, sealed.
//! Threads wait here for a change.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use uuid::Uuid;

use crate::signal::{Signal, monotonic_nanos};
use crate::store::catalog::Positions;
use crate::store::protocol::{LogState, Reach};
use crate::wal::Position;

/// A query waits no longer than this for what was acknowledged before it, and a start no longer for
/// the logs to connect.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was acknowledged so long ago every answer has.
const LAG: Duration = Duration::from_secs(1);

const LAG_NANOS: u64 = LAG.as_nanos() as u64;

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
    /// How far the logs reached, and when that was, by [`monotonic_nanos`]: the oldest first, none of which is
    /// older than [`LAG`] but the last.
    reaches: VecDeque<(u64, Positions)>,
    /// Connections of the collector.
    sessions: usize,
    /// When the last one ended.
    alone_since: Option<Instant>,
}

impl State {
    fn reach(&mut self, at: u64, reach: Positions) {
        self.reaches.push_back((at, reach));
        let now = monotonic_nanos();
        while self.reaches.len() > 1 && self.reaches.front().is_some_and(|(at, _)| at + LAG_NANOS < now) {
            self.reaches.pop_front();
        }
    }

    /// How far the logs reached [`LAG`] before `asked`, or a little later; `None` if that is not known.
    fn reach_before(&self, asked: u64) -> Option<&Positions> {
        self.reaches.iter().find(|(at, _)| at + LAG_NANOS >= asked).map(|(_, reach)| reach)
    }

    /// Records up to there that are not visible.
    fn left(&self, reach: &Positions) -> u64 {
        let seen = |log| self.visible.get(log).map_or(0, |position| position.0);
        reach.iter().map(|(log, end)| end.0.saturating_sub(seen(log))).sum()
    }
}

/// Rows that were acknowledged may not be visible yet.
#[derive(Debug, thiserror::Error)]
pub enum NotWhole {
    /// They have not all come, or have not been stored.
    #[error("the store is behind with what was acknowledged: {left} records to go")]
    Behind {
        /// Records.
        left: u64,
    },
    /// It is connected.
    #[error("the collector does not say how far its logs reach")]
    Silent,
    /// It may have acknowledged some before it was gone.
    #[error("no collector is connected")]
    Alone,
}

/// A connection of the collector, until it is dropped.
#[derive(Debug)]
pub struct Session<'a>(&'a LogProgress);

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.sessions -= 1;
        state.alone_since = Some(Instant::now());
        self.0.changed.notify_all();
    }
}

impl LogProgress {
    /// At the start of an engine.
    pub fn new(visible: Positions, sealed: Positions) -> Self {
        let state = State { visible, sealed, ..State::default() };
        LogProgress { started: Instant::now(), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A collector is connected.
    pub fn session(&self) -> Session<'_> {
        self.state.lock().sessions += 1;
        Session(self)
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
        state.reaches.clear();
        state.reach(monotonic_nanos(), reach);
        self.changed.notify_all();
        cursors
    }

    /// The logs reached so far at a time by [`monotonic_nanos`], in the order of [`Signal::ALL`].
    pub fn reach(&self, logs: &[LogState; 4], reach: Reach) {
        let positions = Signal::ALL.into_iter().zip(logs.iter().zip(reach.next));
        let positions = positions.map(|(signal, (log, next))| ((log.id, signal), next)).collect();
        self.state.lock().reach(reach.at.min(monotonic_nanos()), positions);
        self.changed.notify_all();
    }

    /// Waits until queries see everything that was acknowledged [`LAG`] ago. What was acknowledged by then only the
    /// collector knows: where it is away, it is waited for.
    ///
    /// # Errors
    /// After [`PATIENCE`]: a short answer must not look like a whole one.
    pub fn wait_until_whole(&self) -> Result<(), NotWhole> {
        let (asked, asked_at) = (Instant::now(), monotonic_nanos());
        let mut state = self.state.lock();
        // Once known it stays, as later ones are further and further.
        let mut reach = None;
        loop {
            reach = reach.or_else(|| state.reach_before(asked_at).cloned());
            let (since, why) = match &reach {
                Some(reach) => match state.left(reach) {
                    0 => return Ok(()),
                    left => (asked, NotWhole::Behind { left }),
                },
                None if state.sessions > 0 => (asked, NotWhole::Silent),
                None => (asked.min(state.alone_since.unwrap_or(self.started)), NotWhole::Alone),
            };
            let until = since + PATIENCE;
            if Instant::now() >= until {
                let is_new = matches!(why, NotWhole::Alone) && state.visible.is_empty() && state.sealed.is_empty();
                return if is_new { Ok(()) } else { Err(why) };
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

    /// How far the logs reached so long ago.
    fn reach(next: u64, ago: Duration) -> Reach {
        let at = monotonic_nanos() - u64::try_from(ago.as_nanos()).unwrap();
        Reach { at, next: [next, 0, 0, 0].map(Position) }
    }

    fn see(progress: &LogProgress, position: u64) {
        progress.visible(Uuid::from_u128(1), Signal::Traces, Position(position));
    }

    #[test]
    fn a_question_waits_for_the_logs_and_fails_rather_than_answer_short() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        let _session = progress.session();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| progress.wait_until_whole());
            progress.attach(&logs(7));
            let error = asked.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("7 records to go"), "{error}");
            progress.attach(&logs(7));
            let asked = scope.spawn(|| progress.wait_until_whole());
            see(&progress, 6);
            see(&progress, 7);
            asked.join().unwrap().unwrap();
        });
    }

    #[test]
    fn what_is_younger_than_the_lag_is_not_waited_for() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        let _session = progress.session();
        progress.attach(&logs(7));
        see(&progress, 7);
        progress.reach(&logs(9), reach(9, LAG / 2));
        let before = Instant::now();
        progress.wait_until_whole().unwrap();
        assert!(before.elapsed() < LAG);
    }

    #[test]
    fn a_question_needs_to_know_what_was_acknowledged_up_to_the_lag_before_it() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        let _session = progress.session();
        progress.attach(&logs(7));
        see(&progress, 7);
        progress.state.lock().reaches.clear();
        // Between this and the lag before the question others may have been acknowledged.
        progress.reach(&logs(7), reach(7, LAG + Duration::from_millis(50)));
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| progress.wait_until_whole());
            progress.reach(&logs(8), reach(8, LAG / 2));
            let error = asked.join().unwrap().unwrap_err();
            assert!(error.to_string().contains("1 records to go"), "{error}");
        });
        see(&progress, 8);
        progress.reach(&logs(8), reach(8, Duration::ZERO));
        progress.wait_until_whole().unwrap();
    }

    #[test]
    fn a_store_whose_collector_stays_away_says_so_unless_it_has_never_had_one() {
        let progress = LogProgress::new(Positions::new(), Positions::new());
        let before = Instant::now();
        progress.wait_until_whole().unwrap();
        assert!(before.elapsed() >= PATIENCE, "it may come");
        let session = progress.session();
        progress.attach(&logs(7));
        see(&progress, 7);
        progress.wait_until_whole().unwrap();
        drop(session);
        progress.state.lock().reaches[0].0 -= 2 * LAG_NANOS;
        let before = Instant::now();
        assert!(matches!(progress.wait_until_whole(), Err(NotWhole::Alone)));
        assert!(before.elapsed() >= PATIENCE - LAG, "it may come again");
        let before = Instant::now();
        assert!(matches!(progress.wait_until_whole(), Err(NotWhole::Alone)));
        assert!(before.elapsed() < PATIENCE, "it stays away");
    }
}
