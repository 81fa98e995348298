//! What the receivers take, keep and answer, over real sockets and a real log.

pub mod rig;

use std::time::Duration;

use bytesize::ByteSize;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::profiles::v1development::profiles_service_client::ProfilesServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use rig::{DEADLINE, Rig, call_raw, compress, export, framed, payload, post, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt as _;
use vispyr::receivers::admission::REQUEST_COST;
use vispyr::signal::{Compression, Format, Signal};
use vispyr::wire::prompb;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn otlp_clients_of_all_signals_are_answered_and_their_bytes_kept() {
    let rig = Rig::start().await;
    let to = format!("http://{}", rig.grpc);
    TraceServiceClient::connect(to.clone()).await.unwrap().export(payload::traces(3)).await.unwrap();
    MetricsServiceClient::connect(to.clone()).await.unwrap().export(payload::metrics(&[1.0; 3])).await.unwrap();
    LogsServiceClient::connect(to.clone()).await.unwrap().export(payload::logs(3)).await.unwrap();
    ProfilesServiceClient::connect(to).await.unwrap().export(payload::profiles(3)).await.unwrap();
    for signal in Signal::ALL {
        let batch = rig.only(signal).await;
        assert_eq!((batch.signal, batch.format, batch.compression), (signal, Format::Otlp, Compression::Identity));
        assert_eq!(batch.items, 3);
        assert_eq!(batch.decoded_size, batch.payload.len() as u64);
        assert!(batch.received > 1_700_000_000_000_000_000);
    }
    let traces = rig.only(Signal::Traces).await;
    assert_eq!(ExportTraceServiceRequest::decode(traces.payload).unwrap(), payload::traces(3));
    rig.assert_ledger(4);
    assert_eq!(rig.ledger("vispyr_acknowledged_items_total", &["receiver=\"otlp_grpc\""]), 12);
}

#[tokio::test]
async fn tonic_s_own_gzip_is_taken() {
    let rig = Rig::start().await;
    let client = TraceServiceClient::connect(format!("http://{}", rig.grpc)).await.unwrap();
    let mut client = client.send_compressed(tonic::codec::CompressionEncoding::Gzip);
    client.export(payload::traces(2000)).await.unwrap();
    let batch = rig.only(Signal::Traces).await;
    assert_eq!((batch.compression, batch.items), (Compression::Gzip, 2000));
    assert_eq!(batch.decoded_size, payload::traces(2000).encoded_len() as u64);
}

#[tokio::test]
async fn grpc_compressions_are_kept_as_they_came() {
    let rig = Rig::start().await;
    let plain = payload::three(Signal::Traces);
    let all = [
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
        ("snappy", Compression::SnappyFramed),
        ("identity", Compression::Identity),
    ];
    for (n, (name, compression)) in all.into_iter().enumerate() {
        // Two members make six spans.
        let one = compress(compression, &plain);
        let body = [one.clone(), one].concat();
        let flag = compression != Compression::Identity;
        let answer = call_raw(rig.grpc, export(Signal::Traces), &[("grpc-encoding", name)], framed(flag, &body)).await;
        assert_eq!(answer.grpc().code(), Code::Ok, "{name}: {answer:?}");
        assert_eq!(answer.header("grpc-accept-encoding"), Some("gzip,zstd,snappy,identity"));
        assert_eq!(answer.body.as_ref(), [0; 5]);
        let batch = rig.logged(Signal::Traces).await.remove(n);
        assert_eq!((batch.compression, batch.items), (compression, 6), "{name}");
        assert_eq!(batch.payload, body, "{name}");
        assert_eq!(batch.decoded_size, 2 * plain.len() as u64, "{name}");
    }
    // A message may be left uncompressed under an encoding.
    let answer = call_raw(
        rig.grpc,
        export(Signal::Logs),
        &[("grpc-encoding", "gzip")],
        framed(false, &payload::three(Signal::Logs)),
    )
    .await;
    assert_eq!(answer.grpc().code(), Code::Ok);
    assert_eq!(rig.only(Signal::Logs).await.compression, Compression::Identity);
    rig.assert_ledger(5);
}

#[tokio::test]
async fn grpc_says_what_it_does_not_know() {
    let rig = Rig::start().await;
    let message = framed(false, &payload::three(Signal::Traces));
    let answer = call_raw(rig.grpc, "/a.B/C", &[], message.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.grpc().code()), (200, Code::Unimplemented));
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[("grpc-encoding", "br")], message.clone()).await;
    assert_eq!(answer.grpc().code(), Code::Unimplemented);
    assert!(answer.grpc().message().contains("\"br\" is not one of gzip"), "{answer:?}");
    assert!(answer.header("grpc-accept-encoding").is_some());
    for wrong in ["application/json", "application/grpc+json", "text/plain"] {
        let answer = call_raw(rig.grpc, export(Signal::Traces), &[("content-type", wrong)], message.clone()).await;
        assert_eq!(answer.status.as_u16(), 415, "{wrong}");
    }
    let proto = [("content-type", "application/grpc+proto")];
    assert_eq!(call_raw(rig.grpc, export(Signal::Traces), &proto, message).await.grpc().code(), Code::Ok);
    // OTLP over HTTP at the wrong port is told where to go.
    let answer = post(rig.grpc, "/v1/traces", &[PROTOBUF], payload::three(Signal::Traces)).await;
    assert_eq!(answer.status.as_u16(), 415);
    assert!(answer.text().contains("4318"), "{}", answer.text());
}

