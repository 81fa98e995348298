//! A request's body in pieces.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A request's body: pieces that go out one after the other, none of them copied.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    left: VecDeque<Bytes>,
    size: u64,
}

impl Chunks {
    /// A body of these pieces.
    pub fn new(chunks: impl IntoIterator<Item = Bytes>) -> Self {
        let left: VecDeque<Bytes> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let size = left.iter().map(|chunk| chunk.len() as u64).sum();
        Chunks { left, size }
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// With one more piece before them.
    pub fn preceded_by(mut self, first: Bytes) -> Self {
        self.size += first.len() as u64;
        self.left.push_front(first);
        self
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.left.pop_front();
        self.size -= next.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(next.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size)
    }
}
