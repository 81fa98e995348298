//! `vispyr status`: a running collector on one screen.

mod screen;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;

use super::Place;
use crate::app::{self, Status};

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Where its web port is, instead of looking it up in the data directory
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The whole answer as JSON
    #[arg(long)]
    json: bool,
}

/// Asks and shows.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.place.settings()?;
    let address = match args.address {
        Some(address) => address,
        None => web_address(&settings).to_string(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, fetch(&address)).await });
    let text = match answer {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => bail!("no collector answers on {address} ({error:#}); `vispyr serve` starts one"),
        Err(_) => bail!("the collector on {address} does not answer within {} s", PATIENCE.as_secs()),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        let value: serde_json::Value = serde_json::from_str(&text).context("the answer is no JSON")?;
        writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        let status: Status = serde_json::from_str(&text).context("the answer is of another version of vispyr")?;
        write!(out, "{}", screen::render(&status))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the running server has written down, else what the config says.
fn web_address(settings: &app::Settings) -> SocketAddr {
    let written = app::read_addresses(&settings.data_dir);
    written.and_then(|addresses| addresses.get("web").copied()).unwrap_or(settings.config.web.listen)
}

async fn fetch(address: &str) -> anyhow::Result<String> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request =
        http::Request::get("/api/v1/status").header(http::header::HOST, address).body(Empty::<bytes::Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status.is_success(), "it answers {status}, so it is something else");
    Ok(String::from_utf8(body.into())?)
}
