//! One statement: what it has to see, a reader for it, its answer, and what is done if it ends its reader.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinHandle;

use super::client;
use super::crash_statements::fingerprint;
use super::pool::Lease;
use super::reader_process::{End, Watched};
use super::state::State;
use crate::duration::Written;
use crate::store::catalog::Catalog;
use crate::store::catalog::storage::Storage;
use crate::store::engine::failpoint;
use crate::store::sql::SqlError;
use crate::store::sql::http::{Body, FATAL, OUTCOME, error_response, json};
use crate::store::sql::request::Query;

/// How long a statement waits for what was acknowledged before it.
const WHOLE_WITHIN: Duration = Duration::from_secs(5);

/// Readers that are tried before a statement has run.
const TRIES: usize = 3;

/// An answer up to this is read whole, so that its reader is free whatever the client does.
const SMALL: u64 = 2 << 20;

/// The word for what came of a statement that failed ([`SqlError::outcome`]), in the extensions of its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(pub String);

/// Runs the statement of a request. Its headers go on to the reader as they are.
pub async fn run(state: &Arc<State>, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let started = Instant::now();
    // Only to know the text; what is wrong with it, the reader says.
    let text = Query::read(headers, &body).map(|query| query.sql).unwrap_or_default();
    let key = fingerprint(&text);
    if let Some(left) = state.crash_statements.lock().refused(key) {
        return refused(left);
    }
    let statement = Statement { state: Arc::clone(state), text, key, started };
    match statement.lease().await {
        Ok(lease) => {
            failpoint::reach("front_leased");
            statement.forward(lease, headers, body).await
        }
        Err(error) => statement.failed(&error),
    }
}

struct Statement {
    state: Arc<State>,
    text: String,
    key: u128,
    started: Instant,
}

impl Statement {
    /// A reader that knows the files.
    async fn lease(&self) -> Result<Lease, SqlError> {
        let mut missing = None;
        failpoint::reach("front_waits");
        if let Err(why) = self.state.wait_until_whole(WHOLE_WITHIN).await {
            missing = Some(format!("rows of the last moments may be missing: {why}"));
        }
        for _ in 0..TRIES {
            let mut lease = self.state.pool.lease(self.state.config.sql.time_limit).await?;
            let Some(reader) = lease.reader() else { continue };
            // Only now: a file that has gone is there for as long as a statement may run, and no longer.
            let (warnings, storage) = self.refresh().await?;
            let (version, mut changes) = self.state.files.lock().since(reader.known);
            changes.warnings = warnings;
            changes.warnings.extend(missing.clone());
            changes.storage = storage;
            changes.threads = Some(self.state.pool.threads());
            if reader.tell(version, &changes).await {
                return Ok(lease);
            }
            let End { why, .. } = lease.end_of_reader().await;
            tracing::warn!(why, "a reader has ended before it had a statement");
        }
        Err(SqlError::Unavailable("no reader stays; see the journal of the store".to_owned()))
    }

    /// Reads what the catalog has now: what answers lack, and where the bytes go if that may be asked for.
    async fn refresh(&self) -> Result<(Vec<String>, Option<Vec<Storage>>), SqlError> {
        let state = Arc::clone(&self.state);
        let asks = self.text.to_ascii_lowercase().contains("storage");
        let look = move || {
            let refreshed = state.files.lock().refresh();
            let storage = asks.then(|| Catalog::open_read_only(&state.config.catalog)?.storage()).transpose();
            (refreshed, storage)
        };
        let unreadable = || SqlError::Unavailable("the list of files could not be read".to_owned());
        let (refreshed, storage) = tokio::task::spawn_blocking(look).await.map_err(|_| unreadable())?;
        let mut warnings = self.state.files.lock().warnings();
        if let Err(error) = refreshed {
            if !self.state.files.lock().is_known() {
                return Err(SqlError::Unavailable(format!("the list of files cannot be read: {error}")));
            }
            warnings.push(format!("the newest files may be missing, their list cannot be read: {error}"));
        }
        let storage = storage.unwrap_or_else(|error| {
            warnings.push(format!("storage may be of an earlier time, the catalog cannot be read: {error}"));
            None
        });
        Ok((warnings, storage))
    }

