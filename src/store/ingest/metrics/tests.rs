mod identity;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::signal::{Format, Signal};
use crate::store::ingest::testing::{RECEIVED, TestStore, record, some};
use crate::store::schema::Table;
use crate::wire::tests::delimited;

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) }),
        ..KeyValue::default()
    }
}

fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "meter".to_owned(),
                    version: "2".to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: "about".to_owned(),
        unit: "ms".to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![text("route", "/a"), text("method", "GET")],
        start_time_unix_nano: RECEIVED,
        time_unix_nano: RECEIVED + 1,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn gauge(points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge { data_points: points })
}

#[test]
fn gauges_and_sums_come_back() {
    let mut store = TestStore::new();
    let sum = Sum {
        data_points: vec![NumberDataPoint {
            value: Some(number_data_point::Value::AsInt(-5)),
            flags: 1,
            exemplars: vec![Exemplar {
                filtered_attributes: vec![text("k", "v")],
                time_unix_nano: RECEIVED + 7,
                span_id: vec![1; 8],
                trace_id: vec![2; 16],
                value: Some(exemplar::Value::AsDouble(0.25)),
            }],
            ..number(0.0)
        }],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let metrics = vec![metric("temperature", gauge(vec![number(1.5)])), metric("requests", Data::Sum(sum))];
    store.otlp(Signal::Metrics, &request(metrics)).expect("decode");
    let columns = "time, start_time, metric, unit, type, temporality, monotonic, service_name, value, count, flags";
    let rows = store.rows(&format!("SELECT {columns} FROM metric_points ORDER BY metric DESC"));
    let (start, time) = ("2026-01-01 00:00:00", "2026-01-01 00:00:00.000000001");
    assert_eq!(rows[0], some(&[time, start, "temperature", "ms", "gauge", "NULL", "NULL", "shop", "1.5", "NULL", "0"]));
    assert_eq!(
        rows[1],
        some(&[time, start, "requests", "ms", "sum", "cumulative", "true", "shop", "-5.0", "NULL", "1"])
    );
    let series = store.rows(
        r#"SELECT metric, p.value, labels.route, labels.method, resource."service.name", s.service_name, scope_name, scope_version
           FROM series s JOIN metric_points p USING (series_id, metric) ORDER BY metric DESC"#,
    );
    assert_eq!(series[0], some(&["temperature", "1.5", "/a", "GET", "shop", "shop", "meter", "2"]));
    assert_eq!(series[1], some(&["requests", "-5.0", "/a", "GET", "shop", "shop", "meter", "2"]));
    let exemplar = store.row("SELECT e.* EXCLUDE (series_id, attributes), e.attributes.k, metric FROM exemplars e JOIN series USING (series_id)");
    assert_eq!(
        exemplar,
        some(&["2026-01-01 00:00:00.000000007", "0.25", &"02".repeat(16), &"01".repeat(8), "v", "requests"])
    );
    let metadata = store.rows("SELECT metric, type, unit, description FROM metric_metadata ORDER BY ALL");
    assert_eq!(metadata[0], some(&["requests", "sum", "ms", "about"]));
    assert_eq!(metadata[1], some(&["temperature", "gauge", "ms", "about"]));
    for table in [Table::MetricPoints, Table::Series, Table::Exemplars, Table::MetricMetadata] {
        assert_eq!(store.seal(table), store.count(table.name()), "{table:?}");
    }
}

#[test]
fn distributions_come_back() {
    let mut store = TestStore::new();
    let histogram = HistogramDataPoint {
        attributes: vec![text("a", "b")],
        time_unix_nano: 5,
        count: 6,
        sum: Some(7.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, f64::INFINITY],
        min: Some(0.1),
        max: Some(9.0),
        flags: 2,
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        time_unix_nano: 6,
        count: 10,
        sum: None,
        scale: -3,
        zero_count: 4,
        zero_threshold: 0.01,
        positive: Some(Buckets { offset: -2, bucket_counts: vec![1, 0, 300] }),
        negative: Some(Buckets { offset: 5, bucket_counts: vec![] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        time_unix_nano: 7,
        count: 3,
        sum: 4.0,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.5, value: 1.0 },
            ValueAtQuantile { quantile: 0.99, value: f64::NAN },
        ],
        ..SummaryDataPoint::default()
    };
    let metrics = vec![
        metric("h", Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 1 })),
        metric(
            "e",
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![exponential],
                aggregation_temporality: 2,
            }),
        ),
        metric("s", Data::Summary(Summary { data_points: vec![summary] })),
        metric("nothing", Data::Gauge(Gauge::default())),
        Metric { name: "no data".to_owned(), ..Metric::default() },
    ];
    store.otlp(Signal::Metrics, &request(metrics)).expect("decode");
    let rows = store
        .rows("SELECT * EXCLUDE (time, start_time, unit, service_name, series_id, value_int) FROM metric_points ORDER BY time");
    let null = "NULL";
    assert_eq!(
        rows[0],
        some(&[
            "h",
            "histogram",
            "delta",
            null,
            null,
            "6.0",
            "7.5",
            "0.1",
            "9.0",
            "[1.0, 2.0, 3.0]",
            "[0.5, inf]",
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            "2",
        ])
    );
    assert_eq!(
        rows[1],
        some(&[
            "e",
            "exponential_histogram",
            "cumulative",
            null,
            null,
            "10.0",
            null,
            null,
            null,
            null,
            null,
            "-3",
            "4.0",
            "0.01",
            "-2",
            "[1.0, 0.0, 300.0]",
            "5",
            null,
            null,
            null,
            "0",
        ])
    );
    assert_eq!(
        rows[2],
        some(&[
            "s",
            "summary",
            null,
            null,
            null,
            "3.0",
            "4.0",
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            "[0.5, 0.99]",
            "[1.0, nan]",
            "0",
        ])
    );
    assert_eq!(rows.len(), 3);
    assert_eq!(store.seal(Table::MetricDistributions), 3);
}

