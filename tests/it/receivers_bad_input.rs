//! What goes wrong in the receivers: each bad input is refused (or kept) with a clear answer, costs no
//! more than the limits, and the next good request is taken.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tonic::Code;
use vispyr::receivers::admission::REQUEST_COST;
use vispyr::signal::{Compression, Signal};
use vispyr::wire::prompb;

use crate::harness::{Options, Vispyr};
use crate::receivers::rig::{Answer, DEADLINE, Rig, call_raw, compress, export, framed, payload, post};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A length-delimited field.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend(content);
    bytes
}

/// Sends over gRPC and HTTP; both must refuse it as malformed with the same words.
async fn refused_as_malformed(rig: &Rig, signal: Signal, body: &[u8]) -> String {
    let answer = call_raw(rig.grpc, export(signal), &[], framed(false, body)).await;
    assert_eq!(answer.grpc().code(), Code::InvalidArgument, "{answer:?}");
    let path = match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
        Signal::Profiles => "/v1development/profiles",
    };
    let http = post(rig.http, path, &[PROTOBUF], body.to_vec()).await;
    assert_eq!(http.status.as_u16(), 400);
    let status = tonic_types::pb::Status::decode(http.body).unwrap();
    assert_eq!(status.code, Code::InvalidArgument as i32);
    assert_eq!(status.message, answer.grpc().message());
    status.message
}

async fn still_takes(rig: &Rig) {
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &payload::three(Signal::Traces))).await;
    assert_eq!(answer.grpc().code(), Code::Ok);
}

#[tokio::test]
async fn malformed_protobuf_is_refused_at_every_depth() {
    let rig = Rig::start().await;
    // resource_spans, scope_spans, spans, attributes, value, array_value, values: a field that is
    // cut off, within each.
    let path = [1, 2, 2, 9, 2, 5, 1];
    let names =
        ["resource_spans[0]", "scope_spans[0]", "spans[0]", "attributes[0]", "value", "array_value", "values[0]"];
    for depth in 0..=path.len() {
        let mut body = vec![0x0a, 0x7f];
        for tag in path[..depth].iter().rev() {
            body = field(*tag, &body);
        }
        let message = refused_as_malformed(&rig, Signal::Traces, &body).await;
        assert!(message.contains(&names[..depth].join(".")), "{depth}: {message}");
        assert!(message.contains("at byte"), "{message}");
    }
    for signal in Signal::ALL {
        refused_as_malformed(&rig, signal, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").await;
        refused_as_malformed(&rig, signal, b"\x0b").await;
        assert!(rig.logged(signal).await.is_empty());
    }
    still_takes(&rig).await;
    rig.assert_ledger(2 * 8 + 4 * 4 + 1);
}

#[tokio::test]
async fn nesting_of_thousands_of_levels_is_refused() {
    let rig = Rig::start().await;
    let nested = |levels: usize| {
        let mut value = Vec::new();
        for _ in 0..levels {
            value = field(5, &field(1, &value)); // array_value { values }
        }
        field(1, &field(2, &field(2, &field(9, &field(2, &value)))))
    };
    for levels in [60, 5000] {
        let message = refused_as_malformed(&rig, Signal::Traces, &nested(levels)).await;
        assert!(message.contains("nest") || message.contains("deep"), "{levels}: {message}");
    }
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &nested(40))).await;
    assert_eq!(answer.grpc().code(), Code::Ok);
    // JSON that nests as deep, and deeper than any stack.
    for levels in [5000, 1_000_000] {
        let body = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{{"key":"a","value":{}"#,
            r#"{"arrayValue":{"values":["#.repeat(levels)
        );
        assert_eq!(post(rig.http, "/v1/traces", &[JSON], body).await.status.as_u16(), 400);
    }
    still_takes(&rig).await;
}

