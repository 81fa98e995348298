//! SQL over HTTP on the socket of a reader, for the store front.
//!
//! | request | answer |
//! |---|---|
//! | `POST /api/v1/sql` | the statement's rows, by `Accept` |
//! | `GET /api/v1/sql` | 200, or 409 while a statement runs |
//! | any other | that of the [`Host`] |

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Incoming;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::dialect::Dialect;
use super::error::SqlError;
use super::format::{Kind, Summary};
use super::request::{Query, accepted};
use super::service::{Piece, Service, Start, Wanted};
use crate::net::server::{self, Connections, Limits};

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Response header or trailer: how many rows there are.
pub const ROW_COUNT: HeaderName = HeaderName::from_static("x-vispyr-row-count");
/// Response header or trailer: `true` if there were more rows than the limit.
pub const TRUNCATED: HeaderName = HeaderName::from_static("x-vispyr-truncated");
/// Response header or trailer: milliseconds.
pub const ELAPSED: HeaderName = HeaderName::from_static("x-vispyr-elapsed-ms");
/// Response header: of how many files the answer is, and how many there are: `3/1200`.
pub const FILES: HeaderName = HeaderName::from_static("x-vispyr-files");
/// Response header: what the answer lacks, where files are lost.
pub const WARNING: HeaderName = HeaderName::from_static("x-vispyr-warning");
/// Response header: the instance is spoilt, the reader ends.
pub const FATAL: HeaderName = HeaderName::from_static("x-vispyr-fatal");

/// Request header, from the store front: the statement is in PostgreSQL's dialect. Its value is JSON
/// ([`super::dialect::Session`]).
pub const DIALECT: HeaderName = HeaderName::from_static("x-vispyr-dialect");
/// Request header, from the store front: the statement is not to be run but described.
pub const DESCRIBE: HeaderName = HeaderName::from_static("x-vispyr-describe");

/// Response header, for the store front: the word for what came of a statement that failed.
pub const OUTCOME: HeaderName = HeaderName::from_static("x-vispyr-outcome");

/// Bytes held back before the status is sent: an error up to there still gets its own status.
const HOLD: usize = 1 << 20;

/// Who serves statements, beside them.
pub trait Host: Send + Sync + 'static {
    /// The answer to any other request. Blocks.
    fn answer(&self, method: &Method, path: &str, body: Bytes) -> Response<Body>;
    /// The instance is spoilt: end the process.
    fn fatal(&self, message: &str);
}

/// Connections at a time. The store front opens one for each request.
const MAX_CONNECTIONS: usize = 64;

/// Bytes of a request that is no statement.
const MAX_BODY: usize = 1 << 30;

/// Serves until `shutdown`. Statements that run then have a moment, and are interrupted.
pub async fn serve(listener: UnixListener, service: Service, host: impl Host, shutdown: CancellationToken) {
    let limits = Limits {
        max_connections: MAX_CONNECTIONS,
        write_timeout: service.config().time_limit.max(Limits::default().write_timeout),
        ..Limits::default()
    };
    let host: Arc<dyn Host> = Arc::new(host);
    let handler = move |request| answer(request, service.clone(), Arc::clone(&host));
    server::serve("reader", listener, Connections::new(limits, usize::MAX), shutdown, handler).await;
}

async fn answer(request: Request<Incoming>, service: Service, host: Arc<dyn Host>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/api/v1/sql") => sql(request, &service, &host).await,
        (&Method::GET, "/api/v1/sql") if service.is_busy() => plain(StatusCode::CONFLICT, "busy\n"),
        (&Method::GET, "/api/v1/sql") => plain(StatusCode::OK, "free\n"),
        (_, "/api/v1/sql") => post_only(),
        _ => {
            let (parts, body) = request.into_parts();
            let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
                return plain(StatusCode::BAD_REQUEST, "the body broke off\n");
            };
            let answer = move || host.answer(&parts.method, parts.uri.path(), body.to_bytes());
            let answered = tokio::task::spawn_blocking(answer).await;
            answered.unwrap_or_else(|_| plain(StatusCode::SERVICE_UNAVAILABLE, "ending\n"))
        }
    }
}