#[test]
fn a_series_has_one_id_whatever_the_order_of_its_labels() {
    let mut store = TestStore::new();
    let mut turned = number(2.0);
    turned.attributes.reverse();
    let other = NumberDataPoint { attributes: vec![text("route", "/b")], ..number(3.0) };
    let metrics = vec![metric("m", gauge(vec![number(1.0), turned, other])), metric("n", gauge(vec![number(4.0)]))];
    store.otlp(Signal::Metrics, &request(metrics)).expect("decode");
    store.otlp(Signal::Metrics, &request(vec![metric("m", gauge(vec![number(5.0)]))])).expect("decode");
    assert_eq!(store.count("series"), 3);
    assert_eq!(store.count("decoded.series"), 3);
    let values = store.value("SELECT list(value ORDER BY value) FROM metric_points JOIN series USING (series_id) WHERE labels.route = '/a' AND series.metric = 'm'");
    assert_eq!(values.as_deref(), Some("[1.0, 2.0, 5.0]"));
}

#[test]
fn integers_that_no_double_holds_are_kept_exactly() {
    let mut store = TestStore::new();
    let int = |n| NumberDataPoint { value: Some(number_data_point::Value::AsInt(n)), ..number(0.0) };
    let points = [9_007_199_254_740_992, 9_007_199_254_740_993, i64::MIN, 5].map(int);
    store.otlp(Signal::Metrics, &request(vec![metric("m", gauge(points.to_vec()))])).expect("decode");
    let rows = store.rows("SELECT value_int, coalesce(value_int, value::BIGINT) FROM metric_points");
    assert_eq!(rows[0], some(&["NULL", "9007199254740992"]));
    assert_eq!(rows[1], some(&["9007199254740993", "9007199254740993"]));
    assert_eq!(rows[2], some(&["-9223372036854775808", "-9223372036854775808"]));
    assert_eq!(rows[3], some(&["NULL", "5"]));
    assert_eq!(store.seal(Table::MetricPoints), 4);
}

#[test]
fn odd_values_and_times_are_kept() {
    let mut store = TestStore::new();
    let points = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0].map(number).to_vec();
    let empty = NumberDataPoint::default();
    let late = NumberDataPoint { time_unix_nano: u64::MAX, ..number(1.0) };
    let points = [points, vec![empty, late]].concat();
    store.otlp(Signal::Metrics, &request(vec![metric("m", gauge(points))])).expect("decode");
    let values: Vec<_> = store.rows("SELECT value, epoch_ns(time) FROM metric_points").into_iter().collect();
    let now = (RECEIVED + 1).to_string();
    assert_eq!(values[0], some(&["nan", &now]));
    assert_eq!(values[1], some(&["inf", &now]));
    assert_eq!(values[2], some(&["-inf", &now]));
    assert_eq!(values[3], some(&["-0.0", &now]));
    assert_eq!(values[4], some(&["NULL", "NULL"]));
    assert_eq!(values[5], some(&["1.0", "9223372036854775806"]));
    assert_eq!(store.seal(Table::MetricPoints), 6);
}

