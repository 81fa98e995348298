//! Requests whose method is not POST: nothing of them is for a receiver.

use http::{Request, Response};
use hyper::body::Incoming;

use super::Pipeline;
use super::ingest::peer;
use super::reply::{self, Reply};
use crate::net;

/// Counts the request, and answers it with the method that would do.
pub(super) fn refused(request: Request<Incoming>, pipeline: &Pipeline, receiver: &'static str) -> Response<Reply> {
    let why = format!("{} where POST is due", request.method());
    pipeline.telemetry.refused_other(receiver, "method", &why, peer(&request));
    net::drain_body(request.into_body());
    reply::method_not_allowed("POST")
}
