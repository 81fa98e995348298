//! OTLP metrics: `ExportMetricsServiceRequest` to rows of `metric_points`, `series`, `exemplars`
//! and `metric_metadata`.

use std::borrow::Cow;

use crate::store::ingest::any::key_value;
use crate::store::ingest::points::{Buckets, Distribution, Kind, MAX_BUCKETS, Number, Points};
use crate::store::ingest::proto::{Field, ProtoError, fields};
use crate::store::ingest::rejects::Rejects;
use crate::store::ingest::resource::{Resource, Resources, Scope, blocks};
use crate::store::ingest::series::{Identity, Stream};
use crate::store::ingest::time;
use crate::store::ingest::variant::{Encoder, Value};

/// Decodes a request received at `now`. Returns the number of points, rejected ones included.
pub(crate) fn decode(
    message: &[u8],
    now: i64,
    points: &mut Points,
    resources: &mut Resources,
    rejects: &mut Rejects,
    encoder: &mut Encoder,
) -> Result<u64, ProtoError> {
    let mut count = 0;
    blocks(message, 1, |block| {
        let mut resource = Resource::of_block(block, encoder)?;
        blocks(block, 2, |block| {
            let scope = Scope::of_block(block)?;
            let scope_labels = scope_labels(&scope)?;
            let scope_labels: Vec<&[u8]> = scope_labels.iter().map(Vec::as_slice).collect();
            blocks(block, 2, |bytes| {
                let metric = Metric::read(bytes)?;
                metric.describe(points, now);
                metric.push(
                    &scope,
                    &scope_labels,
                    &mut resource,
                    points,
                    resources,
                    (&mut count, &mut *rejects),
                    encoder,
                )
            })
        })
    })?;
    Ok(count)
}

/// A scope's attributes as labels, named as OpenTelemetry's Prometheus compatibility specification
/// names them: `otel_scope_` and the key. They identify a stream as its own labels do.
fn scope_labels(scope: &Scope<'_>) -> Result<Vec<Vec<u8>>, ProtoError> {
    let label = |attribute: &&[u8]| {
        let (key, value) = key_value(attribute)?;
        let mut label = Vec::with_capacity(attribute.len() + 16);
        prost::encoding::string::encode(1, &format!("otel_scope_{key}"), &mut label);
        prost::encoding::bytes::encode(2, &value.to_vec(), &mut label);
        Ok(label)
    };
    scope.attributes.iter().map(label).collect()
}

/// A metric, its points still encoded.
#[derive(Debug, Default)]
struct Metric<'a> {
    name: &'a str,
    description: &'a str,
    unit: &'a str,
    /// Number of the field that holds the points: which kind of metric it is.
    kind: u32,
    /// That field. It may come in pieces, which protobuf says are to be merged.
    data: Vec<&'a [u8]>,
}

/// The numbers of the fields of `Metric.data`.
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const EXPONENTIAL_HISTOGRAM: u32 = 10;
const SUMMARY: u32 = 11;