#[test]
fn more_than_a_vector_of_lists_keeps_them_apart() {
    let mut store = TestStore::new();
    let data_points = (0..5000u64)
        .map(|i| HistogramDataPoint {
            time_unix_nano: i + 1,
            bucket_counts: (0..i % 7).collect(),
            count: i,
            ..HistogramDataPoint::default()
        })
        .collect();
    let data = Data::Histogram(Histogram { data_points, aggregation_temporality: 2 });
    store.otlp(Signal::Metrics, &request(vec![metric("h", data)])).expect("decode");
    let wrong = store.count("metric_points WHERE coalesce(bucket_counts, []) != range(count::BIGINT % 7)::DOUBLE[]");
    assert_eq!((store.count("metric_points"), wrong), (5000, 0));
}

#[test]
fn a_malformed_record_leaves_nothing_behind() {
    let mut store = TestStore::new();
    let mut bytes = request(vec![metric("m", gauge(vec![number(1.0)]))]).encode_to_vec();
    bytes.extend_from_slice(&[0x0a, 0x02, 0x12, 0x09]);
    store.push(&record(Signal::Metrics, Format::Otlp, bytes)).expect_err("malformed");
    for table in Table::ALL {
        assert_eq!(store.count(table.name()), 0, "{table:?}");
    }
    store.otlp(Signal::Metrics, &request(vec![metric("m", gauge(vec![number(1.0)]))])).expect("decode");
    let counts = ["metric_points", "series", "metric_metadata", "resources"].map(|table| store.count(table));
    assert_eq!(counts, [1; 4]);
}

#[test]
fn a_point_of_endless_buckets_costs_itself_alone() {
    let bounds = |n: usize| (0..n).map(|i| i as f64).collect::<Vec<_>>();
    let plain = |buckets: usize| HistogramDataPoint {
        time_unix_nano: RECEIVED,
        bucket_counts: vec![0; buckets],
        explicit_bounds: bounds(buckets.saturating_sub(1)),
        ..HistogramDataPoint::default()
    };
    let exponential = |buckets: usize| ExponentialHistogramDataPoint {
        time_unix_nano: RECEIVED,
        positive: Some(Buckets { offset: 0, bucket_counts: vec![0; buckets] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![plain(9), plain(65_537), plain(65_536)], aggregation_temporality: 2 };
    let sparse =
        ExponentialHistogram { data_points: vec![exponential(1 << 20), exponential(9)], aggregation_temporality: 2 };
    let mut store = TestStore::new();
    let metrics =
        vec![metric("plain", Data::Histogram(histogram)), metric("sparse", Data::ExponentialHistogram(sparse))];
    store.otlp(Signal::Metrics, &request(metrics)).expect("decode");
    let kept = store.rows("SELECT metric, count(*) FROM metric_points GROUP BY ALL ORDER BY ALL");
    assert_eq!(kept, [some(&["plain", "2"]), some(&["sparse", "1"])]);
    let reasons: Vec<&str> = store.rejected.iter().map(|rejected| rejected.reason.as_str()).collect();
    assert!(reasons.iter().all(|reason| reason.contains("more than 65,536 buckets in one point")), "{reasons:?}");
    let kept: u32 = store.rejected.iter().map(|rejected| rejected.batch.items).sum();
    assert_eq!(kept, 2);
}

#[test]
fn a_point_whose_exemplar_is_at_fault_is_no_row() {
    let mut store = TestStore::new();
    // The exemplar has its time as a varint.
    let exemplar = delimited(5, &[0x10, 1]);
    let point = |exemplar: &[u8]| delimited(1, &[&[0x19][..], &RECEIVED.to_le_bytes(), exemplar].concat());
    let gauge = delimited(5, &[point(&[]), point(&exemplar), point(&[])].concat());
    let metric = delimited(2, &[delimited(1, b"m"), gauge].concat());
    let payload = delimited(1, &delimited(2, &metric));
    store.push(&record(Signal::Metrics, Format::Otlp, payload)).expect("decode");
    assert_eq!((store.count("metric_points"), store.rejected.len()), (2, 1));
    assert!(store.rejected[0].reason.contains("item 1: "), "{}", store.rejected[0].reason);
}
