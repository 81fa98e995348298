//! The body of a reply, as part of its request: the request ends when the body does, and a client
//! that does not read shows. With HTTP/2 nothing else tells: its connection stays writable while a
//! stream has no window.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::activity::Turn;

/// A body that notes when the server asks for more of it, which it does once the client has read.
#[derive(Debug)]
pub(super) struct Tracked<B> {
    body: B,
    turn: Option<Turn>,
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, turn: Turn) -> Self {
        Tracked { body, turn: Some(turn) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(turn) = &self.turn {
            turn.taken();
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {
                if let Some(turn) = &self.turn {
                    turn.offer();
                }
            }
            Poll::Ready(_) => self.turn = None,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
