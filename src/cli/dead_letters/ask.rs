//! Asking the running collector.

use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use crate::cli::Place;
use crate::cli::server::{Server, Shown, hint};

/// How long the collector may take: it waits itself for the destination.
const PATIENCE: Duration = Duration::from_secs(120);

/// A collector's web port.
#[derive(Debug)]
pub struct Collector {
    server: Server,
    runtime: tokio::runtime::Runtime,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl Collector {
    /// The one at `address`, or the one that runs on the data directory.
    pub fn find(place: &Place, address: Option<&str>, shown: &Shown) -> anyhow::Result<Self> {
        let server = match address {
            Some(address) => Server::named(address, shown)?,
            None => Server::local(&place.settings()?, "web", shown)?,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Collector { server, runtime })
    }

    /// Asks, and reads the whole answer, whatever its status.
    pub fn ask(&self, method: Method, path: &str) -> anyhow::Result<Answer> {
        let request = Request::builder().method(method).uri("/").body(Full::default())?;
        let answer = async { tokio::time::timeout(PATIENCE, self.server.ask(path, request)).await };
        let server = &self.server;
        match self.runtime.block_on(answer) {
            Ok(Ok(answer)) if answer.status == StatusCode::UNAUTHORIZED => {
                bail!("{}; {}", String::from_utf8_lossy(&answer.body).trim_end(), hint(answer.status))
            }
            Ok(Ok(answer)) => Ok(Answer { status: answer.status, body: answer.body }),
            Ok(Err(error)) => bail!("no collector answers on {server} ({error:#}); `vispyr serve` starts one"),
            Err(_) => bail!("the collector on {server} does not answer within {} s", PATIENCE.as_secs()),
        }
    }
}
