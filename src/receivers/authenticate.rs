//! Checks the credentials of a request before anything else of it. Its body is not read before that.

use http::{Method, Request};

use super::Pipeline;
use super::ingest::Tally;
use super::refusal::Refusal;
use crate::signal::Signal;

/// Checks a request, and counts it as refused if it is denied: in the ledger if it is for a `signal`.
pub(super) fn authenticate<B>(
    request: &Request<B>,
    signal: Option<Signal>,
    pipeline: &Pipeline,
    receiver: &'static str,
) -> Result<(), Refusal> {
    let Err(denied) = pipeline.authenticator.authenticate(request.headers()) else { return Ok(()) };
    let refusal = Refusal::Unauthenticated(denied);
    if let Some(signal) = signal.filter(|_| request.method() == Method::POST) {
        Tally::new(&pipeline.telemetry, receiver, signal).of(request).refuse(&refusal);
    }
    Err(refusal)
}
