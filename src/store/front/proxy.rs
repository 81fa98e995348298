//! The public port: takes SQL over HTTP and forwards it to the engine.
//!
//! | request | answer |
//! |---|---|
//! | `POST /api/v1/sql` | see [`crate::store::sql::http`]; 503 with Retry-After while the engine is away or when it ended over this, 429 for a text that ended it twice |
//! | `GET /stats` | the engine's metrics |
//! | `GET /-/healthy`, `GET /-/ready` | 200 while the engine answers; asks for no credentials |

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HOST, ORIGIN, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::crash_statements::fingerprint;
use super::engine_client;
use super::state::{Engine, Kill, State, Statement};
use crate::net::{Acceptor, Authenticator, drain};
use crate::store::sql::SqlError;
use crate::store::sql::http::{Body, FATAL, error_response, json, plain};
use crate::store::sql::request::Query;

/// Connections at once.
const MAX_CONNECTIONS: usize = 512;

/// How long a request waits for an engine that starts again.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a client may take for its headers, and for its body.
const SLOW_CLIENT: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then lets what runs finish for a moment.
pub async fn serve(
    listener: TcpListener,
    (acceptor, authenticator): (Acceptor, Authenticator),
    state: Arc<State>,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = async {
                // The semaphore is never closed, so there is always a place in the end.
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        let (stream, peer, place) = match accepted {
            (Ok((stream, peer)), place) => (stream, peer, place),
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection on the sql port");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (state, shutdown) = (Arc::clone(&state), shutdown.clone());
        let (acceptor, authenticator) = (acceptor.clone(), authenticator.clone());
        connections.spawn(async move {
            let _place = place;
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = tokio::time::timeout(SLOW_CLIENT, acceptor.accept(stream)) => accepted,
            };
            let stream = match accepted {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::debug!(%peer, %error, "connection to the sql port not taken in"),
                Err(_) => return tracing::debug!(%peer, "no request on the sql port in time"),
            };
            let handler =
                hyper::service::service_fn(|request| answer(request, authenticator.clone(), Arc::clone(&state)));
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new()).header_read_timeout(SLOW_CLIENT);
            let connection = server.serve_connection(TokioIo::new(stream), handler);
            tokio::pin!(connection);
            tokio::select! {
                _ = &mut connection => return,
                () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = tokio::time::timeout(Duration::from_secs(2), connection).await;
        });
    }
    connections.close();
    connections.wait().await;
}

async fn answer(
    request: Request<Incoming>,
    authenticator: Authenticator,
    state: Arc<State>,
) -> Result<Response<Body>, Infallible> {
    let judged = authenticator.authenticate(request.headers());
    if let Err(denied) = judged
        && !matches!(request.uri().path(), "/-/healthy" | "/-/ready")
    {
        let why = json!({"error": denied.to_string(), "position": null});
        let mut response = json(StatusCode::UNAUTHORIZED, &why);
        denied.challenge(response.headers_mut());
        drain(request);
        return Ok(response);
    }
    if !same_origin(request.headers()) {
        return Ok(json(StatusCode::FORBIDDEN, &json!({"error": "requests from other web pages are not taken"})));
    }
    Ok(match (request.method(), request.uri().path()) {
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
            Engine::Down { .. } if judged.is_err() => plain(StatusCode::SERVICE_UNAVAILABLE, "the engine is away\n"),
            Engine::Down { why, .. } => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        (&Method::GET, "/") => plain(StatusCode::OK, "POST a statement to /api/v1/sql, or: vispyr sql 'SHOW TABLES'\n"),
        (_, "/api/v1/sql") => {
            let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "POST the statement"}));
            response.headers_mut().insert(http::header::ALLOW, HeaderValue::from_static("POST"));
            response
        }
        _ => json(StatusCode::NOT_FOUND, &json!({"error": "no such path"})),
    })
}

/// A browser says where a request comes from. Other sites must not read telemetry by way of a
/// browser on this machine (the port may have no password, or the browser may know it).
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    origin.to_str().is_ok_and(|origin| origin.split_once("://").is_some_and(|(_, authority)| authority == host))
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
                state.kill(Kill { why, suspects: vec![id], number });
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
