//! `vispyr repair`: the catalog of a store that does not run is made again from its files.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use bytesize::ByteSize;

use super::Place;
use super::printable::printable;
use crate::store::engine::rebuild::{self, Report};
use crate::store::engine::store_dir::{self, StoreDir};
use crate::store::merge;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Make the catalog again even if it seems whole
    #[arg(long)]
    rebuild: bool,
}

/// Exit code 0 if nothing is wrong or all of it is mended, 1 if something is lost or not proved.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = args.place.settings()?;
    let dir = settings.config.store.dir(&settings.data_dir);
    ensure!(dir.join(store_dir::SEALED).is_dir(), "there is no store in {}", dir.display());
    // Held until the end: no store runs meanwhile.
    let store = StoreDir::open(&dir)?;
    let mut out = std::io::stdout().lock();
    match rebuild::damage(&dir)? {
        None if !args.rebuild => {
            writeln!(out, "{}: the catalog is whole; vispyr check --data compares the files", dir.display())?;
            return Ok(ExitCode::SUCCESS);
        }
        None => writeln!(out, "the catalog seems whole")?,
        Some(why) => writeln!(out, "the catalog is lost: {}", printable(&why))?,
    }
    let memory = settings.config.store.merge_memory.as_u64();
    let db = merge::open(memory, &store.tmp()).context("cannot open DuckDB, which reads the files")?;
    let report = if args.dry_run { rebuild::look(&store.sealed(), &db)? } else { rebuild::rebuild(&store, &db)? };
    let done = if args.dry_run { "it would be made again" } else { "it is made again" };
    writeln!(out, "{done} from {}", render(&report))?;
    let is_proved = report.damaged.is_empty() && report.unproved.is_empty();
    Ok(if is_proved { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(report: &Report) -> String {
    let Report { files, rows, bytes, .. } = report;
    let mut text = format!("{files} files with {rows} rows ({})", ByteSize(*bytes));
    let mut line = |line: String| text += &format!("\n  {}", printable(&line));
    if !report.superseded.is_empty() {
        line(format!("{} files go, their rows are in files that were merged from them", report.superseded.len()));
    }
    report.damaged.iter().for_each(|(path, reason)| line(format!("damaged: {path}: {reason}")));
    report.positions.iter().for_each(|upto| line(format!("{upto}: later records come from the log")));
    report.unproved.iter().for_each(|unproved| line(format!("not proved: {unproved}")));
    line(
        "rows that were dropped or forgotten in the last minutes may be back, if their files were still there"
            .to_owned(),
    );
    text
}