#[tokio::test]
async fn a_small_body_that_decodes_to_gigabytes_is_refused() {
    let rig = Rig::start().await;
    // 8 Mi empty spans, two bytes each, are 3 GiB of structs; compressed they are a few KiB.
    let spans = [0x12, 0x00].repeat(8 << 20);
    let body = field(1, &field(2, &spans));
    let message = refused_as_malformed(&rig, Signal::Traces, &body).await;
    assert!(message.contains("decode"), "{message}");
    let gzipped = framed(true, &compress(Compression::Gzip, &body));
    assert!(gzipped.len() < 200_000);
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[("grpc-encoding", "gzip")], gzipped).await;
    assert_eq!(answer.grpc().code(), Code::InvalidArgument);
    still_takes(&rig).await;
}

#[tokio::test]
async fn grpc_framing_that_lies_is_refused() {
    let rig = Rig::start().await;
    let path = export(Signal::Traces);
    let good = framed(false, &payload::three(Signal::Traces));
    let two = [good.clone(), good.clone()].concat();
    let mut flag = good.to_vec();
    flag[0] = 7;
    for (body, says) in [
        (Vec::new(), "no message"),
        (good[..3].to_vec(), "no message"),
        (good[..good.len() - 1].to_vec(), "one message"),
        (two, "one message"),
        (flag, "flag"),
    ] {
        let answer = call_raw(rig.grpc, path, &[], body).await;
        assert_eq!(answer.grpc().code(), Code::InvalidArgument, "{says}: {answer:?}");
        assert!(answer.grpc().message().contains(says), "{says}: {answer:?}");
    }
    let answer = call_raw(rig.grpc, path, &[], framed(true, b"x")).await;
    assert!(answer.grpc().message().contains("grpc-encoding is not set"), "{answer:?}");
    // 4 GiB announced.
    let answer = call_raw(rig.grpc, path, &[], b"\0\xff\xff\xff\xffx".to_vec()).await;
    assert_eq!(answer.grpc().code(), Code::ResourceExhausted);
    assert_eq!(answer.header("google.rpc.retryinfo-bin"), None, "not worth a retry");
    still_takes(&rig).await;
    rig.assert_ledger(8);
}

#[tokio::test]
async fn truncated_and_corrupt_compression_is_refused() {
    let rig = Rig::start().await;
    let body = payload::traces(100).encode_to_vec();
    for (name, compression) in
        [("gzip", Compression::Gzip), ("zstd", Compression::Zstd), ("snappy", Compression::SnappyFramed)]
    {
        let whole = compress(compression, &body);
        let mut corrupt = whole.clone();
        // These frames of zstd have no checksum; their header may not be wrong, though.
        corrupt[if name == "zstd" { 0 } else { whole.len() / 2 }] ^= 0x10;
        for bad in [&whole[..whole.len() - 3], &whole[..20], b"not compressed at all", &corrupt] {
            let answer =
                call_raw(rig.grpc, export(Signal::Traces), &[("grpc-encoding", name)], framed(true, bad)).await;
            assert_eq!(answer.grpc().code(), Code::InvalidArgument, "{name}: {answer:?}");
            if name != "snappy" {
                let answer = post(rig.http, "/v1/traces", &[PROTOBUF, ("content-encoding", name)], bad.to_vec()).await;
                assert_eq!(answer.status.as_u16(), 400, "{name}");
            }
        }
    }
    assert!(rig.logged(Signal::Traces).await.is_empty());
    still_takes(&rig).await;
}

/// 10 GiB of zeros in 10 MB: members of 64 MiB, the same bytes each time.
fn bomb() -> Vec<u8> {
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    member.write_all(&vec![0; 64 << 20]).unwrap();
    member.finish().unwrap().repeat(160)
}

