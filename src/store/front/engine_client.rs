//! One request to the engine, over a connection of its own on the unix socket.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::state::State;
use crate::store::sql::http::QUERY_ID;

/// Sends a request and gives the response's head, its body to follow.
///
/// # Errors
/// What went wrong on the socket: the engine is gone, or going.
pub async fn send(state: &State, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
    let stream = UnixStream::connect(&state.config.query_socket).await.map_err(|e| e.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|e| e.to_string())
}

/// Sends a request and gathers a small answer, within `patience`. `None` if it does not come.
pub async fn ask(state: &State, request: Request<Full<Bytes>>, patience: Duration) -> Option<Response<Bytes>> {
    let answer = async {
        let (parts, body) = send(state, request).await.ok()?.into_parts();
        Some(Response::from_parts(parts, body.collect().await.ok()?.to_bytes()))
    };
    tokio::time::timeout(patience, answer).await.ok().flatten()
}

/// A request without a body.
pub fn get(path: &str) -> Request<Full<Bytes>> {
    bare(http::Method::GET, path)
}

/// Asks the engine to interrupt a statement, and does not wait long for it.
pub async fn interrupt(state: &State, id: &str, why: &str) {
    let mut request = bare(http::Method::DELETE, &format!("/api/v1/sql/{id}"));
    if let Ok(why) = why.parse() {
        request.headers_mut().insert("x-vispyr-reason", why);
    }
    let _ = ask(state, request, Duration::from_millis(500)).await;
}

/// How long the statements of these ids have been running by the engine's own account, in
/// milliseconds. `None` if it does not answer.
pub async fn running(state: &State) -> Option<std::collections::HashMap<String, u64>> {
    let answer = ask(state, get("/api/v1/sql"), Duration::from_secs(2)).await?;
    serde_json::from_slice(answer.body()).ok()
}

fn bare(method: http::Method, path: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.method_mut() = method;
    // The paths are our own and ids are checked to be plain.
    *request.uri_mut() = path.parse().unwrap_or_default();
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("engine"));
    request
}

/// The request that forwards a statement.
pub fn statement(headers: &http::HeaderMap, body: Bytes, id: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/api/v1/sql");
    for name in [http::header::ACCEPT, http::header::CONTENT_TYPE] {
        for value in headers.get_all(&name) {
            request.headers_mut().append(&name, value.clone());
        }
    }
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("engine"));
    if let Ok(id) = id.parse() {
        request.headers_mut().insert(QUERY_ID, id);
    }
    request
}
