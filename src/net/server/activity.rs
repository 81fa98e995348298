//! Which requests a connection has in flight, and for how long it has had none.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a connection does now. Shared by its task, its requests and the list of connections.
#[derive(Debug)]
pub(super) struct Activity {
    /// Beginnings and ends of requests: even while an HTTP/1 connection has none.
    changes: AtomicU64,
    requests: AtomicU64,
    state: Mutex<State>,
    gives_way: CancellationToken,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// When the last request ended; before the first, when the connection came.
    since: Instant,
    /// Replies of which a part waits for the client to read it, and since when.
    unread: HashMap<u64, Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        let state = State { in_flight: 0, since: Instant::now(), unread: HashMap::new() };
        Activity {
            changes: AtomicU64::default(),
            requests: AtomicU64::default(),
            state: Mutex::new(state),
            gives_way: CancellationToken::new(),
        }
    }
}

impl Activity {
    /// A request begins; it ends when the turn is dropped.
    pub(super) fn begin(activity: &Arc<Activity>) -> Turn {
        activity.state.lock().in_flight += 1;
        activity.changes.fetch_add(1, Ordering::Relaxed);
        Turn { number: activity.requests.fetch_add(1, Ordering::Relaxed), activity: activity.clone() }
    }

    /// Beginnings and ends of requests so far.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How long it has had no request; zero while it has one.
    pub(super) fn idle_for(&self) -> Duration {
        let state = self.state.lock();
        if state.in_flight > 0 { Duration::ZERO } else { state.since.elapsed() }
    }

    /// Since when it has had no request, and whether it ever had one; nothing while it has one.
    pub(super) fn idle_since(&self) -> Option<(bool, Instant)> {
        let state = self.state.lock();
        (state.in_flight == 0).then(|| (self.requests() > 0, state.since))
    }

    /// The longest time for which a part of a reply has been waiting to be read by the client.
    pub(super) fn unread_for(&self) -> Duration {
        self.state.lock().unread.values().map(Instant::elapsed).max().unwrap_or_default()
    }

    /// Asks the connection to end.
    pub(super) fn give_way(&self) {
        self.gives_way.cancel();
    }

    /// Waits until the connection is asked to end.
    pub(super) async fn gives_way(&self) {
        self.gives_way.cancelled().await;
    }
}

/// A request in flight, from its head to the end of its reply.
#[derive(Debug)]
pub struct Turn {
    number: u64,
    activity: Arc<Activity>,
}

impl Turn {
    /// A part of the reply is ready for the client.
    pub(super) fn offer(&self) {
        self.activity.state.lock().unread.insert(self.number, Instant::now());
    }

    /// The client has taken it.
    pub(super) fn taken(&self) {
        self.activity.state.lock().unread.remove(&self.number);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.activity.state.lock();
        state.unread.remove(&self.number);
        state.in_flight -= 1;
        state.since = Instant::now();
        self.activity.changes.fetch_add(1, Ordering::Relaxed);
    }
}
