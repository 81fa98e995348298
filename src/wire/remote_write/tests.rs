use prost::Message;

use super::*;
use crate::wire::prompb::{v1, v2};

fn v1_series(labels: &[(&str, &str)]) -> v1::TimeSeries {
    v1::TimeSeries {
        labels: labels.iter().map(|(name, value)| v1::Label { name: (*name).into(), value: (*value).into() }).collect(),
        samples: vec![v1::Sample { value: f64::from_bits(0x7ff0_0000_0000_0002), timestamp: 1 }; 2],
        exemplars: vec![v1::Exemplar { value: 1.0, ..Default::default() }],
        histograms: vec![v1::Histogram { schema: 99, ..Default::default() }],
    }
}

fn v1_refused(labels: &[(&str, &str)]) -> String {
    let good = v1_series(&[("__name__", "up")]);
    let request = v1::WriteRequest { timeseries: vec![good, v1_series(labels)], metadata: vec![] };
    let error = check_remote_write_v1(&request.encode_to_vec()).expect_err("refused").to_string();
    error.rsplit_once(", at byte").expect("has a place").0.to_owned()
}

#[test]
fn v1_is_counted() {
    let request = v1::WriteRequest {
        timeseries: vec![
            v1_series(&[("__name__", "up"), ("job", "node")]),
            v1_series(&[("job", ""), ("__name__", "http.server/duration µs")]),
        ],
        metadata: vec![v1::MetricMetadata::default(); 3],
    };
    let summary = check_remote_write_v1(&request.encode_to_vec()).expect("accepted");
    let RemoteWriteSummary { series, samples, histograms, exemplars, metadata, .. } = summary;
    assert_eq!((series, samples, histograms, exemplars, metadata), (2, 4, 2, 2, 3));
    assert_eq!(summary.items(), 6);
}

#[test]
fn v1_labels_that_prometheus_would_drop_are_refused() {
    assert_eq!(v1_refused(&[("__name__", "up"), ("", "x")]), "timeseries[1].labels[1]: label name is empty");
    assert_eq!(v1_refused(&[("job", "node")]), "timeseries[1]: series has no metric name (label __name__)");
    assert_eq!(v1_refused(&[]), "timeseries[1]: series has no metric name (label __name__)");
    assert_eq!(v1_refused(&[("__name__", "")]), "timeseries[1]: series has no metric name (label __name__)");
    assert_eq!(
        v1_refused(&[("__name__", "up"), ("a", "1"), ("a", "2")]),
        r#"timeseries[1].labels[2]: label name "a" occurs twice"#
    );
    assert_eq!(
        v1_refused(&[("b", "1"), ("a", "2"), ("__name__", "up"), ("b", "3")]),
        r#"timeseries[1].labels[3]: label name "b" occurs twice"#
    );
}

#[test]
fn v1_invalid_utf8_is_taken_and_repaired() {
    let mut payload =
        v1::WriteRequest { timeseries: vec![v1_series(&[("__name__", "upup")])], metadata: vec![] }.encode_to_vec();
    let at = payload.windows(4).position(|w| w == b"upup").expect("is there");
    payload[at + 1] = 0xff;
    assert_eq!(check_remote_write_v1(&payload).map(|summary| summary.damaged_strings), Ok(1));
    let repaired = v1::WriteRequest::decode(&crate::wire::repair_remote_write_v1(&payload)[..]).expect("valid");
    assert_eq!(repaired.timeseries[0].labels[0].value, "u\u{fffd}up");
}