    async fn forward(self, lease: Lease, headers: &HeaderMap, body: Bytes) -> Response<Body> {
        let Some(socket) = lease.socket() else {
            return self.failed(&SqlError::Unavailable("the reader is gone".to_owned()));
        };
        let limit = TimeLimit::start(&self.state, &lease);
        let until = Instant::now() + self.state.config.sql.time_limit + self.state.config.grace;
        let response = match client::send(&socket, client::statement(headers, body)).await {
            Ok(response) => response,
            Err(_) => return self.ended(lease.end_of_reader().await),
        };
        if response.headers().contains_key(FATAL) {
            // It ends by itself.
            let end = lease.end_of_reader().await;
            return self.ended(if end.by_statement { end } else { End::crash() });
        }
        let (mut parts, body) = response.into_parts();
        let outcome = parts.headers.remove(OUTCOME).and_then(|outcome| outcome.to_str().ok().map(str::to_owned));
        let outcome = outcome.unwrap_or_else(|| "ok".to_owned());
        parts.extensions.insert(Outcome(outcome.clone()));
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length <= SMALL) {
            let Ok(whole) = body.collect().await else { return self.ended(lease.end_of_reader().await) };
            drop(limit);
            lease.release();
            self.done(&outcome);
            return Response::from_parts(parts, Full::new(whole.to_bytes()).map_err(|e| match e {}).boxed_unsync());
        }
        let left = until.saturating_duration_since(Instant::now());
        let over = Arc::new(Mutex::new(Some((lease, self))));
        let forwarded = Forwarded {
            body,
            _limit: limit,
            _end: EndOfTime::start(Arc::clone(&over), left + AFTER_KILL),
            over,
            outcome,
        };
        Response::from_parts(parts, BodyExt::boxed_unsync(forwarded))
    }

    /// It ran to its end.
    fn done(&self, outcome: &str) {
        if outcome == "ok" {
            self.state.crash_statements.lock().forgive(self.key);
        }
        self.state.metrics.lock().add(outcome, self.started.elapsed());
    }

    /// It never ran.
    fn failed(&self, error: &SqlError) -> Response<Body> {
        self.state.metrics.lock().add(error.outcome(), self.started.elapsed());
        let mut response = error_response(error, &self.text);
        response.headers_mut().remove(OUTCOME);
        response.extensions_mut().insert(Outcome(error.outcome().to_owned()));
        response
    }

    /// Its reader has ended.
    fn ended(&self, end: End) -> Response<Body> {
        self.blame(&end);
        self.failed(&SqlError::Unavailable(end.why))
    }

    /// Notes that it has ended its reader, if it has.
    fn blame(&self, end: &End) {
        let why = &end.why;
        if !end.by_statement {
            tracing::warn!(why, "a reader has ended under a statement");
            return;
        }
        let ends = self.state.crash_statements.lock().record(self.key);
        let text: String = self.text.chars().take(LOGGED).collect();
        let ran_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::error!(statement = text, why, ends, ran_ms, "a statement has ended its reader");
    }
}

/// Characters of a statement that go to the journal.
const LOGGED: usize = 16 << 10;

/// How long a statement that does not take long keeps others from beginning: its client may read slowly.
const HOLDS: Duration = Duration::from_secs(1);

/// Seconds of CPU within which a statement heeds its interrupt. One that has had less may heed it: it was the machine
/// that was busy, or the client that did not read.
const IGNORES: f64 = 0.1;

/// Ends the reader of a statement that runs on past its time.
struct TimeLimit(JoinHandle<()>);

