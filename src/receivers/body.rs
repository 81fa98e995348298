//! A request's body in one piece: the walk and the log want it contiguous.
//!
//! It is copied out of the connection's read buffer, once, into memory of its own size. A frame
//! that was kept as it came would hold the whole buffer, 8 KiB and more for a body of some bytes,
//! for as long as the record waits for its destinations.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::admission::{Admission, REQUEST_COST, Reservation};
use super::ingest::{Deadline, Tally};
use super::refusal::Refusal;
use crate::net::drain_body;

/// Memory is taken on a client's word up to so many times what it has sent. The first frame of HTTP/2
/// is mostly 16 KiB, so a body of up to 256 KiB gets its memory at once and is not moved.
const TRUSTED: usize = 16;

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
    if !room.grow(REQUEST_COST) {
        drain_body(body);
        return Err(Refusal::Busy("memory"));
    }
    let mut body = body;
    let idle = admission.config().idle_body_timeout;
    let mut silence = pin!(tokio::time::sleep_until(deadline.at.min(Instant::now() + idle)));
    let mut whole = Vec::new();
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
        if whole.is_empty() {
            announced = expected(&data).or(announced);
        }
        if size > limit || announced.is_some_and(|size| size > limit) {
            drain_body(body);
            return Err(too_large);
        }
        if !reserve(&mut whole, size, announced, &mut room) {
            drain_body(body);
            return Err(Refusal::Busy("memory"));
        }
        whole.extend_from_slice(&data);
    }
    let spare = whole.capacity() - whole.len();
    if spare > whole.len() / 8 {
        whole.shrink_to_fit();
        room.shrink(spare);
    }
    Ok(Received { bytes: whole.into(), room })
}

/// Makes room for `size` bytes, and for as many as are `announced` where that is likely. False if
/// the budget has none.
fn reserve(whole: &mut Vec<u8>, size: usize, announced: Option<usize>, room: &mut Reservation) -> bool {
    let capacity = whole.capacity();
    if size <= capacity {
        return true;
    }
    let wanted = match announced {
        Some(announced) => announced.min(size.saturating_mul(TRUSTED)).max(size),
        None => size.max(capacity.saturating_mul(2)),
    };
    if !room.grow(wanted - capacity) {
        return false;
    }
    whole.reserve_exact(wanted - whole.len());
    true
}

/// The innermost cause says most.
fn reason(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::admission::Config;

    /// What is taken of the budget is what is allocated.
    #[test]
    fn memory_is_taken_as_it_is_needed() {
        let admission = Arc::new(Admission::new(Config::default()));
        for (announced, frames, want) in [
            (Some(300), vec![300], vec![300]),
            (Some(100_000), vec![1000, 5000, 40_000, 54_000], vec![16_000, 16_000, 100_000, 100_000]),
            (None, vec![1000, 500, 4000], vec![1000, 2000, 5500]),
            // It sends more than it has announced.
            (Some(10), vec![100], vec![100]),
        ] {
            let mut room = admission.reservation();
            let (mut whole, mut size) = (Vec::new(), 0);
            for (frame, want) in frames.iter().zip(&want) {
                size += frame;
                assert!(reserve(&mut whole, size, announced, &mut room));
                whole.resize(size, 0);
                assert_eq!((whole.capacity(), admission.in_flight()), (*want, *want), "{announced:?} {frames:?}");
            }
        }
    }
}
