//! One payload of each format.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ProfilesDictionary, ResourceProfiles, Sample, ScopeProfiles, ValueType,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde_json::{Value as Json, json};

use super::*;
use crate::signal::{Compression, Meta};
use crate::wire::prompb::{v1, v2};
use crate::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};

fn batch(signal: Signal, format: Format, payload: Vec<u8>) -> Batch {
    Batch {
        signal,
        format,
        compression: Compression::Identity,
        items: 1,
        decoded_size: payload.len() as u64,
        received: 7,
        meta: Meta::default(),
        payload: payload.into(),
    }
}

fn lines(batch: &Batch) -> Vec<Json> {
    let mut lines = Vec::new();
    assert!(items(batch, &mut |item| lines.push(serde_json::from_str(&item.to_line()).unwrap())));
    lines
}

fn pair(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![pair("service.name", "shop")], ..Resource::default() })
}

#[test]
fn data_points_of_otlp() {
    let number = |value| NumberDataPoint {
        time_unix_nano: 1,
        attributes: vec![pair("k", "v")],
        value: Some(value),
        ..NumberDataPoint::default()
    };
    let gauge = Gauge {
        data_points: vec![
            number(number_data_point::Value::AsInt(3)),
            number(number_data_point::Value::AsDouble(f64::INFINITY)),
        ],
    };
    let histogram = HistogramDataPoint { count: 4, sum: Some(2.5), ..HistogramDataPoint::default() };
    let histogram = Histogram { data_points: vec![histogram], ..Histogram::default() };
    let metric = |data| Metric { name: "m".to_owned(), unit: "s".to_owned(), data: Some(data), ..Metric::default() };
    let metrics = vec![metric(metric::Data::Gauge(gauge)), metric(metric::Data::Histogram(histogram))];
    let scope = ScopeMetrics { metrics, ..ScopeMetrics::default() };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(),
            scope_metrics: vec![scope],
            ..Default::default()
        }],
    };
    let shared = |value: Json| {
        let mut all = json!({"signal": "metrics", "service": "shop", "name": "m", "unit": "s",
                             "resource": {"service.name": "shop"}});
        all.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        all
    };
    let time = "1970-01-01T00:00:00.000000001Z";
    let expected = [
        json!({"kind": "gauge", "time": time, "value": 3.0, "attributes": {"k": "v"}}),
        json!({"kind": "gauge", "time": time, "value": "inf", "attributes": {"k": "v"}}),
        json!({"kind": "histogram", "value": 2.5, "count": 4}),
    ];
    assert_eq!(lines(&batch(Signal::Metrics, Format::Otlp, request.encode_to_vec())), expected.map(shared));
}

#[test]
fn samples_of_both_remote_writes() {
    let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
    let series = v1::TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "node")],
        samples: vec![v1::Sample { value: 1.0, timestamp: 1500 }],
        ..Default::default()
    };
    let first = v1::WriteRequest { timeseries: vec![series], metadata: vec![] };
    let symbols = ["", "__name__", "up", "job", "node"].map(str::to_owned).to_vec();
    let samples = vec![v2::Sample { value: 1.0, timestamp: 1500, start_timestamp: 0 }];
    let series = v2::TimeSeries { labels_refs: vec![1, 2, 3, 4], samples, ..Default::default() };
    let second = v2::Request { symbols, timeseries: vec![series] };
    let expected =
        [json!({"signal": "metrics", "time": "1970-01-01T00:00:01.500000000Z", "service": "node", "name": "up",
                           "kind": "sample", "value": 1.0, "attributes": {"job": "node"}})];
    assert_eq!(lines(&batch(Signal::Metrics, Format::RemoteWriteV1, first.encode_to_vec())), expected);
    assert_eq!(lines(&batch(Signal::Metrics, Format::RemoteWriteV2, second.encode_to_vec())), expected);
}

#[test]
fn profiles_of_all_three_ways() {
    let dictionary = ProfilesDictionary {
        string_table: ["", "cpu", "nanoseconds"].map(str::to_owned).to_vec(),
        ..Default::default()
    };
    let profile = Profile {
        sample_type: Some(ValueType { type_strindex: 1, unit_strindex: 2 }),
        samples: vec![Sample::default(); 3],
        // What is not there is left out.
        attribute_indices: vec![-1, 9],
        ..Profile::default()
    };
    let scope = ScopeProfiles { profiles: vec![profile], ..ScopeProfiles::default() };
    let of_resource = ResourceProfiles { resource: resource(), scope_profiles: vec![scope], ..Default::default() };
    let request = ExportProfilesServiceRequest { resource_profiles: vec![of_resource], dictionary: Some(dictionary) };
    let otlp = lines(&batch(Signal::Profiles, Format::Otlp, request.encode_to_vec()));
    let expected = json!({"signal": "profiles", "service": "shop", "name": "cpu", "unit": "nanoseconds", "count": 3,
                          "resource": {"service.name": "shop"}});
    assert_eq!(otlp, [expected]);

    let label = |name: &str, value: &str| LabelPair { name: name.to_owned(), value: value.to_owned() };
    let series = RawProfileSeries {
        labels: vec![label("__name__", "process_cpu"), label("service_name", "shop")],
        samples: vec![RawSample::default()],
    };
    let pushed =
        lines(&batch(Signal::Profiles, Format::PyroscopePush, PushRequest { series: vec![series] }.encode_to_vec()));
    assert_eq!((&pushed[0]["name"], &pushed[0]["service"]), (&json!("process_cpu"), &json!("shop")), "{pushed:?}");

    let mut ingested = batch(Signal::Profiles, Format::PyroscopeIngest, b"a;b 3".to_vec());
    ingested.meta.query = "name=shop.cpu{region=eu}&from=1790000000&until=1790000010".to_owned();
    let ingested = lines(&ingested);
    assert_eq!(ingested[0]["service"], json!("shop.cpu"));
    assert_eq!(ingested[0]["duration_ns"], json!(10_000_000_000_u64));
    assert_eq!(ingested[0]["attributes"], json!({"region": "eu"}));
}

#[test]
fn what_is_too_large_or_unreadable_is_not_looked_at() {
    let mut large = batch(Signal::Logs, Format::Otlp, vec![]);
    large.decoded_size = MAX_PAYLOAD + 1;
    let damaged = batch(Signal::Logs, Format::Otlp, vec![0xff]);
    // Empty spans, two bytes each: small as they came, large once decoded.
    let empty = [b"\x12\x00".repeat(4 << 20)].concat();
    let mut nested = vec![0x12];
    prost::encoding::encode_varint(empty.len() as u64, &mut nested);
    nested.extend(empty);
    let mut whole = vec![0x0a];
    prost::encoding::encode_varint(nested.len() as u64, &mut whole);
    whole.extend(nested);
    let grows = batch(Signal::Traces, Format::Otlp, whole);
    for batch in [large, damaged, grows] {
        assert!(!items(&batch, &mut |_| panic!("it was looked at")));
    }
}
