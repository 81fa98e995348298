//! `vispyr tail`: what a running collector acknowledges at this moment, as lines of JSON.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::Value;

use super::collector::Named;
use super::printable::printable;
use super::server::hint;

/// How long the collector may take to begin its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it may be silent: it sends an empty line every 15 seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Filters are terms with blanks between them, all of which must hold:
  service=checkout       the value; != for another one or none
  name~cart              a value in which the text is, in any case; !~ in which it is not
  severity>=warn         also >, <, <=, =; trace, debug, info, warn, error, fatal
  duration>100ms         spans and profiles
  http.route=/cart       an attribute of the item or its resource
  error=true             spans whose status is an error, log records of severity error or more
  \"timed out\"            in the name or the text, in any case
Other keys: status, kind, trace, span, body, value.

What is not shown, since it comes in too fast, is counted on standard error.")]
pub struct Args {
    /// Only this signal: traces, metrics, logs or profiles
    #[arg(long, value_name = "SIGNAL", value_parser = ["traces", "metrics", "logs", "profiles"])]
    signal: Option<String>,
    /// Only items for which this holds; may be given several times
    #[arg(long = "where", value_name = "FILTER")]
    filters: Vec<String>,
    /// End after so many items
    #[arg(long, short = 'n', value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    lines: Option<u64>,
    /// Items a second, at most 1000
    #[arg(long, value_name = "NUMBER")]
    rate: Option<u32>,
    #[command(flatten)]
    named: Named,
}

/// Shows items until it is told to stop, or the collector stops.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(follow(&args));
    match shown {
        // `vispyr tail ... | head` has had enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        shown => shown.map(|()| ExitCode::SUCCESS),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn path(args: &Args) -> String {
    let mut query = url::form_urlencoded::Serializer::new("/api/v1/tail?".to_owned());
    query.extend_pairs(args.signal.iter().map(|signal| ("signal", signal)));
    query.extend_pairs(args.filters.iter().map(|filter| ("where", filter)));
    query.extend_pairs(args.rate.iter().map(|rate| ("rate", rate.to_string())));
    query.finish()
}

async fn follow(args: &Args) -> anyhow::Result<()> {
    let server = args.named.server()?;
    let request = Request::get("/").body(Full::<Bytes>::default())?;
    let path = path(args);
    let begun = tokio::time::timeout(PATIENCE, server.begin(&path, request)).await;
    let begun = begun.map_err(|_| anyhow::anyhow!("it does not answer within {} s", PATIENCE.as_secs()));
    let response = begun
        .and_then(|begun| begun)
        .with_context(|| format!("no collector answers on {server}; `vispyr serve` starts one"))?;
    if response.status() != StatusCode::OK {
        return Err(refused(response).await);
    }
    let mut lines = Lines { body: response.into_body(), rest: Vec::new() };
    let mut left = args.lines.unwrap_or(u64::MAX);
    while left > 0 {
        let line = tokio::time::timeout(SILENCE, lines.next()).await;
        let line = line.map_err(|_| anyhow::anyhow!("the collector on {server} is silent"))??;
        let Some(line) = line else { bail!("the collector on {server} has stopped") };
        if show(&line)? {
            left -= 1;
        }
    }
    Ok(())
}

async fn refused(response: http::Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let why =
        json["error"].as_str().map_or_else(|| String::from_utf8_lossy(&body).trim_end().to_owned(), str::to_owned);
    match hint(status) {
        "" => anyhow::anyhow!("{}", printable(&why)),
        hint => anyhow::anyhow!("{}; {hint}", printable(&why)),
    }
}

/// Shows a line; false if there was no item in it.
fn show(line: &[u8]) -> io::Result<bool> {
    if line.trim_ascii().is_empty() {
        return Ok(false);
    }
    if line.starts_with(b"{\"lost\":") {
        let lost: Value = serde_json::from_slice(line).unwrap_or_default();
        let number = |name: &str| lost["lost"][name].as_u64().unwrap_or(0);
        let (lines, not_examined) = (number("lines"), number("not_examined"));
        writeln!(io::stderr(), "lost: {lines} items that came in too fast, {not_examined} that were not looked at")?;
        return Ok(false);
    }
    let mut out = io::stdout().lock();
    out.write_all(line)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(true)
}

/// The lines of a body.
struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// The next one without its end; nothing at the end of the body.
    async fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.rest) {
                let after = self.rest.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.rest, after);
                line.pop();
                return Ok(Some(line));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error).context("the answer broke off"),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.rest.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}
