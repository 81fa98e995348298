//! Items that cannot be stored though the record around them can: each costs itself alone.

use crate::signal::{Batch, Compression};
use crate::store::ingest::proto::ProtoError;
use crate::wire;

/// Items whose reasons are told.
const TOLD: usize = 3;

/// The items of one record that were passed over while it was decoded.
#[derive(Debug, Default)]
pub(crate) struct Rejects {
    /// Their places among the items of the record, ascending.
    items: Vec<u64>,
    reasons: Vec<String>,
}

impl Rejects {
    /// Passes over the item at this place.
    pub(crate) fn add(&mut self, item: u64, error: ProtoError) {
        if self.reasons.len() < TOLD {
            self.reasons.push(format!("item {item}: {error}"));
        }
        self.items.push(item);
    }

    pub(crate) fn len(&self) -> u64 {
        self.items.len() as u64
    }

    /// What is to be set aside, out of the record's decompressed `payload`.
    pub(super) fn into_rejected(self, batch: &Batch, payload: &[u8]) -> Option<Rejected> {
        if self.items.is_empty() {
            return None;
        }
        let mut reason = format!("{} of {} items cannot be stored: ", self.items.len(), batch.items);
        reason += &self.reasons.join("; ");
        if self.items.len() > self.reasons.len() {
            reason += "; ...";
        }
        let mut rejected = batch.clone();
        rejected.items = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        // A format that cannot be taken apart is kept whole.
        if let Some(only) = wire::select(batch.signal, batch.format, payload, &self.items) {
            rejected.compression = Compression::Identity;
            rejected.decoded_size = only.len() as u64;
            rejected.payload = only.into();
        }
        Some(Rejected { reason, items: self.items, batch: rejected })
    }
}

/// Items that were not stored, out of a record that was.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// How many, which, and why.
    pub reason: String,
    /// Their places among the items of the record, ascending.
    pub items: Vec<u64>,
    /// A batch of these items alone, with what stands around them.
    pub batch: Batch,
}
