//! The ledger once more, summed by signal, in a form that can be read back: for `vispyr status`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::signal::Signal;

/// Requests, items and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Requests.
    pub requests: u64,
    /// Spans, data points, log records or profiles.
    pub items: u64,
    /// Bytes of payload as they came.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Cell {
    requests: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
}

impl Cell {
    pub(super) fn add(&self, items: u64, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> Total {
        Total {
            requests: self.requests.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// What came in, by signal, over all receivers.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) received: [Cell; 4],
    pub(super) acknowledged: [Cell; 4],
    pub(super) refused: [Cell; 4],
}

/// What came in of one signal since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SignalTotals {
    /// Of which signal.
    pub signal: Signal,
    /// What arrived.
    pub received: Total,
    /// What was acknowledged.
    pub acknowledged: Total,
    /// What was refused.
    pub refused: Total,
}

impl Totals {
    pub(super) fn read(&self) -> [SignalTotals; 4] {
        Signal::ALL.map(|signal| SignalTotals {
            signal,
            received: self.received[signal as usize].get(),
            acknowledged: self.acknowledged[signal as usize].get(),
            refused: self.refused[signal as usize].get(),
        })
    }
}