#[tokio::test]
async fn grpc_health_is_serving() {
    let rig = Rig::start().await;
    let check = "/grpc.health.v1.Health/Check";
    let service =
        |name: &str| framed(false, &[&[0x0a, u8::try_from(name.len()).unwrap()][..], name.as_bytes()].concat());
    let serving = &[0, 0, 0, 0, 2, 8, 1][..];
    assert_eq!(call_raw(rig.grpc, check, &[], framed(false, b"")).await.body, serving);
    let known = service("opentelemetry.proto.collector.trace.v1.TraceService");
    assert_eq!(call_raw(rig.grpc, check, &[], known).await.body, serving);
    assert_eq!(call_raw(rig.grpc, check, &[], service("x")).await.grpc().code(), Code::NotFound);
    rig.assert_ledger(0);
}

#[tokio::test]
async fn http_takes_every_encoding_and_echoes_the_type() {
    let rig = Rig::start().await;
    let paths = ["/v1/traces", "/v1/metrics", "/v1/logs", "/v1development/profiles"];
    for (signal, path) in Signal::ALL.into_iter().zip(paths) {
        let body = payload::three(signal);
        let answer = post(rig.http, path, &[PROTOBUF], body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/x-protobuf"));
        let batch = rig.only(signal).await;
        assert_eq!((batch.items, batch.payload.as_ref()), (3, body.as_slice()));
    }
    let body = payload::three(Signal::Traces);
    let encodings = [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("deflate", Compression::Zlib)];
    for (n, (name, compression)) in encodings.into_iter().enumerate() {
        let compressed = compress(compression, &body);
        let typed = ("content-type", "application/x-protobuf; charset=utf-8");
        let answer = post(rig.http, "/v1/traces", &[typed, ("content-encoding", name)], compressed.clone()).await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.text());
        let batch = rig.logged(Signal::Traces).await.remove(n + 1);
        assert_eq!((batch.compression, batch.items), (compression, 3));
        assert_eq!(batch.payload, compressed);
    }
    rig.assert_ledger(7);
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let rig = Rig::start().await;
    let body = payload::traces(5000).encode_to_vec();
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.chunks(777) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        stream.write_all(chunk).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(rig.only(Signal::Traces).await.payload, body);
}

