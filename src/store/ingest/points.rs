//! Rows of `metric_points` and what goes with them, whatever protocol they came by.

use hashbrown::HashMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::store::ingest::dictionary::Emitted;
use crate::store::ingest::proto::ProtoError;
use crate::store::ingest::rows::{Blob, Bool, F64, F64List, I32, I64, Rows, Text, Time, U32, rows};
use crate::store::ingest::series::Series;
use crate::store::ingest::time;
use crate::store::schema::Table;

/// OTLP's `DataPointFlags.FLAG_NO_RECORDED_VALUE_MASK`.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;

/// Buckets, bounds or quantiles of one point. Prometheus' own limit is far below; a list of millions
/// takes gigabytes on its way through DuckDB.
pub(crate) const MAX_BUCKETS: usize = 1 << 16;

/// Metrics whose latest description is remembered.
const MAX_DESCRIBED: usize = 1 << 17;

rows! {
    /// Rows of `metric_points`.
    NumberRows of Table::MetricPoints {
        time: Time,
        start_time: Time,
        metric: Text,
        unit: Text,
        r#type: Text,
        temporality: Text,
        monotonic: Bool,
        service_name: Text,
        series_id: I64,
        value: F64,
        flags: U32,
        value_int: I64,
    }
}

rows! {
    /// Rows of `metric_distributions`: histograms of both kinds, and summaries.
    DistributionRows of Table::MetricDistributions {
        time: Time,
        start_time: Time,
        metric: Text,
        unit: Text,
        r#type: Text,
        temporality: Text,
        service_name: Text,
        series_id: I64,
        count: F64,
        sum: F64,
        min: F64,
        max: F64,
        bucket_counts: F64List,
        explicit_bounds: F64List,
        scale: I32,
        zero_count: F64,
        zero_threshold: F64,
        positive_offset: I32,
        positive_counts: F64List,
        negative_offset: I32,
        negative_counts: F64List,
        quantiles: F64List,
        quantile_values: F64List,
        flags: U32,
    }
}

rows! {
    /// Rows of `exemplars`.
    ExemplarRows of Table::Exemplars {
        time: Time,
        series_id: I64,
        value: F64,
        trace_id: Blob,
        span_id: Blob,
        attributes: Blob,
    }
}

rows! {
    /// Rows of `metric_metadata`.
    MetadataRows of Table::MetricMetadata {
        metric: Text,
        time: Time,
        r#type: Text,
        unit: Text,
        description: Text,
    }
}

/// Everything that metrics turn into.
#[derive(Debug, Default)]
pub(crate) struct Points {
    pub(crate) numbers: NumberRows,
    pub(crate) distributions: DistributionRows,
    pub(crate) exemplars: ExemplarRows,
    pub(crate) series: Series,
    pub(crate) metadata: MetadataRows,
    metadata_emitted: Emitted,
    /// Hash of a metric's name to that of its latest description.
    described: HashMap<u64, i64>,
}

/// What the points of one metric have in common.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kind<'a> {
    pub(crate) metric: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) name: &'a str,
    pub(crate) temporality: Option<&'a str>,
    pub(crate) monotonic: Option<bool>,
    pub(crate) service_name: Option<&'a str>,
}

/// The value of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// A double.
    Double(f64),
    /// An integer.
    Int(i64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "what is lost is in `beyond_double`")]
    /// The nearest double.
    pub(crate) fn double(self) -> f64 {
        match self {
            Number::Double(value) => value,
            Number::Int(value) => value as f64,
        }
    }

    /// The integer, if it is greater than all doubles up to which every integer is one.
    fn beyond_double(self) -> Option<i64> {
        match self {
            Number::Int(value) if value.unsigned_abs() > 1 << 53 => Some(value),
            _ => None,
        }
    }
}

/// A histogram or a summary. Lists that are empty become NULL.
#[derive(Debug, Default)]
pub(crate) struct Distribution {
    pub(crate) count: Option<f64>,
    pub(crate) sum: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) bucket_counts: Vec<f64>,
    pub(crate) explicit_bounds: Vec<f64>,
    pub(crate) scale: Option<i32>,
    pub(crate) zero_count: Option<f64>,
    pub(crate) zero_threshold: Option<f64>,
    pub(crate) positive: Option<Buckets>,
    pub(crate) negative: Option<Buckets>,
    pub(crate) quantiles: Vec<f64>,
    pub(crate) quantile_values: Vec<f64>,
}

impl Distribution {
    /// Whether no list is longer than [`MAX_BUCKETS`].
    ///
    /// # Errors
    /// [`ProtoError::Meaning`] if one is.
    pub(crate) fn check_buckets(&self) -> Result<(), ProtoError> {
        let sides = [&self.positive, &self.negative].into_iter().flatten().map(|side| &side.counts);
        let mut lists = [&self.bucket_counts, &self.explicit_bounds, &self.quantiles].into_iter().chain(sides);
        if lists.any(|list| list.len() > MAX_BUCKETS) {
            return Err(ProtoError::Meaning("more than 65,536 buckets in one point"));
        }
        Ok(())
    }
}

/// Buckets of an exponential histogram, as OTLP counts them.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    pub(crate) offset: i32,
    pub(crate) counts: Vec<f64>,
}

