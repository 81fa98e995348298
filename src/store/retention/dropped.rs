//! What is said of files that are dropped.

use std::collections::BTreeSet;

use super::kept::EarlyDrop;
use super::plan::{Dropped, Why};
use crate::store::schema::Table;

/// Answers what went early.
pub(super) fn tell(dropped: &[Dropped<'_>], now: u64) -> Option<EarlyDrop> {
    let mut went_early = None;
    for why in [Why::Age, Why::Size, Why::Disk] {
        let of: Vec<_> = dropped.iter().filter(|dropped| dropped.why == why).map(|dropped| dropped.aged).collect();
        if of.is_empty() {
            continue;
        }
        let facts = || of.iter().filter(|aged| !Table::from_name(&aged.file.table).is_some_and(Table::is_dictionary));
        let signals: BTreeSet<&str> =
            of.iter().filter_map(|aged| Some(Table::from_name(&aged.file.table)?.signal().name())).collect();
        let early = EarlyDrop {
            at: now,
            signals: signals.into_iter().map(str::to_owned).collect(),
            files: of.len() as u64,
            bytes: of.iter().map(|aged| aged.file.bytes).sum(),
            rows: facts().map(|aged| aged.file.rows).sum(),
            upto: of.iter().map(|aged| aged.time()).max().unwrap_or_default(),
        };
        let EarlyDrop { files, bytes, rows, upto, .. } = early;
        let signals = early.signals.join(", ");
        let upto = crate::store::catalog::statistics::timestamp(upto);
        match why {
            Why::Age => {
                tracing::info!(signals, files, bytes, rows, upto, "rows dropped, they are older than max_age")
            }
            Why::Size => {
                tracing::info!(
                    signals,
                    files,
                    bytes,
                    rows,
                    upto,
                    "oldest rows dropped, the files take more than max_size"
                );
            }
            Why::Disk => {
                tracing::warn!(
                    signals,
                    files,
                    bytes,
                    rows,
                    upto,
                    "oldest rows dropped before their time: the disk has less than min_free_disk"
                );
                went_early = Some(early);
            }
        }
    }
    went_early
}