#[tokio::test]
async fn json_is_kept_as_protobuf() {
    let rig = Rig::start().await;
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"07070707070707070707070707070707",
        "spanId":"0000000000000001","name":"GET /item/1","startTimeUnixNano":"1790000000000000001",
        "endTimeUnixNano":"1790000000001000001"}]}]}]}"#;
    for (headers, body) in [
        (vec![("content-type", "application/json; charset=utf-8")], json.as_bytes().to_vec()),
        (vec![JSON, ("content-encoding", "gzip")], compress(Compression::Gzip, json.as_bytes())),
    ] {
        let answer = post(rig.http, "/v1/traces", &headers, body).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for batch in rig.logged(Signal::Traces).await {
        assert_eq!((batch.compression, batch.items), (Compression::Identity, 1));
        assert_eq!(batch.decoded_size, batch.payload.len() as u64);
        let request = ExportTraceServiceRequest::decode(batch.payload).unwrap();
        assert_eq!(request.resource_spans[0].scope_spans[0].spans[0], payload::span(1));
    }
}

#[tokio::test]
async fn http_refuses_other_methods_paths_and_types() {
    let rig = Rig::start().await;
    let answer = send("GET", rig.http, "/v1/traces", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")));
    assert_eq!(send("OPTIONS", rig.http, "/v1/traces", &[], "").await.status.as_u16(), 405);
    assert_eq!(post(rig.http, "/v1/spans", &[PROTOBUF], "").await.status.as_u16(), 404);
    for headers in [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/protobuf")]] {
        assert_eq!(post(rig.http, "/v1/traces", headers, "x").await.status.as_u16(), 415);
    }
    for encoding in ["br", "gzip, zstd"] {
        let answer = post(rig.http, "/v1/traces", &[PROTOBUF, ("content-encoding", encoding)], "x").await;
        assert_eq!(answer.status.as_u16(), 415);
        let status = tonic_types::pb::Status::decode(answer.body).unwrap();
        assert!(status.message.contains(encoding), "{}", status.message);
    }
    // 404 and 405 are of no signal.
    rig.assert_ledger(5);
}

#[tokio::test]
async fn cors_is_off_unless_configured() {
    let ask = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-a"),
    ];
    let rig = Rig::start().await;
    let answer = send("OPTIONS", rig.http, "/v1/traces", &ask, "").await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (403, None));

    let rig = Rig::with(|_, config| config.otlp_http.cors_allowed_origins = vec!["https://*.example".to_owned()]).await;
    let answer = send("OPTIONS", rig.http, "/v1/traces", &ask, "").await;
    assert_eq!(answer.status.as_u16(), 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("content-type,x-a"));
    assert!(answer.header("access-control-max-age").is_some());
    // On errors too, or the page sees nothing of them.
    for (path, headers, status) in [
        ("/v1/traces", vec![ask[0], PROTOBUF], 200),
        ("/v1/traces", vec![ask[0], JSON], 400),
        ("/nowhere", vec![ask[0], JSON], 404),
    ] {
        let answer = post(rig.http, path, &headers, if status == 200 { "" } else { "?" }).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
        assert_eq!(answer.header("access-control-expose-headers"), Some("Retry-After"));
    }
    let answer = post(rig.http, "/v1/traces", &[PROTOBUF, ("origin", "https://evil.test")], "").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

