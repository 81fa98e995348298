//! Records that were read and not sent yet, and how they are joined into requests.

use std::collections::VecDeque;

use super::send_unit::{Part, SendUnit};
use crate::exporters::batch::Joining;

/// The records, in order.
#[derive(Debug)]
pub struct Batcher {
    joining: Joining,
    records: VecDeque<Part>,
}

impl Batcher {
    /// Nothing yet.
    pub fn new(joining: Joining) -> Self {
        Batcher { joining, records: VecDeque::new() }
    }

    /// One more record.
    pub fn push(&mut self, part: Part) {
        self.records.push_back(part);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The next request: the oldest record, and those behind it that may and can go with it.
    pub fn take(&mut self) -> Option<SendUnit> {
        let first = self.records.pop_front()?;
        let (mut size, mut items) = (first.batch.decoded_size, u64::from(first.batch.items));
        let mut parts = vec![first];
        while let Some(next) = self.records.front() {
            size += next.batch.decoded_size;
            items += u64::from(next.batch.items);
            let fits = size <= self.joining.max_size && items <= self.joining.max_items;
            if !fits || !self.joining.together(&parts[0].batch, &next.batch) {
                break;
            }
            parts.extend(self.records.pop_front());
        }
        Some(SendUnit::new(parts))
    }
}
