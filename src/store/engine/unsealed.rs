//! Files of level 0 that are not sealed yet, and up to where the logs are in them.
//!
//! They are sealed in the order in which they came. The first round after a start takes few, and each that ends lets
//! the next take twice as many: an engine that is killed again and again still gets on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::writer_queue::SealReply;
use crate::store::catalog::{File, Positions};

/// Rows that are sealed at once, however young: a round has them in memory.
const MANY_ROWS: u64 = 500_000;

/// Bytes of files that are.
const MANY_BYTES: u64 = 128 << 20;

/// Files that are: each makes questions take longer.
const MANY_FILES: usize = 2000;

/// Files beyond which no more are taken before some are sealed.
const MAX_FILES: usize = 4000;

/// What the first round after a start takes at most: about a second's work.
const FIRST: Bound = Bound { files: 64, rows: 250_000 };

/// What waits to be sealed.
#[derive(Debug)]
pub struct Unsealed {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    batches: VecDeque<Batch>,
    /// What the next round takes at most.
    bound: Bound,
    /// Who waits for the batches up to one to be sealed.
    asking: Vec<(usize, SealReply)>,
    /// What is here is not to get older before it is sealed.
    hurry: bool,
    stopped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Bound {
    files: usize,
    rows: u64,
}

/// Files that the catalog has taken together.
#[derive(Debug)]
struct Batch {
    files: Vec<File>,
    /// Up to where the logs are in them; of those of an earlier process their metadata tells.
    taken: Option<Positions>,
    /// When it came.
    since: Instant,
}

/// Files that are sealed together.
#[derive(Debug, Default)]
pub struct Round {
    /// They.
    pub files: Vec<File>,
    /// Up to where the logs are in them and in those sealed before, as far as that is known here.
    pub positions: Positions,
    /// How many of the files, from the first, are of an earlier process: their metadata tells the rest.
    pub left_over: usize,
    /// Whether none waits beside them.
    pub is_all: bool,
    /// Who waits for it.
    pub asking: Vec<SealReply>,
    batches: usize,
}

impl Unsealed {
    /// With what an earlier process has left: files that came together, in their order, and how long ago; and up to
    /// where the logs are in all of them.
    pub fn new(left: Vec<(Vec<File>, Duration)>, taken: Positions) -> Self {
        let now = Instant::now();
        let since = |age| now.checked_sub(age).unwrap_or(now);
        let mut batches: VecDeque<Batch> =
            left.into_iter().map(|(files, age)| Batch { files, taken: None, since: since(age) }).collect();
        if !taken.is_empty() {
            // Records without rows move the logs, too.
            batches.push_back(Batch { files: Vec::new(), taken: Some(taken), since: now });
        }
        let state = State { batches, bound: FIRST, asking: Vec::new(), hurry: false, stopped: false };
        Unsealed { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The catalog has taken further files.
    pub fn add(&self, files: impl Iterator<Item = File>, taken: &Positions) {
        let batch = Batch { files: files.collect(), taken: Some(taken.clone()), since: Instant::now() };
        self.state.lock().batches.push_back(batch);
        self.changed.notify_all();
    }

    /// Asks for what is here now to be sealed. Answers whether there is anybody to do it.
    pub fn ask(&self, reply: SealReply) -> bool {
        let mut state = self.state.lock();
        if state.stopped {
            return false;
        }
        let upto = state.batches.len();
        state.asking.push((upto, reply));
        self.changed.notify_all();
        true
    }

    /// The next round is to come at once, if there is anything for it. Said while one is being sealed it is of no
    /// account: that one may do.
    pub fn hurry(&self) {
        let mut state = self.state.lock();
        state.hurry = !state.batches.is_empty();
        self.changed.notify_all();
    }

    /// Files, rows and bytes that wait.
    pub fn counts(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        (state.files() as u64, state.sum(|file| file.rows), state.sum(|file| file.bytes))
    }

    /// Waits while there are too many, `patience` at most. Answers whether there is room.
    pub fn wait_for_room(&self, patience: Duration) -> bool {
        let mut state = self.state.lock();
        if state.files() >= MAX_FILES && !state.stopped {
            self.changed.wait_for(&mut state, patience);
        }
        state.files() < MAX_FILES
    }

    /// Waits for something to seal: what has been here for `interval`, is much, is asked for or in a hurry. `is_due`
    /// may know of another reason, and is asked now and then. `None` at the end.
    pub fn next(&self, interval: Duration, is_due: impl Fn() -> bool) -> Option<Round> {
        const NOW_AND_THEN: Duration = Duration::from_millis(500);
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            let is_old = state.batches.front().is_some_and(|oldest| oldest.since.elapsed() >= interval);
            let are_many = state.files() >= MANY_FILES
                || state.sum(|file| file.rows) >= MANY_ROWS
                || state.sum(|file| file.bytes) >= MANY_BYTES;
            let is_soon = !state.batches.is_empty() && (state.hurry || is_due());
            if is_old || are_many || !state.asking.is_empty() || is_soon {
                return Some(state.round());
            }
            self.changed.wait_for(&mut state, NOW_AND_THEN);
        }
    }

    /// The files of a round are sealed.
    pub fn sealed(&self, round: &Round) {
        let mut state = self.state.lock();
        // Others were only added behind them.
        state.batches.drain(..round.batches);
        for (upto, _) in &mut state.asking {
            *upto = upto.saturating_sub(round.batches);
        }
        let Bound { files, rows } = state.bound;
        state.bound = Bound { files: files.saturating_mul(2), rows: rows.saturating_mul(2) };
        state.hurry = false;
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

impl Default for Unsealed {
    fn default() -> Self {
        Unsealed::new(Vec::new(), Positions::new())
    }
}

impl State {
    fn files(&self) -> usize {
        self.batches.iter().map(|batch| batch.files.len()).sum()
    }

    fn sum(&self, of: fn(&File) -> u64) -> u64 {
        self.batches.iter().flat_map(|batch| &batch.files).map(of).sum()
    }

    /// The oldest batches, as many as are within the bound; at least one.
    fn round(&mut self) -> Round {
        let mut round = Round::default();
        let mut rows = 0;
        for batch in &self.batches {
            rows += batch.files.iter().map(|file| file.rows).sum::<u64>();
            let is_over = round.files.len() + batch.files.len() > self.bound.files || rows > self.bound.rows;
            if is_over && !round.files.is_empty() {
                break;
            }
            round.files.extend_from_slice(&batch.files);
            match &batch.taken {
                Some(taken) => round.positions.extend(taken),
                None => round.left_over = round.files.len(),
            }
            round.batches += 1;
        }
        round.is_all = round.batches == self.batches.len();
        let asking = std::mem::take(&mut self.asking).into_iter();
        let (now, later): (Vec<_>, Vec<_>) = asking.partition(|(upto, _)| *upto <= round.batches);
        self.asking = later;
        round.asking = now.into_iter().map(|(_, reply)| reply).collect();
        round
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::signal::Signal;
    use crate::wal::Position;

    const LOG: (Uuid, Signal) = (Uuid::nil(), Signal::Logs);

    fn file(number: u64, rows: u64) -> File {
        let (table, path) = ("logs".to_owned(), format!("logs/{number}"));
        File { table, path, rows, min_time: None, max_time: None, bytes: 1, checksum: 0, level: 0 }
    }

    fn at(position: u64) -> Positions {
        Positions::from([(LOG, Position(position))])
    }

    /// A round that is due at once, which is sealed.
    fn round(unsealed: &Unsealed) -> Round {
        let round = unsealed.next(Duration::ZERO, || false).unwrap();
        unsealed.sealed(&round);
        round
    }

    #[test]
    fn rounds_are_small_after_a_start_and_move_the_logs_as_far_as_they_go() {
        let left = (0..40).map(|n| (vec![file(2 * n, 1), file(2 * n + 1, 1)], Duration::from_secs(9))).collect();
        let unsealed = Unsealed::new(left, at(40));
        unsealed.add(std::iter::once(file(80, 1)), &at(41));
        let (reply, answer) = std::sync::mpsc::channel();
        assert!(unsealed.ask(reply));
        for n in 0..300 {
            unsealed.add(std::iter::once(file(81 + n, 1)), &at(42 + n));
        }
        let first = round(&unsealed);
        assert_eq!((first.files.len(), first.left_over, first.is_all), (64, 64, false));
        assert_eq!((first.positions, first.asking.len()), (Positions::new(), 0));
        let second = round(&unsealed);
        assert_eq!((second.files.len(), second.left_over), (128, 16));
        assert_eq!(second.files[0], file(64, 1));
        assert_eq!((second.positions, second.asking.len()), (at(152), 1));
        let last = round(&unsealed);
        assert_eq!((last.files.len(), last.is_all, last.positions), (189, true, at(341)));
        assert_eq!(unsealed.counts(), (0, 0, 0));
        drop(answer);
    }

    #[test]
    fn a_hurry_is_over_with_the_round_that_it_brought() {
        const HOUR: Duration = Duration::from_secs(3600);
        let unsealed = Unsealed::default();
        unsealed.hurry();
        assert!(!unsealed.state.lock().hurry, "nothing is there");
        unsealed.add(std::iter::once(file(0, 1)), &at(1));
        unsealed.hurry();
        let round = unsealed.next(HOUR, || false).unwrap();
        assert_eq!(round.positions, at(1));
        unsealed.add(std::iter::once(file(1, 1)), &at(2));
        unsealed.hurry();
        unsealed.sealed(&round);
        assert!(!unsealed.state.lock().hurry, "what was asked for is done");
        unsealed.hurry();
        assert_eq!(unsealed.next(HOUR, || false).unwrap().positions, at(2));
    }

    #[test]
    fn a_round_takes_one_batch_however_large_and_many_files_are_not_waited_for() {
        let unsealed = Unsealed::default();
        for n in 0..2 {
            unsealed.add(std::iter::once(file(n, 900_000)), &at(n + 1));
        }
        let later = Duration::from_secs(3600);
        let round = unsealed.next(later, || false).unwrap();
        assert_eq!((round.files.len(), round.positions), (1, at(1)));

        let unsealed = Unsealed::default();
        let files = (0..MANY_FILES as u64).map(|n| file(n, 1));
        unsealed.add(files, &at(1));
        assert_eq!(unsealed.next(later, || false).unwrap().files.len(), MANY_FILES);
    }
}