impl Points {
    /// Adds a point with one value.
    #[inline]
    pub(crate) fn number(
        &mut self,
        kind: &Kind<'_>,
        series_id: i64,
        (start, time): (Option<i64>, Option<i64>),
        value: Option<Number>,
        flags: u32,
    ) {
        let rows = &mut self.numbers;
        rows.time.push(time);
        rows.start_time.push(start);
        rows.metric.push(Some(kind.metric));
        rows.unit.push_set(kind.unit);
        rows.r#type.push(Some(kind.name));
        rows.temporality.push(kind.temporality);
        rows.monotonic.push(kind.monotonic);
        rows.service_name.push(kind.service_name);
        rows.series_id.push(Some(series_id));
        rows.value.push(value.map(Number::double));
        rows.flags.push(Some(flags));
        rows.value_int.push(value.and_then(Number::beyond_double));
        rows.row_done();
    }

    /// Adds a histogram or summary.
    pub(crate) fn distribution(
        &mut self,
        kind: &Kind<'_>,
        series_id: i64,
        (start, time): (Option<i64>, Option<i64>),
        point: &Distribution,
        flags: u32,
    ) {
        let rows = &mut self.distributions;
        rows.time.push(time);
        rows.start_time.push(start);
        rows.metric.push(Some(kind.metric));
        rows.unit.push_set(kind.unit);
        rows.r#type.push(Some(kind.name));
        rows.temporality.push(kind.temporality);
        rows.service_name.push(kind.service_name);
        rows.series_id.push(Some(series_id));
        rows.count.push(point.count);
        rows.sum.push(point.sum);
        rows.min.push(point.min);
        rows.max.push(point.max);
        push_list(&point.bucket_counts, &mut rows.bucket_counts);
        push_list(&point.explicit_bounds, &mut rows.explicit_bounds);
        rows.scale.push(point.scale);
        rows.zero_count.push(point.zero_count);
        rows.zero_threshold.push(point.zero_threshold);
        rows.positive_offset.push(point.positive.as_ref().map(|buckets| buckets.offset));
        push_list(point.positive.as_ref().map_or(&[], |buckets| &buckets.counts), &mut rows.positive_counts);
        rows.negative_offset.push(point.negative.as_ref().map(|buckets| buckets.offset));
        push_list(point.negative.as_ref().map_or(&[], |buckets| &buckets.counts), &mut rows.negative_counts);
        push_list(&point.quantiles, &mut rows.quantiles);
        push_list(&point.quantile_values, &mut rows.quantile_values);
        rows.flags.push(Some(flags));
        rows.row_done();
    }

    /// Adds an exemplar; `attributes` is a variant.
    pub(crate) fn exemplar(
        &mut self,
        series_id: i64,
        time: Option<i64>,
        value: Option<f64>,
        (trace_id, span_id): (&[u8], &[u8]),
        attributes: &[u8],
    ) {
        let rows = &mut self.exemplars;
        rows.time.push(time);
        rows.series_id.push(Some(series_id));
        rows.value.push(value);
        rows.trace_id.push_set(trace_id);
        rows.span_id.push_set(span_id);
        rows.attributes.push(Some(attributes));
        rows.row_done();
    }

    /// How many points and exemplars there are.
    pub(crate) fn marks(&self) -> [usize; 3] {
        [self.numbers.len(), self.distributions.len(), self.exemplars.len()]
    }

    /// Takes back the points and exemplars that came after these. Their series stay, which costs a row.
    pub(crate) fn truncate(&mut self, [numbers, distributions, exemplars]: [usize; 3]) {
        self.numbers.truncate(numbers);
        self.distributions.truncate(distributions);
        self.exemplars.truncate(exemplars);
    }

    /// Notes what a metric is: once a day for the same text, until that is forgotten, and when it has
    /// changed (at most once a minute, for two senders may disagree for ever).
    pub(crate) fn describe(&mut self, metric: &str, kind: &str, unit: &str, description: &str, now: i64) {
        let mut hash = Xxh3::new();
        for part in [metric, kind, unit, description] {
            hash.update(part.as_bytes());
            hash.update(&[0xff]);
        }
        let (id, of) = (hash.digest().cast_signed(), xxh3_64(metric.as_bytes()));
        let changed = self.described.insert(of, id).is_some_and(|before| before != id);
        if self.described.len() > MAX_DESCRIBED {
            self.described.clear();
        }
        let first = self.metadata_emitted.first(id, time::day(Some(now)));
        // Days are far below minutes: the two cannot be taken for each other.
        if first | (changed && self.metadata_emitted.first(id, time::minute(now))) {
            self.metadata.metric.push(Some(metric));
            self.metadata.time.push(Some(now));
            self.metadata.r#type.push(Some(kind));
            self.metadata.unit.push_set(unit);
            self.metadata.description.push_set(description);
            self.metadata.row_done();
        }
    }

    /// The record was good.
    pub(crate) fn keep(&mut self) {
        self.series.keep();
        self.metadata_emitted.keep();
    }

    /// The record was malformed.
    pub(crate) fn take_back(&mut self) {
        self.series.take_back();
        self.metadata_emitted.take_back();
    }

    /// Everything is given out again from here on.
    pub(crate) fn forget(&mut self) {
        self.series.forget();
        self.metadata_emitted.forget();
    }
}

fn push_list(values: &[f64], column: &mut F64List) {
    column.push((!values.is_empty()).then_some(values));
}
