use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ProfilesDictionary, ResourceProfiles, ScopeProfiles,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::wire::prompb::{v1, v2};
use crate::wire::{check_otlp, check_remote_write_v1, check_remote_write_v2};

/// Halves until nothing can be halved any more, in order.
fn leaves(signal: Signal, format: Format, payload: &[u8]) -> Vec<Vec<u8>> {
    match split(signal, format, payload) {
        None => vec![payload.to_vec()],
        Some([first, second]) => {
            let mut all = leaves(signal, format, &first);
            all.extend(leaves(signal, format, &second));
            all
        }
    }
}

fn resource(n: usize) -> Option<Resource> {
    Some(Resource { dropped_attributes_count: n as u32 + 1, ..Default::default() })
}

proptest! {
    #[test]
    fn spans_come_apart_with_their_resource_and_none_is_lost(shape: Vec<Vec<u8>>) {
        let mut number = 0;
        let mut want = Vec::new();
        let resource_spans = shape.iter().enumerate().map(|(r, scopes)| {
            let scope_spans = scopes.iter().map(|count| {
                let spans = (0..count % 5).map(|_| {
                    number += 1;
                    want.push((r as u32 + 1, number));
                    Span { start_time_unix_nano: number, ..Default::default() }
                });
                ScopeSpans { spans: spans.collect(), schema_url: "scope".to_owned(), ..Default::default() }
            });
            ResourceSpans { resource: resource(r), scope_spans: scope_spans.collect(), schema_url: "here".to_owned() }
        });
        let request = ExportTraceServiceRequest { resource_spans: resource_spans.collect() };
        let mut got = Vec::new();
        for leaf in leaves(Signal::Traces, Format::Otlp, &request.encode_to_vec()) {
            prop_assert!(check_otlp(Signal::Traces, &leaf).unwrap().items <= 1);
            for resource in ExportTraceServiceRequest::decode(&leaf[..]).unwrap().resource_spans {
                prop_assert_eq!(&resource.schema_url, "here");
                for scope in resource.scope_spans {
                    prop_assert_eq!(&scope.schema_url, "scope");
                    let of = resource.resource.as_ref().unwrap().dropped_attributes_count;
                    got.extend(scope.spans.iter().map(|span| (of, span.start_time_unix_nano)));
                }
            }
        }
        prop_assert_eq!(got, want);
    }

    #[test]
    fn nonsense_stays_whole_or_comes_apart_but_never_panics(bytes: Vec<u8>, format in 1u8..6, signal in 0usize..4) {
        let format = Format::from_u8(format).unwrap();
        if let Some([first, second]) = split(Signal::ALL[signal], format, &bytes) {
            prop_assert!(first.len() <= bytes.len() && second.len() <= bytes.len());
        }
    }
}

#[test]
fn points_come_apart_with_their_metric() {
    let point = |n: u64| NumberDataPoint { time_unix_nano: n, ..Default::default() };
    let gauge = Gauge { data_points: (0..5).map(point).collect() };
    let point = |n: u64| HistogramDataPoint { time_unix_nano: n, ..Default::default() };
    let histogram = Histogram { data_points: (5..8).map(point).collect(), aggregation_temporality: 2 };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(data),
        ..Default::default()
    };
    let metrics = vec![metric("load", Data::Gauge(gauge)), metric("time", Data::Histogram(histogram))];
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource: resource(0), scope_metrics, ..Default::default() }],
    };
    let leaves = leaves(Signal::Metrics, Format::Otlp, &request.encode_to_vec());
    let mut times = Vec::new();
    for leaf in &leaves {
        let request = ExportMetricsServiceRequest::decode(&leaf[..]).unwrap();
        assert_eq!(check_otlp(Signal::Metrics, leaf).unwrap().items, 1);
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        assert_eq!(metric.unit, "s");
        times.push(match metric.data.as_ref().unwrap() {
            Data::Gauge(gauge) => gauge.data_points[0].time_unix_nano,
            Data::Histogram(histogram) => {
                assert_eq!((metric.name.as_str(), histogram.aggregation_temporality), ("time", 2));
                histogram.data_points[0].time_unix_nano
            }
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(times, (0..8).collect::<Vec<_>>());
}

#[test]
fn profiles_keep_the_dictionary() {
    let scope_profiles = vec![ScopeProfiles { profiles: vec![Profile::default(); 3], ..Default::default() }];
    let dictionary = ProfilesDictionary { string_table: vec![String::new(), "main".to_owned()], ..Default::default() };
    let request = ExportProfilesServiceRequest {
        resource_profiles: vec![ResourceProfiles { resource: resource(0), scope_profiles, ..Default::default() }],
        dictionary: Some(dictionary.clone()),
    };
    let leaves = leaves(Signal::Profiles, Format::Otlp, &request.encode_to_vec());
    assert_eq!(leaves.len(), 3);
    for leaf in leaves {
        assert_eq!(ExportProfilesServiceRequest::decode(&leaf[..]).unwrap().dictionary, Some(dictionary.clone()));
    }
}

#[test]
fn series_come_apart_into_samples_with_their_labels() {
    let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
    let sample = |n: i64| v1::Sample { value: 1.0, timestamp: n };
    let series = |n: i64| v1::TimeSeries {
        labels: vec![label("__name__", "load"), label("n", &n.to_string())],
        samples: vec![sample(n), sample(n + 1)],
        ..Default::default()
    };
    let about = v1::MetricMetadata { metric_family_name: "load".to_owned(), ..Default::default() };
    let request = v1::WriteRequest { timeseries: vec![series(10), series(20)], metadata: vec![about.clone()] };
    let leaves_of_v1 = leaves(Signal::Metrics, Format::RemoteWriteV1, &request.encode_to_vec());
    let mut times = Vec::new();
    for leaf in &leaves_of_v1[..4] {
        assert_eq!(check_remote_write_v1(leaf).unwrap().items(), 1);
        let request = v1::WriteRequest::decode(&leaf[..]).unwrap();
        assert_eq!(request.timeseries[0].labels.len(), 2);
        times.push(request.timeseries[0].samples[0].timestamp);
    }
    assert_eq!(times, [10, 11, 20, 21]);
    assert_eq!(v1::WriteRequest::decode(&leaves_of_v1[4][..]).unwrap().metadata, [about]);

    let symbols = ["", "__name__", "load"].map(str::to_owned).to_vec();
    let series =
        v2::TimeSeries { labels_refs: vec![1, 2], samples: vec![v2::Sample::default(); 3], ..Default::default() };
    let request = v2::Request { symbols, timeseries: vec![series; 2] };
    let leaves = leaves(Signal::Metrics, Format::RemoteWriteV2, &request.encode_to_vec());
    assert_eq!(leaves.len(), 6);
    for leaf in leaves {
        assert_eq!(check_remote_write_v2(&leaf).unwrap().items(), 1);
    }
}
