//! The places of a group of ports: how many connections there may be, and which one gives way.
//!
//! A place is worth something only while a request is in flight. So when all are taken, a new
//! connection gets the place of one that has none: first of one that never had a request (it may be
//! half open, or a client that only connects), the oldest first, then of the one that has been idle
//! for longest. Connections with a request in flight keep their places; when all have one, the new
//! connection is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::activity::{Activity, Turn};

/// Connections that gave way and may still be closing, beside those that are open.
const CLOSING: usize = 16;

/// What the connections of a group of ports may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, of all ports together.
    pub max_connections: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub max_streams: u32,
    /// Time for the head of a request to arrive, from its first byte (of a new connection: from
    /// the start).
    pub header_timeout: Duration,
    /// Time that a connection may stay open without a request.
    pub idle_timeout: Duration,
    /// Longest time that a client may leave our reply unread.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 256,
            max_streams: 128,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// The connections of a group of ports.
#[derive(Debug)]
pub struct Connections {
    /// May change while connections are open: each goes on with what it began with.
    limits: RwLock<Limits>,
    /// What the file descriptors of the process allow.
    cap: usize,
    open: Mutex<HashMap<u64, Arc<Activity>>>,
    /// Those that are open, and those that gave way and are being closed.
    sockets: AtomicUsize,
    closed: Notify,
    next: AtomicU64,
    gave_way: AtomicU64,
    refused: AtomicU64,
}

impl Connections {
    /// No connection yet. There are never more than `cap`, whatever the limits say.
    pub fn new(limits: Limits, cap: usize) -> Arc<Self> {
        Arc::new(Connections {
            limits: RwLock::new(limits),
            cap,
            open: Mutex::default(),
            sockets: AtomicUsize::default(),
            closed: Notify::new(),
            next: AtomicU64::default(),
            gave_way: AtomicU64::default(),
            refused: AtomicU64::default(),
        })
    }

    /// The limits for a new connection.
    pub fn limits(&self) -> Limits {
        self.limits.read().clone()
    }

    /// Other limits for new connections. No connection is closed for them.
    pub fn change(&self, limits: Limits) {
        *self.limits.write() = limits;
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.lock().len()
    }

    /// Connections with a request in flight now.
    pub fn busy(&self) -> usize {
        self.open.lock().values().filter(|activity| activity.idle_since().is_none()).count()
    }

    /// Connections without a request that gave their place to a new one, so far.
    pub fn gave_way(&self) -> u64 {
        self.gave_way.load(Ordering::Relaxed)
    }

    /// New connections that were closed since all others had a request in flight, so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A place for a new connection, until it is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let most = self.limits.read().max_connections.min(self.cap);
        let mut open = self.open.lock();
        if open.len() >= most && !(most > 0 && self.close_one(&mut open)) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let (id, activity) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::<Activity>::default());
        open.insert(id, activity.clone());
        self.sockets.fetch_add(1, Ordering::Relaxed);
        Some(Place { connections: self.clone(), id, activity })
    }

    /// Waits while many connections that gave way are still being closed: each has a descriptor.
    pub(super) async fn settled(&self) {
        loop {
            let closed = self.closed.notified();
            let closing = self.sockets.load(Ordering::Relaxed).saturating_sub(self.open());
            if closing <= CLOSING {
                return;
            }
            closed.await;
        }
    }

    /// Closes a connection without a request, if there is one.
    pub(super) fn give_way(&self) {
        self.close_one(&mut self.open.lock());
    }

    fn close_one(&self, open: &mut HashMap<u64, Arc<Activity>>) -> bool {
        let idle = open.iter().filter_map(|(id, activity)| Some((activity.idle_since()?, *id)));
        let Some((_, id)) = idle.min() else { return false };
        if let Some(activity) = open.remove(&id) {
            activity.give_way();
        }
        self.gave_way.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// The place of a connection, given back when dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    id: u64,
    activity: Arc<Activity>,
}

impl Place {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// A request begins; it ends when the turn is dropped. Meanwhile the connection keeps its place.
    pub fn begin(&self) -> Turn {
        Activity::begin(&self.activity)
    }

    /// Waits until the connection is asked to end, for a new one.
    pub async fn gives_way(&self) {
        self.activity.gives_way().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.id);
        self.connections.sockets.fetch_sub(1, Ordering::Relaxed);
        self.connections.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max_connections: usize) -> Arc<Connections> {
        Connections::new(Limits { max_connections, ..Limits::default() }, usize::MAX)
    }

    fn gave_way(place: &Place) -> bool {
        !place.connections.open.lock().contains_key(&place.id)
    }

    #[test]
    fn a_place_comes_back_when_its_connection_ends() {
        let connections = connections(2);
        let (a, b) = (connections.enter().unwrap(), connections.enter().unwrap());
        let turns = [Activity::begin(a.activity()), Activity::begin(b.activity())];
        assert!(connections.enter().is_none());
        assert_eq!((connections.open(), connections.refused()), (2, 1));
        drop((turns, a));
        assert!(connections.enter().is_some());
    }

    #[test]
    fn who_never_sent_gives_way_before_who_is_idle_and_the_oldest_first() {
        let connections = connections(4);
        let [idle, fresh, busy, fresher] = [(); 4].map(|()| connections.enter().unwrap());
        drop(Activity::begin(idle.activity()));
        let turn = Activity::begin(busy.activity());
        let order = [&fresh, &fresher, &idle];
        for (n, next) in order.iter().enumerate() {
            // The newcomers have requests at once, so that they do not give way themselves.
            let newcomer = connections.enter().unwrap();
            std::mem::forget(Activity::begin(newcomer.activity()));
            std::mem::forget(newcomer);
            assert!(gave_way(next), "{n}");
            assert!(!gave_way(&busy));
        }
        assert!(connections.enter().is_none(), "every connection has a request in flight");
        assert_eq!((connections.gave_way(), connections.refused(), connections.open()), (3, 1, 4));
        drop(turn);
        assert!(connections.enter().is_some());
        assert!(gave_way(&busy));
    }

    #[test]
    fn limits_change_while_connections_are_open() {
        let connections = connections(3);
        let places: Vec<_> = (0..3).map(|_| connections.enter().unwrap()).collect();
        let turns: Vec<_> = places.iter().map(|place| Activity::begin(place.activity())).collect();
        connections.change(Limits { max_connections: 2, ..Limits::default() });
        assert!(connections.enter().is_none());
        assert_eq!(connections.open(), 3, "no connection is closed for it");
        drop((turns, places));
        assert!(connections.enter().is_some());
        assert!(Connections::new(Limits::default(), 0).enter().is_none(), "the cap holds");
    }
}
