//! A request's body in one piece: the walk and the log want it contiguous. A body that comes in
//! one frame is not copied; others are put together once.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{BufMut, Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::admission::{Admission, Reservation};
use super::ingest::{Deadline, Tally};
use super::refusal::Refusal;
use crate::net::drain_body;

/// Largest capacity taken on a client's word alone.
const TRUSTED: usize = 1 << 20;

/// A complete body, and its part of the memory budget.
#[derive(Debug)]
pub(crate) struct Received {
    /// The bytes as they came.
    pub(crate) bytes: Bytes,
    /// Held until the body is in the log.
    pub(crate) room: Reservation,
}

/// Reads the whole body. `expected` says from its first bytes how long it is, where that can be
/// known; a body that is announced to be larger than `limit` is refused before it is read.
pub(crate) async fn read(
    body: Incoming,
    limit: usize,
    admission: &Arc<Admission>,
    deadline: Deadline,
    tally: &mut Tally,
    expected: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Received, Refusal> {
    let mut room = admission.reservation();
    let too_large = Refusal::TooLarge { limit };
    let mut announced = body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    if announced.is_some_and(|size| size > limit) {
        drain_body(body);
        return Err(too_large);
    }
    let mut body = body;
    let idle = admission.config().idle_body_timeout;
    let mut silence = pin!(tokio::time::sleep_until(deadline.at.min(Instant::now() + idle)));
    let mut first: Option<Bytes> = None;
    let mut whole: Option<BytesMut> = None;
    let mut size = 0usize;
    loop {
        let frame = poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => silence.as_mut().poll(cx).map(|()| Err(deadline.passed(Refusal::Slow))),
        });
        let frame = match frame.await? {
            None => break,
            Some(frame) => frame.map_err(|error| Refusal::Cut(reason(&error)))?,
        };
        let Ok(data) = frame.into_data() else { continue };
        if data.is_empty() {
            continue;
        }
        silence.as_mut().reset(deadline.at.min(Instant::now() + idle));
        size += data.len();
        tally.bytes = size as u64;
        if first.is_none() && whole.is_none() {
            announced = expected(&data).or(announced);
        }
        if size > limit || announced.is_some_and(|size| size > limit) {
            drain_body(body);
            return Err(too_large);
        }
        if !room.grow(data.len()) {
            drain_body(body);
            return Err(Refusal::Busy("memory"));
        }
        match (&mut whole, first.take()) {
            (Some(whole), _) => whole.put(data),
            (None, None) => first = Some(data),
            (None, Some(start)) => {
                let capacity = announced.unwrap_or(0).min(TRUSTED).max(2 * size);
                let mut joined = BytesMut::with_capacity(capacity);
                joined.put(start);
                joined.put(data);
                whole = Some(joined);
            }
        }
    }
    let bytes = whole.map(BytesMut::freeze).or(first).unwrap_or_default();
    Ok(Received { bytes, room })
}

/// The innermost cause says most.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
