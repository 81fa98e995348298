//! Turning away who has shown no credentials, so that the reply arrives.

use std::time::Duration;

use http::{Request, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Reads on for a moment, into nothing, what comes with a request that was refused: a client that
/// is still sending when its connection or stream is closed may never see the reply that says why.
/// Not much is read, and nothing that is held back until we ask for it (`Expect: 100-continue`).
pub fn dismiss(request: Request<Incoming>) {
    const TIME: Duration = Duration::from_secs(5);
    const BYTES: usize = 4 << 20;
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return;
    }
    let mut body = request.into_body();
    tokio::spawn(tokio::time::timeout(TIME, async move {
        let mut size = 0;
        while let Some(Ok(frame)) = body.frame().await {
            size += frame.data_ref().map_or(0, bytes::Bytes::len);
            if size > BYTES {
                break;
            }
        }
    }));
}
