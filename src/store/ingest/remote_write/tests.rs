use prost::Message;

use crate::signal::{Format, Signal};
use crate::store::ingest::testing::{TestStore, record, some};
use crate::store::ingest::{DecodeError, remote_write};
use crate::store::schema::Table;
use crate::wire::prompb::{BucketSpan, HistogramCount, HistogramZeroCount, v1, v2};

fn label(name: &str, value: &str) -> v1::Label {
    v1::Label { name: name.to_owned(), value: value.to_owned() }
}

fn series(metric: &str, values: &[f64]) -> v1::TimeSeries {
    v1::TimeSeries {
        labels: vec![label("__name__", metric), label("instance", "i"), label("job", "node")],
        samples: (1..).zip(values).map(|(timestamp, value)| v1::Sample { value: *value, timestamp }).collect(),
        ..v1::TimeSeries::default()
    }
}

fn metadata(kind: i32, name: &str) -> v1::MetricMetadata {
    v1::MetricMetadata {
        r#type: kind,
        metric_family_name: name.to_owned(),
        help: "help".to_owned(),
        unit: "bytes".to_owned(),
    }
}

fn push_v1(store: &mut TestStore, request: &v1::WriteRequest) -> Result<(), DecodeError> {
    store.push(&record(Signal::Metrics, Format::RemoteWriteV1, request.encode_to_vec()))
}

fn push_v2(store: &mut TestStore, request: &v2::Request) -> Result<(), DecodeError> {
    store.push(&record(Signal::Metrics, Format::RemoteWriteV2, request.encode_to_vec()))
}

#[test]
fn samples_have_the_type_that_metadata_gave_before() {
    let mut store = TestStore::new();
    let names = ["requests_total", "memory", "lat_bucket", "lat", "sum_up_sum", "other"];
    let timeseries: Vec<_> = names.iter().map(|name| series(name, &[1.5])).collect();
    let request = v1::WriteRequest { timeseries, metadata: Vec::new() };
    push_v1(&mut store, &request).expect("decode");
    assert_eq!(store.count("metric_points WHERE type = 'unknown' AND unit IS NULL"), 6);
    let metadata = vec![metadata(1, "requests"), metadata(2, "memory"), metadata(3, "lat"), metadata(5, "sum_up")];
    push_v1(&mut store, &v1::WriteRequest { timeseries: Vec::new(), metadata }).expect("decode");
    push_v1(&mut store, &request).expect("decode");
    let rows = store.rows(
        "SELECT metric, type, temporality, monotonic, unit, service_name, start_time, epoch_ns(time), value, flags
         FROM metric_points OFFSET 6",
    );
    let tail = ["node", "NULL", "1000000", "1.5", "0"];
    let expect = |head: [&str; 5]| some(&[&head[..], &tail[..]].concat());
    assert_eq!(rows[0], expect(["requests_total", "sum", "cumulative", "true", "bytes"]));
    assert_eq!(rows[1], expect(["memory", "gauge", "NULL", "NULL", "bytes"]));
    assert_eq!(rows[2], expect(["lat_bucket", "sum", "cumulative", "true", "bytes"]));
    assert_eq!(rows[3], expect(["lat", "unknown", "NULL", "NULL", "bytes"]));
    assert_eq!(rows[4], expect(["sum_up_sum", "sum", "cumulative", "true", "bytes"]));
    assert_eq!(rows[5], expect(["other", "unknown", "NULL", "NULL", "NULL"]));
    let row = store.row("SELECT labels, resource, scope_name, service_name FROM series WHERE metric = 'memory'");
    assert_eq!(row, some(&["{'instance': i, 'job': node}", "NULL", "NULL", "node"]));
    let row = store.row("SELECT metric, type, unit, description FROM metric_metadata WHERE metric = 'lat'");
    assert_eq!(row, some(&["lat", "histogram", "bytes", "help"]));
}

