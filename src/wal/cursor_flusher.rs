//! The second thread of a log: it writes the cursor file, at most once a second, and deletes
//! what every destination has passed. Neither holds up an append.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::state::{Shared, State};

/// How often the cursor file is written at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// How the thread is told of work.
#[derive(Debug, Default)]
pub(super) struct Wake {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Wanted {
    flush: bool,
    close: bool,
}

impl Wake {
    /// A cursor has moved.
    pub(super) fn request(&self) {
        let mut wanted = self.wanted.lock();
        if !wanted.flush {
            wanted.flush = true;
            self.changed.notify_one();
        }
    }

    /// Write the cursors a last time and end.
    pub(super) fn close(&self) {
        self.wanted.lock().close = true;
        self.changed.notify_one();
    }

    /// Waits for work, and for `due` unless closing. True: it is the last time.
    fn wait(&self, due: Instant) -> bool {
        let mut wanted = self.wanted.lock();
        while !wanted.flush && !wanted.close {
            self.changed.wait(&mut wanted);
        }
        while !wanted.close && !self.changed.wait_until(&mut wanted, due).timed_out() {}
        wanted.flush = false;
        wanted.close
    }
}

/// The thread's body.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut due = Instant::now();
    loop {
        let last = shared.flusher.wait(due);
        if let Err(error) = save(shared) {
            tracing::warn!(signal = %shared.signal, %error, "cannot write the cursors");
            if !last {
                shared.flusher.request();
            }
        }
        sweep(shared);
        if last {
            return;
        }
        due = Instant::now() + INTERVAL;
    }
}

/// Writes the cursor file; durable when it returns.
pub(super) fn save(shared: &Shared) -> std::io::Result<()> {
    let _alone = shared.flushing.lock();
    shared.in_place()?;
    let (saved, passed) = {
        let mut state = shared.state.lock();
        (state.saved(shared.id), state.passed())
    };
    saved.store(&shared.dir)?;
    shared.state.lock().persisted = passed;
    Ok(())
}

/// Deletes the closed segments that every destination has passed, as the cursor file says: after
/// a crash no cursor may point at what is gone. Without destinations they stay until the budget
/// needs the room. Answers how many.
pub(super) fn sweep(shared: &Shared) -> usize {
    sweep_before(shared, |state| state.passed().min(state.persisted))
}

/// The same for a full disk, on which the cursor file cannot be written.
pub(super) fn sweep_unsaved(shared: &Shared) -> usize {
    sweep_before(shared, State::passed)
}

fn sweep_before(shared: &Shared, limit: impl Fn(&State) -> u64) -> usize {
    let _alone = shared.flushing.lock();
    for count in 0.. {
        let first = {
            let mut state = shared.state.lock();
            let limit = limit(&state);
            let done = state.closed.front().is_some_and(|closed| closed.totals.end <= limit);
            if !done || state.cursors.is_empty() {
                return count;
            }
            state.closed.pop_front().map(|closed| closed.first)
        };
        if let Some(first) = first
            && let Err(error) = shared.remove_segment(first)
        {
            tracing::warn!(signal = %shared.signal, segment = first, %error, "cannot delete a segment");
        }
    }
    0
}
