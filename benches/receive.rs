//! What it costs to receive a request, have it on disk and answer: spans per CPU-second of the
//! server, at 512 spans a request over 8 gRPC connections, beside a bare server that only takes
//! the bytes, syncs and answers.
//!
//! The load comes from a second process (this program again), so that the CPU time is the
//! server's alone. Figures of two servers are comparable only within one run.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::convert::Infallible;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vispyr::receivers::{Admission, Pipeline, admission, otlp_grpc};
use vispyr::signal::Signal;
use vispyr::telemetry::Telemetry;
use vispyr::wal::{self, Log, Logs};

#[path = "senders/load.rs"]
mod load;
#[path = "senders/spans.rs"]
mod spans;

use load::{CONNECTIONS, Load};
use spans::SPANS;

const TIME: Duration = Duration::from_secs(3);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let Ok(to) = std::env::var("VISPYR_BENCH_LOAD") {
        let (to, load) = to.split_once(' ').unwrap();
        let load = Load::ALL.into_iter().find(|l| format!("{l:?}") == load).unwrap();
        println!("{}", runtime.block_on(load::generate(to.parse().unwrap(), load, TIME)).accepted);
        return;
    }
    let plain = spans::payload();
    println!(
        "{SPANS} spans a request, {} bytes a span, {CONNECTIONS} connections, {} s each, {} threads",
        plain.len() as u64 / SPANS,
        TIME.as_secs(),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    println!("{:<34} {:>14} {:>12} {:>10} {:>9}", "", "spans/CPU-s", "spans/s", "us/request", "peak MiB");
    let bare = runtime.block_on(measure("bare: bytes, sync, answer", Load::Plain, bare_server));
    let ours = runtime.block_on(measure("vispyr", Load::Plain, vispyr_server));
    println!("{:<34} {:>13.0}%", "vispyr / bare", 100.0 * ours / bare);
    let bare = runtime.block_on(measure("bare, frames of 16 KiB", Load::SmallFrames, bare_server));
    let ours = runtime.block_on(measure("vispyr, frames of 16 KiB", Load::SmallFrames, vispyr_server));
    println!("{:<34} {:>13.0}%", "vispyr / bare", 100.0 * ours / bare);
    runtime.block_on(measure("vispyr, gzip", Load::Gzip, vispyr_server));
    println!("goal: 1,000,000 spans a CPU-second, 60 % of the bare server");
}

/// Runs a server under load and prints its line; spans per CPU-second.
async fn measure<F: Future<Output = ()> + Send + 'static>(
    name: &str,
    load: Load,
    server: impl FnOnce(TcpListener, CancellationToken) -> F,
) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn(server(listener, stop.clone()));
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let started = (Instant::now(), cpu_time());
    let output = tokio::task::spawn_blocking(move || {
        Command::new(std::env::current_exe().unwrap())
            .env("VISPYR_BENCH_LOAD", format!("{to} {load:?}"))
            .stderr(std::process::Stdio::inherit())
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let (wall, cpu) = (started.0.elapsed().as_secs_f64(), (cpu_time() - started.1).as_secs_f64());
    let requests: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let spans = requests * SPANS as f64;
    println!(
        "{name:<34} {:>14.0} {:>12.0} {:>10.1} {:>9}",
        spans / cpu,
        spans / wall,
        cpu / requests * 1e6,
        peak_memory() >> 20
    );
    stop.cancel();
    server.await.unwrap();
    spans / cpu
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// On the disk where the build is, not in memory.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The receiver as it is, with its log.
async fn vispyr_server(listener: TcpListener, stop: CancellationToken) {
    let folder = folder();
    let open =
        |signal: Signal| Log::open(folder.path().join(signal.name()), signal, &wal::Config::default(), &[]).unwrap();
    let pipeline = Pipeline {
        acceptor: vispyr::net::Acceptor::plain(),
        authenticator: vispyr::net::Authenticator::none(),
        logs: Logs::new(Signal::ALL.map(open)),
        admission: Arc::new(Admission::new(admission::Config::default())),
        tap: vispyr::tail::Tap::default(),
        telemetry: Telemetry::new(),
    };
    let logs = pipeline.logs.clone();
    otlp_grpc::serve(listener, pipeline, stop).await;
    tokio::task::spawn_blocking(move || Signal::ALL.map(|signal| logs.of(signal).close())).await.unwrap();
}

/// The limit: takes the frames, writes and syncs what has gathered, answers.
async fn bare_server(listener: TcpListener, stop: CancellationToken) {
    let folder = folder();
    let path = folder.path().join("segment");
    let (queue, batches) = std::sync::mpsc::channel::<(Vec<Bytes>, tokio::sync::oneshot::Sender<()>)>();
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::File::create(&path).unwrap();
        let mut size = 0;
        while let Ok(first) = batches.recv() {
            let mut group = vec![first];
            group.extend(batches.try_iter());
            for bytes in group.iter().flat_map(|(body, _)| body) {
                file.write_all(bytes).unwrap();
                size += bytes.len();
            }
            file.sync_data().unwrap();
            for (_, answer) in group {
                let _ = answer.send(());
            }
            if size > 64 << 20 {
                std::fs::remove_file(&path).unwrap();
                file = std::fs::File::create(&path).unwrap();
                size = 0;
            }
        }
    });
    let connections = tokio_util::task::TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted.unwrap().0,
        };
        stream.set_nodelay(true).unwrap();
        let queue = queue.clone();
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let queue = queue.clone();
            async move {
                let mut body = request.into_body();
                let mut frames = Vec::new();
                while let Some(frame) = body.frame().await {
                    frames.extend(frame.unwrap().into_data());
                }
                let (answer, synced) = tokio::sync::oneshot::channel();
                queue.send((frames, answer)).unwrap();
                synced.await.unwrap();
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
                let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
                let response = http::Response::builder().header("content-type", "application/grpc").body(body);
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        connections.spawn(async move {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder
                .initial_stream_window_size(2 << 20)
                .initial_connection_window_size(8 << 20)
                .max_frame_size(256 << 10);
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
    connections.close();
    connections.wait().await;
    drop(queue);
    tokio::task::spawn_blocking(move || writer.join().unwrap()).await.unwrap();
}
