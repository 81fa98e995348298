//! The HTTP server of all ports: the receivers, the page, SQL, and the engine's socket; and the connections
//! of the port that speaks PostgreSQL's protocol ([`accept`]).
//!
//! It accepts connections (TCP with or without TLS, or a unix socket), tells HTTP/1 from HTTP/2 by the
//! first bytes, and serves requests until it is told to stop. A client that stalls loses its
//! connection: the head of a request must come in time, a connection without requests is closed
//! after a while, and so is one whose client does not read. When all places are taken, a connection
//! without a request gives its place to a new one ([`Connections`]).
//!
//! | module | what |
//! |---|---|
//! | [`connections`] | the places of a group of ports, and which connection gives way |
//! | [`listener`] | TCP and unix sockets |
//! | `activity` | which requests a connection has in flight |
//! | `guard` | timeouts on the stream of a connection |
//! | `executor` | how the requests of an HTTP/2 connection are begun |
//! | `tracked` | the body of a reply, as part of its request |

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod activity;
pub mod connections;
mod executor;
mod guard;
pub mod listener;
mod tracked;

pub use activity::Turn;
pub use connections::{Connections, Limits, Place};
pub use listener::{Listener, Socket};

use super::Stream;
use super::tls::AcceptError;
use activity::Activity;
use executor::FirstStepAtOnce;
use guard::Guard;
use tracked::Tracked;

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that an HTTP/2 client may send on one stream before we have read them. Bodies are read as
/// they arrive, so that little is ever held; a small window would cost a round trip each 64 KiB.
const STREAM_WINDOW: u32 = 2 << 20;
/// The same for a whole connection.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Largest HTTP/2 frame. A connection holds as much of one that has not arrived as a whole, and
/// there may be many of them.
const FRAME_SIZE: u32 = 64 << 10;
/// Read buffer of an HTTP/1 connection, which it keeps.
const READ_BUFFER: usize = 32 << 10;
/// A silent HTTP/2 connection is pinged this often, and has as long to answer.
const PING: Duration = Duration::from_secs(20);
/// How long requests in flight may take once the server is told to stop. What is cut then was not
/// acknowledged, so its sender sends it again.
const DRAIN: Duration = Duration::from_millis(800);
/// How long a connection that gives way may take to say so to its client: a new one needs its
/// descriptor.
const GIVE_WAY: Duration = Duration::from_millis(50);
/// The same for one that was idle for too long.
const IDLE: Duration = Duration::from_secs(1);
/// The log tells of a connection that found no place at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The address of the client, in the extensions of each request that came over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Serves requests until `shutdown`, then returns once those in flight are answered, or have had their
/// time. `port` is the name for the log.
pub async fn serve<H, F, B>(
    port: &'static str,
    listener: impl Into<Listener>,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
    handler: H,
) where
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let end = shutdown.clone();
    accept(port, listener.into(), connections, end, move |socket, peer, place, limits| {
        let (shutdown, handler) = (shutdown.clone(), handler.clone());
        async move {
            let handler = move |mut request: Request<Incoming>| {
                if let Some(peer) = peer {
                    request.extensions_mut().insert(Peer(peer));
                }
                handler(request)
            };
            connection(socket, &place, &limits, &shutdown, handler).await
        }
    })
    .await;
}

/// Accepts connections until `shutdown`, gives each one that finds a place to `serve`, and waits for those to
/// end. Why one has ended goes to the log, if `serve` says it.
pub async fn accept<S, F>(
    port: &'static str,
    listener: Listener,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
    serve: S,
) where
    S: Fn(Socket, Option<SocketAddr>, Place, Limits) -> F,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let tasks = TaskTracker::new();
    let mut logged: Option<Instant> = None;
    let mut log_now = move || {
        let now = logged.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if now {
            logged = Some(Instant::now());
        }
        now
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = async {
                connections.settled().await;
                listener.accept().await
            } => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if log_now() {
                    tracing::warn!(port, %error, "cannot accept a connection");
                }
                // Mostly it is out of file descriptors: a connection without a request gives its own.
                connections.give_way();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = connections.enter() else {
            if log_now() {
                let refused = connections.refused();
                tracing::warn!(port, ?peer, refused, "every connection has a request in flight, closing a new one");
            }
            continue;
        };
        let served = serve(socket, peer, place, connections.limits());
        tasks.spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(port, ?peer, error, "connection ended");
            }
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn connection<H, F, B>(
    socket: Socket,
    place: &Place,
    limits: &Limits,
    shutdown: &CancellationToken,
    handler: H,
) -> Result<(), String>
where
    H: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let arrival = async {
        let mut stream = socket.establish().await?;
        let (prefix, http2) = first_bytes(&mut stream).await?;
        Ok::<_, AcceptError>((stream, prefix, http2))
    };
    let activity = place.activity();
    let (stream, prefix, http2) = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        () = activity.gives_way() => return Err("gave way before its first request".to_owned()),
        arrived = tokio::time::timeout(limits.header_timeout, arrival) => {
            arrived.map_err(|_| "no request in time")?.map_err(|error| error.to_string())?
        }
    };
    let service = {
        let activity = activity.clone();
        service_fn(move |request| {
            let turn = Activity::begin(&activity);
            let reply = handler(request);
            async move {
                let response: Response<B> = reply.await;
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, turn)))
            }
        })
    };
    let io = TokioIo::new(Guard::new(stream, prefix, (!http2).then(|| activity.clone()), limits));
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(FirstStepAtOnce);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_SIZE)
            .max_concurrent_streams(limits.max_streams)
            .max_header_list_size(16 << 10)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        drive(builder.serve_connection(io, service), activity, limits, shutdown).await
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(READ_BUFFER);
        drive(builder.serve_connection(io, service), activity, limits, shutdown).await
    }
}

/// Serves one connection to its end: its own, that of the server, or the end of our patience.
async fn drive<C>(
    connection: C,
    activity: &Arc<Activity>,
    limits: &Limits,
    shutdown: &CancellationToken,
) -> Result<(), String>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut tick = tokio::time::interval((limits.write_timeout / 4).max(Duration::from_millis(10)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let patience = loop {
        tokio::select! {
            result = connection.as_mut() => return result.map_err(|error| error.to_string()),
            () = shutdown.cancelled() => break DRAIN,
            () = activity.gives_way() => {
                if activity.requests() == 0 {
                    return Err("gave way before its first request".to_owned());
                }
                break GIVE_WAY;
            }
            _ = tick.tick() => {
                if activity.unread_for() > limits.write_timeout {
                    return Err("the client does not read".to_owned());
                }
                if activity.idle_for() > limits.idle_timeout {
                    break IDLE;
                }
            }
        }
    };
    connection.as_mut().graceful_shutdown();
    match tokio::time::timeout(patience, connection).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("did not end in time".to_owned()),
    }
}

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
