//! What Pyroscope's clients speak, on one port: `/ingest`, `push.v1.PusherService/Push`, and OTLP
//! profiles.
//!
//! Go's client takes only 200 for success. Most of these clients never send again what was not
//! taken at once.

mod ingest;
mod profile;
mod push;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::authenticate::authenticate;
use super::otlp_http;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use super::{Pipeline, method, otlp_grpc, path};
use crate::net::{self, server};
use crate::signal::Signal;

net::port_config! {
    /// Settings of the Pyroscope receiver (`[receivers.pyroscope]`).
    pub struct Config, port 9999 {
        /// Whether it listens at all.
        pub enabled: bool = true,
    }
}

/// Its name in the ledger.
const NAME: &str = "pyroscope";

/// Receives until `shutdown`, and returns once what is in flight is answered.
pub async fn serve(listener: TcpListener, pipeline: Pipeline, shutdown: CancellationToken) {
    let port = (listener, pipeline.acceptor.clone());
    let connections = pipeline.admission.connections().clone();
    let handler = move |request: Request<Incoming>| {
        let pipeline = pipeline.clone();
        async move { handle(request, &pipeline).await }
    };
    server::serve(NAME, port, connections, shutdown, handler).await;
}

async fn handle(request: Request<Incoming>, pipeline: &Pipeline) -> Response<Reply> {
    if otlp_grpc::is_grpc(request.headers()) {
        return otlp_grpc::handle(request, pipeline, NAME).await;
    }
    let path = path::plain(request.uri().path()).into_owned();
    let path = path.as_str();
    if let Some(signal) = otlp_http::signal_of(path).filter(|signal| *signal == Signal::Profiles) {
        return otlp_http::handle(request, signal, pipeline, NAME).await;
    }
    let known = matches!(path, "/ingest" | "/pyroscope/ingest" | push::PATH);
    if let Err(refusal) = authenticate(&request, known.then_some(Signal::Profiles), pipeline, NAME) {
        net::drain(request);
        return refused(&refusal, refusal.http());
    }
    if !known {
        let message =
            format!("nothing at {path}; this port takes POST /ingest, {} and /v1development/profiles", push::PATH);
        pipeline.telemetry.refused_other(NAME, "not_found", &message, super::ingest::peer(&request));
        net::drain_body(request.into_body());
        return reply::text(StatusCode::NOT_FOUND, message);
    }
    if request.method() != Method::POST {
        return method::refused(request, pipeline, NAME);
    }
    let pushed = path == push::PATH;
    if pushed { push::handle(request, pipeline).await } else { ingest::handle(request, pipeline).await }
}

/// A refusal as Pyroscope and Connect write it: `{"code": "...", "message": "..."}`.
fn refused(refusal: &Refusal, status: StatusCode) -> Response<Reply> {
    let body = serde_json::json!({ "code": code_name(refusal.code()), "message": refusal.to_string() });
    let mut response = reply::typed(status, "application/json", body.to_string());
    refusal.advise(response.headers_mut());
    response
}

/// The codes' names in Connect's protocol.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Cancelled => "canceled",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unauthenticated => "unauthenticated",
        Code::Unavailable => "unavailable",
        _ => "unknown",
    }
}
