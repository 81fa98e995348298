//! Vispyr's own telemetry: the ledger of what came in and where it went, in Prometheus text.
//!
//! The ledger adds up: what a receiver has received, it has acknowledged or refused; what was
//! acknowledged, each destination has forwarded, rejected or skipped, is waiting for, or has dropped
//! or set aside.

pub mod health;
mod journal;
pub mod log;
pub mod metrics;
pub mod process;
pub mod recent;
pub mod refusals;
pub mod text;
mod totals;

use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

pub use totals::{SignalTotals, Total};

use crate::signal::Signal;

/// What the names of our own metrics begin with.
const PREFIX: &str = "vispyr";

/// Labels of what a receiver counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiverLabels {
    receiver: &'static str,
    signal: &'static str,
}

/// Labels of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    receiver: &'static str,
    signal: &'static str,
    reason: &'static str,
}

/// Labels of a refused request that was for no signal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OtherLabels {
    receiver: &'static str,
    reason: &'static str,
}

/// Labels of what an exporter counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabels {
    destination: String,
    signal: &'static str,
}

/// Labels of a destination's answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    destination: String,
    signal: &'static str,
    outcome: &'static str,
}

/// What becomes of records at a destination: each item ends in one of these, or is dropped by the
/// log, or waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryColumn {
    /// Accepted.
    Forwarded,
    /// Rejected by the destination's own word, in a partial success.
    Rejected,
    /// Of a format that the destination cannot take.
    Skipped,
    /// Put aside for good.
    SetAside,
}

/// Requests, items and bytes, counted together.
#[derive(Debug, Clone)]
struct Amount<L> {
    requests: Family<L, Counter>,
    items: Family<L, Counter>,
    bytes: Family<L, Counter>,
}

impl<L> Default for Amount<L>
where
    L: Clone + std::hash::Hash + Eq,
{
    fn default() -> Self {
        Amount { requests: Family::default(), items: Family::default(), bytes: Family::default() }
    }
}

impl<L> Amount<L>
where
    L: Clone + std::hash::Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
{
    fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(format!("{name}_requests"), format!("Requests {help}"), self.requests.clone());
        registry.register(
            format!("{name}_items"),
            format!("Spans, points, log records or profiles {help}"),
            self.items.clone(),
        );
        registry.register(format!("{name}_bytes"), format!("Payload bytes, as they came, {help}"), self.bytes.clone());
    }

    fn add(&self, labels: &L, items: u64, bytes: u64) {
        self.add_many(labels, 1, items, bytes);
    }

    fn add_many(&self, labels: &L, requests: u64, items: u64, bytes: u64) {
        self.requests.get_or_create(labels).inc_by(requests);
        self.items.get_or_create(labels).inc_by(items);
        self.bytes.get_or_create(labels).inc_by(bytes);
    }
}

