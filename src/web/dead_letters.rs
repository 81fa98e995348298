//! `/api/v1/dead-letters`: what destinations refused for good.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/dead-letters[?destination=NAME]` | the dead letters, without what is in them |
//! | `GET /api/v1/dead-letters/ID` | one dead letter, decoded where its format is known |
//! | `GET /api/v1/dead-letters/ID?raw` | its payload as it is, compressed as it came |
//! | `POST /api/v1/dead-letters/ID/retry` | sends it again: 200 when it was taken, 502 with the reason when it was refused again, 503 when it could not be sent now |
//! | `POST /api/v1/dead-letters/retry?destination=NAME` | sends all of a destination again, until that is away |
//! | `DELETE /api/v1/dead-letters/ID` | drops it |
//! | `DELETE /api/v1/dead-letters?destination=NAME` | drops all of a destination |

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};

use super::reply;
use crate::net::origin::Hosts;

/// Where all of it is.
pub const PATH: &str = "/api/v1/dead-letters";

/// What cannot be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Of the answer.
    pub status: StatusCode,
    /// In words.
    pub message: String,
}

/// A payload as it is.
#[derive(Debug, Clone)]
pub struct Raw {
    /// What it is once decompressed.
    pub format: String,
    /// How it is compressed.
    pub compression: String,
    /// Its bytes.
    pub payload: Bytes,
}

/// An answer in JSON, or why there is none.
pub type Answer<'a> = BoxFuture<'a, Result<Value, Problem>>;

/// The dead letters, as the port shows and handles them.
pub trait DeadLetterApi: Send + Sync + 'static {
    /// All, or those of one destination.
    fn list(&self, destination: Option<&str>) -> Value;
    /// One of them, with what is in it.
    fn show<'a>(&'a self, id: &'a str) -> Answer<'a>;
    /// What is in it, as it is.
    fn raw<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Raw, Problem>>;
    /// Sends one again.
    fn retry<'a>(&'a self, id: &'a str) -> Answer<'a>;
    /// Sends those of a destination again.
    fn retry_all<'a>(&'a self, destination: &'a str) -> Answer<'a>;
    /// Drops one.
    fn drop_letter<'a>(&'a self, id: &'a str) -> Answer<'a>;
    /// Drops those of a destination.
    fn drop_all<'a>(&'a self, destination: &'a str) -> Answer<'a>;
}

/// Answers what is asked below [`PATH`].
pub async fn answer<B>(
    letters: Option<Arc<dyn DeadLetterApi>>,
    request: &Request<B>,
    hosts: &Hosts,
) -> Response<Full<Bytes>> {
    let (method, uri) = (request.method(), request.uri());
    let reads = method == Method::GET || method == Method::HEAD;
    if !reads && !hosts.is_same_origin(request) {
        return problem(StatusCode::FORBIDDEN, "requests from other web pages are not taken");
    }
    let Some(letters) = letters else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the collector is still starting");
    };
    let destination = parameter(uri.query(), "destination");
    let path: Vec<&str> = uri.path().strip_prefix(PATH).unwrap_or_default().split('/').skip(1).collect();
    let all = |what: &str| {
        let message = format!("which destination's letters are to be {what}? add ?destination=NAME");
        problem(StatusCode::BAD_REQUEST, &message)
    };
    let answer = match (path.as_slice(), method) {
        ([], _) if reads => Ok(letters.list(destination.as_deref())),
        ([], &Method::DELETE) => match destination {
            Some(destination) => letters.drop_all(&destination).await,
            None => return all("dropped"),
        },
        (["retry"], &Method::POST) => match destination {
            Some(destination) => letters.retry_all(&destination).await,
            None => return all("sent again"),
        },
        ([id], _) if reads && parameter(uri.query(), "raw").is_some() => match letters.raw(id).await {
            Ok(found) => return raw(found),
            Err(problem) => Err(problem),
        },
        ([id], _) if reads => letters.show(id).await,
        ([id], &Method::DELETE) => letters.drop_letter(id).await,
        ([id, "retry"], &Method::POST) => letters.retry(id).await,
        ([], _) => return not_allowed("GET, HEAD, DELETE"),
        (["retry"] | [_, "retry"], _) => return not_allowed("POST"),
        ([_], _) => return not_allowed("GET, HEAD, DELETE"),
        _ => return problem(StatusCode::NOT_FOUND, "no such path"),
    };
    match answer {
        Ok(value) => reply(StatusCode::OK, "application/json", value.to_string()),
        Err(Problem { status, message }) => problem(status, &message),
    }
}

fn problem(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    reply(status, "application/json", json!({ "error": message }).to_string())
}

fn not_allowed(methods: &'static str) -> Response<Full<Bytes>> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("only {methods}"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    response
}

fn raw(found: Raw) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(found.payload));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // Telemetry is foreign: no browser may take it for a page.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    for (name, value) in [("x-vispyr-format", found.format), ("x-vispyr-compression", found.compression)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// The value of a query's parameter; empty for one without a value.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
