//! The metrics of the shop's PostgreSQL, sent as remote write 2.0: a table of symbols, metadata
//! in each series, start timestamps, a native histogram with exemplars.

use std::collections::{BTreeMap, HashMap};

use crate::wire::prompb::v2::{Exemplar, Histogram, Metadata, Request, Sample, TimeSeries};
use crate::wire::prompb::{BucketSpan, HistogramCount, HistogramZeroCount};

use super::logs_json::hex;
use super::shop::{Operation, Visit};

const COUNTER: i32 = 1;
const GAUGE: i32 = 2;
const HISTOGRAM: i32 = 3;
/// Eight buckets for each power of two.
const SCHEMA: i32 = 3;

/// The zero bucket that Prometheus' client libraries have, 2^-128.
const ZERO: f64 = 2.938_735_877_055_719e-39;

/// What the database has done so far.
#[derive(Debug)]
pub struct Database {
    started_ms: i64,
    statements: BTreeMap<&'static str, u64>,
    buckets: BTreeMap<i32, u64>,
    sum: f64,
    slowest: Option<(f64, i64, String, String)>,
}

impl Database {
    /// Started at `now` (unix nanoseconds).
    pub fn new(now: u64) -> Database {
        Database {
            started_ms: (now / 1_000_000) as i64,
            statements: BTreeMap::new(),
            buckets: BTreeMap::new(),
            sum: 0.0,
            slowest: None,
        }
    }

    /// Counts a visit's statements.
    pub fn record(&mut self, visit: &Visit) {
        for activity in &visit.activities {
            let Operation::Sql { operation, .. } = activity.operation else { continue };
            let seconds = (activity.end - activity.start) as f64 / 1e9;
            *self.statements.entry(operation).or_default() += 1;
            *self.buckets.entry((seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i32).or_default() += 1;
            self.sum += seconds;
            if self.slowest.as_ref().is_none_or(|(slowest, ..)| seconds > *slowest) {
                let time = (activity.end / 1_000_000) as i64;
                self.slowest = Some((seconds, time, hex(&visit.trace_id), hex(&activity.id.to_be_bytes())));
            }
        }
    }

    /// One scrape at `now` (unix nanoseconds).
    pub fn scrape(&mut self, now: u64) -> Request {
        let time = (now / 1_000_000) as i64;
        let mut symbols = Symbols::default();
        let mut timeseries = vec![
            self.sample(&mut symbols, "pg_up", &[], (GAUGE, "Whether the last scrape could connect."), time, 1.0),
            self.sample(
                &mut symbols,
                "pg_stat_activity_count",
                &[("datname", "shop")],
                (GAUGE, "Number of connections."),
                time,
                8.0 + (time / 15_000 % 5) as f64,
            ),
        ];
        for (operation, count) in &self.statements {
            let help = (COUNTER, "Statements by operation.");
            let labels = [("datname", "shop"), ("operation", *operation)];
            timeseries.push(self.sample(&mut symbols, "pg_statements_total", &labels, help, time, *count as f64));
        }
        timeseries.push(self.histogram(&mut symbols, time));
        self.slowest = None;
        Request { symbols: symbols.list, timeseries }
    }

    fn sample(
        &self,
        symbols: &mut Symbols,
        name: &str,
        labels: &[(&str, &str)],
        (kind, help): (i32, &str),
        timestamp: i64,
        value: f64,
    ) -> TimeSeries {
        let start_timestamp = if kind == COUNTER { self.started_ms } else { 0 };
        TimeSeries {
            labels_refs: symbols.labels(name, labels),
            samples: vec![Sample { value, timestamp, start_timestamp }],
            metadata: Some(Metadata { r#type: kind, help_ref: symbols.of(help), unit_ref: 0 }),
            ..TimeSeries::default()
        }
    }

    fn histogram(&self, symbols: &mut Symbols, timestamp: i64) -> TimeSeries {
        let (positive_spans, positive_deltas) = spans_and_deltas(&self.buckets);
        let exemplars = self.slowest.iter().map(|(value, timestamp, trace_id, span_id)| Exemplar {
            labels_refs: vec![symbols.of("span_id"), symbols.of(span_id), symbols.of("trace_id"), symbols.of(trace_id)],
            value: *value,
            timestamp: *timestamp,
        });
        let exemplars = exemplars.collect();
        let histogram = Histogram {
            count: Some(HistogramCount::CountInt(self.buckets.values().sum())),
            sum: self.sum,
            schema: SCHEMA,
            zero_threshold: ZERO,
            zero_count: Some(HistogramZeroCount::ZeroCountInt(0)),
            positive_spans,
            positive_deltas,
            timestamp,
            start_timestamp: self.started_ms,
            ..Histogram::default()
        };
        TimeSeries {
            labels_refs: symbols.labels("pg_statement_duration_seconds", &[("datname", "shop")]),
            histograms: vec![histogram],
            exemplars,
            metadata: Some(Metadata {
                r#type: HISTOGRAM,
                help_ref: symbols.of("Duration of statements."),
                unit_ref: symbols.of("seconds"),
            }),
            ..TimeSeries::default()
        }
    }
}

/// Buckets as a native histogram has them: runs of neighbours, each count as the difference to
/// the one before.
fn spans_and_deltas(buckets: &BTreeMap<i32, u64>) -> (Vec<BucketSpan>, Vec<i64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut deltas = Vec::new();
    let mut next = None;
    let mut before = 0;
    for (index, count) in buckets {
        match (spans.last_mut(), next) {
            (Some(span), Some(next)) if next == *index => span.length += 1,
            // The first offset is absolute, the others count from the end of the run before.
            (_, next) => spans.push(BucketSpan { offset: index - next.unwrap_or_default(), length: 1 }),
        }
        deltas.push(*count as i64 - before);
        before = *count as i64;
        next = Some(index + 1);
    }
    (spans, deltas)
}

/// The symbols of one request; the first is empty (remote write 2.0).
struct Symbols {
    list: Vec<String>,
    index: HashMap<String, u32>,
}

impl Default for Symbols {
    fn default() -> Symbols {
        Symbols { list: vec![String::new()], index: HashMap::from([(String::new(), 0)]) }
    }
}

impl Symbols {
    fn of(&mut self, symbol: &str) -> u32 {
        if let Some(found) = self.index.get(symbol) {
            return *found;
        }
        let next = self.list.len() as u32;
        self.list.push(symbol.into());
        self.index.insert(symbol.into(), next);
        next
    }

    fn labels(&mut self, name: &str, labels: &[(&str, &str)]) -> Vec<u32> {
        let mut all = vec![("__name__", name), ("instance", "demo-host:9187"), ("job", "postgres")];
        all.extend_from_slice(labels);
        all.sort_unstable();
        all.into_iter().flat_map(|(name, value)| [self.of(name), self.of(value)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_become_runs_of_differences() {
        let buckets = BTreeMap::from([(-3, 5), (-2, 7), (4, 1)]);
        let (spans, deltas) = spans_and_deltas(&buckets);
        assert_eq!(spans, [BucketSpan { offset: -3, length: 2 }, BucketSpan { offset: 5, length: 1 }]);
        assert_eq!(deltas, [5, 2, -6]);
    }
}