/// The counters of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Telemetry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: parking_lot::Mutex<Registry>,
    totals: totals::Totals,
    health: health::Health,
    received: Amount<ReceiverLabels>,
    acknowledged: Amount<ReceiverLabels>,
    refused: Amount<RefusalLabels>,
    forwarded: Amount<DestinationLabels>,
    rejected: Amount<DestinationLabels>,
    skipped: Amount<DestinationLabels>,
    set_aside: Amount<DestinationLabels>,
    answers: Family<AnswerLabels, Counter>,
    retried: Amount<DestinationLabels>,
    invalid_ids: Family<ReceiverLabels, Counter>,
    refused_others: Family<OtherLabels, Counter>,
    refusals: refusals::Refusals,
    replaced_text: Family<ReceiverLabels, Counter>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Fresh counters, all zero.
    pub fn new() -> Self {
        let mut root = Registry::default();
        root.register_collector(Box::new(process::OwnUsage { started: crate::signal::now_nanos() as f64 / 1e9 }));
        let registry = root.sub_registry_with_prefix(PREFIX);
        let received = Amount::default();
        received.register(registry, "received", "that arrived");
        let acknowledged = Amount::default();
        acknowledged.register(registry, "acknowledged", "that were acknowledged, hence on disk");
        let refused = Amount::default();
        refused.register(registry, "refused", "that were refused; items are 0 where they could not be counted");
        let forwarded = Amount::default();
        forwarded.register(registry, "forwarded", "that a destination accepted");
        let rejected = Amount::default();
        rejected.register(registry, "rejected", "that a destination rejected while it accepted the rest");
        let skipped = Amount::default();
        skipped.register(registry, "skipped", "of a format that the destination cannot take");
        let set_aside = Amount::default();
        set_aside.register(registry, "set_aside", "that a destination will never accept");
        let answers = Family::<AnswerLabels, Counter>::default();
        registry.register("delivery_requests", "Requests to a destination, by what came of them", answers.clone());
        let retried = Amount::default();
        retried.register(registry, "retried", "that were sent again");
        let invalid_ids = Family::<ReceiverLabels, Counter>::default();
        registry.register(
            "spans_with_invalid_ids",
            "Spans taken and kept although their trace or span id is zero or of the wrong length",
            invalid_ids.clone(),
        );
        let refused_others = Family::<OtherLabels, Counter>::default();
        registry.register(
            "other_refused_requests",
            "Refused requests that were for no signal: an unknown path, a wrong method or port, a preflight",
            refused_others.clone(),
        );
        let replaced_text = Family::<ReceiverLabels, Counter>::default();
        registry.register(
            "strings_repaired",
            "Strings that were taken with U+FFFD in the place of bytes that are no UTF-8, or of lone surrogates",
            replaced_text.clone(),
        );
        Telemetry {
            inner: Arc::new(Inner {
                registry: parking_lot::Mutex::new(root),
                totals: totals::Totals::default(),
                health: health::Health::default(),
                received,
                acknowledged,
                refused,
                forwarded,
                rejected,
                skipped,
                set_aside,
                answers,
                retried,
                invalid_ids,
                refused_others,
                refusals: refusals::Refusals::default(),
                replaced_text,
            }),
        }
    }

    /// Adds metrics of another part, such as a collector that reads a log's metrics when scraped;
    /// `vispyr_` is put before their names.
    pub fn with_registry(&self, add: impl FnOnce(&mut Registry)) {
        add(self.inner.registry.lock().sub_registry_with_prefix(PREFIX));
    }

    /// A request arrived; every one is later counted as acknowledged or refused with the same
    /// items and bytes. `items` is 0 for a payload that cannot be read.
    pub fn received(&self, receiver: &'static str, signal: Signal, items: u64, bytes: u64) {
        self.inner.totals.received[signal as usize].add(items, bytes);
        self.inner.received.add(&ReceiverLabels { receiver, signal: signal.name() }, items, bytes);
    }

    /// A request is on disk and its sender has been told so.
    pub fn acknowledged(&self, receiver: &'static str, signal: Signal, items: u64, bytes: u64) {
        self.inner.totals.acknowledged[signal as usize].add(items, bytes);
        self.inner.acknowledged.add(&ReceiverLabels { receiver, signal: signal.name() }, items, bytes);
    }

    /// A request was refused for `reason`, a short word such as `malformed`, `too_large`, `busy`.
    pub fn refused(&self, receiver: &'static str, signal: Signal, reason: &'static str, items: u64, bytes: u64) {
        self.inner.totals.refused[signal as usize].add(items, bytes);
        self.inner.refused.add(&RefusalLabels { receiver, signal: signal.name(), reason }, items, bytes);
    }

    /// A request that was for no signal was refused: it is not in the ledger.
    pub fn refused_other(&self, receiver: &'static str, reason: &'static str, why: &str, peer: Option<SocketAddr>) {
        self.inner.refused_others.get_or_create(&OtherLabels { receiver, reason }).inc();
        self.inner.refusals.note((receiver, "", reason), why, peer, true);
    }

    /// Why requests were refused.
    pub fn refusals(&self) -> &refusals::Refusals {
        &self.inner.refusals
    }

    /// A destination accepted this much.
    pub fn forwarded(&self, destination: &str, signal: Signal, items: u64, bytes: u64) {
        self.inner.forwarded.add(
            &DestinationLabels { destination: destination.to_owned(), signal: signal.name() },
            items,
            bytes,
        );
    }

    /// This much was put aside for good.
    pub fn set_aside(&self, destination: &str, signal: Signal, items: u64, bytes: u64) {
        self.inner.set_aside.add(
            &DestinationLabels { destination: destination.to_owned(), signal: signal.name() },
            items,
            bytes,
        );
    }

    /// So many records, whole or in part, ended in this column of a destination's ledger.
    pub fn delivered(
        &self,
        column: DeliveryColumn,
        destination: &str,
        signal: Signal,
        records: u64,
        items: u64,
        bytes: u64,
    ) {
        let amount = match column {
            DeliveryColumn::Forwarded => &self.inner.forwarded,
            DeliveryColumn::Rejected => &self.inner.rejected,
            DeliveryColumn::Skipped => &self.inner.skipped,
            DeliveryColumn::SetAside => &self.inner.set_aside,
        };
        let labels = DestinationLabels { destination: destination.to_owned(), signal: signal.name() };
        amount.add_many(&labels, records, items, bytes);
    }

    /// A destination answered a request, or did not.
    pub fn answered(&self, destination: &str, signal: Signal, outcome: &'static str) {
        let labels = AnswerLabels { destination: destination.to_owned(), signal: signal.name(), outcome };
        self.inner.answers.get_or_create(&labels).inc();
    }

    /// So many spans have a trace or span id that is zero or of the wrong length; they are kept.
    pub fn invalid_ids(&self, receiver: &'static str, spans: u64) {
        let labels = ReceiverLabels { receiver, signal: Signal::Traces.name() };
        self.inner.invalid_ids.get_or_create(&labels).inc_by(spans);
    }

    /// In so many strings U+FFFD stands for what was not UTF-8.
    pub fn replaced_text(&self, receiver: &'static str, signal: Signal, strings: u64) {
        let labels = ReceiverLabels { receiver, signal: signal.name() };
        self.inner.replaced_text.get_or_create(&labels).inc_by(strings);
    }

    /// This much is sent again.
    pub fn retried(&self, destination: &str, signal: Signal, items: u64, bytes: u64) {
        self.inner.retried.add(
            &DestinationLabels { destination: destination.to_owned(), signal: signal.name() },
            items,
            bytes,
        );
    }

    /// How the destinations are.
    pub fn health(&self) -> &health::Health {
        &self.inner.health
    }

    /// What came in since the start, by signal, in the order of [`Signal::ALL`].
    pub fn totals(&self) -> [SignalTotals; 4] {
        self.inner.totals.read()
    }

    /// Items that a receiver has acknowledged of a signal since the start.
    pub fn acknowledged_by(&self, receiver: &'static str, signal: Signal) -> u64 {
        let labels = ReceiverLabels { receiver, signal: signal.name() };
        self.inner.acknowledged.items.get(&labels).map_or(0, |items| items.get())
    }

    /// Everything, as OpenMetrics text; see [`text::TextFormat`] for the other one.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.inner.registry.lock());
        text
    }
}
