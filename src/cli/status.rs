//! `vispyr status`: a running collector on one screen.

mod grafana;
mod kept;
mod screen;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use http::{Method, StatusCode};

use super::collector::{Asked, Collector};
use super::printable::printable;
use crate::app::Status;

/// How long the collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks and shows.
pub fn run(asked: Asked) -> anyhow::Result<ExitCode> {
    let collector = Collector::find(&asked, PATIENCE)?;
    let answer = collector.ask(Method::GET, "/api/v1/status")?;
    let (server, status) = (collector.server(), answer.status);
    ensure!(status == StatusCode::OK, "no collector answers on {server}: {status}, so it is something else");
    let mut out = std::io::stdout().lock();
    if asked.json {
        let value: serde_json::Value = serde_json::from_slice(&answer.body).context("the answer is no JSON")?;
        writeln!(out, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        let status: Status =
            serde_json::from_slice(&answer.body).context("the answer is of another version of vispyr")?;
        write!(out, "{}{}", printable(&screen::render(&status)), grafana::render(&asked.grafana()?))?;
    }
    Ok(ExitCode::SUCCESS)
}
