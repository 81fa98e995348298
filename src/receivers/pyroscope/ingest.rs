//! `POST /ingest`: one profile, described by the query.

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::{NAME, profile, refused};
use crate::receivers::Pipeline;
use crate::receivers::ingest::{self, Check, Checked, Deadline, Ingest, Tally};
use crate::receivers::otlp_http::content_encoding;
use crate::receivers::refusal::Refusal;
use crate::receivers::reply::{self, Reply};
use crate::signal::{Format, Meta, Signal, now_nanos};
use crate::wire::ingest::Parameters;

/// Answers one request: 200 with nothing, since Go's client takes 204 for an error.
pub(super) async fn handle(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    let tally = Tally::new(&pipeline.telemetry, NAME, Signal::Profiles);
    match accept(request, pipeline, tally).await {
        Ok(()) => reply::empty(StatusCode::OK),
        Err(refusal) => refused(&refusal, status(&refusal)),
    }
}

/// As Pyroscope has it: a wrong parameter is 400, a wrong profile 422.
fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) => StatusCode::UNPROCESSABLE_ENTITY,
        other => other.http(),
    }
}

async fn accept(request: Request<Incoming>, pipeline: &Pipeline, tally: Tally) -> Result<(), Refusal> {
    let deadline = Deadline::ours(pipeline);
    let limit = ingest::limit(pipeline);
    let content_type = request.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let meta = Meta {
        query: request.uri().query().unwrap_or_default().to_owned(),
        content_type: String::from_utf8_lossy(content_type).into_owned(),
    };
    let known = content_encoding(request.headers()).and_then(|compression| {
        let parameters = Parameters::parse(&meta.query, &meta.content_type, now_nanos());
        let parameters = parameters.map_err(|error| Refusal::BadParameter(error.to_string()))?;
        Ok((compression, parameters))
    });
    let ((compression, parameters), received, tally) =
        ingest::receive(known, request.into_body(), limit, deadline, pipeline, tally).await?;
    let check = check(parameters, meta.content_type.clone(), limit);
    let ingest = Ingest { signal: Signal::Profiles, format: Format::PyroscopeIngest, compression, limit, meta, check };
    ingest::take(pipeline, received, ingest, deadline, tally).await.map(|_| ())
}

fn check(parameters: Parameters, content_type: String, limit: usize) -> Check {
    Box::new(move |decoded, room| {
        profile::check(parameters.format, &content_type, decoded, limit, room)?;
        Ok(Checked { items: 1, ..Checked::default() })
    })
}
