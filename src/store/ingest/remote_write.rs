//! Prometheus remote write, 1.0 and 2.0, to the tables that OTLP's metrics have too.
//!
//! | Prometheus | here |
//! |---|---|
//! | counter; `_bucket`, `_count`, `_sum` of a classic histogram or summary | type `sum`, cumulative, monotonic |
//! | gauge, info, state set, quantiles of a summary | type `gauge` |
//! | native histogram | type `exponential_histogram`; with custom buckets `histogram` |
//! | a sample whose metadata has not come (1.0 sends it apart, about every minute) | type `unknown` |
//! | stale marker | value NaN, flag "no recorded value" |
//! | labels without `__name__` | `series.labels`; there is no resource and no scope |
//! | label `service_name`, else `job` | `service_name` |

mod histogram;
mod v1;
mod v2;

use hashbrown::HashMap;

use crate::store::ingest::points::{Kind, NO_RECORDED_VALUE, Number, Points};
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::series::Identity;
use crate::store::ingest::time;
use crate::store::ingest::variant::{Encoder, Value};

pub(crate) use v1::decode as decode_v1;
pub(crate) use v2::decode as decode_v2;

/// The NaN that marks a series as stale.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Metric families remembered; further ones stay unknown.
const MAX_FAMILIES: usize = 1 << 17;

/// What the senders said about metric families so far. Remote write 1.0 sends this apart from the
/// samples, so it is kept from record to record.
#[derive(Debug, Default)]
pub(crate) struct Families {
    known: HashMap<String, Family>,
}

/// Metadata of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Family {
    kind: FamilyKind,
    unit: String,
}

/// Prometheus' metric types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FamilyKind {
    Unknown,
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
}

impl FamilyKind {
    /// By the number that both versions of the protocol use.
    fn of(number: i32) -> Self {
        match number {
            1 => FamilyKind::Counter,
            2 => FamilyKind::Gauge,
            3 => FamilyKind::Histogram,
            4 => FamilyKind::GaugeHistogram,
            5 => FamilyKind::Summary,
            6 => FamilyKind::Info,
            7 => FamilyKind::StateSet,
            _ => FamilyKind::Unknown,
        }
    }

    /// As Prometheus writes it.
    fn name(self) -> &'static str {
        match self {
            FamilyKind::Unknown => "unknown",
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
            FamilyKind::GaugeHistogram => "gaugehistogram",
            FamilyKind::Summary => "summary",
            FamilyKind::Info => "info",
            FamilyKind::StateSet => "stateset",
        }
    }

    /// Type, temporality and monotonicity of a float sample of `metric`.
    fn of_sample(self, metric: &str) -> (&'static str, Option<&'static str>, Option<bool>) {
        let part = ["_bucket", "_count", "_sum"].iter().any(|suffix| metric.ends_with(suffix));
        match self {
            FamilyKind::Counter => ("sum", Some("cumulative"), Some(true)),
            FamilyKind::Histogram | FamilyKind::Summary if part => ("sum", Some("cumulative"), Some(true)),
            FamilyKind::Histogram | FamilyKind::Unknown => ("unknown", None, None),
            _ => ("gauge", None, None),
        }
    }
}

impl Families {
    fn learn(&mut self, name: &str, family: Family) {
        if self.known.len() < MAX_FAMILIES || self.known.contains_key(name) {
            self.known.insert(name.to_owned(), family);
        }
    }

    /// The family of a metric: of that name, or of the name without a suffix that Prometheus or
    /// OpenMetrics adds.
    fn of_metric(&self, metric: &str) -> Option<&Family> {
        self.known.get(metric).or_else(|| {
            let suffixes = ["_bucket", "_count", "_sum", "_total"];
            suffixes.iter().find_map(|suffix| self.known.get(metric.strip_suffix(suffix)?))
        })
    }
}

/// A series while its samples are being added.
struct SeriesWriter<'a> {
    metric: &'a str,
    unit: &'a str,
    kind: FamilyKind,
    service_name: Option<&'a str>,
    /// `__name__` among them.
    labels: Vec<(&'a str, &'a str)>,
    /// Encoded labels, for the lookup.
    parts: Vec<&'a [u8]>,
    identity: Identity<'a>,
    seed: u64,
}

