//! Response bodies: one piece of data and, for gRPC, trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

/// A response body.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    data: Option<Bytes>,
    trailers: Option<Box<HeaderMap>>,
}

impl Reply {
    /// A body of one piece.
    pub(crate) fn data(data: impl Into<Bytes>) -> Self {
        Reply { data: Some(data.into()).filter(|data| !data.is_empty()), trailers: None }
    }

    /// A body of one piece and trailers after it.
    pub(crate) fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        Reply { data: Some(data), trailers: Some(Box::new(trailers)) }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match (self.data.take(), &mut self.trailers) {
            (Some(data), _) => Some(Frame::data(data)),
            (None, trailers) => trailers.take().map(|trailers| Frame::trailers(*trailers)),
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        // With trailers there is no content-length, as in every gRPC server.
        match &self.trailers {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}

/// A reply without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.status_mut() = status;
    response
}

/// A reply with a body of this type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::data(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A reply for people.
pub(crate) fn text(status: StatusCode, message: impl Into<String>) -> Response<Reply> {
    let mut message: String = message.into();
    message.push('\n');
    typed(status, "text/plain; charset=utf-8", message)
}

/// 405 with the methods that would do.
pub(crate) fn method_not_allowed(allow: &'static str) -> Response<Reply> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("method not allowed, use {allow}"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}
