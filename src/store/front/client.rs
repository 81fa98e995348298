//! One request to the engine or to a reader, over a connection of its own on a unix socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Sends a request and gives the response's head, its body to follow.
///
/// # Errors
/// What went wrong on the socket: the process is gone, or going.
pub async fn send(socket: &Path, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
    let stream = UnixStream::connect(socket).await.map_err(|e| e.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|e| e.to_string())
}

/// Sends a request and gathers a small answer, within `patience`. `None` if it does not come.
pub async fn ask(socket: &Path, request: Request<Full<Bytes>>, patience: Duration) -> Option<Response<Bytes>> {
    let answer = async {
        let (parts, body) = send(socket, request).await.ok()?.into_parts();
        Some(Response::from_parts(parts, body.collect().await.ok()?.to_bytes()))
    };
    tokio::time::timeout(patience, answer).await.ok().flatten()
}

/// A request without a body.
pub fn get(path: &'static str) -> Request<Full<Bytes>> {
    request(Method::GET, path, Bytes::new())
}

/// A request; the paths are our own.
pub fn request(method: Method, path: &'static str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from_static(path);
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("store"));
    request
}

/// The request that forwards a statement with these headers.
pub fn statement(headers: &HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = request(Method::POST, "/api/v1/sql", body);
    for (name, value) in headers {
        request.headers_mut().append(name, value.clone());
    }
    request
}
