//! Asking over HTTP, and reading answers and metrics.

use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::DEADLINE;

/// An HTTP answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: bytes::Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON: {e}: {}", self.text()))
    }
}

/// Adds up the samples of `name` in a text of metrics.
pub fn sum_of(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(key, _)| key.split('{').next() == Some(name) && labels.iter().all(|l| key.contains(l)))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// GET, the whole answer.
pub async fn get(url: &str) -> Result<Answer, String> {
    send(http::Request::get(url).body(Full::default()).unwrap()).await
}

/// POST with a content type, the whole answer.
pub async fn post(url: &str, content_type: &str, body: impl Into<bytes::Bytes>) -> Result<Answer, String> {
    send(http::Request::post(url).header("content-type", content_type).body(Full::new(body.into())).unwrap()).await
}

/// Sends a request on a fresh connection.
pub async fn send(request: http::Request<Full<bytes::Bytes>>) -> Result<Answer, String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let answer = tokio::time::timeout(DEADLINE, client.request(request));
    let answer = answer.await.map_err(|e| e.to_string())?.map_err(|e| format!("{e:?}"))?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
}
