//! What it costs to receive spans and to deliver them: ours beside the OpenTelemetry Collector, in
//! one run, from the same senders to the same cheap destination, until the last span has arrived.
//! Ours always has what it acknowledged on disk; the Collector is measured with its queue in
//! memory and with its queue on disk, synced.
//!
//! Senders, contender and destination are three processes, so that processor time and memory are
//! the contender's alone. Figures are comparable only within one run.
//!
//! `VISPYR_BENCH_SECONDS` (10): how long each load lasts.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "another process is asked every so often")]

mod contender;
#[path = "../senders/load.rs"]
mod load;
mod sink;
#[path = "../senders/spans.rs"]
mod spans;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use contender::{Contender, Running};
use load::{CONNECTIONS, Load};
use spans::SPANS;

/// The longest that one may take to deliver the rest once the load is over.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Ok(work) = std::env::var("VISPYR_BENCH_WORK") {
        let words: Vec<&str> = work.split(' ').collect();
        match words[..] {
            ["sink", pace] => runtime.block_on(sink::run(pace.parse().unwrap())),
            [to, load] => {
                let load = Load::ALL.into_iter().find(|l| format!("{l:?}") == load).unwrap();
                let sent = runtime.block_on(load::generate(to.parse().unwrap(), load, seconds()));
                println!("{} {}", sent.accepted, sent.again);
            }
            _ => panic!("unknown work"),
        }
        return;
    }
    println!(
        "{SPANS} spans a request, {} bytes a span, {CONNECTIONS} connections, {} s each, {} threads",
        spans::payload().len() as u64 / SPANS,
        seconds().as_secs(),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    println!(
        "{:<24} {:<22} {:>12} {:>12} {:>11} {:>9} {:>9} {:>8}",
        "", "", "spans/CPU-s", "CPU-s/M", "accepted/s", "arrived/s", "peak MiB", "ratio"
    );
    let goals = [[3.0, 14.0], [5.0, 14.0]];
    let mut paces = Vec::new();
    for (load, goals) in [Load::Plain, Load::Gzip].into_iter().zip(goals) {
        let others = [Contender::Collector, Contender::DurableCollector];
        let title = if load == Load::Gzip { "gzip on both sides" } else { "uncompressed" };
        let ours = measure(title, Contender::Vispyr, load, 0, None);
        println!("{}", ours.line);
        for (contender, goal) in others.into_iter().zip(goals) {
            let other = measure(title, contender, load, 0, Some(&ours));
            println!("{}   goal {goal}", other.line);
            paces.push((load, contender, other.bytes_per_second));
        }
        paces.push((load, Contender::Vispyr, ours.bytes_per_second));
    }
    for (load, contender, pace) in paces {
        let title = if load == Load::Gzip { "gzip, slow sink" } else { "slow sink" };
        println!("{}", measure(title, contender, load, pace / 10, None).line);
    }
    println!("goal with a slow sink: ours at most 96 MiB, and flat (both halves alike)");
}

struct Measured {
    line: String,
    spans_per_cpu_second: f64,
    bytes_per_second: u64,
}

/// One contender under one load. `pace`: bytes a second that the sink takes; 0 is all. With a slow
/// sink nobody waits for the rest: what counts is what was accepted, and memory.
fn measure(title: &str, contender: Contender, load: Load, pace: u64, ours: Option<&Measured>) -> Measured {
    let sink = Work::start(&format!("sink {pace}"));
    let addresses: Vec<SocketAddr> = sink.line.split_whitespace().map(|a| a.parse().unwrap()).collect();
    let running = Running::start(contender, addresses[0], load == Load::Gzip);
    let (started, cpu) = (Instant::now(), running.cpu());
    let senders = Work::spawn(&format!("{} {load:?}", running.address));
    // Highest resident memory of each half.
    let mut halves = [0, 0];
    let mut process = senders;
    while process.try_wait().unwrap().is_none() {
        let half = usize::from(started.elapsed() > seconds() / 2);
        halves[half] = running.memory().0.max(halves[half]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let accepted: u64 = line.split(' ').next().unwrap().parse().unwrap();
    let accepting = started.elapsed().as_secs_f64();
    let message = load.message().len() as u64;
    let mut arrived = sink::arrived(addresses[1]);
    if pace == 0 {
        let deadline = Instant::now() + PATIENCE;
        while contender.requests(arrived, message) < accepted as f64 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            arrived = sink::arrived(addresses[1]);
        }
        let found = contender.requests(arrived, message);
        assert!(found >= accepted as f64, "{contender:?} accepted {accepted} requests and delivered {found}");
    }
    let delivering = started.elapsed().as_secs_f64();
    let cpu = (running.cpu() - cpu).as_secs_f64();
    let spans = (accepted * SPANS) as f64;
    let per_cpu = spans / cpu;
    let peak = running.memory().1;
    let mut line = format!(
        "{title:<24} {:<22} {per_cpu:>12.0} {:>12.2} {:>11.0} {:>9.0} {:>9}",
        contender.name(),
        1e6 / per_cpu,
        spans / accepting,
        contender.requests(arrived, message) * SPANS as f64 / delivering,
        peak >> 20,
    );
    if let Some(ours) = ours {
        line += &format!(" {:>8.1}", ours.spans_per_cpu_second / per_cpu);
    }
    if pace > 0 {
        line += &format!("   halves {} and {} MiB", halves[0] >> 20, halves[1] >> 20);
    }
    Measured { line, spans_per_cpu_second: per_cpu, bytes_per_second: (arrived.bytes as f64 / delivering) as u64 }
}

fn seconds() -> Duration {
    let seconds = std::env::var("VISPYR_BENCH_SECONDS").ok().map_or(10, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// This program again, with a part of the work.
struct Work {
    process: Child,
    line: String,
}

impl Work {
    fn spawn(work: &str) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("VISPYR_BENCH_WORK", work).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Starts it and waits for its first line.
    fn start(work: &str) -> Work {
        let mut process = Work::spawn(work);
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Work { process, line }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