/// Memory of a process in bytes: what it has used at most (`VmHWM`), or uses (`VmRSS`).
fn memory(pid: u32, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_gzip_bomb_of_10_gib_costs_no_more_than_the_limit() {
    let vispyr = Vispyr::start(Options { command: "collector", ..Options::default() }).await;
    let bomb = bomb();
    assert!(bomb.len() < 16 << 20, "{} bytes", bomb.len());
    let encoded = ("content-encoding", "gzip");
    for round in 0..2 {
        let started = Instant::now();
        let answer = post(vispyr.address("otlp_http"), "/v1/traces", &[PROTOBUF, encoded], bomb.clone()).await;
        assert_eq!(answer.status.as_u16(), 413, "{round}");
        let grpc = vispyr.address("otlp_grpc");
        let answer = call_raw(grpc, export(Signal::Traces), &[("grpc-encoding", "gzip")], framed(true, &bomb)).await;
        assert_eq!(answer.grpc().code(), Code::ResourceExhausted, "{answer:?}");
        // Within a profile, too.
        let ingest = "/ingest?name=a&format=pprof";
        let answer = post(vispyr.address("pyroscope"), ingest, &[], bomb.clone()).await;
        assert_eq!(answer.status.as_u16(), 413, "{}", answer.text());
        assert!(started.elapsed() < DEADLINE);
    }
    let peak = memory(vispyr.pid(), "VmHWM");
    assert!(peak < 128 << 20, "{} MiB", peak >> 20);
}

#[tokio::test]
async fn memory_of_large_bodies_goes_back_to_the_system() {
    let vispyr = Vispyr::start(Options { command: "collector", ..Options::default() }).await;
    let body = compress(Compression::Gzip, &vec![0; 15 << 20]);
    let before = memory(vispyr.pid(), "VmRSS");
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    for _ in 0..4 {
        let posts = (0..8).map(|_| post(vispyr.address("otlp_http"), "/v1/traces", &headers, body.clone()));
        for answer in futures_util::future::join_all(posts).await {
            assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
        }
    }
    let left = memory(vispyr.pid(), "VmRSS").saturating_sub(before);
    assert!(left < 15 << 20, "{} KiB more than the {} before", left >> 10, before >> 10);
}

#[tokio::test]
async fn a_body_that_stops_or_never_ends_is_given_up() {
    let rig = Rig::with(|limits, _| {
        limits.idle_body_timeout = Duration::from_millis(300);
        limits.request_timeout = Duration::from_millis(1500);
    })
    .await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let read = |mut stream: tokio::net::tcp::OwnedReadHalf| async move {
        let mut answer = vec![0; 12];
        tokio::time::timeout(DEADLINE, stream.read_exact(&mut answer)).await.expect("in time").unwrap();
        String::from_utf8(answer).unwrap()
    };
    // Half a body, then silence.
    let (stopped, mut writer) = TcpStream::connect(rig.http).await.unwrap().into_split();
    writer.write_all(format!("{head}3\r\nabc\r\n").as_bytes()).await.unwrap();
    assert_eq!(read(stopped).await, "HTTP/1.1 408");
    // A byte now and then, for ever.
    let (endless, mut trickle) = TcpStream::connect(rig.http).await.unwrap().into_split();
    trickle.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        while trickle.write_all(b"1\r\na\r\n").await.is_ok() {
            every.tick().await;
        }
    });
    assert_eq!(read(endless).await, "HTTP/1.1 408");
    trickle.abort();
    // Over gRPC: the prefix promises more than comes.
    let (sender, answer) = open_call(&rig).await;
    let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap();
    assert_eq!(answer.grpc().code(), Code::DeadlineExceeded, "{answer:?}");
    drop(sender);
    // As fast as it can, without an end.
    let (flood, mut writer) = TcpStream::connect(rig.http).await.unwrap().into_split();
    let flooding = tokio::spawn(async move {
        let chunk = [b"100000\r\n".to_vec(), vec![0; 1 << 20], b"\r\n".to_vec()].concat();
        writer.write_all(head.as_bytes()).await.unwrap();
        while writer.write_all(&chunk).await.is_ok() {}
    });
    let answer = read(flood).await;
    assert!(answer == "HTTP/1.1 413" || answer == "HTTP/1.1 408", "{answer}");
    flooding.abort();
    rig.until("nothing is held", |rig| rig.pipeline.admission.in_flight() == 0).await;
    rig.assert_ledger(4);
}

type Body = http_body_util::StreamBody<Channel<Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>>>;

/// A channel as a stream.
struct Channel<T>(tokio::sync::mpsc::Receiver<T>);

impl<T> futures_util::Stream for Channel<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