impl<'a> SeriesWriter<'a> {
    /// Begins a series with these labels, `__name__` among them.
    fn new(labels: Vec<(&'a str, &'a str)>, parts: Vec<&'a [u8]>, family: Option<(FamilyKind, &'a str)>) -> Self {
        let find = |name: &str| labels.iter().find(|label| label.0 == name).map(|label| label.1);
        let metric = find("__name__").unwrap_or_default();
        let service_name = find("service_name").or_else(|| find("job"));
        let (kind, unit) = family.unwrap_or((FamilyKind::Unknown, ""));
        let identity = Identity { metric, service_name, ..Identity::default() };
        SeriesWriter { metric, unit, kind, service_name, labels, parts, identity, seed: identity.seed() }
    }

    fn id(&self, time: i64, points: &mut Points, encoder: &mut Encoder) -> Result<i64, ProtoError> {
        let labels = || Value::Labels(&self.labels);
        points.series.id(&self.identity, self.seed, self.parts.iter().copied(), labels, Some(time), encoder)
    }

    /// Adds a float sample. `start` in milliseconds, 0 for unknown.
    fn sample(
        &self,
        (value, millis, start): (f64, i64, i64),
        points: &mut Points,
        encoder: &mut Encoder,
    ) -> Result<(), ProtoError> {
        let time = time::from_millis(millis);
        let (name, temporality, monotonic) = self.kind.of_sample(self.metric);
        let kind = self.kind(name, temporality, monotonic);
        let flags = if value.to_bits() == STALE { NO_RECORDED_VALUE } else { 0 };
        let id = self.id(time, points, encoder)?;
        points.number(&kind, id, (start_time(start), Some(time)), Some(Number::Double(value)), flags);
        Ok(())
    }

    /// Adds a native histogram, encoded.
    fn histogram(&self, bytes: &[u8], points: &mut Points, encoder: &mut Encoder) -> Result<(), ProtoError> {
        let histogram = histogram::Histogram::read(bytes)?;
        let time = time::from_millis(histogram.time);
        let kind = self.kind(histogram.kind, histogram.temporality, None);
        let id = self.id(time, points, encoder)?;
        let flags = if histogram.stale { NO_RECORDED_VALUE } else { 0 };
        points.distribution(&kind, id, (start_time(histogram.start), Some(time)), &histogram.point, flags);
        Ok(())
    }

    /// Adds an exemplar. Its labels name the trace, by custom as `trace_id` and `span_id`.
    fn exemplar(
        &self,
        labels: &[(&str, &str)],
        (value, millis): (f64, i64),
        points: &mut Points,
        encoder: &mut Encoder,
    ) -> Result<(), ProtoError> {
        let time = time::from_millis(millis);
        let id = self.id(time, points, encoder)?;
        let hex_of =
            |names: [&str; 2]| labels.iter().find(|label| names.contains(&label.0)).and_then(|label| unhex(label.1));
        let (trace_id, span_id) = (hex_of(["trace_id", "traceID"]), hex_of(["span_id", "spanID"]));
        let rest: Vec<(&str, Value<'_>)> = labels
            .iter()
            .filter(|(name, _)| match *name {
                "trace_id" | "traceID" => trace_id.is_none(),
                "span_id" | "spanID" => span_id.is_none(),
                _ => true,
            })
            .map(|(name, value)| (*name, Value::Text(value)))
            .collect();
        let attributes = encoder.encode(Value::Object(&rest))?;
        let ids = (trace_id.as_deref().unwrap_or_default(), span_id.as_deref().unwrap_or_default());
        points.exemplar(id, Some(time), Some(value), ids, attributes);
        Ok(())
    }

    fn kind(&self, name: &'static str, temporality: Option<&'static str>, monotonic: Option<bool>) -> Kind<'_> {
        Kind { metric: self.metric, unit: self.unit, name, temporality, monotonic, service_name: self.service_name }
    }
}

/// A start time in milliseconds, where 0 is "unknown".
fn start_time(millis: i64) -> Option<i64> {
    (millis != 0).then(|| time::from_millis(millis))
}

/// Bytes of hex text; `None` if it is something else.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty()).then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests;
