//! `vispyr status`: a running collector on one screen.

mod screen;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use http::{Request, StatusCode};
use http_body_util::Full;

use super::Place;
use super::server::{Server, Shown, hint};
use crate::app::Status;

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Where its web port is, HOST:PORT or a URL, instead of looking it up in the data directory
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The whole answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    shown: Shown,
}

/// Asks and shows.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.place.settings()?;
    let server = match &args.address {
        Some(address) => Server::named(address, &args.shown)?,
        None => Server::local(&settings, "web", &args.shown)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, fetch(&server)).await });
    let text = match answer {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => bail!("no collector answers on {server} ({error:#}); `vispyr serve` starts one"),
        Err(_) => bail!("the collector on {server} does not answer within {} s", PATIENCE.as_secs()),
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

async fn fetch(server: &Server) -> anyhow::Result<String> {
    let answer = server.ask("/api/v1/status", Request::get("/").body(Full::default())?).await?;
    match answer.status {
        StatusCode::OK => Ok(String::from_utf8(answer.body.into())?),
        StatusCode::UNAUTHORIZED => {
            bail!("{}; {}", String::from_utf8_lossy(&answer.body).trim_end(), hint(answer.status))
        }
        status => bail!("it answers {status}, so it is something else"),
    }
}