/// A call whose body has begun and is left open as long as the sender lives.
async fn open_call(
    rig: &Rig,
) -> (
    tokio::sync::mpsc::Sender<Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>>,
    impl Future<Output = Answer>,
) {
    let stream = TcpStream::connect(rig.grpc).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake::<_, _, Body>(executor, io).await.unwrap();
    tokio::spawn(connection);
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let start = http_body::Frame::data(bytes::Bytes::from_static(b"\0\0\0\x01\0abc"));
    sender.send(Ok(start)).await.unwrap();
    let request = http::Request::post(format!("http://{}{}", rig.grpc, export(Signal::Traces)))
        .header("content-type", "application/grpc")
        .body(http_body_util::StreamBody::new(Channel(receiver)))
        .unwrap();
    let answer = async move {
        let (head, _) = client.send_request(request).await.unwrap().into_parts();
        // Trailers only: everything is in the head.
        Answer { status: head.status, headers: head.headers, trailers: Default::default(), body: Default::default() }
    };
    (sender, answer)
}

#[tokio::test]
async fn grpc_timeout_is_honoured() {
    let rig = Rig::start().await;
    let stream = TcpStream::connect(rig.grpc).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake::<_, _, Body>(executor, io).await.unwrap();
    tokio::spawn(connection);
    let (_open, receiver) = tokio::sync::mpsc::channel(1);
    let request = http::Request::post(format!("http://{}{}", rig.grpc, export(Signal::Traces)))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "100m")
        .body(http_body_util::StreamBody::new(Channel(receiver)))
        .unwrap();
    let response = tokio::time::timeout(DEADLINE, client.send_request(request)).await.unwrap().unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn a_client_that_never_reads_is_dropped() {
    let rig = Rig::with(|limits, _| limits.idle_body_timeout = Duration::from_millis(300)).await;
    let connect = |to| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(to).await.unwrap()
    };
    // HTTP/1: one request after the other, no answer read.
    let mut greedy = connect(rig.http).await;
    let requests =
        b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
            .repeat(1000);
    let write = async { while greedy.write_all(&requests).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, write).await.expect("the connection is closed");
    // HTTP/2: pings, whose answers nobody reads.
    let mut greedy = connect(rig.grpc).await;
    greedy.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let pings = b"\0\0\x08\x06\0\0\0\0\0vispyr!!".repeat(1000);
    let write = async { while greedy.write_all(&pings).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, write).await.expect("the connection is closed");
    rig.until("both are gone", |rig| rig.pipeline.admission.connections().open() == 0).await;
    still_takes(&rig).await;
}

#[tokio::test]
async fn slow_heads_and_idle_connections_are_closed() {
    let rig = Rig::with(|limits, _| {
        limits.header_timeout = Duration::from_millis(200);
        limits.keep_alive_timeout = Duration::from_millis(600);
    })
    .await;
    let ends = |mut stream: TcpStream| async move {
        let mut rest = Vec::new();
        // A reset is as good as an end.
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("the connection is closed");
        String::from_utf8_lossy(&rest).into_owned()
    };
    let connect = |to| async move { TcpStream::connect(to).await.unwrap() };
    ends(connect(rig.http).await).await;
    ends(connect(rig.grpc).await).await;
    for part in ["PRI * HTTP", "POST /v1/traces HTTP/1.1\r\nhost: "] {
        let mut stream = connect(rig.http).await;
        stream.write_all(part.as_bytes()).await.unwrap();
        ends(stream).await;
    }
    // After a request, a connection may rest for longer than a head may take, but not for ever.
    let mut stream = connect(rig.http).await;
    let request =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    let rested = Instant::now();
    assert!(!ends(stream).await.contains("HTTP/1.1 4"));
    assert!(rested.elapsed() > Duration::from_millis(400), "{:?}", rested.elapsed());
    // The second head may not be slow either.
    let mut stream = connect(rig.http).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut first).await.unwrap();
    stream.write_all(b"POST /v1").await.unwrap();
    ends(stream).await;
    rig.until("all are gone", |rig| rig.pipeline.admission.connections().open() == 0).await;
}

