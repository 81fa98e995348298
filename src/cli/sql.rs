//! `vispyr sql`: asks a running store, and shows the answer as a table.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::Full;
use serde_json::Value;

use super::Place;
use super::printable::printable;
use super::server::{Answer, Server, Shown, hint};

pub(super) mod table;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The statement; without it and without --file it is read from standard input
    statement: Option<String>,
    /// Read the statement from a file, or from standard input with -
    #[arg(long, short, value_name = "FILE", conflicts_with = "statement")]
    file: Option<PathBuf>,
    /// How to show the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Where the store listens [default: the running one's address, else sql.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    shown: Shown,
}

/// How the answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// With a header line
    Csv,
    /// As the store sends it
    Json,
    /// An Arrow IPC stream
    Arrow,
}

/// Asks, shows, and ends with 1 if the store had an error to tell.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let statement = statement(&args)?;
    let mut out = std::io::stdout();
    if args.format == Format::Arrow && out.is_terminal() {
        bail!("an Arrow stream is not for a terminal: send it to a file or a program");
    }
    let server = server(&args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(ask(&server, &statement, args.format))?;
    if !answer.status.is_success() {
        explain(&answer, &statement);
        return Ok(ExitCode::FAILURE);
    }
    let shown = match args.format {
        Format::Table => {
            let json: Value = serde_json::from_slice(&answer.body).context("the store's answer is not JSON")?;
            let width = if out.is_terminal() { table::terminal_width() } else { None };
            out.write_all(table::render(&json, width).as_bytes()).and_then(|()| out.flush())
        }
        _ => out.write_all(&answer.body).and_then(|()| out.flush()),
    };
    match shown {
        // `vispyr sql ... | head` has had enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        shown => shown.context("cannot write the answer")?,
    }
    summary(&answer, args.format);
    Ok(ExitCode::SUCCESS)
}

fn statement(args: &Args) -> anyhow::Result<String> {
    if let Some(statement) = &args.statement {
        return Ok(statement.clone());
    }
    match &args.file {
        Some(file) if file.as_os_str() != "-" => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
        }
        None if std::io::stdin().is_terminal() => {
            bail!("no statement: vispyr sql 'SHOW TABLES', or --file, or pipe it in")
        }
        _ => {
            let mut statement = String::new();
            std::io::stdin().read_to_string(&mut statement).context("cannot read the statement from standard input")?;
            Ok(statement)
        }
    }
}

/// The store that is asked: named, or running on the data directory, or by its config.
fn server(args: &Args) -> anyhow::Result<Server> {
    match &args.url {
        Some(url) => Server::named(url, &args.shown),
        None => Server::local(&args.place.settings()?, "sql", &args.shown),
    }
}

async fn ask(server: &Server, statement: &str, format: Format) -> anyhow::Result<Answer> {
    let accept = match format {
        Format::Table | Format::Json => "application/json",
        Format::Csv => "text/csv",
        Format::Arrow => "application/vnd.apache.arrow.stream",
    };
    let request = Request::post("/")
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(ACCEPT, accept)
        .body(Full::new(Bytes::from(statement.to_owned())))?;
    server.ask("/api/v1/sql", request).await.map_err(|error| {
        let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
        let refused = io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused { error.context("no store answers; is it running? (vispyr serve)") } else { error }
    })
}

/// The error on standard error, with a caret under the place where there is one.
fn explain(answer: &Answer, statement: &str) {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut text = match json["error"].as_str() {
        Some(error) => format!("{error}\n"),
        None => format!("{}: {}\n", answer.status, String::from_utf8_lossy(&answer.body).trim_end()),
    };
    match hint(answer.status) {
        "" => {}
        hint => text.push_str(&format!("{hint}\n")),
    }
    // DuckDB mostly shows the place itself.
    if !text.contains("\nLINE ")
        && let (Some(line), Some(column)) = (json["position"]["line"].as_u64(), json["position"]["column"].as_u64())
        && let (Ok(line), Ok(column)) = (usize::try_from(line), usize::try_from(column))
        && let Some(source) = statement.lines().nth(line.saturating_sub(1))
    {
        let (shown, caret) = table::excerpt(source, column.saturating_sub(1), 100);
        text.push_str(&format!("\nLINE {line}: {shown}\n{}^\n", " ".repeat(format!("LINE {line}: ").len() + caret)));
    }
    let _ = std::io::stderr().write_all(printable(&text).as_bytes());
}

/// Rows and time on standard error, so that standard output has the answer alone.
fn summary(answer: &Answer, format: Format) {
    if let Some(warning) = answer.headers.get("x-vispyr-warning").and_then(|value| value.to_str().ok()) {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let (rows, truncated, elapsed) = if format == Format::Table {
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        (json["row_count"].as_u64(), json["truncated"] == true, json["elapsed_ms"].as_u64())
    } else {
        let find =
            |name: &str| answer.trailers.get(name).or_else(|| answer.headers.get(name)).and_then(|v| v.to_str().ok());
        let number = |name: &str| find(name).and_then(|text| text.parse().ok());
        (number("x-vispyr-row-count"), find("x-vispyr-truncated") == Some("true"), number("x-vispyr-elapsed-ms"))
    };
    let (Some(rows), Some(elapsed)) = (rows, elapsed) else { return };
    let s = if rows == 1 { "" } else { "s" };
    let more = if truncated { ", and there are more (sql.max_rows)" } else { "" };
    let _ = writeln!(std::io::stderr(), "{rows} row{s} in {elapsed} ms{more}");
}