#[test]
fn stale_markers_and_odd_values_are_kept() {
    let mut store = TestStore::new();
    let values = [f64::from_bits(remote_write::STALE), f64::NAN, f64::INFINITY, 0.0];
    push_v1(&mut store, &v1::WriteRequest { timeseries: vec![series("m", &values)], metadata: Vec::new() })
        .expect("decode");
    let rows = store.rows("SELECT value, flags FROM metric_points");
    assert_eq!(rows, [some(&["nan", "1"]), some(&["nan", "0"]), some(&["inf", "0"]), some(&["0.0", "0"])]);
    let mut far = series("m", &[1.0, 2.0]);
    far.samples[0].timestamp = i64::MAX;
    far.samples[1].timestamp = i64::MIN;
    push_v1(&mut store, &v1::WriteRequest { timeseries: vec![far], metadata: Vec::new() }).expect("decode");
    assert_eq!(store.seal(Table::MetricPoints), 6);
}

#[test]
fn exemplars_of_both_versions_come_back() {
    let mut store = TestStore::new();
    let (trace, span) = ("ab".repeat(16), "cd".repeat(8));
    let exemplar = v1::Exemplar {
        labels: vec![label("trace_id", &trace), label("span_id", &span), label("k", "v")],
        value: 0.5,
        timestamp: 3,
    };
    let odd = v1::Exemplar { labels: vec![label("trace_id", "not hex")], value: 0.7, timestamp: 4 };
    let timeseries = vec![v1::TimeSeries { exemplars: vec![exemplar, odd], ..series("m", &[]) }];
    push_v1(&mut store, &v1::WriteRequest { timeseries, metadata: Vec::new() }).expect("decode");
    let symbols = ["", "__name__", "m", "instance", "i", "job", "node", "trace_id", trace.as_str()];
    let request = v2::Request {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![v2::TimeSeries {
            labels_refs: vec![1, 2, 3, 4, 5, 6],
            exemplars: vec![v2::Exemplar { labels_refs: vec![7, 8], value: 0.9, timestamp: 5 }],
            ..v2::TimeSeries::default()
        }],
    };
    push_v2(&mut store, &request).expect("decode");
    let rows = store.rows("SELECT epoch_ms(time::TIMESTAMP), value, trace_id, span_id, attributes, metric FROM exemplars JOIN series USING (series_id) ORDER BY time");
    assert_eq!(rows[0], some(&["3", "0.5", &trace, &span, "{'k': v}", "m"]));
    assert_eq!(rows[1], some(&["4", "0.7", "NULL", "NULL", "{'trace_id': not hex}", "m"]));
    assert_eq!(rows[2], some(&["5", "0.9", &trace, "NULL", "{}", "m"]));
    // The same labels are the same series in both versions.
    assert_eq!(store.count("series"), 1);
}

