//! Prometheus and Pyroscope: what came is what goes, to the path that takes it.

use bytes::Bytes;
use http_body_util::Full;
use prost::Message as _;
use vispyr::wire::prompb::{v1, v2};
use vispyr::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};

use super::sink::{Answer, Call, Sink, http};
use super::{Ledger, collector, send_points, send_spans, settled};
use crate::harness::{self, Vispyr};
use crate::receivers::rig::payload;

const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// POSTs a body with these headers and expects it to be taken.
async fn post(vispyr: &Vispyr, receiver: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) {
    let mut request = http::Request::post(vispyr.url(receiver, path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = harness::send(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
    assert!(answer.status < 300, "{}: {}", answer.status, answer.text());
}

pub(super) fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

/// Series with these values, a sample each.
fn series(values: &[u64]) -> v1::WriteRequest {
    let label = |name: &str, value: &str| v1::Label { name: name.to_owned(), value: value.to_owned() };
    let series = |n: &u64| v1::TimeSeries {
        labels: vec![label("__name__", "load"), label("n", &n.to_string())],
        samples: vec![v1::Sample { value: *n as f64, timestamp: 1000 + *n as i64 }],
        ..Default::default()
    };
    v1::WriteRequest { timeseries: values.iter().map(series).collect(), metadata: Vec::new() }
}

pub(super) fn series_v2(value: f64) -> v2::Request {
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2],
        samples: vec![v2::Sample { value, timestamp: 1000, start_timestamp: 0 }],
        metadata: Some(v2::Metadata { r#type: 2, help_ref: 3, unit_ref: 0 }),
        ..Default::default()
    };
    let symbols = ["", "__name__", "load", "Load."].map(str::to_owned).to_vec();
    v2::Request { symbols, timeseries: vec![series] }
}

/// The values in a remote write 1.0.
fn values(call: &Call) -> Vec<u64> {
    let request = v1::WriteRequest::decode(&call.plain()[..]).unwrap();
    request.timeseries.iter().flat_map(|series| &series.samples).map(|sample| sample.value as u64).collect()
}

fn prometheus(sink: &Sink, more: &str) -> String {
    format!("type = \"prometheus\"\nurl = \"http://{}\"\n{more}", sink.address)
}

async fn write(vispyr: &Vispyr, body: Vec<u8>) {
    post(vispyr, "remote_write", "/api/v1/write", &[("content-encoding", "snappy")], body).await;
}

pub(super) async fn write_v2(vispyr: &Vispyr, body: Vec<u8>) {
    let headers = [("content-encoding", "snappy"), ("content-type", V2)];
    post(vispyr, "remote_write", "/api/v1/write", &headers, body).await;
}

#[tokio::test]
async fn remote_write_goes_on_as_received_in_its_version() {
    let sink = Sink::start().await;
    let vispyr = collector(&prometheus(&sink, "remote_write_path = \"/api/v1/push\"\notlp_path = \"/otlp\"")).await;
    let (one, two) = (snappy(&series(&[1, 2]).encode_to_vec()), snappy(&series_v2(3.0).encode_to_vec()));
    write(&vispyr, one.clone()).await;
    write_v2(&vispyr, two.clone()).await;
    send_points(&vispyr, [4]).await;
    assert_eq!(settled(&vispyr, "metrics", 4).await, Ledger::forwarded(4));
    let calls = sink.calls();
    let paths: Vec<&str> = calls.iter().map(|call| call.path.as_str()).collect();
    assert_eq!(paths, ["/api/v1/push", "/api/v1/push", "/otlp"], "in the order in which they came");
    assert_eq!((&calls[0].body[..], &calls[1].body[..]), (&one[..], &two[..]), "byte for byte");
    assert_eq!(calls[0].header("content-type"), Some("application/x-protobuf"));
    assert_eq!(calls[0].header("x-prometheus-remote-write-version"), Some("0.1.0"));
    assert_eq!(calls[1].header("content-type"), Some(V2));
    assert_eq!(calls[1].header("x-prometheus-remote-write-version"), Some("2.0.0"));
    assert!(calls[..2].iter().all(|call| call.header("content-encoding") == Some("snappy")));
    assert_eq!(calls[2].header("content-type"), Some("application/x-protobuf"));
}

#[tokio::test]
async fn without_a_path_for_otlp_it_gets_remote_write_alone() {
    let sink = Sink::start().await;
    let vispyr = collector(&prometheus(&sink, "otlp_path = \"\"")).await;
    send_points(&vispyr, [4]).await;
    write(&vispyr, snappy(&series(&[1, 2]).encode_to_vec())).await;
    let ledger = settled(&vispyr, "metrics", 3).await;
    assert_eq!((ledger.forwarded, ledger.skipped), (2, 1));
    let calls = sink.calls();
    assert_eq!(calls.iter().map(|call| call.path.as_str()).collect::<Vec<_>>(), ["/api/v1/write"]);
}

#[tokio::test]
async fn a_server_that_knows_no_2_0_gets_1_0() {
    let sink = Sink::with(|call: &Call| match call.header("content-type") {
        Some(V2) => http(415, "unknown proto"),
        _ => Answer::Accept,
    })
    .await;
    let vispyr = collector(&prometheus(&sink, "")).await;
    for value in [5.0, 6.0] {
        write_v2(&vispyr, snappy(&series_v2(value).encode_to_vec())).await;
        assert_eq!(settled(&vispyr, "metrics", value as u64 - 4).await.set_aside, 0);
    }
    let calls = sink.calls();
    let versions: Vec<_> = calls.iter().filter_map(|call| call.header("x-prometheus-remote-write-version")).collect();
    assert_eq!(versions, ["2.0.0", "0.1.0", "0.1.0"], "asked once");
    assert_eq!(sink.accepted().iter().flat_map(values).collect::<Vec<_>>(), [5, 6]);
    let request = v1::WriteRequest::decode(&calls[1].plain()[..]).unwrap();
    assert_eq!(request.metadata[0].help, "Load.");
}

/// The versions of remote write in which it was sent something.
fn versions(sink: &Sink) -> Vec<String> {
    let version = |call: &Call| call.header("x-prometheus-remote-write-version").map(str::to_owned);
    sink.calls().iter().filter_map(version).collect()
}

/// The server is replaced by one that takes 2.0 alone.
#[tokio::test]
async fn that_a_server_knows_only_1_0_is_forgotten_when_it_refuses_1_0() {
    let mut n = 0;
    let sink = Sink::with(move |call: &Call| {
        n += 1;
        let (is_old, is_v2) = (n <= 2, call.header("content-type") == Some(V2));
        if is_old == is_v2 { http(415, "unknown proto") } else { Answer::Accept }
    })
    .await;
    let vispyr = collector(&prometheus(&sink, "")).await;
    for value in [5.0, 6.0, 7.0] {
        write_v2(&vispyr, snappy(&series_v2(value).encode_to_vec())).await;
        assert_eq!(settled(&vispyr, "metrics", value as u64 - 4).await, Ledger::forwarded(value as u64 - 4));
    }
    assert_eq!(versions(&sink), ["2.0.0", "0.1.0", "0.1.0", "2.0.0", "2.0.0"]);
    assert!(!vispyr.log().contains("refuses everything"), "{}", vispyr.log());
}

/// Whether it looks into requests is asked in the version that it takes.
#[tokio::test]
async fn of_a_server_that_knows_only_2_0_one_item_that_it_refuses_is_set_aside() {
    let sink = Sink::with(|call: &Call| {
        if call.header("content-type") != Some(V2) {
            return http(415, "unknown proto");
        }
        let request = v2::Request::decode(&call.plain()[..]).unwrap();
        if request.timeseries.is_empty() { Answer::Accept } else { http(400, "too old") }
    })
    .await;
    let vispyr = collector(&prometheus(&sink, "")).await;
    write_v2(&vispyr, snappy(&series_v2(5.0).encode_to_vec())).await;
    let ledger = settled(&vispyr, "metrics", 1).await;
    assert_eq!(ledger, Ledger { set_aside: 1, ..Ledger::default() });
    assert_eq!(versions(&sink), ["2.0.0", "2.0.0"]);
}

#[tokio::test]
async fn only_the_series_that_is_refused_is_set_aside() {
    let sink = Sink::with(
        |call: &Call| {
            if values(call).contains(&3) { http(400, "too far in the future") } else { Answer::Accept }
        },
    )
    .await;
    let vispyr = collector(&prometheus(&sink, "")).await;
    write(&vispyr, snappy(&series(&[1, 2, 3, 4, 5]).encode_to_vec())).await;
    write(&vispyr, snappy(&series(&[6]).encode_to_vec())).await;
    let ledger = settled(&vispyr, "metrics", 6).await;
    assert_eq!(ledger, Ledger { forwarded: 5, set_aside: 1, ..Ledger::default() });
    assert_eq!(sink.accepted().iter().flat_map(values).collect::<Vec<_>>(), [1, 2, 4, 5, 6], "in order");
    let list = harness::get(&vispyr.url("web", "/api/v1/dead-letters?destination=out")).await.unwrap().json();
    assert!(list["letters"][0].to_string().contains("too far in the future"), "{list}");
    // Mended, and sent again by hand.
    sink.now(|_| Answer::Accept);
    let id = list["letters"][0]["id"].as_str().unwrap();
    let retry = vispyr.url("web", &format!("/api/v1/dead-letters/{id}/retry"));
    let answer = harness::post(&retry, "text/plain", "").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(values(sink.accepted().last().unwrap()), [3]);
}

#[tokio::test]
async fn what_a_destination_cannot_take_is_skipped_and_counted() {
    let sink = Sink::start().await;
    let vispyr = collector(&format!("type = \"otlp\"\nurl = \"http://{}\"", sink.address)).await;
    write(&vispyr, snappy(&series(&[1, 2]).encode_to_vec())).await;
    send_points(&vispyr, [3]).await;
    let ledger = settled(&vispyr, "metrics", 3).await;
    assert_eq!(ledger, Ledger { forwarded: 1, skipped: 2, ..Ledger::default() });
    assert!(vispyr.log().contains("cannot take this format"), "{}", vispyr.log());
    // Signals that it does not get do not wait for it.
    send_spans(&vispyr, 0..3).await;
    settled(&vispyr, "traces", 3).await;
    assert_eq!(vispyr.metric("vispyr_waiting_items", &["signal=\"profiles\""]).await, 0.0);
}

fn pprof() -> Vec<u8> {
    payload::pprof().encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    crate::receivers::rig::compress(vispyr::signal::Compression::Gzip, bytes)
}

#[tokio::test]
async fn profiles_go_to_pyroscope_as_they_came() {
    let sink = Sink::start().await;
    let vispyr = collector(&format!("type = \"pyroscope\"\nurl = \"http://{}/\"", sink.address)).await;
    let query = "/ingest?name=shop.cpu%7Benv%3Dtest%7D&from=1790000000&until=1790000010&format=pprof&spyName=nodespy";
    let body = pprof();
    post(&vispyr, "pyroscope", query, &[("content-type", "binary/octet-stream")], body.clone()).await;
    sink.wait_calls(1).await;
    // Pyroscope does not look at a content encoding there.
    let encoded = [("content-type", "binary/octet-stream"), ("content-encoding", "gzip")];
    post(&vispyr, "pyroscope", query, &encoded, gzip(&body)).await;
    let calls = sink.wait_calls(2).await;
    for call in &calls {
        assert_eq!(call.path, query);
        assert_eq!(call.header("content-type"), Some("binary/octet-stream"));
        assert_eq!(call.header("content-encoding"), None);
        assert_eq!(call.body, body);
    }
    let label = LabelPair { name: "service_name".to_owned(), value: "shop".to_owned() };
    let samples = vec![RawSample { raw_profile: gzip(&body).into(), id: String::new() }];
    let push = PushRequest { series: vec![RawProfileSeries { labels: vec![label], samples }] }.encode_to_vec();
    let path = "/push.v1.PusherService/Push";
    let encoded = [("content-type", "application/proto"), ("content-encoding", "gzip")];
    post(&vispyr, "pyroscope", path, &encoded, gzip(&push)).await;
    let call = &sink.wait_calls(3).await[2];
    assert_eq!((call.path.as_str(), call.header("content-type")), (path, Some("application/proto")));
    assert_eq!(call.body, gzip(&push));
    let otlp = payload::profiles(2).encode_to_vec();
    let path = "/v1development/profiles";
    post(&vispyr, "pyroscope", path, &[("content-type", "application/x-protobuf")], otlp.clone()).await;
    let call = &sink.wait_calls(4).await[3];
    assert_eq!((call.path.as_str(), &call.body[..]), (path, &otlp[..]));
    assert_eq!(settled(&vispyr, "profiles", 5).await, Ledger::forwarded(5));
}

#[tokio::test]
async fn a_profile_that_pyroscope_refuses_holds_back_no_other() {
    let sink =
        Sink::with(
            |call: &Call| {
                if call.path.contains("name=bad") { http(422, "profile is too old") } else { Answer::Accept }
            },
        )
        .await;
    let vispyr = collector(&format!("type = \"pyroscope\"\nurl = \"http://{}\"", sink.address)).await;
    for name in ["good", "bad", "better"] {
        let path = format!("/ingest?name={name}&format=pprof");
        post(&vispyr, "pyroscope", &path, &[("content-type", "binary/octet-stream")], pprof()).await;
    }
    let ledger = settled(&vispyr, "profiles", 3).await;
    assert_eq!(ledger, Ledger { forwarded: 2, set_aside: 1, ..Ledger::default() });
}
