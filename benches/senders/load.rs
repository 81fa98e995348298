//! Senders that keep as many requests under way as there are connections.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::spans;

/// How many.
pub const CONNECTIONS: usize = 8;
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Before a request that was told to come back goes out again.
const PAUSE: Duration = Duration::from_millis(20);
const UNAVAILABLE: &[u8] = b"14";

/// What the load is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Frames as large as the server allows, as Rust's clients send them.
    Plain,
    /// Frames of 16 KiB, as Go's and Java's clients send them.
    SmallFrames,
    /// gzip.
    Gzip,
}

impl Load {
    /// All of them.
    pub const ALL: [Load; 3] = [Load::Plain, Load::SmallFrames, Load::Gzip];

    fn chunk(self) -> usize {
        if self == Load::SmallFrames { 16 << 10 } else { usize::MAX }
    }

    /// The message that is sent, without gRPC's five bytes before it.
    pub fn message(self) -> Vec<u8> {
        let message = spans::payload();
        if self != Load::Gzip {
            return message;
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&message).unwrap();
        encoder.finish().unwrap()
    }
}

/// What became of the requests.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Answered with success.
    pub accepted: u64,
    /// Told to come back, and sent again.
    #[allow(dead_code, reason = "not every benchmark tells")]
    pub again: u64,
}

#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    again: AtomicU64,
    over: AtomicBool,
}

/// Sends until the time is over.
pub async fn generate(to: SocketAddr, load: Load, time: Duration) -> Sent {
    let message = load.message();
    let mut body = BytesMut::new();
    body.put_u8((load == Load::Gzip).into());
    body.put_u32(u32::try_from(message.len()).unwrap());
    body.put_slice(&message);
    let body = body.freeze();
    let tally = Arc::new(Tally::default());
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(tokio::spawn(client(to, load, body.clone(), tally.clone())));
    }
    tokio::time::sleep(time).await;
    tally.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    Sent { accepted: tally.accepted.load(Ordering::Relaxed), again: tally.again.load(Ordering::Relaxed) }
}

async fn client(to: SocketAddr, load: Load, body: Bytes, tally: Arc<Tally>) {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.max_send_buf_size(4 << 20);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    while !tally.over.load(Ordering::Relaxed) {
        let mut rest = body.clone();
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            chunks.push(Ok::<_, Infallible>(Frame::data(rest.split_to(load.chunk().min(rest.len())))));
        }
        let mut request = http::Request::post(format!("http://{to}{EXPORT}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if load == Load::Gzip {
            request = request.header("grpc-encoding", "gzip");
        }
        let request = request.body(StreamBody::new(futures_util::stream::iter(chunks))).unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        // An error may come without a body: then its status is among the headers.
        let status = response.headers().get("grpc-status").cloned();
        let answer = response.into_body().collect().await.unwrap();
        let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()).or(status).unwrap();
        match status.as_bytes() {
            b"0" => tally.accepted.fetch_add(1, Ordering::Relaxed),
            UNAVAILABLE => {
                tokio::time::sleep(PAUSE).await;
                tally.again.fetch_add(1, Ordering::Relaxed)
            }
            other => panic!("refused: {}", String::from_utf8_lossy(other)),
        };
    }
}
