//! `vispyr forget`: deletes rows of a running store by hand.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytesize::ByteSize;

use super::Place;
use super::printable::printable;
use crate::store::forget::{self, Report, Request};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Which rows: a condition on columns, such as "service_name = 'shop'" or
    /// "resource.\"tenant.id\" = '42' AND time < '2026-01-01'"; of spans the time is start_time
    #[arg(long = "where", value_name = "CONDITION")]
    condition: String,
    /// Of this table alone, more than once for more [default: all that have the columns]
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Say how many rows and files there are, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask whether to go on
    #[arg(long)]
    yes: bool,
}

/// Shows what there is, asks, has it deleted.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.place.settings()?;
    let socket = settings.config.store.forget_socket(&settings.data_dir);
    let mut request = Request { condition: args.condition, tables: args.tables, dry_run: true };
    let mut out = std::io::stdout().lock();
    let found = ask(&socket, &request)?;
    let rows: u64 = found.tables.iter().map(|table| table.rows).sum();
    write!(out, "{}", render(&found))?;
    if args.dry_run || rows == 0 {
        writeln!(out, "{}", if rows == 0 { "there are no such rows" } else { "nothing was deleted" })?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        if !std::io::stdin().is_terminal() {
            bail!("this deletes rows for good: say --yes, or --dry-run to look only");
        }
        write!(out, "delete these {rows} rows for good, and what comes of them meanwhile? (yes or no) ")?;
        out.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if answer.trim() != "yes" {
            writeln!(out, "nothing was deleted")?;
            return Ok(ExitCode::FAILURE);
        }
    }
    request.dry_run = false;
    let done = ask(&socket, &request)?;
    let rows: u64 = done.tables.iter().map(|table| table.rows).sum();
    writeln!(
        out,
        "{rows} rows are deleted; the files that had them are gone from the disk within {} s.\n\
         Records that a destination has not accepted yet stay in the collector's logs until it has (vispyr status).",
        done.gone_after_seconds
    )?;
    Ok(if done.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask(socket: &Path, request: &Request) -> anyhow::Result<Report> {
    let answer = forget::ask(socket, request)
        .with_context(|| format!("no store answers on {}: is it running, on this data directory?", socket.display()))?;
    answer.map_err(|why| anyhow::anyhow!("{}", printable(&why)))
}

fn render(report: &Report) -> String {
    let mut text = format!("{:<22}{:>12}{:>10}{:>12}{:>12}\n", "table", "rows", "in files", "with", "of files");
    for table in &report.tables {
        let size = ByteSize(table.bytes).to_string();
        text +=
            &format!("{:<22}{:>12}{:>10}{:>12}{:>12}\n", table.table, table.rows, table.with_rows, size, table.files);
    }
    for damaged in &report.damaged {
        text += &format!("cannot be looked at: {}\n", printable(damaged));
    }
    text
}
