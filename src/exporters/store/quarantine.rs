//! What the store can never take is a dead letter like that of any other destination: the record is
//! in the log still, since no cursor passes it before its dead letter is kept.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::ledger::Ledger;
use crate::quarantine::dead_letters::Writer;
use crate::signal::Signal;
use crate::wal::{Logs, Position, Record, WalError};

/// How long to wait after a log could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// A record that the engine can never store.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) signal: Signal,
    pub(super) position: Position,
    pub(super) reason: String,
}

/// The engine has told of a record.
pub(super) fn set_aside(ledgers: &[Arc<Mutex<Ledger>>; 4], asides: &mpsc::UnboundedSender<Aside>, aside: Aside) {
    // Also told when it is known, after another connection.
    if ledgers[aside.signal as usize].lock().set_aside(aside.position) {
        let Aside { signal, position, reason } = &aside;
        tracing::warn!(%signal, position = position.0, reason, "record set aside by the store; see vispyr dead-letters");
        let _ = asides.send(aside);
    }
}

/// Makes dead letters of them, one after the other.
pub(super) struct Quarantine {
    pub(super) name: String,
    pub(super) logs: Logs,
    pub(super) ledgers: [Arc<Mutex<Ledger>>; 4],
    pub(super) writer: Writer,
}

impl Quarantine {
    /// Until nobody tells of any more.
    pub(super) async fn run(self, mut told: mpsc::UnboundedReceiver<Aside>) {
        while let Some(Aside { signal, position, reason }) = told.recv().await {
            let record = loop {
                match self.read(signal, position).await {
                    Ok(record) => break record,
                    Err(error) => {
                        tracing::error!(%signal, %error, "cannot read a record that is set aside, trying again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            };
            match record {
                Some(record) => self.writer.keep(&record.batch, &reason).await,
                // The log has dropped it, and counted it as that.
                None => tracing::warn!(%signal, position = position.0, "the log has no record to be set aside"),
            }
            self.ledgers[signal as usize].lock().kept(position);
        }
    }

    async fn read(&self, signal: Signal, position: Position) -> Result<Option<Record>, WalError> {
        let mut reader = self.logs.of(signal).reader(&self.name)?;
        reader.seek(position);
        Ok(reader.next(1).await?.into_iter().find(|record| record.position == position))
    }
}
