//! What may be in flight at once: a budget in bytes for the bodies of all receivers, a number of
//! connections, and how long a client may take.
//!
//! The budget is taken while bytes arrive and grow, never waited for: a body that finds no room is
//! refused at once with a retryable error, so that senders keep what we cannot hold. A request
//! that is alone always finds room, since otherwise one of the largest allowed size, with its
//! decompressed copy, would be refused for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytesize::ByteSize;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::net::server::{Connections, Limits};

/// Settings of admission (`[admission]`).
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Largest request, after decompression. A larger one is refused for good (413,
    /// RESOURCE_EXHAUSTED). 64 MiB is what the OTLP specification recommends.
    pub max_request_size: ByteSize,
    /// Bytes of all requests in flight: their bodies, decompressed copies, and 12 KiB for each. Over it, senders are told to
    /// come back (503, UNAVAILABLE).
    pub memory_budget: ByteSize,
    /// Connections of all receivers together. One more gets the place of one without a request; it
    /// is closed if there is none.
    pub max_connections: usize,
    /// Requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// Time for the head of a request to arrive, from its first byte (of a new connection: from
    /// the start).
    #[serde(with = "crate::duration")]
    pub header_timeout: Duration,
    /// Longest silence within a body, and the longest time that a client may leave our reply
    /// unread.
    #[serde(with = "crate::duration")]
    pub idle_body_timeout: Duration,
    /// Time for a whole request, from its head to the reply.
    #[serde(with = "crate::duration")]
    pub request_timeout: Duration,
    /// Time that a connection may stay open without a request.
    #[serde(with = "crate::duration")]
    pub keep_alive_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_request_size: ByteSize::mib(64),
            memory_budget: ByteSize::mib(64),
            max_connections: 1024,
            max_streams: 128,
            header_timeout: Duration::from_secs(10),
            idle_body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(300),
        }
    }
}

impl Config {
    /// What holds for connections.
    fn limits(&self) -> Limits {
        Limits {
            max_connections: self.max_connections,
            max_streams: self.max_streams,
            header_timeout: self.header_timeout,
            idle_timeout: self.keep_alive_timeout,
            write_timeout: self.idle_body_timeout,
        }
    }
}

/// Bytes that a request takes besides its body, from its head to the reply: the futures that answer
/// it, its stream, its place in the log's queue. Measured with requests that wait for a disk that
/// hangs: 9 KiB.
pub const REQUEST_COST: usize = 12 << 10;

/// Buffers larger than this are given back to the system rather than kept for the next request.
const KEPT_BUFFER: usize = 4 << 20;

/// The limits, and how much of them is used.
#[derive(Debug)]
pub struct Admission {
    /// May change while requests are in flight: each goes on with what it has read.
    config: RwLock<Arc<Config>>,
    used: AtomicUsize,
    connections: Arc<Connections>,
    /// Bodies being inflated or walked off the async threads: as many as there are cores.
    heavy: Arc<Semaphore>,
    cores: usize,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Admission {
    /// Limits of which nothing is used yet.
    pub fn new(config: Config) -> Self {
        Self::with_cap(config, usize::MAX)
    }

    /// The same, with never more than `cap` connections.
    pub fn with_cap(config: Config, cap: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Admission {
            used: AtomicUsize::new(0),
            connections: Connections::new(config.limits(), cap),
            heavy: Arc::new(Semaphore::new(cores)),
            cores,
            buffers: Mutex::default(),
            config: RwLock::new(Arc::new(config)),
        }
    }

    /// The settings as they are now.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    /// Other settings from now on, for new connections and requests. What is there already is
    /// neither closed nor refused, even if it is more than the new limits allow.
    pub fn change(&self, config: Config) {
        self.connections.change(config.limits());
        *self.config.write() = Arc::new(config);
    }

    /// Bytes of bodies in flight now.
    pub fn in_flight(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The connections of all receivers.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Largest request, in bytes.
    pub(crate) fn max_request_size(&self) -> usize {
        usize::try_from(self.config.read().max_request_size.as_u64()).unwrap_or(usize::MAX)
    }

    /// A turn for work that takes milliseconds of CPU time.
    pub(crate) async fn heavy(&self) -> Option<OwnedSemaphorePermit> {
        self.heavy.clone().acquire_owned().await.ok()
    }

    /// An empty reservation.
    pub(crate) fn reservation(self: &Arc<Self>) -> Reservation {
        Reservation { admission: self.clone(), bytes: 0 }
    }

    /// A buffer used before, or an empty one. All of its bytes are initialised; what they hold is
    /// of no meaning.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.buffers.lock().pop().unwrap_or_default()
    }

    /// Keeps a buffer for the next request.
    pub(crate) fn keep(&self, buffer: Vec<u8>) {
        if buffer.len() <= KEPT_BUFFER {
            let mut buffers = self.buffers.lock();
            if buffers.len() <= self.cores {
                buffers.push(buffer);
            }
        }
    }
}

/// A part of the memory budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Reservation {
    /// Takes `more` bytes, or none of them if there is no room.
    #[must_use]
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let budget = usize::try_from(self.admission.config.read().memory_budget.as_u64()).unwrap_or(usize::MAX);
        let mine = self.bytes;
        let taken = self.admission.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let wanted = used.saturating_add(more);
            (wanted <= budget || used == mine).then_some(wanted)
        });
        if taken.is_ok() {
            self.bytes = self.bytes.saturating_add(more);
        }
        taken.is_ok()
    }

    /// Gives `less` bytes back.
    pub(crate) fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.admission.used.fetch_sub(less, Ordering::Relaxed);
    }

    /// Whose budget it is.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(budget: u64) -> Arc<Admission> {
        Arc::new(Admission::new(Config { memory_budget: ByteSize::b(budget), ..Config::default() }))
    }

    #[test]
    fn reservations_share_the_budget_and_give_it_back() {
        let admission = admission(100);
        let (mut a, mut b) = (admission.reservation(), admission.reservation());
        assert!(a.grow(60));
        assert!(!b.grow(41));
        assert!(b.grow(40));
        assert!(!a.grow(1));
        drop(a);
        assert_eq!(admission.in_flight(), 40);
        assert!(b.grow(60));
        b.shrink(1000);
        assert_eq!(admission.in_flight(), 0);
    }

    #[test]
    fn a_lone_request_may_exceed_the_budget() {
        let admission = admission(100);
        let mut a = admission.reservation();
        assert!(a.grow(80) && a.grow(80));
        let mut b = admission.reservation();
        assert!(!b.grow(1));
        drop(a);
        assert!(b.grow(1));
    }

    #[test]
    fn limits_change_while_they_are_used() {
        let admission = admission(100);
        let mut a = admission.reservation();
        assert!(a.grow(90));
        admission.change(Config { memory_budget: ByteSize::b(200), max_connections: 2, ..Config::default() });
        let mut b = admission.reservation();
        assert!(b.grow(110) && !b.grow(1));
        assert_eq!(admission.connections().limits().max_connections, 2);
        admission.change(Config { memory_budget: ByteSize::b(50), ..Config::default() });
        drop(a);
        assert!(!admission.reservation().grow(1));
        drop(b);
        assert_eq!(admission.in_flight(), 0);
    }
}