fn write_v1() -> prompb::v1::WriteRequest {
    let label = |name: &str, value: &str| prompb::v1::Label { name: name.to_owned(), value: value.to_owned() };
    prompb::v1::WriteRequest {
        timeseries: vec![prompb::v1::TimeSeries {
            labels: vec![label("__name__", "up"), label("job", "node")],
            samples: vec![prompb::v1::Sample { value: 1.0, timestamp: 1_790_000_000_000 }; 2],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn write_v2() -> prompb::v2::Request {
    prompb::v2::Request {
        symbols: ["", "__name__", "up", "job", "node"].map(str::to_owned).to_vec(),
        timeseries: vec![prompb::v2::TimeSeries {
            labels_refs: vec![1, 2, 3, 4],
            samples: vec![prompb::v2::Sample { value: 1.0, timestamp: 1_790_000_000_000, ..Default::default() }; 2],
            exemplars: vec![prompb::v2::Exemplar { labels_refs: vec![3, 4], value: 1.0, timestamp: 1_790_000_000_000 }],
            ..Default::default()
        }],
    }
}

const V2: (&str, &str) = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");

fn written(answer: &rig::Answer) -> [Option<&str>; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|what| answer.header(&format!("x-prometheus-remote-write-{what}-written")))
}

#[tokio::test]
async fn remote_write_of_both_versions_is_taken() {
    let rig = Rig::start().await;
    let first = compress(Compression::SnappyBlock, &write_v1().encode_to_vec());
    let second = compress(Compression::SnappyBlock, &write_v2().encode_to_vec());
    let snappy = ("content-encoding", "snappy");
    // No content type is 1.0.
    for (path, headers) in
        [("/api/v1/metrics/write", vec![]), ("/api/v1/write", vec![PROTOBUF, snappy, ("x-agent-id", "a")])]
    {
        let answer = post(rig.remote_write, path, &headers, first.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{}", answer.text());
        assert_eq!(written(&answer), [None; 3]);
    }
    let answer = post(rig.remote_write, "/api/v1/write", &[V2, snappy], second.clone()).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text());
    assert_eq!(written(&answer), [Some("2"), Some("0"), Some("1")]);
    let logged = rig.logged(Signal::Metrics).await;
    let facts: Vec<_> = logged.iter().map(|batch| (batch.format, batch.items)).collect();
    assert_eq!(facts, [(Format::RemoteWriteV1, 2), (Format::RemoteWriteV1, 2), (Format::RemoteWriteV2, 2)]);
    assert!(logged.iter().all(|batch| batch.compression == Compression::SnappyBlock));
    assert_eq!(logged[0].payload, first);
    assert_eq!(logged[2].payload, second);
    rig.assert_ledger(3);
}

#[tokio::test]
async fn remote_write_metadata_comes_alone() {
    let rig = Rig::start().await;
    let metadata =
        prompb::v1::MetricMetadata { metric_family_name: "up".to_owned(), help: "h".to_owned(), ..Default::default() };
    let request = prompb::v1::WriteRequest { metadata: vec![metadata], ..Default::default() };
    let body = compress(Compression::SnappyBlock, &request.encode_to_vec());
    assert_eq!(post(rig.remote_write, "/api/v1/write", &[], body).await.status.as_u16(), 204);
    assert_eq!(rig.only(Signal::Metrics).await.items, 0);
}

#[tokio::test]
async fn remote_write_refuses_clearly_and_counts_nothing_written() {
    let rig = Rig::start().await;
    let good = compress(Compression::SnappyBlock, &write_v2().encode_to_vec());
    let framed = compress(Compression::SnappyFramed, &write_v2().encode_to_vec());
    let gzip = ("content-encoding", "gzip");
    let unknown = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request");
    for (headers, body, status, says) in [
        (vec![V2], framed, 400, "framed"),
        (vec![V2], b"\x05nope".to_vec(), 400, "snappy"),
        (vec![V2], compress(Compression::SnappyBlock, b"\xff\xff"), 400, ""),
        (vec![V2, gzip], good.clone(), 415, "\"gzip\" is not snappy"),
        (vec![unknown], good.clone(), 415, "write.v3"),
        (vec![JSON], good.clone(), 415, "application/json"),
        (vec![V2], compress(Compression::SnappyBlock, &vec![0; (32 << 20) + 1]), 413, "33554432"),
    ] {
        let answer = post(rig.remote_write, "/api/v1/write", &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{says}: {}", answer.text());
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
        let zeros = headers.contains(&V2).then_some("0");
        assert_eq!(written(&answer), [zeros; 3], "{says}");
    }
    assert_eq!(send("GET", rig.remote_write, "/api/v1/write", &[], "").await.header("allow"), Some("POST"));
    assert_eq!(post(rig.remote_write, "/api/v1/query", &[], "").await.status.as_u16(), 404);
    rig.assert_ledger(7);
}

fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, data) in fields {
        body.extend(
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}.x\"\r\n\r\n").bytes(),
        );
        body.extend(*data);
        body.extend(b"\r\n");
    }
    body.extend(b"--xyz--\r\n");
    body
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=xyz");

/// A flight recording of a few events: `shop` of src/wire/jfr/testing.rs.
fn recording() -> Vec<u8> {
    include_bytes!("fixtures/shop.jfr").to_vec()
}

#[tokio::test]
async fn pyroscope_ingest_takes_what_its_clients_send() {
    let rig = Rig::start().await;
    let pprof = payload::pprof().encode_to_vec();
    let gzipped = compress(Compression::Gzip, &pprof);
    let query = "name=shop.web%7Bpod%3Da%7D&from=1790000000&until=1790000010";
    let speedscope = br#"{"$schema":"x","shared":{"frames":[]},"profiles":[]}"#.to_vec();
    let bodies = [
        ("", vec![FORM], form(&[("profile", &gzipped)])),
        ("&format=pprof", vec![FORM], form(&[("profile", &pprof), ("sample_type_config", b"{\"cpu\":{}}")])),
        ("&format=pprof", vec![], gzipped),
        ("&format=pprof", vec![], pprof),
        ("&format=jfr", vec![FORM], form(&[("jfr", &compress(Compression::Gzip, &recording())), ("labels", b"")])),
        ("&format=jfr", vec![], recording()),
        ("&format=groups", vec![], b"main;run 12\nmain 3\n".to_vec()),
        ("", vec![], b"main;run 12\n".to_vec()),
        ("&format=lines", vec![], b"main;run\nmain;run\n".to_vec()),
        ("&format=speedscope", vec![], speedscope),
    ];
    for (n, (format, headers, body)) in bodies.iter().enumerate() {
        let path = if n % 2 == 0 { "/ingest" } else { "/pyroscope/ingest" };
        let answer = post(rig.pyroscope, &format!("{path}?{query}{format}"), headers, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, ""), "{n}");
        let batch = rig.logged(Signal::Profiles).await.remove(n);
        assert_eq!((batch.format, batch.items), (Format::PyroscopeIngest, 1));
        assert_eq!(batch.payload, body);
        assert_eq!(batch.meta.query, format!("{query}{format}"));
        assert_eq!(batch.meta.content_type, headers.first().map_or("", |(_, value)| value));
    }
    rig.assert_ledger(bodies.len() as u64);
}

