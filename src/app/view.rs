//! What the web port shows: this process's parts, read when asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::dead_letters::DeadLetterService;
use super::exporting::Exporting;
use super::history::{self, History, Sample};
use super::reload::Running;
use super::state::State;
use super::store_client::StoreClient;
use crate::signal::Signal;
use crate::tail::Tap;
use crate::telemetry::process::Usage;
use crate::telemetry::recent::Recent;
use crate::telemetry::{SignalTotals, Telemetry};
use crate::wal::{CursorStats, Logs};
use crate::web::status::{Destination, Disk, LogStatus, Rate, SignalStatus, Status};
use crate::web::{DeadLetterApi, Link, Setting, SqlService, View};

/// The receivers, by the names under which they count.
const RECEIVERS: [&str; 4] = ["otlp_grpc", "otlp_http", "remote_write", "pyroscope"];

/// A time for people and programs: RFC 3339 with milliseconds; `nanos` since the Unix epoch.
pub fn time(nanos: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_nanos(nanos);
    humantime::format_rfc3339_millis(time).to_string()
}

/// The collector, as the web port sees it.
#[derive(Debug)]
pub struct AppView {
    /// What is still missing.
    pub state: State,
    /// The ledger.
    pub telemetry: Telemetry,
    /// What is acknowledged, for those who watch.
    pub tap: Tap,
    /// The logs, once they are open.
    pub logs: Mutex<Option<Logs>>,
    /// What destinations refused, once it is read.
    pub letters: Mutex<Option<DeadLetterService>>,
    /// The exporters, once they run.
    pub exporting: OnceLock<Exporting>,
    /// The store, if the collector feeds one.
    pub store: Option<Arc<StoreClient>>,
    /// What listens where.
    pub addresses: BTreeMap<&'static str, SocketAddr>,
    /// Where the data is.
    pub data_dir: PathBuf,
    /// The last warnings and errors.
    pub recent: Recent,
    /// When it all began.
    pub started: Instant,
    /// The counters of the last minutes.
    pub history: Mutex<History>,
    /// The config in force, once everything has started.
    pub running: OnceLock<Running>,
}

impl AppView {
    /// Notes the counters, for rates and charts. May read a file.
    pub fn sample(&self) {
        let logs = self.logs.lock().clone();
        let stats = logs.map(|logs| Signal::ALL.map(|signal| logs.of(signal).stats()));
        let mut destinations: BTreeMap<String, history::Destination> = BTreeMap::new();
        for cursor in stats.iter().flatten().flat_map(|stats| &stats.cursors) {
            let counted = destinations.entry(cursor.destination.clone()).or_default();
            counted.waiting += cursor.lag_items;
            counted.passed += cursor.due_items.saturating_sub(cursor.lag_items + cursor.dropped_items);
        }
        let by = |receiver| {
            let items = Signal::ALL.map(|signal| self.telemetry.acknowledged_by(receiver, signal));
            (receiver, items.iter().sum())
        };
        let opened = RECEIVERS.into_iter().filter(|receiver| self.addresses.contains_key(receiver));
        let sample = Sample {
            at: Instant::now(),
            acknowledged: self.telemetry.totals().map(|totals| totals.acknowledged.items),
            log_bytes: stats.map(|stats| stats.map(|stats| stats.size)).unwrap_or_default(),
            receivers: opened.map(by).collect(),
            destinations,
        };
        self.history.lock().add(sample);
    }

    /// Looks whether the logs can take records; what it finds, `/-/ready` and the metrics say. Blocks.
    pub fn check_logs(&self) {
        let Some(logs) = self.logs.lock().clone() else { return };
        for signal in Signal::ALL {
            let log = logs.of(signal);
            let known = log.failing().is_some();
            if let Err(reason) = log.check()
                && !known
            {
                tracing::error!(%signal, reason, "the log takes nothing, senders are told to try again");
            }
        }
    }

    /// Has the store say how it is, for whoever wants to know the latest.
    pub async fn ask_store(&self) {
        if let Some(store) = &self.store {
            // One that does not answer has no latest answer, which says it.
            let _ = store.fetch().await;
        }
    }

    fn rate(&self, signal: Signal, items: u64) -> Rate {
        let per_second = |items: u64, time: Duration| items as f64 / time.as_secs_f64().max(0.001);
        let since_start = per_second(items, self.started.elapsed());
        let last_minute = match self.history.lock().minute_ago() {
            Some(then) => per_second(items.saturating_sub(then.acknowledged[signal as usize]), then.at.elapsed()),
            None => since_start,
        };
        Rate { since_start, last_minute }
    }

    fn signal(&self, totals: SignalTotals) -> SignalStatus {
        let stats = self.logs.lock().as_ref().map(|logs| logs.of(totals.signal).stats()).unwrap_or_default();
        SignalStatus {
            signal: totals.signal.name().to_owned(),
            received_items: totals.received.items,
            acknowledged_items: totals.acknowledged.items,
            refused_items: totals.refused.items,
            refused_requests: totals.refused.requests,
            acknowledged_bytes: totals.acknowledged.bytes,
            rate: self.rate(totals.signal, totals.acknowledged.items),
            log: LogStatus {
                size_bytes: stats.size,
                corrupt_records: stats.corrupt_records,
                missing_records: stats.missing_records,
                failing: stats.failing,
                full_of: stats.full_of,
                sync_milliseconds: stats.sync_time.as_secs_f64() * 1e3 / stats.syncs.max(1) as f64,
                destinations: stats.cursors.into_iter().map(|cursor| self.destination(totals.signal, cursor)).collect(),
            },
        }
    }