#[tokio::test]
async fn a_sender_that_goes_away_is_counted_once() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    let head =
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 10\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    rig.until("it is being read", |rig| rig.pipeline.admission.in_flight() > REQUEST_COST).await;
    drop(stream);
    rig.until("it is counted", |rig| rig.ledger("vispyr_received_requests_total", &[]) == 1).await;
    rig.until("nothing is held", |rig| rig.pipeline.admission.in_flight() == 0).await;
    rig.assert_ledger(1);
}

#[tokio::test]
async fn too_large_is_refused_before_it_is_read() {
    let rig = Rig::with(|limits, _| limits.max_request_size = ByteSize::kib(64)).await;
    let body = payload::traces(2000).encode_to_vec();
    let answer = post(rig.http, "/v1/traces", &[PROTOBUF], body.clone()).await;
    assert_eq!(answer.status.as_u16(), 413);
    let status = tonic_types::pb::Status::decode(answer.body).unwrap();
    assert!(status.message.contains("65536"), "{}", status.message);
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &body)).await;
    assert_eq!(answer.grpc().code(), Code::ResourceExhausted);
    // Decompressed, too, also by a single byte.
    let exactly = |size: usize| framed(true, &compress(Compression::Gzip, &field(1, &field(3, &vec![0; size - 8]))));
    for (size, code) in [(65_536, Code::Ok), (65_537, Code::ResourceExhausted)] {
        let answer = call_raw(rig.grpc, export(Signal::Traces), &[("grpc-encoding", "gzip")], exactly(size)).await;
        assert_eq!(answer.grpc().code(), code, "{size}");
    }
    still_takes(&rig).await;
    rig.assert_ledger(5);
}

#[tokio::test]
async fn bad_json_is_refused_where_it_is_bad() {
    let rig = Rig::start().await;
    for body in
        ["", "?", "[]", "{\"resourceSpans\":1}", "{\"resourceSpans\":[{]}", "{\"resourceSpans\":[", "\u{feff}{}", "{}x"]
    {
        let answer = post(rig.http, "/v1/traces", &[JSON], body).await;
        assert_eq!(answer.status.as_u16(), 400, "{body:?}: {}", answer.text());
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(json["code"], Code::InvalidArgument as i32);
        assert!(!json["message"].as_str().unwrap().is_empty());
    }
    rig.assert_ledger(8);
}

#[tokio::test]
async fn zero_and_short_ids_odd_times_and_numbers_are_kept_as_they_are() {
    let rig = Rig::start().await;
    let odd = |trace_id: Vec<u8>, span_id: Vec<u8>, time: u64| Span {
        trace_id,
        span_id,
        start_time_unix_nano: time,
        ..Default::default()
    };
    let not_a_number = AnyValue { value: Some(Value::DoubleValue(f64::NAN)) };
    let mut with_attribute = payload::span(1);
    with_attribute.attributes = vec![KeyValue { key: "x".to_owned(), value: Some(not_a_number), ..Default::default() }];
    let body = payload::spans(vec![
        odd(vec![0; 16], vec![0; 8], 0),
        odd(vec![], vec![], u64::MAX),
        odd(vec![1; 3], vec![1; 300], 4_000_000_000_000_000_000),
        with_attribute,
    ])
    .encode_to_vec();
    let answer = call_raw(rig.grpc, export(Signal::Traces), &[], framed(false, &body)).await;
    assert_eq!(answer.grpc().code(), Code::Ok);
    let batch = rig.only(Signal::Traces).await;
    assert_eq!((batch.items, batch.payload.as_ref()), (4, body.as_slice()));
    assert_eq!(rig.ledger("vispyr_spans_with_invalid_ids_total", &["receiver=\"otlp_grpc\""]), 3);

    let body = payload::metrics(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]).encode_to_vec();
    let answer = post(rig.http, "/v1/metrics", &[PROTOBUF], body.clone()).await;
    assert_eq!(answer.status.as_u16(), 200);
    let batch = rig.only(Signal::Metrics).await;
    assert_eq!((batch.items, batch.payload.as_ref()), (4, body.as_slice()));
}

