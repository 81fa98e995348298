//! Whether this process is well, for the service manager's watchdog: each part is asked for itself.
//!
//! A new start of the process helps a part that hangs here. It does not help an engine that cannot
//! start, which is another process: the store front starts it again and again, `/-/ready` and
//! `vispyr status` tell of it, and the receivers go on meanwhile.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::supervisor;
use crate::blocking;
use crate::signal::Signal;
use crate::store::front::Heartbeat;
use crate::wal::{Log, Logs};

/// How long the writer of a log may take to come round: a disk under load takes a while.
const LOG_SILENCE: Duration = Duration::from_secs(10);

/// How long the monitor of the store front may take to come round: it waits for the end of an engine.
const FRONT_SILENCE: Duration = Duration::from_secs(60);

/// The parts that are asked.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The logs, where the receivers run.
    pub logs: Option<Logs>,
    /// The store front, where it runs.
    pub front: Option<Heartbeat>,
}

impl Parts {
    async fn check(self) -> Result<(), String> {
        if let Some(logs) = self.logs {
            for signal in Signal::ALL {
                match tokio::time::timeout(LOG_SILENCE, logs.of(signal).alive()).await {
                    Ok(true) => in_place(logs.of(signal).clone()).await?,
                    Ok(false) => return Err(format!("the {signal} log has ended")),
                    Err(_) => return Err(format!("the {signal} log does not come round: the disk hangs")),
                }
            }
        }
        match self.front.map(|front| front.age()) {
            Some(age) if age > FRONT_SILENCE => {
                Err(format!("the store front has not come round for {} s", age.as_secs()))
            }
            _ => Ok(()),
        }
    }
}

/// A log whose folder is gone takes nothing before a new start.
async fn in_place(log: Log) -> Result<(), String> {
    blocking::LOG.run(move || log.in_place()).await.map_err(|error| error.to_string())?
}

/// Asks the parts until `shutdown`.
pub async fn run(parts: Parts, shutdown: CancellationToken) {
    supervisor::watchdog(|| parts.clone().check(), shutdown).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine that never answers is no reason for a new start of the receivers.
    #[tokio::test]
    async fn the_front_is_asked_for_itself() {
        let fresh = Parts { logs: None, front: Some(Heartbeat::default()) };
        assert_eq!(fresh.check().await, Ok(()));
        let stuck = Parts { logs: None, front: Some(Heartbeat::silent_for(FRONT_SILENCE + Duration::from_secs(1))) };
        assert!(stuck.check().await.is_err_and(|why| why.contains("store front")));
        assert_eq!(Parts { logs: None, front: None }.check().await, Ok(()));
    }
}