impl<'a> Metric<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ProtoError> {
        let mut metric = Metric::default();
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => metric.name = field.text()?,
                2 => metric.description = field.text()?,
                3 => metric.unit = field.text()?,
                GAUGE | SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM | SUMMARY => {
                    if metric.kind != number {
                        metric.kind = number;
                        metric.data.clear();
                    }
                    metric.data.push(field.bytes()?);
                }
                _ => {}
            }
        }
        Ok(metric)
    }

    /// The name of its kind in the store.
    fn kind(&self) -> &'static str {
        match self.kind {
            GAUGE => "gauge",
            SUM => "sum",
            HISTOGRAM => "histogram",
            EXPONENTIAL_HISTOGRAM => "exponential_histogram",
            SUMMARY => "summary",
            _ => "unknown",
        }
    }

    fn describe(&self, points: &mut Points, now: i64) {
        points.describe(self.name, self.kind(), self.unit, self.description, now);
    }

    #[expect(clippy::too_many_arguments, reason = "what a row is made of comes from three levels of the message")]
    fn push(
        &self,
        scope: &Scope<'_>,
        scope_labels: &[&[u8]],
        resource: &mut Resource,
        points: &mut Points,
        resources: &mut Resources,
        (count, rejects): (&mut u64, &mut Rejects),
        encoder: &mut Encoder,
    ) -> Result<(), ProtoError> {
        let (mut temporality, mut monotonic) = (None, None);
        for data in &self.data {
            let mut message = fields(data);
            while let Some((number, field)) = message.next()? {
                match (number, self.kind) {
                    (2, SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM) => temporality = temporality_name(field.int32()?),
                    (3, SUM) => monotonic = Some(field.varint()? != 0),
                    _ => {}
                }
            }
        }
        let service_name = resource.service_name.clone();
        let kind = Kind {
            metric: self.name,
            unit: self.unit,
            name: self.kind(),
            temporality,
            monotonic: monotonic.or((self.kind == SUM).then_some(false)),
            service_name: service_name.as_deref(),
        };
        let identity = Identity {
            metric: self.name,
            service_name: service_name.as_deref(),
            resource_id: Some(resource.id),
            scope_name: scope.name,
            scope_version: scope.version,
            stream: Some(Stream { unit: kind.unit, kind: kind.name, temporality, monotonic: kind.monotonic }),
        };
        let seed = identity.seed();
        let mut point = Point::default();
        for data in &self.data {
            let mut push = |points: &mut Points, bytes| {
                point.read(bytes, self.kind)?;
                let times = (time::stored(point.start), time::stored(point.time));
                resource.used(times.1, resources);
                // The point's own labels come later and win.
                let labels: Cow<'_, [&[u8]]> = match scope_labels {
                    [] => Cow::Borrowed(&point.attributes),
                    _ => Cow::Owned([scope_labels, &point.attributes].concat()),
                };
                let id = points.series.id(
                    &identity,
                    seed,
                    labels.iter().copied(),
                    || Value::Attributes(&labels),
                    times.1,
                    encoder,
                )?;
                match self.kind {
                    GAUGE | SUM => points.number(&kind, id, times, point.value, point.flags),
                    _ => points.distribution(&kind, id, times, &point.distribution, point.flags),
                }
                for exemplar in &point.exemplars {
                    push_exemplar(exemplar, id, points, encoder)?;
                }
                Ok(())
            };
            blocks(data, 1, |bytes| {
                let before = points.marks();
                if let Err(error) = push(points, bytes) {
                    // An exemplar may be at fault when the point itself is a row already.
                    points.truncate(before);
                    rejects.add(*count, error);
                }
                *count += 1;
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// `None` is "unspecified".
fn temporality_name(number: i32) -> Option<&'static str> {
    match number {
        1 => Some("delta"),
        2 => Some("cumulative"),
        _ => None,
    }
}

/// A data point of any kind. Their field numbers differ, so each kind has its own reader.
#[derive(Debug, Default)]
struct Point<'a> {
    attributes: Vec<&'a [u8]>,
    exemplars: Vec<&'a [u8]>,
    start: u64,
    time: u64,
    flags: u32,
    value: Option<Number>,
    distribution: Distribution,
}

impl<'a> Point<'a> {
    fn read(&mut self, bytes: &'a [u8], kind: u32) -> Result<(), ProtoError> {
        self.attributes.clear();
        self.exemplars.clear();
        (self.start, self.time, self.flags, self.value) = (0, 0, 0, None);
        match kind {
            GAUGE | SUM => self.read_number(bytes),
            HISTOGRAM => self.read_histogram(bytes),
            EXPONENTIAL_HISTOGRAM => self.read_exponential(bytes),
            _ => self.read_summary(bytes),
        }?;
        self.distribution.check_buckets()
    }

    fn read_number(&mut self, bytes: &'a [u8]) -> Result<(), ProtoError> {
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                2 => self.start = field.fixed64()?,
                3 => self.time = field.fixed64()?,
                4 => self.value = Some(Number::Double(field.double()?)),
                5 => self.exemplars.push(field.bytes()?),
                6 => self.value = Some(Number::Int(integer(field)?)),
                7 => self.attributes.push(field.bytes()?),
                8 => self.flags = flags(field)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_histogram(&mut self, bytes: &'a [u8]) -> Result<(), ProtoError> {
        let mut point = Distribution { count: Some(0.0), ..Distribution::default() };
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                2 => self.start = field.fixed64()?,
                3 => self.time = field.fixed64()?,
                4 => point.count = Some(count(field.fixed64()?)),
                5 => point.sum = Some(field.double()?),
                6 => field.fixed64s(|value| push_bucket(&mut point.bucket_counts, count(value)))?,
                7 => field.doubles(|value| push_bucket(&mut point.explicit_bounds, value))?,
                8 => self.exemplars.push(field.bytes()?),
                9 => self.attributes.push(field.bytes()?),
                10 => self.flags = flags(field)?,
                11 => point.min = Some(field.double()?),
                12 => point.max = Some(field.double()?),
                _ => {}
            }
        }
        self.distribution = point;
        Ok(())
    }

    fn read_exponential(&mut self, bytes: &'a [u8]) -> Result<(), ProtoError> {
        let mut point = Distribution {
            count: Some(0.0),
            scale: Some(0),
            zero_count: Some(0.0),
            zero_threshold: Some(0.0),
            ..Distribution::default()
        };
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => self.attributes.push(field.bytes()?),
                2 => self.start = field.fixed64()?,
                3 => self.time = field.fixed64()?,
                4 => point.count = Some(count(field.fixed64()?)),
                5 => point.sum = Some(field.double()?),
                6 => point.scale = Some(field.sint32()?),
                7 => point.zero_count = Some(count(field.fixed64()?)),
                8 => read_buckets(field.bytes()?, point.positive.get_or_insert_default())?,
                9 => read_buckets(field.bytes()?, point.negative.get_or_insert_default())?,
                10 => self.flags = flags(field)?,
                11 => self.exemplars.push(field.bytes()?),
                12 => point.min = Some(field.double()?),
                13 => point.max = Some(field.double()?),
                14 => point.zero_threshold = Some(field.double()?),
                _ => {}
            }
        }
        self.distribution = point;
        Ok(())
    }

    fn read_summary(&mut self, bytes: &'a [u8]) -> Result<(), ProtoError> {
        let mut point = Distribution { count: Some(0.0), sum: Some(0.0), ..Distribution::default() };
        let mut message = fields(bytes);
        while let Some((number, field)) = message.next()? {
            match number {
                2 => self.start = field.fixed64()?,
                3 => self.time = field.fixed64()?,
                4 => point.count = Some(count(field.fixed64()?)),
                5 => point.sum = Some(field.double()?),
                6 => {
                    let (mut quantile, mut value) = (0.0, 0.0);
                    let mut inner = fields(field.bytes()?);
                    while let Some((number, field)) = inner.next()? {
                        match number {
                            1 => quantile = field.double()?,
                            2 => value = field.double()?,
                            _ => {}
                        }
                    }
                    push_bucket(&mut point.quantiles, quantile);
                    push_bucket(&mut point.quantile_values, value);
                }
                7 => self.attributes.push(field.bytes()?),
                8 => self.flags = flags(field)?,
                _ => {}
            }
        }
        self.distribution = point;
        Ok(())
    }
}