impl TimeLimit {
    fn start(state: &State, lease: &Lease) -> Self {
        let (limit, grace) = (state.config.sql.time_limit, state.config.grace);
        let watched: Option<Arc<Watched>> = lease.watched();
        let (begun, over) = (lease.begun(), tokio::time::Instant::now() + limit);
        TimeLimit(tokio::spawn(async move {
            let Some(watched) = watched else { return };
            let mut takes_long = pin!(watched.takes_long());
            let is_long = tokio::time::timeout(HOLDS.min(limit), &mut takes_long).await.is_ok();
            begun.end();
            if is_long || tokio::time::timeout_at(over, takes_long).await.is_ok() {
                watched.step_back();
            }
            tokio::time::sleep_until(over).await;
            let before = watched.cpu_seconds();
            tokio::time::sleep(grace).await;
            let worked = watched.cpu_seconds().zip(before).map(|(after, before)| after - before);
            watched.kill(out_of_time(limit, worked.unwrap_or_default()));
        }))
    }
}

/// What became of a statement that is there after its time, whose reader has worked for so many seconds of CPU since
/// it was interrupted.
fn out_of_time(limit: Duration, worked: f64) -> End {
    let limit = Written(limit);
    let by_statement = worked >= IGNORES;
    let why = if by_statement {
        format!(
            "the statement ran on past the time limit of {limit} (sql.time_limit) and ignored its interrupt; its reader \
             was ended"
        )
    } else {
        format!(
            "the time limit of {limit} (sql.time_limit) is over: the machine is too busy to end the statement in time, \
             or its answer was not read; its reader was ended"
        )
    };
    End { why, by_statement }
}

impl Drop for TimeLimit {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long a reader that is killed may take to be gone.
const AFTER_KILL: Duration = Duration::from_millis(200);

/// What is to be done once an answer is over; whoever takes it does it.
type Over = Arc<Mutex<Option<(Lease, Statement)>>>;

/// A large answer as it comes. If the reader ends meanwhile, the connection breaks off, so that nobody takes a
/// part for the whole.
struct Forwarded {
    body: Incoming,
    over: Over,
    outcome: String,
    _limit: TimeLimit,
    _end: EndOfTime,
}

impl http_body::Body for Forwarded {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match frame {
            Some(Ok(frame)) => {
                failpoint::reach("front_streams");
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                if let Some((lease, statement)) = this.over.lock().take() {
                    lease.release();
                    statement.done(&this.outcome);
                }
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                if let Some((lease, statement)) = this.over.lock().take() {
                    tokio::spawn(statement.broken(lease));
                }
                Poll::Ready(Some(Err(std::io::Error::other(error))))
            }
        }
    }
}

/// The client has left, unless the answer is over.
impl Drop for Forwarded {
    fn drop(&mut self) {
        if let Some((lease, statement)) = self.over.lock().take() {
            // It sees to its reader.
            drop(lease);
            statement.done("interrupted");
        }
    }
}

/// Takes the reader from a client that does not read its answer: it is polled no more.
struct EndOfTime(JoinHandle<()>);

impl EndOfTime {
    fn start(over: Over, left: Duration) -> Self {
        EndOfTime(tokio::spawn(async move {
            tokio::time::sleep(left).await;
            let taken = over.lock().take();
            if let Some((lease, statement)) = taken {
                statement.broken(lease).await;
            }
        }))
    }
}

impl Drop for EndOfTime {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Statement {
    /// Its answer broke off: the statement failed, or it has ended its reader.
    async fn broken(self, lease: Lease) {
        match lease.after_break().await {
            Some(end) => {
                self.blame(&end);
                self.done("unavailable");
            }
            None => self.done("failed"),
        }
    }
}

fn refused(left: Duration) -> Response<Body> {
    let seconds = left.as_secs().max(1);
    let why = format!("this statement has ended its reader twice and is refused for another {seconds} s");
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, &json!({"error": why, "position": null}));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
