//! Places: connections that do nothing give way to those that work, at every port.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{DEADLINE, Options, Vispyr, get, post};
use crate::receivers::rig::{self, Rig};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

/// HTTP/2's preface and empty SETTINGS: a connection that never has a request.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn connect(to: std::net::SocketAddr, start: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(start).await.unwrap();
    stream
}

/// An HTTP/2 client that answers pings and has had one answer.
async fn http2(to: std::net::SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(to).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{to}/v1/traces")).header(PROTOBUF.0, PROTOBUF.1);
    let response = sender.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
    sender
}

async fn takes(rig: &Rig) {
    assert_eq!(rig::post(rig.http, "/v1/traces", &[PROTOBUF], "").await.status.as_u16(), 200);
}

#[tokio::test]
async fn half_open_and_idle_connections_of_one_port_give_way_at_the_others() {
    let rig = Rig::with(|limits, _| limits.max_connections = 12).await;
    let mut all = Vec::new();
    for start in [&b"P"[..], PREFACE, b""] {
        for _ in 0..8 {
            all.push(connect(rig.pyroscope, start).await);
        }
    }
    takes(&rig).await;
    let mut idle = Vec::new();
    for _ in 0..16 {
        idle.push(http2(rig.http).await);
    }
    takes(&rig).await;
    let connections = rig.pipeline.admission.connections();
    assert!(connections.gave_way() >= 12 + 4, "{}", connections.gave_way());
    assert_eq!(connections.refused(), 0);
    assert!(connections.open() <= 12);
}

#[tokio::test]
async fn a_connection_with_a_request_in_flight_keeps_its_place() {
    let rig = Rig::with(|limits, _| limits.max_connections = 2).await;
    let head =
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 2\r\n\r\n";
    let mut busy = [connect(rig.http, head.as_bytes()).await, connect(rig.http, head.as_bytes()).await];
    let connections = rig.pipeline.admission.connections();
    let refuses = || async {
        let mut more = TcpStream::connect(rig.grpc).await.unwrap();
        // Before the heads are read, the two have no request yet and give way.
        let end = tokio::time::timeout(DEADLINE, more.read(&mut [0; 1])).await.expect("closed at once");
        assert!(matches!(end, Ok(0) | Err(_)));
    };
    rig.until("both are read", |rig| rig.pipeline.admission.connections().busy() == 2).await;
    refuses().await;
    assert_eq!((connections.refused(), connections.gave_way()), (1, 0));
    // An empty message in a field that nobody knows.
    busy[0].write_all(&[0x1a, 0]).await.unwrap();
    let mut status = [0; 12];
    busy[0].read_exact(&mut status).await.unwrap();
    assert!(status.starts_with(b"HTTP/1.1 "), "{status:?}");
    takes(&rig).await;
    assert_eq!(connections.gave_way(), 1, "the one that is idle now");
}

#[tokio::test]
async fn an_idle_http2_connection_is_closed_although_it_answers_pings() {
    let rig = Rig::with(|limits, _| {
        limits.keep_alive_timeout = Duration::from_millis(300);
        limits.idle_body_timeout = Duration::from_millis(400);
    })
    .await;
    let mut idle = http2(rig.http).await;
    rig.until("it is closed", |rig| rig.pipeline.admission.connections().open() == 0).await;
    let request = Request::post(format!("http://{}/v1/traces", rig.http)).body(Full::default()).unwrap();
    assert!(idle.send_request(request).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_request_do_not_hold_the_sql_port() {
    vispyr::net::descriptors::raise();
    let vispyr = Vispyr::serve().await;
    let mut all = Vec::new();
    for n in 0..1200 {
        all.push(connect(vispyr.address("sql"), if n % 2 == 0 { b"P" } else { PREFACE }).await);
    }
    let begin = Instant::now();
    assert_eq!(vispyr.count("SELECT 42").await, 42);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(vispyr.count("SELECT 43").await, 43);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_use_up_the_descriptors() {
    vispyr::net::descriptors::raise();
    // The soft limit goes up by itself; with a hard one, connections leave a reserve.
    for limit in ["ulimit -Sn 256", "ulimit -n 512"] {
        let wrap = ["bash", "-c", &format!("{limit}; exec \"$0\" \"$@\"")].map(str::to_owned).to_vec();
        let vispyr = Vispyr::start(Options { wrap, ..Options::default() }).await;
        let mut all = Vec::new();
        for n in 0..1000 {
            let port = ["otlp_http", "otlp_grpc", "web", "sql"][n % 4];
            // One that the server has closed already is fine.
            if let Ok(stream) = TcpStream::connect(vispyr.address(port)).await {
                all.push(stream);
            }
        }
        let body = r#"{"resourceSpans":[]}"#;
        let answer = post(&vispyr.url("otlp_http", "/v1/traces"), "application/json", body).await.unwrap();
        assert_eq!(answer.status, 200, "{limit}: {}", answer.text());
        assert_eq!(get(&vispyr.url("web", "/metrics")).await.unwrap().status, 200, "{limit}");
        assert_eq!(vispyr.count("SELECT 42").await, 42, "{limit}");
        assert!(!vispyr.log().contains("Too many open files"), "{limit}: {}", vispyr.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_read_do_not_hold_the_turns() {
    // Long enough that only giving way explains an answer before the deadline.
    let vispyr = Vispyr::start(Options::config("[sql]\ntime_limit = \"10m\"")).await;
    let statement = "SELECT repeat('x', 1000) FROM range(100000)";
    let length = statement.len();
    let request = format!("POST /api/v1/sql HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{statement}");
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(connect(vispyr.address("sql"), request.as_bytes()).await);
    }
    let running = || async { (vispyr.metric("vispyr_sql_running", &[]).await >= 4.0).then_some(()) };
    vispyr.wait("all turns are taken", running).await;
    assert_eq!(vispyr.count("SELECT 42").await, 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_name_was_made_to_point_here_cannot_ask() {
    let vispyr = Vispyr::serve().await;
    let port = vispyr.address("sql").port();
    for (host, origin, status) in [
        (format!("evil.example:{port}"), format!("http://evil.example:{port}"), 403),
        (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), format!("http://localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), "null".to_owned(), 403),
    ] {
        let request = Request::post(vispyr.url("sql", "/api/v1/sql"))
            .header("host", &host)
            .header("origin", &origin)
            .body(Full::from("SELECT 1"))
            .unwrap();
        let answer = crate::harness::send(request).await.unwrap();
        assert_eq!(answer.status, status, "{host} {origin}: {}", answer.text());
    }
}