/// For a statement that comes by another method.
pub fn post_only() -> Response<Body> {
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &serde_json::json!({"error": "POST the statement"}));
    response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn sql(request: Request<Incoming>, service: &Service, host: &Arc<dyn Host>) -> Response<Body> {
    let limit = usize::try_from(service.config().max_statement.as_u64()).unwrap_or(usize::MAX);
    let (parts, body) = request.into_parts();
    // JSON may take more bytes for the same statement, and there are the parameters.
    let body = match Limited::new(body, limit.saturating_mul(4)).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let size = limit as u64 * 4 + 1;
            return error_response(&SqlError::TooLarge { size, limit: limit as u64 }, "");
        }
        Err(error) => return error_response(&SqlError::refused(format!("the body broke off: {error}"), None), ""),
    };
    let query = match Query::read(&parts.headers, &body) {
        Ok(query) => query,
        Err(error) => return error_response(&error, ""),
    };
    let text = query.sql.clone();
    let kind = accepted(&parts.headers);
    let wanted = if parts.headers.contains_key(DESCRIBE) { Wanted::Description } else { Wanted::Rows(kind) };
    let dialect = Dialect::read(parts.headers.get(DIALECT).map(HeaderValue::as_bytes));
    let mut pieces = service.start_in(dialect, query, wanted);
    let mut held: Vec<Bytes> = Vec::new();
    let mut size = 0;
    let mut start = HeaderMap::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Start(known) => start = start_headers(&known),
            Piece::Data(data) => {
                size += data.len();
                held.push(data);
                if size > HOLD {
                    let mut response = streamed(kind, held, pieces, Arc::clone(host));
                    response.headers_mut().extend(start);
                    return response;
                }
            }
            Piece::End(summary) => {
                let mut response =
                    Response::new(Full::new(held.concat().into()).map_err(|e| match e {}).boxed_unsync());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
                response.headers_mut().extend(summary_headers(summary));
                response.headers_mut().extend(start);
                return response;
            }
            Piece::Error(error) => {
                note_fatal(&error, host);
                return error_response(&error, &text);
            }
        }
    }
    error_response(&SqlError::Unavailable("the reader is stopping".to_owned()), &text)
}

/// The rest of an answer that is too large to be held back. If it fails now, the body breaks off
/// (the connection ends before the last chunk), so that nobody takes a part for the whole.
fn streamed(kind: Kind, held: Vec<Bytes>, pieces: mpsc::Receiver<Piece>, host: Arc<dyn Host>) -> Response<Body> {
    let first = stream::iter(held.into_iter().map(|data| Ok(Frame::data(data))));
    let rest = stream::unfold(Some(pieces), move |pieces| {
        let host = Arc::clone(&host);
        async move {
            let mut pieces = pieces?;
            match pieces.recv().await {
                Some(Piece::Data(data)) => Some((Ok(Frame::data(data)), Some(pieces))),
                // It comes before the first data.
                Some(Piece::Start(_)) => Some((Ok(Frame::data(Bytes::new())), Some(pieces))),
                Some(Piece::End(summary)) => Some((Ok(Frame::trailers(summary_headers(summary))), None)),
                Some(Piece::Error(error)) => {
                    tracing::warn!(%error, "a statement failed after part of its answer was sent");
                    note_fatal(&error, &host);
                    Some((Err(std::io::Error::other(error.to_string())), None))
                }
                None => Some((Err(std::io::Error::other("the reader is stopping")), None)),
            }
        }
    });
    let body = StreamBody::new(futures_util::StreamExt::chain(first, rest));
    let mut response = Response::new(BodyExt::boxed_unsync(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    response.headers_mut().insert(
        http::header::TRAILER,
        HeaderValue::from_static("x-vispyr-row-count, x-vispyr-truncated, x-vispyr-elapsed-ms"),
    );
    response
}

fn note_fatal(error: &SqlError, host: &Arc<dyn Host>) {
    if let SqlError::Fatal(message) = error {
        let (host, message) = (Arc::clone(host), message.clone());
        tokio::spawn(async move {
            // Time for the answer to leave.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            host.fatal(&message);
        });
    }
}

fn summary_headers(summary: Summary) -> HeaderMap {
    HeaderMap::from_iter([
        (ROW_COUNT, HeaderValue::from(summary.rows)),
        (TRUNCATED, HeaderValue::from_static(if summary.truncated { "true" } else { "false" })),
        (ELAPSED, HeaderValue::from(summary.elapsed_ms)),
    ])
}

/// What is known before the first row. The warnings are for formats that have no place of their own for them.
fn start_headers(Start { warnings, files }: &Start) -> HeaderMap {
    let warnings = HeaderValue::try_from(warnings.join("; ")).ok().filter(|value| !value.is_empty());
    let files = files.and_then(|files| HeaderValue::try_from(format!("{}/{}", files.opened, files.all)).ok());
    let headers = [(WARNING, warnings), (FILES, files)];
    headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The response for an error about a statement.
pub fn error_response(error: &SqlError, text: &str) -> Response<Body> {
    let mut response = json(error.status(), &error.body(text));
    if error.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("3"));
    }
    response.headers_mut().insert(OUTCOME, HeaderValue::from_static(error.outcome()));
    if matches!(error, SqlError::Fatal(_)) {
        response.headers_mut().insert(FATAL, HeaderValue::from_static("true"));
    }
    response
}

/// A JSON response.
pub fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = plain(status, &format!("{value}\n"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A text response.
pub fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response =
        Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|e| match e {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
