//! Timeouts on the stream of a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::activity::Activity;
use super::connections::Limits;
use crate::net::Stream;

/// A stream whose peer may not stall. Reading: on HTTP/1, outside of requests, the head must come
/// in time and silence must end (within requests the handler watches; on HTTP/2 the server does).
/// Writing: the peer must take something in time.
pub(super) struct Guard {
    stream: Stream,
    prefix: Vec<u8>,
    activity: Option<Arc<Activity>>,
    seen: u64,
    in_head: bool,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
}

impl Guard {
    /// `prefix` was read from the stream already. The `activity` is that of an HTTP/1 connection.
    pub(super) fn new(stream: Stream, prefix: Vec<u8>, activity: Option<Arc<Activity>>, limits: &Limits) -> Self {
        Guard {
            stream,
            prefix,
            activity,
            seen: 0,
            in_head: true,
            reading: Box::pin(tokio::time::sleep(limits.header_timeout)),
            writing: None,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.write_timeout,
        }
    }

    /// Outside of a request: sets the clock anew if one has ended since the last look.
    fn between_requests(&mut self) -> bool {
        let Some(activity) = &self.activity else { return false };
        let now = activity.changes();
        if now != self.seen {
            self.seen = now;
            self.in_head = false;
            self.reading.as_mut().reset(Instant::now() + self.idle_timeout);
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
