//! Before anything else of a request: whether its credentials are good. Its body is not read
//! before that.

use http::{Method, Request};

use super::Pipeline;
use super::ingest::Tally;
use super::refusal::Refusal;
use crate::signal::Signal;

/// Lets a request in, or counts it as refused: in the ledger if it is for a `signal`.
pub(super) fn check<B>(
    request: &Request<B>,
    signal: Option<Signal>,
    pipeline: &Pipeline,
    receiver: &'static str,
) -> Result<(), Refusal> {
    let Err(denied) = pipeline.door.judge(request.headers()) else { return Ok(()) };
    let refusal = Refusal::Unauthenticated(denied);
    if let Some(signal) = signal.filter(|_| request.method() == Method::POST) {
        Tally::new(&pipeline.telemetry, receiver, signal).refuse(&refusal);
    }
    Err(refusal)
}
