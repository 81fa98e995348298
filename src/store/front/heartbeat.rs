//! A sign that the front itself goes on, whatever its engine does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// When the monitor of the front last came round. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heartbeat(Arc<Mutex<Instant>>);

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Heartbeat {
    /// One that has not come round for so long.
    #[cfg(test)]
    pub(crate) fn silent_for(time: Duration) -> Self {
        Heartbeat(Arc::new(Mutex::new(Instant::now().checked_sub(time).unwrap_or_else(Instant::now))))
    }

    /// It comes round now.
    pub fn beat(&self) {
        *self.0.lock() = Instant::now();
    }

    /// How long ago that was.
    pub fn age(&self) -> Duration {
        self.0.lock().elapsed()
    }
}
