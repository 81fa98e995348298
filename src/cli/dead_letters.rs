//! `vispyr dead-letters`: what destinations refused for good, on a running collector.

mod render;

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::collector::{Answer, Asked, Collector};
use super::printable::printable;

/// How long the collector may take: it waits itself for the destination.
const PATIENCE: Duration = Duration::from_secs(120);

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show all of them, the oldest of each destination first
    List {
        /// Only those of this destination
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
        #[command(flatten)]
        asked: Asked,
    },
    /// Show one: where it was to go, why it was refused, what is in it
    Show {
        /// Which, as `list` names it
        id: String,
        /// Only what is in it, as it came, to standard output
        #[arg(long, conflicts_with = "json")]
        raw: bool,
        #[command(flatten)]
        asked: Asked,
    },
    /// Send them again, to the destination as it is configured now
    Retry {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        asked: Asked,
    },
    /// Let them go for good
    Drop {
        #[command(flatten)]
        which: Which,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        asked: Asked,
    },
}

/// Which dead letters are meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// These, as `list` names them
    ids: Vec<String>,
    /// All of this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// All there are
    #[arg(long)]
    all: bool,
}

/// Exit code 1 if a dead letter that was named is not there, or did not go where it was sent.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let find = |asked: &Asked| Collector::find(asked, PATIENCE);
    match args.command {
        Command::List { destination, asked } => list(&find(&asked)?, destination.as_deref(), asked.json),
        Command::Show { id, raw: true, asked } => raw(&find(&asked)?, &id),
        Command::Show { id, raw: false, asked } => show(&find(&asked)?, &id, asked.json),
        Command::Retry { which, asked } => retry(&find(&asked)?, &which, asked.json),
        Command::Drop { which, yes, asked } => drop_letters(&find(&asked)?, &which, yes, asked.json),
    }
}

fn list(collector: &Collector, destination: Option<&str>, as_json: bool) -> anyhow::Result<ExitCode> {
    let letters = letters(collector, destination)?;
    if as_json {
        return print_json(&json!({ "letters": letters }));
    }
    print(&render::list(&letters))
}

fn show(collector: &Collector, id: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let letter = collector.ask(Method::GET, &path(id, ""))?.ok()?;
    if as_json { print_json(&letter) } else { print(&render::letter(&letter)) }
}

fn raw(collector: &Collector, id: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    ensure!(!out.is_terminal(), "a payload is not for a terminal: send it to a file or a program");
    let answer = collector.ask(Method::GET, &path(id, "?raw"))?;
    if !answer.status.is_success() {
        answer.ok()?;
    }
    out.write_all(&answer.body).and_then(|()| out.flush()).context("cannot write the payload")?;
    Ok(ExitCode::SUCCESS)
}

fn retry(collector: &Collector, which: &Which, as_json: bool) -> anyhow::Result<ExitCode> {
    let ids = which.ids(collector)?;
    let (mut accepted, mut kept) = (Vec::new(), Vec::new());
    // Destinations that are away: what else is for them is not tried in vain.
    let mut away = BTreeSet::new();
    for id in &ids {
        let destination = id.rsplit_once('-').map_or("", |(destination, _)| destination).to_owned();
        if away.contains(&destination) {
            kept.push(json!({ "id": id, "reason": format!("not tried: {destination} takes nothing now") }));
            continue;
        }
        let answer = collector.ask(Method::POST, &path(id, "/retry"))?;
        let told = match answer.status {
            StatusCode::OK => {
                let answer = answer.ok()?;
                let told = render::accepted(id, &answer);
                accepted.push(answer);
                told
            }
            status => {
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    away.insert(destination);
                }
                let reason = answer.error();
                let told = printable(&format!("{id}: {reason}\n"));
                kept.push(json!({ "id": id, "reason": reason }));
                told
            }
        };
        if !as_json {
            print(&told)?;
        }
    }
    if as_json {
        print_json(&json!({ "accepted": accepted, "kept": kept }))?;
    } else {
        print(&format!("{} accepted, {} kept\n", accepted.len(), kept.len()))?;
    }
    Ok(if kept.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn drop_letters(collector: &Collector, which: &Which, yes: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let ids = which.ids(collector)?;
    if which.ids.is_empty() && !yes && !ids.is_empty() && !agreed(ids.len())? {
        bail!("nothing was dropped");
    }
    let (mut dropped, mut failed) = (Vec::new(), Vec::new());
    for id in &ids {
        let answer = collector.ask(Method::DELETE, &path(id, ""))?;
        match answer.status {
            StatusCode::OK => dropped.push(answer.ok()?),
            _ => failed.push(json!({ "id": id, "reason": answer.error() })),
        }
    }
    if as_json {
        print_json(&json!({ "dropped": dropped, "failed": failed }))?;
    } else {
        for failure in &failed {
            eprintln!("{}", printable(failure["reason"].as_str().unwrap_or("?")));
        }
        print(&format!("{} dropped\n", dropped.len()))?;
    }
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Which {
    fn ids(&self, collector: &Collector) -> anyhow::Result<Vec<String>> {
        if !self.ids.is_empty() {
            return Ok(self.ids.clone());
        }
        let letters = letters(collector, self.destination.as_deref())?;
        Ok(letters.iter().filter_map(|letter| letter["id"].as_str()).map(str::to_owned).collect())
    }
}

fn letters(collector: &Collector, destination: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut path = "/api/v1/dead-letters".to_owned();
    if let Some(destination) = destination {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("destination", destination).finish();
        path = format!("{path}?{query}");
    }
    match collector.ask(Method::GET, &path)?.ok()?["letters"].take() {
        Value::Array(letters) => Ok(letters),
        _ => bail!("the answer is of another version of vispyr"),
    }
}

/// The path of a dead letter. What a person typed may be anything.
fn path(id: &str, rest: &str) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/api/v1/dead-letters/{id}{rest}")
}

/// Asks the person at the terminal.
fn agreed(count: usize) -> anyhow::Result<bool> {
    let s = if count == 1 { "" } else { "s" };
    ensure!(std::io::stdin().is_terminal(), "this drops {count} letter{s} for good: say --yes");
    eprint!("drop {count} letter{s} for good? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // `... | head` has had enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written.map(|()| ExitCode::SUCCESS).context("cannot write the answer"),
    }
}

fn print_json(value: &Value) -> anyhow::Result<ExitCode> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

impl Answer {
    /// The JSON of a good answer; the error of any other.
    fn ok(&self) -> anyhow::Result<Value> {
        ensure!(self.status.is_success(), "{}", self.error());
        serde_json::from_slice(&self.body).context("the answer is no JSON")
    }

    fn error(&self) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match json["error"].as_str() {
            Some(error) => error.to_owned(),
            None => format!("{}: {}", self.status, String::from_utf8_lossy(&self.body).trim_end()),
        }
    }
}