#[test]
fn version_2_brings_metadata_and_start_times() {
    let mut store = TestStore::new();
    let symbols = ["", "__name__", "requests", "job", "j", "the help", "s"].map(str::to_owned).to_vec();
    let sample = |timestamp, start_timestamp| v2::Sample { value: 2.0, timestamp, start_timestamp };
    let request = v2::Request {
        symbols,
        timeseries: vec![v2::TimeSeries {
            labels_refs: vec![1, 2, 3, 4],
            samples: vec![sample(20, 0), sample(30, 25)],
            metadata: Some(v2::Metadata { r#type: 1, help_ref: 5, unit_ref: 6 }),
            created_timestamp: 10,
            ..v2::TimeSeries::default()
        }],
    };
    push_v2(&mut store, &request).expect("decode");
    let rows = store.rows("SELECT epoch_ns(start_time), epoch_ns(time), type, unit, monotonic FROM metric_points");
    assert_eq!(rows[0], some(&["10000000", "20000000", "sum", "s", "true"]));
    assert_eq!(rows[1], some(&["25000000", "30000000", "sum", "s", "true"]));
    assert_eq!(
        store.row("SELECT metric, type, unit, description FROM metric_metadata"),
        some(&["requests", "counter", "s", "the help"])
    );
}

#[test]
fn references_out_of_range_are_refused_whole() {
    let mut store = TestStore::new();
    for labels_refs in [vec![1, 9], vec![1]] {
        let good = v2::TimeSeries {
            labels_refs: vec![1, 2],
            samples: vec![v2::Sample::default()],
            ..v2::TimeSeries::default()
        };
        let bad = v2::TimeSeries { labels_refs, ..good.clone() };
        let symbols = ["", "__name__", "m"].map(str::to_owned).to_vec();
        push_v2(&mut store, &v2::Request { symbols, timeseries: vec![good, bad] }).expect_err("refused");
    }
    assert_eq!((store.count("metric_points"), store.count("series")), (0, 0));
}

fn histogram() -> v1::Histogram {
    v1::Histogram {
        count: Some(HistogramCount::CountInt(12)),
        sum: 3.5,
        schema: 2,
        zero_threshold: 0.001,
        zero_count: Some(HistogramZeroCount::ZeroCountInt(1)),
        positive_spans: vec![BucketSpan { offset: 3, length: 2 }, BucketSpan { offset: 1, length: 1 }],
        positive_deltas: vec![2, 1, -2],
        negative_spans: vec![BucketSpan { offset: -1, length: 1 }],
        negative_counts: vec![0.5],
        timestamp: 7,
        ..v1::Histogram::default()
    }
}

fn push_histogram(store: &mut TestStore, histogram: v1::Histogram) -> Result<(), DecodeError> {
    let timeseries = vec![v1::TimeSeries { histograms: vec![histogram], ..series("h", &[]) }];
    push_v1(store, &v1::WriteRequest { timeseries, metadata: Vec::new() })
}

#[test]
fn native_histograms_become_dense() {
    let mut store = TestStore::new();
    push_histogram(&mut store, histogram()).expect("decode");
    let row = store.row(
        "SELECT type, temporality, count, sum, scale, zero_count, zero_threshold, positive_offset, positive_counts,
         negative_offset, negative_counts, epoch_ms(time::TIMESTAMP) FROM metric_points",
    );
    // Buckets 3 and 4 hold 2 and 3, 5 is empty, 6 holds 1.
    assert_eq!(
        row,
        some(&[
            "exponential_histogram",
            "cumulative",
            "12.0",
            "3.5",
            "2",
            "1.0",
            "0.001",
            "2",
            "[2.0, 3.0, 0.0, 1.0]",
            "-2",
            "[0.5]",
            "7",
        ])
    );
    let custom = v1::Histogram {
        schema: -53,
        custom_values: vec![0.5, 1.0, 2.0],
        positive_spans: vec![BucketSpan { offset: 1, length: 2 }],
        positive_deltas: vec![4, 1],
        negative_spans: Vec::new(),
        negative_counts: Vec::new(),
        reset_hint: 3,
        ..histogram()
    };
    push_histogram(&mut store, custom).expect("decode");
    let row = store.row(
        "SELECT type, temporality, bucket_counts, explicit_bounds, scale FROM metric_points WHERE type = 'histogram'",
    );
    assert_eq!(row, some(&["histogram", "NULL", "[0.0, 4.0, 5.0, 0.0]", "[0.5, 1.0, 2.0]", "NULL"]));
    assert_eq!(store.seal(Table::MetricDistributions), 2);
}

#[test]
fn histograms_of_odd_shape_cost_themselves_alone() {
    let spans = |spans: &[(i32, u32)]| v1::Histogram {
        positive_spans: spans.iter().map(|(offset, length)| BucketSpan { offset: *offset, length: *length }).collect(),
        ..histogram()
    };
    let outside = v1::Histogram { schema: -53, custom_values: vec![1.0], ..histogram() };
    let many = v1::Histogram { positive_deltas: vec![0; 65_537], ..spans(&[(0, 65_537)]) };
    for (odd, reason) in [
        (spans(&[(0, u32::MAX)]), "fewer buckets than spans say"),
        (spans(&[(0, 9)]), "fewer buckets than spans say"),
        (spans(&[(0, 2)]), "more buckets than spans say"),
        (spans(&[(0, 1), (-1, 2)]), "negative gap between buckets"),
        (outside, "bucket after the last bound"),
        (many, "more than 65,536 buckets in one point"),
        (spans(&vec![(0, 0); 65_537]), "more than 65,536 buckets in one point"),
        (v1::Histogram { schema: i32::MIN, ..spans(&[(0, 1), (1000, 2)]) }, "buckets that no double falls into"),
    ] {
        let mut store = TestStore::new();
        let with = v1::TimeSeries { histograms: vec![odd.clone()], ..series("odd", &[]) };
        let timeseries = vec![series("before", &[1.0, 2.0]), with, series("after", &[3.0])];
        push_v1(&mut store, &v1::WriteRequest { timeseries, metadata: vec![metadata(1, "odd")] }).expect("decode");
        assert_eq!(
            store.value("SELECT string_agg(metric, ' ' ORDER BY value) FROM metric_points").as_deref(),
            Some("before before after")
        );
        let [rejected] = &store.rejected[..] else { panic!("{reason}: {:?}", store.rejected) };
        assert!(rejected.reason.ends_with(&format!("item 2: {reason}")), "{}", rejected.reason);
        let kept = v1::WriteRequest::decode(&rejected.batch.payload[..]).expect("valid");
        assert_eq!((kept.timeseries.len(), &kept.timeseries[0].histograms), (1, &vec![odd]));
        assert_eq!(kept.timeseries[0].labels[0], label("__name__", "odd"));
    }
    let mut store = TestStore::new();
    push_histogram(&mut store, spans(&[(i32::MIN, 3)])).expect("an offset at the edge");
    assert_eq!((store.count("metric_points"), store.rejected.len()), (1, 0));
}

#[test]
fn wide_histograms_are_stored_sparsely() {
    let mut store = TestStore::new();
    // Buckets 4 and 200,005 of base 2^(1/256), and one below zero.
    let wide = v1::Histogram {
        schema: 8,
        positive_spans: vec![BucketSpan { offset: 4, length: 1 }, BucketSpan { offset: 200_000, length: 1 }],
        positive_deltas: vec![2, 1],
        negative_spans: vec![BucketSpan { offset: 256, length: 1 }],
        negative_counts: vec![0.5],
        ..histogram()
    };
    push_histogram(&mut store, wide).expect("decode");
    assert_eq!(store.rejected.len(), 0);
    let row = store.row(
        "SELECT bucket_counts, len(explicit_bounds), round(explicit_bounds[2], 6), round(log2(explicit_bounds[4]) * 256),
         round(log2(explicit_bounds[6]) * 256), scale, positive_offset, positive_counts, negative_counts FROM metric_points",
    );
    let counts = "[0.0, 0.5, 0.0, 2.0, 0.0, 3.0, 0.0]";
    assert_eq!(row[..1], some(&[counts]));
    assert_eq!(row[1..], some(&["6", "-1.994592", "4.0", "200005.0", "8", "NULL", "NULL", "NULL"])[..]);
    assert_eq!(store.seal(Table::MetricDistributions), 1);
}

#[test]
fn custom_buckets_without_bounds_keep_their_counts() {
    let mut store = TestStore::new();
    let bare = v1::Histogram {
        schema: -53,
        positive_spans: vec![BucketSpan { offset: 1, length: 3 }],
        positive_deltas: vec![3, 1, -1],
        negative_spans: Vec::new(),
        negative_counts: Vec::new(),
        ..histogram()
    };
    push_histogram(&mut store, bare).expect("decode");
    let row = store.row("SELECT type, count, bucket_counts, explicit_bounds FROM metric_points");
    assert_eq!(row, some(&["histogram", "12.0", "[0.0, 3.0, 4.0, 3.0]", "NULL"]));
}

/// A text that is in the request once can be named by each of its samples or labels.
#[test]
fn a_long_text_that_is_named_again_and_again_costs_its_record_alone() {
    let mut store = TestStore::new();
    let long = "m".repeat(1 << 20);
    let request = |samples: usize, labels: usize| {
        let samples = vec![v2::Sample { value: 1.0, timestamp: 5, start_timestamp: 0 }; samples];
        let labels_refs = [1, 2].into_iter().chain((0..labels).flat_map(|_| [3, 2])).collect();
        v2::Request {
            symbols: ["", "__name__", &long, "label"].map(str::to_owned).to_vec(),
            timeseries: vec![v2::TimeSeries { labels_refs, samples, ..v2::TimeSeries::default() }],
        }
    };
    for (samples, labels, why) in [
        (10_000, 0, "its rows would repeat long texts, over 128 MiB beyond its size"),
        (1, 100_000, "more than 16 MiB of labels in one series"),
    ] {
        let error = push_v2(&mut store, &request(samples, labels)).unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    }
    assert_eq!(store.count("metric_points"), 0);
    push_v2(&mut store, &request(20, 1)).expect("decode");
    assert_eq!(store.count("metric_points WHERE length(metric) = 1048576"), 20);
}
