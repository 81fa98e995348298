//! A destination that takes the bytes and answers: what all contenders deliver to. It runs in a
//! process of its own and tells its figures on a second port, a line for each connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Requests.
    pub requests: u64,
    /// Bytes of messages, as they came (compressed or not), without gRPC's five before each.
    pub bytes: u64,
}

#[derive(Default)]
struct Sink {
    requests: AtomicU64,
    bytes: AtomicU64,
    /// Bytes a second that it takes; 0: as many as come.
    pace: u64,
    /// When the last byte that was taken is done with.
    done: Mutex<Option<Instant>>,
}

impl Sink {
    /// Waits as long as these bytes take.
    async fn take(&self, bytes: u64) {
        if self.pace == 0 {
            return;
        }
        let mut done = self.done.lock().await;
        let begin = done.map_or_else(Instant::now, |done| done.max(Instant::now()));
        let end = begin + Duration::from_secs_f64(bytes as f64 / self.pace as f64);
        *done = Some(end);
        drop(done);
        tokio::time::sleep_until(end).await;
    }
}

/// Serves until the process ends. Prints its two addresses.
pub async fn run(pace: u64) {
    let sink = Arc::new(Sink { pace, ..Sink::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let figures = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{} {}", listener.local_addr().unwrap(), figures.local_addr().unwrap());
    let told = sink.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = figures.accept().await.unwrap();
            let line = format!("{} {}", told.requests.load(Ordering::Relaxed), told.bytes.load(Ordering::Relaxed));
            stream.write_all(line.as_bytes()).await.unwrap();
        }
    });
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(connection(stream, sink.clone()));
    }
}

async fn connection(stream: TcpStream, sink: Arc<Sink>) {
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let sink = sink.clone();
        async move {
            let mut body = request.into_body();
            let mut bytes = 0;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { break };
                bytes += frame.into_data().map_or(0, |data| data.len() as u64);
            }
            let bytes = bytes.saturating_sub(5);
            sink.take(bytes).await;
            sink.requests.fetch_add(1, Ordering::Relaxed);
            sink.bytes.fetch_add(bytes, Ordering::Relaxed);
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
            let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
            let response = http::Response::builder().header("content-type", "application/grpc").body(body);
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(2 << 20).initial_connection_window_size(8 << 20).max_frame_size(256 << 10);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// Asks a sink for its figures.
pub fn arrived(figures: SocketAddr) -> Arrived {
    use std::io::Read;
    let mut line = String::new();
    std::net::TcpStream::connect(figures).unwrap().read_to_string(&mut line).unwrap();
    let (requests, bytes) = line.split_once(' ').unwrap();
    Arrived { requests: requests.parse().unwrap(), bytes: bytes.parse().unwrap() }
}
