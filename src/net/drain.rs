//! Reading on after a refusal, so that the reply arrives: a client that is still sending when its
//! connection or stream is closed may never see the reply that says why.

use std::time::Duration;

use http::{Request, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Longest time that is spent on the rest of a body.
const TIME: Duration = Duration::from_secs(5);

/// Most bytes that are read from a client whose credentials are good.
const BYTES: usize = 256 << 20;

/// Most bytes that are read from a client without credentials.
const BYTES_UNAUTHENTICATED: usize = 4 << 20;

/// Reads the body of a request that was refused for its credentials, and discards it. A body that
/// the client holds back until we ask for it (`Expect: 100-continue`) is not asked for.
pub fn drain(request: Request<Incoming>) {
    if !request.headers().contains_key(header::EXPECT) {
        discard(request.into_body(), BYTES_UNAUTHENTICATED);
    }
}

/// Reads the rest of the body of a request that was refused for another reason, and discards it.
pub fn drain_body(body: Incoming) {
    discard(body, BYTES);
}

fn discard(mut body: Incoming, most: usize) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(TIME, async move {
        let mut size = 0;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, bytes::Bytes::len);
            if size > most {
                break;
            }
        }
    }));
}