#[tokio::test]
async fn pyroscope_ingest_names_what_it_refuses() {
    let rig = Rig::start().await;
    let pprof = payload::pprof().encode_to_vec();
    for (query, headers, body, status, says) in [
        ("", vec![], pprof.clone(), 400, "name: missing"),
        ("name=a%24b", vec![], pprof.clone(), 400, "'$' in application"),
        ("name=a&format=perf", vec![], pprof.clone(), 400, "unknown format \"perf\""),
        ("name=a&format=trie", vec![], pprof.clone(), 400, "\"trie\""),
        ("name=a", vec![("content-type", "binary/octet-stream+tree")], pprof.clone(), 400, "\"tree\""),
        ("name=a", vec![FORM], form(&[("profile", &pprof), ("prev_profile", &pprof)]), 422, "prev_profile"),
        ("name=a", vec![FORM], form(&[("other", &pprof)]), 422, "no field \"profile\""),
        ("name=a", vec![FORM], b"--abc".to_vec(), 422, "boundary"),
        ("name=a&format=pprof", vec![], b"\x1f\x8bgarbage".to_vec(), 422, "gzip"),
        ("name=a&format=pprof", vec![], b"garbage".to_vec(), 422, "pprof"),
        ("name=a&format=jfr", vec![], b"PK".to_vec(), 422, "jfr"),
        ("name=a&format=jfr", vec![FORM], form(&[("jfr", &recording()), ("labels", b"x")]), 422, "field labels"),
        ("name=a", vec![], b"main;run\n".to_vec(), 422, "line 1"),
        ("name=a&format=pprof", vec![], vec![], 422, "empty"),
    ] {
        let answer = post(rig.pyroscope, &format!("/ingest?{query}"), &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{says}: {}", answer.text());
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(json["code"], "invalid_argument");
        assert!(json["message"].as_str().unwrap().contains(says), "{says}: {json}");
    }
    rig.assert_ledger(14);
    assert!(rig.logged(Signal::Profiles).await.is_empty());
}

#[tokio::test]
async fn pyroscope_push_in_protobuf_and_json() {
    use base64::Engine as _;
    use vispyr::wire::pushpb::{LabelPair, PushRequest, RawProfileSeries, RawSample};
    let rig = Rig::start().await;
    let path = "/push.v1.PusherService/Push";
    let profile = compress(Compression::Gzip, &payload::pprof().encode_to_vec());
    let label = |name: &str, value: &str| LabelPair { name: name.to_owned(), value: value.to_owned() };
    let request = PushRequest {
        series: vec![RawProfileSeries {
            labels: vec![label("__name__", "process_cpu"), label("service_name", "shop")],
            samples: vec![RawSample { raw_profile: profile.clone().into(), id: "1".to_owned() }; 2],
        }],
    };
    let proto = ("content-type", "application/proto");
    let answer = post(rig.pyroscope, path, &[proto], request.encode_to_vec()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/proto"));
    let body = compress(Compression::Gzip, &request.encode_to_vec());
    assert_eq!(post(rig.pyroscope, path, &[proto, ("content-encoding", "gzip")], body).await.status.as_u16(), 200);
    let raw = base64::engine::general_purpose::STANDARD.encode(&profile);
    let sample = serde_json::json!({ "rawProfile": raw, "ID": "1" });
    let labels = serde_json::json!([{ "name": "__name__", "value": "process_cpu" }, { "name": "service_name", "value": "shop" }]);
    let json = serde_json::json!({ "series": [{ "labels": labels, "samples": [sample, sample] }] });
    let answer = post(rig.pyroscope, path, &[JSON], json.to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "{}"));
    let logged = rig.logged(Signal::Profiles).await;
    assert_eq!(logged.len(), 3);
    assert_eq!(logged[1].compression, Compression::Gzip);
    for (n, batch) in logged.into_iter().enumerate() {
        assert_eq!((batch.format, batch.items), (Format::PyroscopePush, 2));
        if n != 1 {
            assert_eq!(PushRequest::decode(batch.payload).unwrap(), request);
        }
    }
    for (headers, body, status, code) in [
        (vec![proto], b"\xff".to_vec(), 400, "invalid_argument"),
        (vec![JSON], b"[".to_vec(), 400, "invalid_argument"),
        (vec![("content-type", "text/plain")], vec![], 415, "invalid_argument"),
        (vec![proto, ("content-encoding", "br")], vec![], 501, "unimplemented"),
    ] {
        let answer = post(rig.pyroscope, path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["code"], code);
    }
    rig.assert_ledger(7);
}

#[tokio::test]
async fn pyroscope_s_port_takes_otlp_profiles_too() {
    let rig = Rig::start().await;
    let body = payload::three(Signal::Profiles);
    let answer = post(rig.pyroscope, "/v1development/profiles", &[PROTOBUF], body.clone()).await;
    assert_eq!(answer.status.as_u16(), 200);
    let answer = call_raw(rig.pyroscope, export(Signal::Profiles), &[], framed(false, &body)).await;
    assert_eq!(answer.grpc().code(), Code::Ok);
    assert_eq!(post(rig.pyroscope, "/v1/traces", &[PROTOBUF], "").await.status.as_u16(), 404);
    assert_eq!(rig.logged(Signal::Profiles).await.len(), 2);
    assert_eq!(rig.ledger("vispyr_acknowledged_items_total", &["receiver=\"pyroscope\""]), 6);
}

#[tokio::test]
async fn over_budget_senders_are_told_to_come_back() {
    let rig = Rig::with(|limits, _| {
        limits.memory_budget = ByteSize::kib(64);
        limits.idle_body_timeout = DEADLINE;
    })
    .await;
    // Someone else's body holds the budget.
    let mut other = TcpStream::connect(rig.http).await.unwrap();
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 70000\r\n\r\n";
    other.write_all(head.as_bytes()).await.unwrap();
    other.write_all(&[0; 65_000]).await.unwrap();
    rig.until("the body is read", |rig| rig.pipeline.admission.in_flight() >= 65_000).await;

    let body = payload::traces(20).encode_to_vec();
    let answer = post(rig.http, "/v1/traces", &[PROTOBUF], body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
    let answer = post(rig.remote_write, "/api/v1/write", &[V2], compress(Compression::SnappyBlock, &body)).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
    assert_eq!(written(&answer), [Some("0"); 3]);
    let answer = post(rig.pyroscope, "/ingest?name=a", &[], vec![b'a'; 1000]).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));

    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &body)).await;
    let status = answer.grpc();
    assert_eq!(status.code(), Code::Unavailable);
    let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(delay, Duration::from_secs(1));
    // Python's exporter reads only this one: RetryInfo { retry_delay { seconds: 1 } }.
    assert_eq!(answer.header("google.rpc.retryinfo-bin"), Some("CgIIAQ"));

    drop(other);
    rig.until("the budget is free again", |rig| rig.pipeline.admission.in_flight() == 0).await;
    assert_eq!(post(rig.http, "/v1/traces", &[PROTOBUF], body).await.status.as_u16(), 200);
    rig.until("the other is counted", |rig| rig.ledger("vispyr_received_requests_total", &[]) == 6).await;
    rig.assert_ledger(6);
    assert_eq!(rig.ledger("vispyr_refused_requests_total", &["reason=\"busy\""]), 4);
}