fn v2_request() -> v2::Request {
    let symbols = ["", "__name__", "up", "job", "node", "help text", "trace_id", "a1"];
    let sample = v2::Sample { value: 1.0, timestamp: 2, start_timestamp: 1 };
    v2::Request {
        symbols: symbols.map(String::from).to_vec(),
        timeseries: vec![
            v2::TimeSeries {
                labels_refs: vec![1, 2, 3, 4],
                samples: vec![sample; 3],
                exemplars: vec![v2::Exemplar { labels_refs: vec![6, 7], ..Default::default() }],
                metadata: Some(v2::Metadata { r#type: 1, help_ref: 5, unit_ref: 0 }),
                created_timestamp: 4711,
                ..Default::default()
            },
            v2::TimeSeries {
                labels_refs: vec![3, 4, 1, 2],
                histograms: vec![v2::Histogram { start_timestamp: 3, ..Default::default() }; 2],
                ..Default::default()
            },
        ],
    }
}

fn v2_refused(f: impl FnOnce(&mut v2::Request)) -> String {
    let mut request = v2_request();
    f(&mut request);
    let error = check_remote_write_v2(&request.encode_to_vec()).expect_err("refused").to_string();
    error.rsplit_once(", at byte").expect("has a place").0.to_owned()
}

#[test]
fn v2_is_counted() {
    let summary = check_remote_write_v2(&v2_request().encode_to_vec()).expect("accepted");
    let RemoteWriteSummary { series, samples, histograms, exemplars, metadata, .. } = summary;
    assert_eq!((series, samples, histograms, exemplars, metadata), (2, 3, 2, 1, 1));
    assert!(check_remote_write_v2(&[]).is_ok());
}

#[test]
fn v2_symbols_may_come_last() {
    let request = v2_request();
    let symbols = v2::Request { symbols: request.symbols.clone(), timeseries: vec![] }.encode_to_vec();
    let series = v2::Request { symbols: vec![], timeseries: request.timeseries }.encode_to_vec();
    assert!(check_remote_write_v2(&[series.clone(), symbols].concat()).is_ok());
    assert!(check_remote_write_v2(&series).is_err());
}

#[test]
fn v2_references_are_checked() {
    let range = "is out of range, there are 8 symbols";
    assert_eq!(
        v2_refused(|r| r.timeseries[0].labels_refs[3] = 8),
        format!("timeseries[0].labels_refs: reference 8 {range}")
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[0].exemplars[0].labels_refs[0] = 9),
        format!("timeseries[0].exemplars[0].labels_refs: reference 9 {range}")
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[0].metadata = Some(v2::Metadata { help_ref: 10, ..Default::default() })),
        format!("timeseries[0].metadata.help_ref: reference 10 {range}")
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[0].metadata = Some(v2::Metadata { unit_ref: u32::MAX, ..Default::default() })),
        format!("timeseries[0].metadata.unit_ref: reference 4294967295 {range}")
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[1].labels_refs.truncate(3)),
        "timeseries[1].labels_refs: odd number of label references (3)"
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[0].exemplars[0].labels_refs.truncate(1)),
        "timeseries[0].exemplars[0].labels_refs: odd number of label references (1)"
    );
    assert_eq!(v2_refused(|r| drop(r.symbols.remove(0))), "symbols[0]: first symbol is not the empty string");
}

#[test]
fn v2_series_are_checked() {
    assert_eq!(
        v2_refused(|r| r.timeseries[1].samples.push(v2::Sample::default())),
        "timeseries[1]: series has both samples and histograms"
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[1].labels_refs.clear()),
        "timeseries[1]: series has no metric name (label __name__)"
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[1].labels_refs.extend([0, 4])),
        "timeseries[1].labels_refs[4]: label name is empty"
    );
    assert_eq!(
        v2_refused(|r| r.timeseries[1].labels_refs.extend([3, 2])),
        r#"timeseries[1].labels_refs[4]: label name "job" occurs twice"#
    );
}

#[test]
fn v2_too_many_symbols_are_refused() {
    let error = check_remote_write_v2(&[0x22, 0x00].repeat((1 << 20) + 1)).expect_err("refused");
    assert_eq!(error.to_string(), "symbols: 1048577 symbols, more than the limit of 1048576, at byte 0");
}

#[test]
fn a_series_of_many_labels_in_any_order_is_checked_quickly() {
    // Quadratic work would take minutes.
    let labels = (0..300_000u32).rev().map(|n| v1::Label { name: format!("label_{n:06}"), value: "x".into() });
    let mut series = v1_series(&[("__name__", "up")]);
    series.labels.extend(labels);
    let request = v1::WriteRequest { timeseries: vec![series], metadata: vec![] };
    assert!(check_remote_write_v1(&request.encode_to_vec()).is_ok());
}
