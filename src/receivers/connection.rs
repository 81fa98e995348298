//! Accepting connections: TLS where there is one, HTTP/1 or HTTP/2 by their first bytes, a limit on their number,
//! timeouts against clients that stall, draining at the end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::reply::Reply;
use crate::net::tls::AcceptError;
use crate::net::{Acceptor, Stream};

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that an HTTP/2 client may send on one stream before we have read them. Bodies are read as
/// they arrive, so that little is ever held; a small window would cost a round trip each 64 KiB.
const STREAM_WINDOW: u32 = 2 << 20;
/// The same for a whole connection.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Largest HTTP/2 frame: clients that fill it send a usual request in one piece, which is then
/// not copied.
const FRAME_SIZE: u32 = 256 << 10;
/// Read buffer of an HTTP/1 connection.
const READ_BUFFER: usize = 256 << 10;
/// A silent HTTP/2 connection is asked for a sign of life this often, and has as long to answer.
const PING: Duration = Duration::from_secs(20);

/// Accepts until `shutdown`, then returns once every request in flight is answered.
pub(crate) async fn serve<H, F>(
    receiver: &'static str,
    listener: TcpListener,
    acceptor: Acceptor,
    admission: Arc<Admission>,
    shutdown: CancellationToken,
    handler: H,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Reply>> + Send + 'static,
{
    let connections = TaskTracker::new();
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: wait for some to be closed.
                tracing::warn!(receiver, %error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(permit) = admission.connection() else {
            // Once a second: whoever opens connections without end should not fill the log, too.
            if warned.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
                warned = Some(Instant::now());
                tracing::warn!(receiver, %peer, "too many connections, closing this one");
            }
            continue;
        };
        let (acceptor, admission) = (acceptor.clone(), admission.clone());
        let (shutdown, handler) = (shutdown.clone(), handler.clone());
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection(stream, &acceptor, &admission, &shutdown, handler).await {
                tracing::debug!(receiver, %peer, error, "connection ended");
            }
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection<H, F>(
    stream: TcpStream,
    acceptor: &Acceptor,
    admission: &Admission,
    shutdown: &CancellationToken,
    handler: H,
) -> Result<(), String>
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Reply>> + Send + 'static,
{
    let config = admission.config();
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let arrival = async {
        let mut stream = acceptor.accept(stream).await?;
        let (prefix, http2) = first_bytes(&mut stream).await?;
        Ok::<_, AcceptError>((stream, prefix, http2))
    };
    let (stream, prefix, http2) = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        arrived = tokio::time::timeout(config.header_timeout, arrival) => {
            arrived.map_err(|_| "no request in time")?.map_err(|error| error.to_string())?
        }
    };
    let progress = Arc::new(Progress::default());
    let guard = Guard {
        stream,
        prefix,
        progress: (!http2).then(|| progress.clone()),
        seen: 0,
        in_head: true,
        reading: Box::pin(tokio::time::sleep(config.header_timeout)),
        writing: None,
        header_timeout: config.header_timeout,
        keep_alive_timeout: config.keep_alive_timeout,
        write_timeout: config.idle_body_timeout,
    };
    let io = TokioIo::new(guard);
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_SIZE)
            .max_concurrent_streams(config.max_streams)
            .max_header_list_size(16 << 10)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        let mut connection = std::pin::pin!(builder.serve_connection(io, service_fn(answering(handler))));
        tokio::select! {
            result = connection.as_mut() => return result.map_err(|error| error.to_string()),
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(|error| error.to_string())
    } else {
        let handler = move |request| {
            let turn = Turn::begin(&progress);
            let answer = handler(request);
            async move {
                let _turn = turn;
                answer.await
            }
        };
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(READ_BUFFER);
        let mut connection = std::pin::pin!(builder.serve_connection(io, service_fn(answering(handler))));
        tokio::select! {
            result = connection.as_mut() => return result.map_err(|error| error.to_string()),
            () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(|error| error.to_string())
    }
}

fn answering<H, F>(handler: H) -> impl Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Answer> + Send>>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Reply>> + Send + 'static,
{
    move |request| {
        let answer = handler(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

/// What hyper wants of a service that never fails.
type Answer = Result<Response<Reply>, std::convert::Infallible>;

/// Reads until it is clear whether this is HTTP/2.
async fn first_bytes(stream: &mut Stream) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::with_capacity(PREFACE.len());
    while bytes.len() < PREFACE.len() && PREFACE.starts_with(&bytes) {
        let mut chunk = [0; PREFACE.len()];
        let wanted = PREFACE.len() - bytes.len();
        match stream.read(&mut chunk[..wanted]).await? {
            0 => break,
            n => bytes.extend_from_slice(&chunk[..n]),
        }
    }
    let http2 = bytes == PREFACE;
    Ok((bytes, http2))
}

/// Counts the beginnings and ends of requests on an HTTP/1 connection: odd within one.
#[derive(Debug, Default)]
struct Progress(AtomicU64);

/// A request being answered.
struct Turn(Arc<Progress>);

impl Turn {
    fn begin(progress: &Arc<Progress>) -> Self {
        progress.0.fetch_add(1, Ordering::Relaxed);
        Turn(progress.clone())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream whose peer may not stall. Reading: on HTTP/1, outside of requests, the head must come
/// in time and silence must end (within requests `body` watches; on HTTP/2 pings do). Writing: the
/// peer must take something in time.
struct Guard {
    stream: Stream,
    prefix: Vec<u8>,
    progress: Option<Arc<Progress>>,
    seen: u64,
    in_head: bool,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    header_timeout: Duration,
    keep_alive_timeout: Duration,
    write_timeout: Duration,
}

impl Guard {
    /// Outside of a request: sets the clock anew if one has ended since the last look.
    fn between_requests(&mut self) -> bool {
        let Some(progress) = &self.progress else { return false };
        let now = progress.0.load(Ordering::Relaxed);
        if now != self.seen {
            self.seen = now;
            self.in_head = false;
            self.reading.as_mut().reset(Instant::now() + self.keep_alive_timeout);
        }
        now % 2 == 0
    }

    fn write_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let timeout = self.write_timeout;
        let timer = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))
    }
}

impl AsyncRead for Guard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let n = self.prefix.len().min(buf.remaining());
            buf.put_slice(&self.prefix[..n]);
            self.prefix.drain(..n);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                if buf.filled().len() > before && self.between_requests() && !self.in_head {
                    self.in_head = true;
                    let deadline = Instant::now() + self.header_timeout;
                    self.reading.as_mut().reset(deadline);
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                if self.between_requests() {
                    ready!(self.reading.as_mut().poll(cx));
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request in time")));
                }
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Guard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, buf) {
            Poll::Pending => self.write_stalled(cx).map(Err),
            ready => {
                self.writing = None;
                ready
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, bufs) {
            Poll::Pending => self.write_stalled(cx).map(Err),
            ready => {
                self.writing = None;
                ready
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.between_requests() {
            // A reply is on its way. hyper may not read again before something arrives, so the
            // clock for silence is wound up here; once it rings, the next read fails.
            let _ = self.reading.as_mut().poll(cx);
        }
        // With TLS, this is where bytes wait for a peer that does not read.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.write_stalled(cx).map(Err),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.write_stalled(cx).map(Err),
            ready => ready,
        }
    }
}
