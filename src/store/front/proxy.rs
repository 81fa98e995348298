//! The public port: takes SQL over HTTP and forwards it to the engine.
//!
//! | request | answer |
//! |---|---|
//! | `POST /api/v1/sql` | see [`crate::store::sql::http`]; 503 with Retry-After while the engine is away or when it ended over this, 429 for a text that ended it twice |
//! | `GET /stats` | the engine's metrics |
//! | `GET /-/healthy`, `GET /-/ready` | 200 while the engine answers; asks for no credentials |

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Port;
use super::crash_statements::fingerprint;
use super::engine_client;
use super::state::{Engine, Kill, State, Statement};
use crate::net::origin::Hosts;
use crate::net::server::{self, Limits};
use crate::net::{Authenticator, drain};
use crate::store::sql::SqlError;
use crate::store::sql::http::{Body, FATAL, error_response, json, plain};
use crate::store::sql::request::Query;

/// Connections at a time.
pub const MAX_CONNECTIONS: usize = 512;

/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;

/// How long a request waits for an engine that starts again.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a client may take for its headers, and for its body.
const SLOW_CLIENT: Duration = Duration::from_secs(10);

/// Limits of the SQL port. A client may leave an answer unread for as long as a statement may run.
pub fn limits(time_limit: Duration) -> Limits {
    let limits = Limits { max_connections: MAX_CONNECTIONS, max_streams: MAX_STREAMS, ..Limits::default() };
    Limits { write_timeout: time_limit.max(limits.write_timeout), ..limits }
}

/// Serves until `shutdown`, then lets what runs finish for a moment.
pub async fn serve(port: Port, state: Arc<State>, shutdown: CancellationToken) {
    let Port { listener, acceptor, authenticator, connections } = port;
    let handler = move |request| answer(request, authenticator.clone(), Arc::clone(&state));
    server::serve("sql", (listener, acceptor), connections, shutdown, handler).await;
}

async fn answer(request: Request<Incoming>, authenticator: Authenticator, state: Arc<State>) -> Response<Body> {
    let authenticated = authenticator.authenticate(request.headers());
    if let Err(denied) = authenticated
        && !matches!(request.uri().path(), "/-/healthy" | "/-/ready")
    {
        let why = json!({"error": denied.to_string(), "position": null});
        let mut response = json(StatusCode::UNAUTHORIZED, &why);
        denied.challenge(response.headers_mut());
        drain(request);
        return response;
    }
    if !Hosts::default().is_same_origin(&request) {
        return json(StatusCode::FORBIDDEN, &json!({"error": "requests from other web pages are not taken"}));
    }
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/api/v1/sql") => sql(request, &state).await,
        (&Method::GET, "/stats") => match engine_client::ask(&state, engine_client::get("/stats"), PATIENCE).await {
            Some(answer) => {
                let (parts, body) = answer.into_parts();
                Response::from_parts(parts, http_body_util::Full::new(body).map_err(|e| match e {}).boxed_unsync())
            }
            None => away("the engine does not answer"),
        },
        (&Method::GET, "/-/healthy" | "/-/ready") => match &*state.engine.borrow() {
            Engine::Up { .. } => plain(StatusCode::OK, "ok\n"),
            // The reason may tell of somebody's statement.
            Engine::Down { .. } if authenticated.is_err() => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "the engine is away\n")
            }
            Engine::Down { why, .. } => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        (&Method::GET, "/") => plain(StatusCode::OK, "POST a statement to /api/v1/sql, or: vispyr sql 'SHOW TABLES'\n"),
        (_, "/api/v1/sql") => {
            let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "POST the statement"}));
            response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        _ => json(StatusCode::NOT_FOUND, &json!({"error": "no such path"})),
    }
}

/// Takes a statement off the list of those that run, however it ends.
struct Listed {
    state: Arc<State>,
    id: String,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.state.running.lock().remove(&self.id);
    }
}

async fn sql(request: Request<Incoming>, state: &Arc<State>) -> Response<Body> {
    let limit = usize::try_from(state.config.sql.max_statement.as_u64()).unwrap_or(usize::MAX).saturating_mul(4);
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(SLOW_CLIENT, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let limit = state.config.sql.max_statement.as_u64();
            return error_response(&SqlError::TooLarge { size: limit * 4 + 1, limit }, "");
        }
        Ok(Err(error)) => return error_response(&SqlError::refused(format!("the body broke off: {error}"), None), ""),
        Err(_) => {
            return json(StatusCode::REQUEST_TIMEOUT, &json!({"error": "the statement did not come within 10 s"}));
        }
    };
    // Only to know the text; what is wrong with it, the engine says.
    let text = Query::read(&parts.headers, &body).map(|query| query.sql).unwrap_or_default();
    let key = fingerprint(&text);
    if let Some(left) = state.crash_statements.lock().refused(key) {
        return refused(left);
    }
    let number = match state.wait_up(PATIENCE).await {
        Ok(number) => number,
        Err(why) => return away(&why),
    };
    let id = uuid::Uuid::new_v4().to_string();
    let statement = Statement { text: text.clone(), started: Instant::now(), interrupted: None };
    state.running.lock().insert(id.clone(), statement);
    let listed = Listed { state: Arc::clone(state), id: id.clone() };

    match engine_client::send(state, engine_client::statement(&parts.headers, body, &id)).await {
        Ok(response) => {
            if response.headers().contains_key(FATAL) {
                let why = "a statement spoilt the database instance; the engine was started again".to_owned();
                state.kill(Kill { why, suspects: Some(vec![id]), by_insert: false, number });
                // Off the list only when the supervisor has blamed it.
                let _ = state.end_of(number, Duration::from_secs(5)).await;
            } else if response.status().is_success() {
                state.crash_statements.lock().forgive(key);
            }
            response.map(|body| forward(body, listed))
        }
        Err(error) => {
            let why = state.end_of(number, Duration::from_secs(3)).await;
            drop(listed);
            away(&why.unwrap_or_else(|| format!("the engine does not answer: {error}")))
        }
    }
}

/// The engine's body as it comes. If the engine ends meanwhile, so does the connection.
fn forward(body: Incoming, listed: Listed) -> Body {
    body.map_frame(move |frame| {
        let _ = &listed;
        frame
    })
    .map_err(std::io::Error::other)
    .boxed_unsync()
}

fn away(why: &str) -> Response<Body> {
    error_response(&SqlError::Unavailable(format!("{why}; try again in a moment")), "")
}

fn refused(left: Duration) -> Response<Body> {
    let seconds = left.as_secs().max(1);
    let why = format!("this statement has ended the engine twice and is refused for another {seconds} s");
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, &json!({"error": why, "position": null}));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
