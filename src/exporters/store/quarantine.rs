//! What the store can never take is a dead letter like that of any other destination: the record is
//! in the log still, since no cursor passes it before its dead letter is kept.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::ledger::{Ledger, SetAside};
use crate::exporters::encoding;
use crate::quarantine::dead_letters::Writer;
use crate::signal::{Batch, Compression, Signal};
use crate::store::protocol::{Part, Quarantined};
use crate::wal::{Logs, Position, Record, WalError};
use crate::wire;

/// How long to wait after a log could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// Where the engine's notes go, and the identities of those of which there are dead letters.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    notes: mpsc::UnboundedSender<Quarantined>,
    kept: mpsc::UnboundedSender<Uuid>,
}

impl Notes {
    /// With the other ends.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Quarantined>, mpsc::UnboundedReceiver<Uuid>) {
        let ((notes, told), (kept, kept_told)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        (Notes { notes, kept }, told, kept_told)
    }

    /// The engine has told of something that it can never store. It does so again after each
    /// connection, until it hears that there is a dead letter.
    pub(super) fn take(&self, ledgers: &[Arc<Mutex<Ledger>>; 4], note: Quarantined) {
        let Quarantined { signal, position, reason, .. } = &note;
        let items = match &note.part {
            Part::Record => None,
            Part::Items(items) => Some(items.len() as u64),
            Part::Batch(_) => {
                tracing::warn!(%signal, reason, "set aside by the store; see vispyr dead-letters");
                let _ = self.notes.send(note);
                return;
            }
        };
        match ledgers[*signal as usize].lock().set_aside(*position, items) {
            SetAside::Now => {
                let position = position.0;
                tracing::warn!(%signal, position, reason, "set aside by the store; see vispyr dead-letters");
                let _ = self.notes.send(note);
            }
            SetAside::Before => {}
            SetAside::Done => self.done(note.id),
        }
    }

    fn done(&self, id: Uuid) {
        let _ = self.kept.send(id);
    }
}

/// Makes dead letters of it, one after the other.
pub(super) struct Quarantine {
    pub(super) name: String,
    pub(super) logs: Logs,
    pub(super) ledgers: [Arc<Mutex<Ledger>>; 4],
    pub(super) notes: Notes,
    pub(super) writer: Writer,
}

impl Quarantine {
    /// Until nobody tells of any more.
    pub(super) async fn run(self, mut told: mpsc::UnboundedReceiver<Quarantined>) {
        while let Some(Quarantined { id, signal, position, reason, part, .. }) = told.recv().await {
            let is_of_log = !matches!(part, Part::Batch(_));
            match self.content(signal, position, part).await {
                Some(batch) => self.writer.keep_of(&batch, &reason, Some(id)).await,
                // The log has dropped it, and counted it as that.
                None => tracing::warn!(%signal, position = position.0, "the log has no record to be set aside"),
            }
            if is_of_log {
                self.ledgers[signal as usize].lock().kept(position);
            }
            self.notes.done(id);
        }
    }

    async fn content(&self, signal: Signal, position: Position, part: Part) -> Option<Batch> {
        let items = match part {
            Part::Batch(batch) => return Some(batch),
            Part::Record => None,
            Part::Items(items) => Some(items),
        };
        let record = loop {
            match self.read(signal, position).await {
                Ok(record) => break record,
                Err(error) => {
                    tracing::error!(%signal, %error, "cannot read a record that is set aside, trying again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        let batch = record?.batch;
        let Some(items) = items else { return Some(batch) };
        let whole = batch.clone();
        // One that panicked has said so itself; the whole is more than nothing.
        Some(tokio::task::spawn_blocking(move || select(batch, &items)).await.unwrap_or(whole))
    }

    async fn read(&self, signal: Signal, position: Position) -> Result<Option<Record>, WalError> {
        let mut reader = self.logs.of(signal).reader(&self.name)?;
        reader.seek(position);
        Ok(reader.next(1).await?.into_iter().find(|record| record.position == position))
    }
}

/// These items of a batch alone, with what stands around them. What cannot be taken apart stays whole.
fn select(batch: Batch, items: &[u64]) -> Batch {
    let _turn = encoding::turn(batch.decoded_size);
    let plain = encoding::inflate(&batch.payload, batch.compression, batch.decoded_size);
    let only = plain.ok().and_then(|plain| wire::select(batch.signal, batch.format, &plain, items));
    let items = u32::try_from(items.len()).unwrap_or(u32::MAX);
    match only {
        Some(only) => Batch {
            items,
            compression: Compression::Identity,
            decoded_size: only.len() as u64,
            payload: only.into(),
            ..batch
        },
        None => Batch { items, ..batch },
    }
}
