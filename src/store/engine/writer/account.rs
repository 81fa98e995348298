//! What became of records: counted, and noted where they can never be stored.

use super::Writer;
use crate::store::engine::writer_queue::Rows;
use crate::store::protocol::{Part, Quarantined};
use crate::wal::Position;

impl Writer {
    /// Counts what was stored, and notes what can never be: as a letter that is refused, or for a dead
    /// letter to come.
    pub(super) fn account(&self, rows: &Rows, refused: Vec<(Position, String)>, letter: bool) {
        let all: u64 = rows.records.iter().map(|r| u64::from(r.batch.items)).sum();
        let (mut records, mut items) = (rows.records.len() as u64, all);
        for (position, rejected) in &rows.rejected {
            // The rest of a record that was refused whole is set aside with it.
            if refused.iter().any(|(refused, _)| refused == position) {
                continue;
            }
            let (lost, reason) = (u64::from(rejected.batch.items), &rejected.reason);
            let items_of = rejected.items.clone();
            self.shared.quarantine.add(match letter {
                true => Quarantined::of_letter(rows.log, items_of, rejected.batch.clone(), reason.clone()),
                false => {
                    let part = Part::Items(items_of);
                    Quarantined::of_log(rows.log, rows.signal, *position, reason.clone(), part)
                }
            });
            items = items.saturating_sub(lost);
            tracing::warn!(signal = %rows.signal, position = position.0, items = lost, reason, "items set aside");
            self.shared.counters.rejected(rows.signal, lost, reason);
        }
        for (position, reason) in refused {
            let record = rows.records.iter().find(|r| r.position == position);
            let lost = record.map_or(0, |r| u64::from(r.batch.items));
            (records, items) = (records.saturating_sub(1), items.saturating_sub(lost));
            tracing::warn!(signal = %rows.signal, position = position.0, items = lost, reason, "record set aside");
            self.shared.counters.undecodable(rows.signal, lost, &reason);
            match letter {
                true => self.shared.resends.refused(rows.log, &reason),
                false => {
                    let note = Quarantined::of_log(rows.log, rows.signal, position, reason, Part::Record);
                    self.shared.quarantine.add(note);
                }
            }
            self.shared.progress.tell();
        }
        self.shared.counters.taken(rows.signal, records, items);
    }
}
