//! Whether a thread still comes round.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The longest that the writer may take for one step. The largest record takes seconds.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Beats each time that the thread comes round.
#[derive(Debug)]
pub struct Heartbeat(Mutex<Instant>);

impl Default for Heartbeat {
    fn default() -> Self {
        Heartbeat(Mutex::new(Instant::now()))
    }
}

impl Heartbeat {
    /// The thread has come round.
    pub fn beat(&self) {
        *self.0.lock() = Instant::now();
    }

    /// How long ago it last did.
    pub fn age(&self) -> Duration {
        self.0.lock().elapsed()
    }
}
