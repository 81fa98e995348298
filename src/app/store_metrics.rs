//! The engine's metrics in `/metrics`.

mod kept;

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::store_client::StoreClient;
use crate::store::engine::stats::{SignalStats, TableStats, Timing};
use crate::telemetry::metrics::{Kind, Sample, write};

/// Shows what the engine said last.
#[derive(Debug)]
pub struct StoreMetrics(pub Arc<StoreClient>);

impl Collector for StoreMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let e = &mut encoder;
        let (gauge, counter) = (Kind::Gauge, Kind::Counter);
        let one = |value: f64| [(Vec::new(), value)];
        let Some(answer) = self.0.latest() else {
            return write(e, gauge, "store_up", "Whether the engine answers", one(0.0));
        };
        write(e, gauge, "store_up", "Whether the engine answers", one(1.0))?;
        let stats = answer.stats;
        let of_tables = |value: fn(&TableStats) -> u64| -> Vec<Sample> {
            stats.tables.iter().map(|t| (vec![("table", t.table.clone())], value(t) as f64)).collect()
        };
        let of_signals = |value: fn(&SignalStats) -> u64| -> Vec<Sample> {
            stats.signals.iter().map(|s| (vec![("signal", s.signal.clone())], value(s) as f64)).collect()
        };
        write(e, gauge, "store_level0_rows", "Rows in files that are not sealed yet", of_tables(|t| t.level0_rows))?;
        write(e, gauge, "store_sealed_rows", "Rows in sealed files", of_tables(|t| t.sealed_rows))?;
        write(e, gauge, "store_sealed_files", "Sealed files", of_tables(|t| t.sealed_files))?;
        write(e, gauge, "store_sealed_bytes", "Bytes of sealed files", of_tables(|t| t.sealed_bytes))?;
        write(e, gauge, "store_level0_files", "Files that are not sealed yet", of_tables(|t| t.level0_files))?;
        write(e, gauge, "store_level0_bytes", "Bytes of files that are not sealed yet", of_tables(|t| t.level0_bytes))?;
        write(e, gauge, "store_missing_files", "Sealed files that are lost", one(stats.missing_files as f64))?;
        kept::encode(e, &stats)?;
        write(e, counter, "store_items", "Items that queries can see", of_signals(|s| s.items))?;
        let undecodable = "Items of records that can never be stored";
        write(e, counter, "store_undecodable_items", undecodable, of_signals(|s| s.undecodable_items))?;
        let undecodable = "Records that can never be stored";
        write(e, counter, "store_undecodable_records", undecodable, of_signals(|s| s.undecodable_records))?;
        let waiting = "Payload that waits to be decoded";
        write(e, gauge, "store_waiting_bytes", waiting, of_signals(|s| s.waiting_bytes))?;
        let timings: [(&str, &str, Timing); 5] = [
            ("store_inserts", "Batches of records made visible", stats.inserts),
            ("store_seals", "Rounds of sealing", stats.seals),
            ("store_merges", "Merges of small files", stats.merges),
            ("store_catalog_commits", "Transactions of the catalog", stats.catalog_commits),
            (
                "store_catalog_waits",
                "Batches that waited for the catalog, held by sealing or merging",
                stats.catalog_waits,
            ),
        ];
        for (name, help, timing) in timings {
            write(e, counter, name, help, one(timing.count as f64))?;
            let seconds = format!("{name}_seconds");
            write(e, counter, &seconds, &format!("{help}: time"), one(timing.seconds))?;
        }
        write(e, counter, "store_seal_failures", "Rounds of sealing that failed", one(stats.seal_failures as f64))?;
        let failing = if stats.seal_error.is_some() { 1.0 } else { 0.0 };
        write(e, gauge, "store_seal_failing", "Whether the last round of sealing failed", one(failing))?;
        write(e, counter, "store_merged_files", "Files that were merged", one(stats.merged_files as f64))?;
        let merging = "Processor time of merging";
        write(e, counter, "store_merge_cpu_seconds", merging, one(stats.merge_cpu_seconds))?;
        write(e, counter, "store_merge_failures", "Merges that failed", one(stats.merge_failures as f64))?;
        let unmerged = "Files that are left alone for a while, since their merge has failed";
        write(e, gauge, "store_unmerged_files", unmerged, one(stats.unmerged_files as f64))?;
        let unsealable = "Rows that no file takes whole: they are dead letters";
        write(e, counter, "store_unsealable_rows", unsealable, one(stats.unsealable_rows as f64))?;
        let quarantined = "What can never be stored and has no dead letter yet";
        write(e, gauge, "store_quarantined", quarantined, one(stats.quarantined as f64))?;
        let forgotten = "What can never be stored and was forgotten before it had a dead letter";
        write(e, counter, "store_quarantine_forgotten", forgotten, one(stats.quarantine_forgotten as f64))?;
        write(e, counter, "store_insert_retries", "Batches tried again", one(stats.insert_retries as f64))?;
        let statements = answer.sql.statements.iter();
        let statements: Vec<Sample> =
            statements.map(|(outcome, count)| (vec![("outcome", outcome.clone())], *count as f64)).collect();
        write(e, counter, "sql_statements", "Statements by what became of them", statements)?;
        write(e, counter, "sql_seconds", "Time that statements took", one(answer.sql.seconds))?;
        write(e, gauge, "sql_running", "Statements that run now", one(answer.sql.running as f64))?;
        let usage = answer.process;
        write(e, gauge, "engine_resident_memory_bytes", "Its resident memory", one(usage.resident_bytes as f64))?;
        write(e, counter, "engine_cpu_seconds", "Its processor time", one(usage.cpu_seconds))
    }
}
