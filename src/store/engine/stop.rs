//! A switch that threads wait at.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// See the module.
#[derive(Debug, Default)]
pub struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends every wait, now and later.
    pub fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.lock()
    }

    /// Waits for `patience`, or less if stopped. Answers whether it was stopped.
    pub fn wait(&self, patience: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, patience);
        }
        *stopped
    }
}
