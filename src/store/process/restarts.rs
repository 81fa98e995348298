//! When a process that has ended is started again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// One that lived this long is started again at once.
const LIVED_WELL: Duration = Duration::from_secs(5);

/// The shortest wait otherwise, and the longest.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3)];

/// The waits between the starts of one process.
#[derive(Debug, Default)]
pub struct Restarts {
    backoff: Duration,
}

impl Restarts {
    /// Notes the end of one that lived for so long.
    pub fn note(&mut self, lived: Duration) {
        self.backoff = match lived >= LIVED_WELL {
            true => Duration::ZERO,
            false => (self.backoff * 2).clamp(BACKOFF[0], BACKOFF[1]),
        };
    }

    /// Waits until the next may be started. False if `shutdown` came.
    pub async fn wait(&self, shutdown: &CancellationToken) -> bool {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => false,
            () = tokio::time::sleep(self.backoff) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_do_not_live_wait_longer_and_longer() {
        let mut restarts = Restarts::default();
        let mut note = |lived| {
            restarts.note(Duration::from_millis(lived));
            restarts.backoff.as_millis()
        };
        assert_eq!([note(0), note(4999), note(10)], [100, 200, 400]);
        assert_eq!([note(0), note(0), note(0), note(0)], [800, 1600, 3000, 3000]);
        assert_eq!([note(5000), note(0)], [0, 100]);
    }
}