/// Counts are doubles in the store: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "documented in the schema")]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}

/// `as_int` of a point or an exemplar, an `sfixed64`.
fn integer(field: Field<'_>) -> Result<i64, ProtoError> {
    Ok(field.fixed64()?.cast_signed())
}

fn flags(field: Field<'_>) -> Result<u32, ProtoError> {
    Ok(field.int32()?.cast_unsigned())
}

/// Adds to a list of a point. One element beyond the bound is kept, which
/// [`Distribution::check_buckets`] finds: a few bytes of gzip can hold millions.
fn push_bucket(list: &mut Vec<f64>, value: f64) {
    if list.len() <= MAX_BUCKETS {
        list.push(value);
    }
}

fn read_buckets(bytes: &[u8], buckets: &mut Buckets) -> Result<(), ProtoError> {
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => buckets.offset = field.sint32()?,
            2 => field.varints(|value| push_bucket(&mut buckets.counts, count(value)))?,
            _ => {}
        }
    }
    Ok(())
}

fn push_exemplar(bytes: &[u8], series_id: i64, points: &mut Points, encoder: &mut Encoder) -> Result<(), ProtoError> {
    let (mut nanos, mut value, mut trace_id, mut span_id) = (0, None, &[][..], &[][..]);
    let mut attributes = Vec::new();
    let mut message = fields(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            2 => nanos = field.fixed64()?,
            3 => value = Some(field.double()?),
            4 => span_id = field.bytes()?,
            5 => trace_id = field.bytes()?,
            6 => value = Some(Number::Int(integer(field)?).double()),
            7 => attributes.push(field.bytes()?),
            _ => {}
        }
    }
    let attributes = encoder.attributes(&attributes)?;
    points.exemplar(series_id, time::stored(nanos), value, (trace_id, span_id), attributes);
    Ok(())
}

#[cfg(test)]
mod tests;
