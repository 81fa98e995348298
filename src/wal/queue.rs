//! Appends on their way from the async tasks to the writer thread.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::record::Header;
use super::{AppendError, Position};
use crate::signal::Batch;

/// Records written with one sync at most.
const GROUP_RECORDS: usize = 1024;

/// An append that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) header: Header,
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Position, AppendError>>,
}

impl Pending {
    /// Bytes of its record.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.header.record_length())
    }
}

/// Appends on their way to the thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    pending: VecDeque<Pending>,
    /// Those who want to know that the thread still does its work.
    probes: Vec<oneshot::Sender<()>>,
    closing: bool,
    /// The thread has ended although nobody has closed the log.
    abandoned: bool,
}

impl Queue {
    /// Hands an append to the thread; false if the log is closed.
    pub(super) fn push(&self, pending: Pending) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closing {
            return false;
        }
        waiting.pending.push_back(pending);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// No further appends; the thread ends when it has done those that wait.
    pub(super) fn close(&self) {
        self.waiting.lock().closing = true;
        self.changed.notify_one();
    }

    /// Asks the thread for a sign of life; false if the log is closed.
    pub(super) fn probe(&self, reply: oneshot::Sender<()>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closing {
            return false;
        }
        waiting.probes.push(reply);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// The thread is gone: nobody may wait for it.
    pub(super) fn abandon(&self) {
        let mut waiting = self.waiting.lock();
        waiting.abandoned = !waiting.closing;
        waiting.closing = true;
        waiting.pending.clear();
        waiting.probes.clear();
    }

    /// Whether the thread has ended by itself, so that nothing can be appended any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.waiting.lock().abandoned
    }

    /// The next group; empty when there will be none.
    pub(super) fn take(&self, max_bytes: u64) -> Vec<Pending> {
        let mut waiting = self.waiting.lock();
        loop {
            for probe in waiting.probes.drain(..) {
                let _ = probe.send(());
            }
            if !waiting.pending.is_empty() || waiting.closing {
                break;
            }
            self.changed.wait(&mut waiting);
        }
        let mut bytes = 0;
        let fits = |pending: &&Pending| {
            bytes += pending.length();
            bytes <= max_bytes
        };
        let count = waiting.pending.iter().take_while(fits).count().max(1).min(waiting.pending.len());
        waiting.pending.drain(..count.min(GROUP_RECORDS)).collect()
    }
}
