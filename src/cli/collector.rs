//! Asking a running collector at its web port: for the commands that do.

use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use super::Place;
use super::server::{Server, Shown, hint};
use crate::config::Grafana;

/// Which collector is asked.
#[derive(Debug, clap::Args)]
pub struct Named {
    #[command(flatten)]
    place: Place,
    /// Where the collector's web port is, HOST:PORT or a URL, instead of looking it up in the data
    /// directory
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// What every such command takes that shows an answer.
#[derive(Debug, clap::Args)]
pub struct Asked {
    /// The answer as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    named: Named,
}

/// A collector's web port.
#[derive(Debug)]
pub struct Collector {
    server: Server,
    patience: Duration,
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

impl Asked {
    /// The Grafana that the config names, unless another machine's collector is asked.
    pub fn grafana(&self) -> anyhow::Result<Grafana> {
        match self.named.address {
            Some(_) => Ok(Grafana::default()),
            None => Ok(self.named.place.config()?.grafana),
        }
    }
}

impl Named {
    /// The server that listens there.
    pub fn server(&self) -> anyhow::Result<Server> {
        match &self.address {
            Some(address) => Server::named(address, &self.shown),
            None => Server::local(&self.place.settings()?, "web", &self.shown),
        }
    }
}

impl Collector {
    /// The one whose address is given, or the one that runs on the data directory. `patience`: how
    /// long an answer may take.
    pub fn find(asked: &Asked, patience: Duration) -> anyhow::Result<Self> {
        let server = asked.named.server()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Collector { server, patience, runtime })
    }

    /// Where it is, for messages.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Asks, and reads the whole answer, whatever its status.
    pub fn ask(&self, method: Method, path: &str) -> anyhow::Result<Answer> {
        let request = Request::builder().method(method).uri("/").body(Full::default())?;
        let answer = async { tokio::time::timeout(self.patience, self.server.ask(path, request)).await };
        let server = &self.server;
        match self.runtime.block_on(answer) {
            Ok(Ok(answer)) if answer.status == StatusCode::UNAUTHORIZED => {
                bail!("{}; {}", String::from_utf8_lossy(&answer.body).trim_end(), hint(answer.status))
            }
            Ok(Ok(answer)) => Ok(Answer { status: answer.status, body: answer.body }),
            Ok(Err(error)) => bail!("no collector answers on {server} ({error:#}); `vispyr serve` starts one"),
            Err(_) => bail!("the collector on {server} does not answer within {} s", self.patience.as_secs()),
        }
    }
}
