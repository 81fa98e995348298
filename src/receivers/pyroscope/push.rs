//! `push.v1.PusherService/Push`: profiles with their labels, as a unary call of the Connect
//! protocol in protobuf or JSON (connectrpc.com/docs/protocol, "Unary-Request").

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{NAME, profile, refused};
use crate::receivers::Pipeline;
use crate::receivers::admission::Reservation;
use crate::receivers::ingest::{self, Check, Checked, Deadline, Ingest, Tally};
use crate::receivers::json::translated;
use crate::receivers::otlp_http::{content_encoding, media_type};
use crate::receivers::refusal::Refusal;
use crate::receivers::reply::{self, Reply};
use crate::signal::{Format, Meta, Signal};
use crate::wire;

/// What is wrong with a request in which nothing is known.
const NOTHING: &str = "the body holds no profiles";

/// The path of the call.
pub(super) const PATH: &str = "/push.v1.PusherService/Push";

/// Answers one call.
pub(super) async fn handle(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    let tally = Tally::new(&pipeline.telemetry, NAME, Signal::Profiles).of(&request);
    let json = is_json(request.headers());
    let wants_json = matches!(json, Ok(true));
    match accept(request, json, pipeline, tally).await {
        Ok(()) if wants_json => reply::typed(StatusCode::OK, "application/json", "{}"),
        Ok(()) => reply::typed(StatusCode::OK, "application/proto", ""),
        Err(refusal @ Refusal::UnknownMediaType(_)) => {
            let mut response = refused(&refusal, refusal.http());
            let accept = HeaderValue::from_static("application/proto, application/json");
            response.headers_mut().insert("accept-post", accept);
            response
        }
        // Connect, "Error Codes": unimplemented is 501.
        Err(refusal @ Refusal::UnknownEncoding(_)) => refused(&refusal, StatusCode::NOT_IMPLEMENTED),
        Err(refusal) => refused(&refusal, refusal.http()),
    }
}

fn is_json(headers: &HeaderMap) -> Result<bool, Refusal> {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let value = String::from_utf8_lossy(value);
    match media_type(&value).to_ascii_lowercase().as_str() {
        "application/proto" => Ok(false),
        "application/json" => Ok(true),
        _ => Err(Refusal::UnknownMediaType(format!(
            "content type {value:?} is not application/proto or application/json"
        ))),
    }
}

async fn accept(
    request: Request<Incoming>,
    json: Result<bool, Refusal>,
    pipeline: &Pipeline,
    tally: Tally,
) -> Result<(), Refusal> {
    let deadline = Deadline::ours(pipeline);
    let limit = ingest::limit(pipeline);
    let known = json.and_then(|json| Ok((json, content_encoding(request.headers())?)));
    let ((json, compression), received, tally) =
        ingest::receive(known, request.into_body(), limit, deadline, pipeline, tally).await?;
    let check: Check = Box::new(move |decoded, room| {
        let walk = |payload: &[u8], room: &mut Reservation| check(payload, limit, room);
        if !json {
            return walk(decoded, room);
        }
        let nothing_known = |unknown: &str| format!("{NOTHING}; {unknown:?} is not a known field");
        translated(decoded, limit, room, wire::json::translate_push_request, walk, nothing_known)
    });
    let meta = Meta::default();
    let ingest = Ingest { signal: Signal::Profiles, format: Format::PyroscopePush, compression, limit, meta, check };
    ingest::take(pipeline, received, ingest, deadline, tally).await.map(|_| ())
}

/// Checks a request and every profile in it.
fn check(payload: &[u8], limit: usize, room: &mut Reservation) -> Result<Checked, Refusal> {
    let summary = wire::check_push_request(payload)?;
    if summary.items == 0 && summary.unknown_fields > 0 {
        return Err(Refusal::Malformed(format!("{NOTHING} and fields that are not known")));
    }
    for (s, p, profile) in wire::pushed_profiles(payload) {
        profile::pprof(profile, limit, room).map_err(|refusal| match refusal {
            Refusal::Malformed(problem) => Refusal::Malformed(format!("series[{s}].samples[{p}]: {problem}")),
            other => other,
        })?;
    }
    let mut checked = Checked::from(summary);
    if summary.damaged_strings > 0 {
        checked.translate(wire::repair_push_request(payload), limit, room)?;
    }
    Ok(checked)
}
