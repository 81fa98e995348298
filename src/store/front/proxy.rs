//! The public port: SQL over HTTP, for readers; and the same without credentials on a unix socket, for the
//! collector, which asks for metrics there.
//!
//! | request | answer |
//! |---|---|
//! | `POST /api/v1/sql` | see [`crate::store::sql::http`]; 503 with Retry-After if the statement ended its reader, 429 for a text that did it twice |
//! | `GET /stats` | the engine's metrics, with those of the statements |
//! | `GET /-/healthy`, `GET /-/ready` | 200 while the engine answers; asks for no credentials |

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::state::{Engine, State};
use super::{Port, client, statement};
use crate::net::origin::Hosts;
use crate::net::server::{self, Connections, Limits};
use crate::net::{Authenticator, drain};
use crate::store::sql::SqlError;
use crate::store::sql::http::{Body, error_response, json, plain, post_only};

/// Connections at a time.
pub const MAX_CONNECTIONS: usize = 512;

/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 32;

/// How long the engine has to tell its metrics.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a client may take for its headers, and for its body.
const SLOW_CLIENT: Duration = Duration::from_secs(10);

/// Limits of the SQL port. A client may leave an answer unread for as long as a statement may run.
pub fn limits(time_limit: Duration) -> Limits {
    let limits = Limits { max_connections: MAX_CONNECTIONS, max_streams: MAX_STREAMS, ..Limits::default() };
    Limits { write_timeout: time_limit.max(limits.write_timeout), ..limits }
}

/// Serves `listener` to other processes of ours until `shutdown`.
pub async fn serve_own(listener: UnixListener, state: Arc<State>, shutdown: CancellationToken) {
    let connections = Connections::new(limits(state.config.sql.time_limit), usize::MAX);
    let handler = move |request| {
        let state = Arc::clone(&state);
        async move { route(request, true, &state).await }
    };
    server::serve("front.sock", listener, connections, shutdown, handler).await;
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
    route(request, authenticated.is_ok(), &state).await
}

async fn route(request: Request<Incoming>, is_known: bool, state: &Arc<State>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/api/v1/sql") => sql(request, state).await,
        (&Method::GET, "/stats") => stats(state).await,
        (&Method::GET, "/-/healthy" | "/-/ready") => match &*state.engine.borrow() {
            Engine::Up { .. } => plain(StatusCode::OK, "ok\n"),
            // The reason may tell of somebody's rows.
            Engine::Down { .. } if !is_known => plain(StatusCode::SERVICE_UNAVAILABLE, "the engine is away\n"),
            Engine::Down { why, .. } => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        (&Method::GET, "/") => plain(StatusCode::OK, "POST a statement to /api/v1/sql, or: vispyr sql 'SHOW TABLES'\n"),
        (_, "/api/v1/sql") => post_only(),
        _ => json(StatusCode::NOT_FOUND, &json!({"error": "no such path"})),
    }
}

/// What the engine says of itself, and what the statements are.
async fn stats(state: &State) -> Response<Body> {
    let answer = client::ask(&state.config.query_socket, client::get("/stats"), PATIENCE).await;
    let stats = answer.and_then(|answer| serde_json::from_slice(answer.body()).ok());
    let Some(Value::Object(mut stats)) = stats else {
        return error_response(
            &SqlError::Unavailable("the engine does not answer; try again in a moment".to_owned()),
            "",
        );
    };
    let running = state.pool.running() as u64;
    let sql = crate::store::sql::Metrics { running, ..state.metrics.lock().clone() };
    stats.insert("sql".to_owned(), serde_json::to_value(sql).unwrap_or_default());
    stats.insert("queries_running".to_owned(), running.into());
    json(StatusCode::OK, &Value::Object(stats))
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
    // What else there is, is between us and our readers.
    let mut headers = HeaderMap::new();
    for name in [header::ACCEPT, header::CONTENT_TYPE] {
        for value in parts.headers.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    statement::run(state, &headers, body).await
}
