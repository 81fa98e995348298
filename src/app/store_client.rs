//! Asks the store front over its own socket: for its metrics and the engine's, which `/metrics`, `vispyr status` and
//! the watchdog need, and for the rows that the pages show.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::store::engine::stats::Stats;
use crate::store::front::client;
use crate::store::sql::Metrics;
use crate::telemetry::process::Usage;
use crate::web::SqlService;

/// A scrape must not wait for a store that hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the engine says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineStats {
    /// Its process.
    pub pid: u32,
    /// What the process takes.
    pub process: Usage,
    /// Statements.
    pub sql: Metrics,
    /// Rows, files, times.
    #[serde(flatten)]
    pub stats: Stats,
}

/// The engine's metrics, fetched when asked for.
#[derive(Debug)]
pub struct StoreClient {
    socket: PathBuf,
    latest: Mutex<Option<EngineStats>>,
}

impl StoreClient {
    /// Over this socket.
    pub fn new(socket: PathBuf) -> Self {
        StoreClient { socket, latest: Mutex::new(None) }
    }

    /// Asks for the metrics now.
    pub async fn fetch(&self) -> Result<EngineStats, String> {
        let result = match tokio::time::timeout(PATIENCE, self.get("/stats")).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        *self.latest.lock() = result.as_ref().ok().cloned();
        result
    }

    /// What it said last; nothing if it did not answer.
    pub fn latest(&self) -> Option<EngineStats> {
        self.latest.lock().clone()
    }

    async fn get(&self, path: &str) -> Result<EngineStats, String> {
        let stream = tokio::net::UnixStream::connect(&self.socket).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let driver = tokio::spawn(connection);
        let request = http::Request::get(path).header(http::header::HOST, "store").body(Empty::<bytes::Bytes>::new());
        let answer = async {
            let response = sender.send_request(request.map_err(|e| e.to_string())?).await.map_err(|e| e.to_string())?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
            if !status.is_success() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)));
            }
            serde_json::from_slice(&body).map_err(|e| e.to_string())
        }
        .await;
        driver.abort();
        answer
    }
}

impl SqlService for StoreClient {
    fn ask(&self, statement: String, accept: &'static str) -> BoxFuture<'_, Result<Response<Body>, String>> {
        async move {
            let headers = HeaderMap::from_iter([
                (header::ACCEPT, HeaderValue::from_static(accept)),
                (header::CONTENT_TYPE, HeaderValue::from_static("text/plain")),
            ]);
            // A connection of its own: whoever drops the answer, or the wait for it, ends the statement.
            let response = client::send(&self.socket, client::statement(&headers, Bytes::from(statement))).await?;
            Ok(response.map(Body::new))
        }
        .boxed()
    }
}
