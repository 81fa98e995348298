//! Asks the engine for its figures over its query socket: for `/metrics`, `vispyr status` and the
//! watchdog, in the collector as well as in the store front.

use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use serde_json::Value;

use crate::telemetry::figures::{Kind, write};

/// A scrape must not wait for a store that hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// The engine's figures, fetched when asked for.
#[derive(Debug)]
pub struct StoreClient {
    socket: PathBuf,
    latest: Mutex<Option<Value>>,
}

impl StoreClient {
    /// Over this socket.
    pub fn new(socket: PathBuf) -> Self {
        StoreClient { socket, latest: Mutex::new(None) }
    }

    /// Asks for the figures now.
    pub async fn fetch(&self) -> Result<Value, String> {
        let result = match tokio::time::timeout(PATIENCE, self.get("/stats")).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        *self.latest.lock() = result.as_ref().ok().cloned();
        result
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        let stream = tokio::net::UnixStream::connect(&self.socket).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        let driver = tokio::spawn(connection);
        let request = http::Request::get(path).header(http::header::HOST, "engine").body(Empty::<bytes::Bytes>::new());
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

/// Shows every number in the engine's answer as `store_<path>`, whatever they are, so that the
/// engine can add some without anybody else knowing.
#[derive(Debug)]
pub struct StoreFigures(pub std::sync::Arc<StoreClient>);

impl Collector for StoreFigures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let latest = self.0.latest.lock().clone();
        let up = if latest.is_some() { 1.0 } else { 0.0 };
        write(&mut encoder, Kind::Gauge, "store_up", "Whether the store answers", [(Vec::new(), up)])?;
        let mut figures = Vec::new();
        if let Some(value) = latest {
            flatten("store", &value, &mut figures);
        }
        for (name, value) in figures {
            let (kind, name) = match name.strip_suffix("_total") {
                Some(name) => (Kind::Counter, name.to_owned()),
                None => (Kind::Gauge, name),
            };
            write(&mut encoder, kind, &name, "Figure of the store", [(Vec::new(), value)])?;
        }
        Ok(())
    }
}

fn flatten(name: &str, value: &Value, figures: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => figures.extend(number.as_f64().map(|number| (name.to_owned(), number))),
        Value::Bool(yes) => figures.push((name.to_owned(), if *yes { 1.0 } else { 0.0 })),
        Value::Object(fields) => {
            for (field, value) in fields {
                if field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    flatten(&format!("{name}_{field}"), value, figures);
                }
            }
        }
        _ => {}
    }
}
