//! The order of rows in a file: the one that questions want.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::store::schema::Table;

/// Span times are put together by so many nanoseconds, within which spans are in the order of their
/// traces: a question for a trace and one for a time both read few row groups.
const SPAN_BUCKET: i64 = 300_000_000_000;

/// Where a row stands: compared part by part.
pub type Key = (u64, u128, u64, u64);

/// The keys of all rows. Columns may be of any of Arrow's types of text and bytes.
///
/// - Spans: five minutes, trace, time.
/// - Points: metric, series as the number that it is hashed to, time.
/// - Logs: service, time.
/// - Samples of profiles: type, stack.
/// - Dictionaries: what a row stands for, of which the first row is the one that [counts](is_same).
/// - Others: time.
///
/// # Errors
/// A column lacks.
pub fn keys(table: Table, rows: &RecordBatch) -> Result<Vec<Key>, ArrowError> {
    let column = |name: &str| {
        rows.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("{table:?} has no {name}")))
    };
    let times = times(column(table.time_column())?)?;
    let n = rows.num_rows();
    Ok(match table {
        Table::Spans => {
            let traces = Bytes::of(column("trace_id")?)?;
            let key = |row| {
                let time = times.value(row);
                (ordered(time.div_euclid(SPAN_BUCKET)), prefix(traces.value(row)), ordered(time), 0)
            };
            (0..n).map(key).collect()
        }
        Table::MetricPoints | Table::MetricDistributions => {
            let metrics = Bytes::of(column("metric")?)?;
            let series = column("series_id")?.as_primitive_opt::<Int64Type>();
            let series = series.ok_or_else(|| ArrowError::SchemaError("series_id is no number".to_owned()))?;
            let mut last: (&[u8], u128, u64) = (&[], 0, xxh3_64(&[]));
            let mut keys = Vec::with_capacity(n);
            for row in 0..n {
                let metric = metrics.value(row);
                if metric != last.0 {
                    last = (metric, prefix(metric), xxh3_64(metric));
                }
                // A series is a hash already.
                let hash = last.2 & !0xffff_ffff | (series.value(row).cast_unsigned() & 0xffff_ffff);
                keys.push((0, last.1, hash, ordered(times.value(row))));
            }
            keys
        }
        Table::Logs => {
            let services = Bytes::of(column("service_name")?)?;
            let key = |row| {
                let service = services.value(row);
                (0, prefix(service), xxh3_64(service), ordered(times.value(row)))
            };
            (0..n).map(key).collect()
        }
        Table::ProfileSamples => {
            let types = Bytes::of(column("profile_type")?)?;
            let stacks = column("stack_id")?.as_primitive_opt::<Int64Type>();
            let stacks = stacks.ok_or_else(|| ArrowError::SchemaError("stack_id is no number".to_owned()))?;
            (0..n).map(|row| (xxh3_64(types.value(row)), 0, ordered(stacks.value(row)), 0)).collect()
        }
        // Metadata may change, and senders may disagree: each that there was stays, and counts from its latest.
        Table::MetricMetadata => {
            let texts = ["metric", "type", "unit", "description"].map(|name| column(name).and_then(Bytes::of));
            let [metric, kind, unit, description] = texts;
            let (metrics, texts) = (metric?, [kind?, unit?, description?]);
            let key = |row| {
                let mut hash = Xxh3::new();
                for text in &texts {
                    hash.update(text.value(row));
                    hash.update(&[0xff, u8::from(text.is_null(row))]);
                }
                (xxh3_64(metrics.value(row)), hash.digest128(), !ordered(times.value(row)), 0)
            };
            (0..n).map(key).collect()
        }
        _ => {
            let Some(id) = table.key() else {
                return Ok((0..n).map(|row| (0, 0, ordered(times.value(row)), 0)).collect());
            };
            let ids = column(id)?.as_primitive_opt::<Int64Type>();
            let ids = ids.ok_or_else(|| ArrowError::SchemaError(format!("{id} is no number")))?;
            // A row without a time is the last to count.
            (0..n).map(|row| (ordered(ids.value(row)), 0, ordered(times.value(row)).wrapping_sub(1), 0)).collect()
        }
    })
}

/// Whether two rows of a dictionary that follow each other stand for the same: the second says nothing more.
pub fn is_same(table: Table, first: &Key, second: &Key) -> bool {
    table.is_dictionary() && (first.0, first.1) == (second.0, second.1)
}

/// The numbers of the rows in order; `None` if they are in order already.
pub fn sorted(keys: &[Key]) -> Option<UInt32Array> {
    if keys.is_sorted() {
        return None;
    }
    let mut rows: Vec<u32> = (0..).take(keys.len()).collect();
    rows.sort_unstable_by_key(|row| (keys[*row as usize], *row));
    Some(UInt32Array::from(rows))
}

/// In the order of signed numbers.
fn ordered(value: i64) -> u64 {
    value.cast_unsigned() ^ 1 << 63
}

fn prefix(bytes: &[u8]) -> u128 {
    let mut prefix = [0; 16];
    let len = bytes.len().min(16);
    prefix[..len].copy_from_slice(&bytes[..len]);
    u128::from_be_bytes(prefix)
}

/// Times, of which NULL is the first.
struct Times<'a>(&'a arrow::array::TimestampNanosecondArray);

impl Times<'_> {
    fn value(&self, row: usize) -> i64 {
        if self.0.is_valid(row) { self.0.value(row) } else { i64::MIN }
    }
}

fn times(array: &ArrayRef) -> Result<Times<'_>, ArrowError> {
    let times = array.as_primitive_opt::<TimestampNanosecondType>();
    Ok(Times(times.ok_or_else(|| ArrowError::SchemaError(format!("a time is {}", array.data_type())))?))
}

/// Text or bytes, of which NULL is as empty.
enum Bytes<'a> {
    Large(&'a arrow::array::LargeBinaryArray),
    LargeText(&'a arrow::array::LargeStringArray),
    View(&'a arrow::array::BinaryViewArray),
    TextView(&'a arrow::array::StringViewArray),
}

impl<'a> Bytes<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::LargeBinary => Bytes::Large(array.as_binary()),
            DataType::LargeUtf8 => Bytes::LargeText(array.as_string()),
            DataType::BinaryView => Bytes::View(array.as_binary_view()),
            DataType::Utf8View => Bytes::TextView(array.as_string_view()),
            other => return Err(ArrowError::SchemaError(format!("no text and no bytes: {other}"))),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Bytes::Large(array) => array.is_null(row),
            Bytes::LargeText(array) => array.is_null(row),
            Bytes::View(array) => array.is_null(row),
            Bytes::TextView(array) => array.is_null(row),
        }
    }

    fn value(&self, row: usize) -> &'a [u8] {
        match self {
            Bytes::Large(array) if array.is_valid(row) => array.value(row),
            Bytes::LargeText(array) if array.is_valid(row) => array.value(row).as_bytes(),
            Bytes::View(array) if array.is_valid(row) => array.value(row),
            Bytes::TextView(array) if array.is_valid(row) => array.value(row).as_bytes(),
            _ => &[],
        }
    }
}