    fn destination(&self, signal: Signal, cursor: CursorStats) -> Destination {
        let condition = self.telemetry.health().of(&cursor.destination, signal);
        let letters = self.letters.lock().clone();
        let kind = self.exporting.get().and_then(|exporting| exporting.types().remove(&cursor.destination));
        Destination {
            kind: kind.unwrap_or_default().to_owned(),
            store: self.is_store(&cursor.destination),
            lag_seconds: cursor.lag_time.as_secs_f64(),
            waiting_records: cursor.lag_records,
            waiting_items: cursor.lag_items,
            waiting_bytes: cursor.lag_bytes,
            dropped_items: cursor.dropped_items,
            dead_letters: letters.map_or(0, |letters| letters.letters().count(&cursor.destination, signal)),
            failing_since: condition.failing_since.map(time),
            last_error_time: condition.last_error.as_ref().map(|error| time(error.time)),
            last_error: condition.last_error.map(|error| error.reason),
            name: cursor.destination,
        }
    }

    /// Whether a destination is a store, which shows what waits for it.
    pub fn is_store(&self, destination: &str) -> bool {
        self.exporting.get().is_some_and(|exporting| exporting.is_store(destination))
    }

    /// Everything has started with this config.
    pub fn set_running(&self, running: Running) {
        // It is made once.
        let _ = self.running.set(running);
    }

    /// The exporters run.
    pub fn set_exporting(&self, exporting: Exporting) {
        // They are made once.
        let _ = self.exporting.set(exporting);
    }

    async fn gather(&self) -> Status {
        let store = match &self.store {
            Some(store) => match store.fetch().await {
                Ok(stats) => serde_json::to_value(stats).unwrap_or_default(),
                Err(reason) => json!({ "unreachable": reason }),
            },
            None => Value::Null,
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            waiting_for: self.waiting_for(),
            addresses: super::addresses::read(&self.data_dir).unwrap_or_default(),
            data_dir: self.data_dir.clone(),
            signals: self.telemetry.totals().into_iter().map(|totals| self.signal(totals)).collect(),
            disk: Disk::of(&self.data_dir),
            store,
            resident_bytes: Usage::own().resident_bytes,
            refusals: serde_json::to_value(self.telemetry.refusals().all()).unwrap_or_default(),
            last_errors: serde_json::to_value(self.recent.entries()).unwrap_or_default(),
        }
    }
}

impl View for AppView {
    fn waiting_for(&self) -> Vec<String> {
        let mut missing = self.state.missing();
        if let Some(logs) = &*self.logs.lock() {
            let failing = Signal::ALL.into_iter().filter(|signal| logs.of(*signal).failing().is_some());
            missing.extend(failing.map(|signal| format!("the {signal} log, which takes nothing")));
        }
        let stats = self.store.as_ref().and_then(|store| store.latest());
        if let Some(error) = stats.and_then(|stats| stats.stats.seal_error) {
            missing.push(format!("the store to seal its rows, which failed: {error}"));
        }
        missing
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        async {
            self.ask_store().await;
            self.telemetry.encode()
        }
        .boxed()
    }

    fn status(&self) -> BoxFuture<'_, Status> {
        self.gather().boxed()
    }

    fn history(&self) -> crate::web::history::History {
        self.history.lock().show()
    }

    fn settings(&self) -> Vec<Setting> {
        self.running.get().map(|running| running.lock().show()).unwrap_or_default()
    }

    fn sql(&self) -> Option<Arc<dyn SqlService>> {
        self.store.clone().map(|store| store as Arc<dyn SqlService>)
    }

    fn tap(&self) -> Tap {
        self.tap.clone()
    }

    fn letters(&self) -> Option<Arc<dyn DeadLetterApi>> {
        self.letters.lock().clone().map(|letters| Arc::new(letters) as Arc<dyn DeadLetterApi>)
    }

    fn links(&self) -> Vec<Link> {
        let link = |path: &str, about: &str| Link {
            text: path.to_owned(),
            href: Some(path.to_owned()),
            about: about.to_owned(),
        };
        let mut links = vec![
            link("/api/v1/status", "rates, lag, disk, last errors, as JSON; vispyr status shows it on one screen"),
            link("/api/v1/dead-letters", "what destinations refused for good; vispyr dead-letters handles it"),
            link("/metrics", "everything that is counted, for Prometheus"),
            link("/-/ready", "whether it has started"),
            link("/-/healthy", "whether it answers"),
        ];
        for (name, about) in super::greeting::PORTS {
            if let Some(address) = self.addresses.get(name).filter(|_| name != "web") {
                links.push(Link { text: address.to_string(), href: None, about: about.to_owned() });
            }
        }
        links
    }
}