#[tokio::test]
async fn empty_requests_succeed_and_leave_no_trace() {
    let rig = Rig::start().await;
    for signal in Signal::ALL {
        let answer = call_raw(rig.grpc, export(signal), &[], framed(false, b"")).await;
        assert_eq!(answer.grpc().code(), Code::Ok);
    }
    assert_eq!(post(rig.http, "/v1/logs", &[PROTOBUF], "").await.status.as_u16(), 200);
    assert_eq!(post(rig.http, "/v1/logs", &[JSON], "{}").await.text(), "{}");
    let gzip = [PROTOBUF, ("content-encoding", "gzip")];
    assert_eq!(post(rig.http, "/v1/logs", &gzip, compress(Compression::Gzip, b"")).await.status.as_u16(), 200);
    // A resource without a span is empty, too.
    assert_eq!(post(rig.http, "/v1/traces", &[PROTOBUF], b"\x0a\x00".to_vec()).await.status.as_u16(), 200);
    let empty = compress(Compression::SnappyBlock, b"");
    assert_eq!(post(rig.remote_write, "/api/v1/write", &[], empty).await.status.as_u16(), 204);
    for signal in Signal::ALL {
        assert!(rig.logged(signal).await.is_empty());
    }
    rig.assert_ledger(9);
}

#[tokio::test]
async fn label_names_that_prometheus_refuses_are_refused() {
    let rig = Rig::start().await;
    let v1 = |labels: &[(&str, &str)]| {
        let label =
            |(name, value): &(&str, &str)| prompb::v1::Label { name: (*name).to_owned(), value: (*value).to_owned() };
        let series = prompb::v1::TimeSeries {
            labels: labels.iter().map(label).collect(),
            samples: vec![prompb::v1::Sample { value: f64::NAN, timestamp: 0 }],
            ..Default::default()
        };
        prompb::v1::WriteRequest { timeseries: vec![series], ..Default::default() }.encode_to_vec()
    };
    for (labels, good) in [
        (&[("__name__", "up"), ("a", "1")][..], true),
        (&[("__name__", "up"), ("a", "1"), ("a", "2")], false),
        (&[("__name__", "up"), ("", "1")], false),
        (&[("a", "1")], false),
    ] {
        let body = compress(Compression::SnappyBlock, &v1(labels));
        let answer = post(rig.remote_write, "/api/v1/write", &[], body).await;
        let want = if good { 204 } else { 400 };
        assert_eq!(answer.status.as_u16(), want, "{labels:?}: {}", answer.text());
        assert!(good || answer.text().contains("timeseries[0]"), "{}", answer.text());
    }
    let v2 = |refs: &[u32]| {
        let series = prompb::v2::TimeSeries { labels_refs: refs.to_vec(), ..Default::default() };
        let symbols = ["", "__name__", "up"].map(str::to_owned).to_vec();
        prompb::v2::Request { symbols, timeseries: vec![series] }.encode_to_vec()
    };
    let second = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    // Odd, and out of range: Prometheus panics on both.
    for refs in [&[1][..], &[1, 3]] {
        let body = compress(Compression::SnappyBlock, &v2(refs));
        let answer = post(rig.remote_write, "/api/v1/write", &[second], body).await;
        assert_eq!(answer.status.as_u16(), 400);
        assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("0"));
    }
}

#[tokio::test]
async fn pprof_with_dangling_indexes_is_refused() {
    let rig = Rig::start().await;
    let send = |profile: vispyr::wire::pprof_proto::Profile| {
        post(rig.pyroscope, "/ingest?name=a&format=pprof", &[], profile.encode_to_vec())
    };
    assert_eq!(send(payload::pprof()).await.status.as_u16(), 200);
    let mut location = payload::pprof();
    location.sample[0].location_id = vec![1, 99];
    let mut function = payload::pprof();
    function.location[0].line[0].function_id = 99;
    let mut string = payload::pprof();
    string.function[0].name = 99;
    for bad in [location, function, string] {
        let answer = send(bad).await;
        assert_eq!(answer.status.as_u16(), 422, "{}", answer.text());
        assert!(answer.text().contains("99"), "{}", answer.text());
    }
    assert_eq!(rig.logged(Signal::Profiles).await.len(), 1);
}