#[tokio::test]
async fn a_log_that_does_not_take_it_is_worth_a_retry() {
    let rig = Rig::start().await;
    let log = rig.pipeline.logs.of(Signal::Traces).clone();
    tokio::task::spawn_blocking(move || log.close()).await.unwrap();
    let body = payload::three(Signal::Traces);
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &body)).await;
    assert_eq!(answer.grpc().code(), Code::Unavailable, "{answer:?}");
    let answer = post(rig.http, "/v1/traces", &[PROTOBUF], body).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("1")));
    // The others go on.
    let answer = post(rig.http, "/v1/logs", &[PROTOBUF], payload::three(Signal::Logs)).await;
    assert_eq!(answer.status.as_u16(), 200);
    rig.assert_ledger(3);
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_end() {
    let mut rig = Rig::start().await;
    let body = payload::three(Signal::Traces);
    let (start, end) = body.split_at(body.len() / 2);
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(start).await.unwrap();
    rig.until("it is being read", |rig| rig.pipeline.admission.in_flight() > REQUEST_COST).await;
    // Idle connections, and one that has said nothing yet, hold nobody up.
    let _silent = TcpStream::connect(rig.http).await.unwrap();
    let _idle = TraceServiceClient::connect(format!("http://{}", rig.grpc)).await.unwrap();
    rig.shutdown.cancel();
    stream.write_all(end).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for server in std::mem::take(&mut rig.servers) {
        tokio::time::timeout(DEADLINE, server).await.expect("drained").unwrap();
    }
    assert_eq!(rig.only(Signal::Traces).await.payload, body);
    assert!(TcpStream::connect(rig.http).await.is_err());
}
