//! How long questions take over a day of telemetry, what ingest costs, how long rows wait while somebody
//! asks, and how long the store takes to come back: the real program, over its ports.
//!
//! `cargo bench --bench ask [MILLIONS [FOLDER [TABLES]]]`: so many million spans and log records (10 by default),
//! and ten times as many samples, of 30 services, 400 routes and 20,000 series; of these tables alone, if some are
//! named (`spans,logs,metric_points`). It wants about a minute and 100 MB of disk a million. With a folder the data
//! stays there, and the next run with it only asks.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod data;
mod program;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::program::Vispyr;
use vispyr::signal::now_nanos;

/// What the telemetry is spread over, in the order of time.
const SPREAD: Duration = Duration::from_secs(24 * 3600);

/// The questions: of which table, and their goals in milliseconds.
const GOALS: [(&str, &str, f64); 7] = [
    ("nothing", "", 10.0),
    ("spans of a trace by id", "spans", 30.0),
    ("trace(id)", "spans", 30.0),
    ("p99 by route, the last hour", "spans", 150.0),
    ("errors of a service, the last day", "logs", 100.0),
    ("one series over a day", "metric_points", 50.0),
    ("list of services", "", 20.0),
];

const TABLES: &str = "spans,logs,metric_points";

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let millions = arguments.next().map_or(10, |millions| millions.parse().expect("a number of millions"));
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = arguments.next().map_or(temporary.path().to_owned(), PathBuf::from);
    let tables = arguments.next().unwrap_or_else(|| TABLES.to_owned());
    let filled = folder.join("data").exists();
    std::fs::create_dir_all(&folder).unwrap();
    let mut vispyr = Vispyr::start(&folder, "").await;
    if !filled {
        fill(&vispyr, millions, &folder, &tables).await;
    }
    let spans = vispyr.count("spans").await;
    questions(&vispyr, "warm", millions, &tables).await;
    for (process, resident) in vispyr.peaks() {
        println!("most resident memory of {process}: {} MiB", resident >> 20);
    }
    together(&vispyr, millions).await;
    come_back(&mut vispyr, &folder, spans).await;
    questions(&vispyr, "after a start", millions, &tables).await;
}

/// A day of telemetry.
async fn fill(vispyr: &Vispyr, millions: u64, folder: &Path, tables: &str) {
    let from = now_nanos() - SPREAD.as_nanos() as u64;
    let day = SPREAD.as_nanos() as u64;
    let mut expected = Vec::new();
    for what in tables.split(',') {
        let count = if what == "metric_points" { 10 * millions } else { millions };
        let (started, cpu) = (Instant::now(), vispyr.cpu());
        let count = count * 1_000_000;
        let kinds = [data::SPANS, data::LOGS, data::SAMPLES];
        let kind = kinds.into_iter().find(|kind| kind.table == what).unwrap_or_else(|| panic!("no {what}: {TABLES}"));
        let sent = vispyr.send(kind, count, from, day).await;
        vispyr.wait_count(what, sent).await;
        expected.push((what, sent));
        let took = started.elapsed().as_secs_f64();
        vispyr.settle().await;
        let store = vispyr.cpu() - cpu;
        println!(
            "{sent} {what}: visible in {took:.0} s, {:.0} a second beside the client; merged, {:.0} a CPU-second of the store",
            sent as f64 / took,
            sent as f64 / store.as_secs_f64()
        );
    }
    println!("store on disk: {} MiB, {}", program::size(&folder.join("data/store")) >> 20, vispyr.files().await);
    for (what, rows) in &expected {
        println!("  {what}: {:.1} bytes a row", vispyr.bytes(what).await as f64 / *rows as f64);
    }
}

/// Asks each question some times.
async fn questions(vispyr: &Vispyr, when: &str, millions: u64, tables: &str) {
    let spans = millions * 1_000_000;
    for (what, _, goal) in GOALS.into_iter().filter(|(_, table, _)| tables.contains(table)) {
        let mut times = Vec::new();
        let (rows, first) = vispyr.ask(&statement(what, spans, 0)).await;
        // What is sent while others ask has traces of the same ids.
        assert!(!what.contains("trace") || rows >= data::TRACE, "{what}: {rows} rows");
        for n in 1..16 {
            times.push(vispyr.ask(&statement(what, spans, n)).await.1);
        }
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let median = ms(times[times.len() / 2]);
        println!(
            "{when}: {what}: first {:.0} ms, median {median:.0}, worst {:.0} (goal {goal:.0}: {:.2} of it)",
            ms(first),
            ms(times[times.len() - 1]),
            median / goal
        );
    }
}

fn statement(what: &str, spans: u64, n: u64) -> String {
    let trace = data::trace_id(spans / data::TRACE / 17 * n);
    match what {
        "nothing" => "SELECT 1".to_owned(),
        "spans of a trace by id" => format!("SELECT * FROM spans WHERE trace_id = '{trace:032x}'"),
        "trace(id)" => format!("FROM trace('{trace:032x}')"),
        "p99 by route, the last hour" => "SELECT attributes.\"http.route\"::VARCHAR AS route, count(*), \
             quantile_cont(duration_ns, 0.99) FROM spans WHERE start_time >= now() - INTERVAL 1 HOUR GROUP BY route"
            .to_owned(),
        "errors of a service, the last day" => format!(
            "SELECT time, body FROM logs WHERE service_name = 'service-{}' AND severity_number >= 17 \
             AND time >= now() - INTERVAL 1 DAY ORDER BY time DESC LIMIT 100",
            n % data::SERVICES
        ),
        "one series over a day" => format!(
            "SELECT time, value FROM metric_points WHERE metric = 'metric_{}' AND series_id = (SELECT min(series_id) \
             FROM series WHERE metric = 'metric_{}' AND labels.\"instance\"::VARCHAR = 'host-{n}:9100') \
             AND time >= now() - INTERVAL 1 DAY ORDER BY time",
            n % 100,
            n % 100
        ),
        _ => "SELECT DISTINCT resource.\"service.name\"::VARCHAR AS service FROM resources ORDER BY 1".to_owned(),
    }
}

/// Ingest of 20,000 spans, 5,000 log records and 20,000 samples a second while four ask without a pause.
async fn together(vispyr: &Vispyr, millions: u64) {
    const SECONDS: u64 = 60;
    let (refused, asked, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let before = vispyr.inserts().await;
    let send = async {
        let paced = [(data::SPANS, 20_000), (data::LOGS, 5_000), (data::SAMPLES, 20_000)];
        let sent = paced.map(|(kind, rate)| vispyr.send_paced(kind, rate, SECONDS, &refused));
        futures_util::future::join_all(sent).await;
        done.store(true, Ordering::Relaxed);
    };
    let ask = (0..4).map(async |reader: u64| {
        let mut times = Vec::new();
        let mut n = reader;
        while !done.load(Ordering::Relaxed) {
            let (what, ..) = GOALS[1 + usize::try_from(n % 6).unwrap()];
            times.push((vispyr.ask(&statement(what, millions * 1_000_000, n % 16)).await.1, what));
            asked.fetch_add(1, Ordering::Relaxed);
            n += 1;
        }
        times
    });
    let watch = async {
        let mut most = 0;
        while !done.load(Ordering::Relaxed) {
            most = most.max(vispyr.resident());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        most
    };
    let (times, (), resident) = tokio::join!(futures_util::future::join_all(ask), send, watch);
    let mut times: Vec<(Duration, &str)> = times.into_iter().flatten().collect();
    times.sort();
    for (question, ..) in &GOALS[1..] {
        let times: Vec<Duration> = times.iter().filter(|(_, what)| what == question).map(|(time, _)| *time).collect();
        let (median, p95) = (times[times.len() / 2], times[times.len() * 95 / 100]);
        println!("  {question}: {} times, median {} ms, p95 {} ms", times.len(), median.as_millis(), p95.as_millis());
    }
    let after = vispyr.inserts().await;
    println!(
        "20,000 spans, 5,000 logs, 20,000 samples a second, four ask: {} refused, {} questions, median {:.0} ms, p95 \
         {:.0} ms (goal 250), rows visible after {:.0} ms in the mean, {:.0} at most (goal 1000)",
        refused.load(Ordering::Relaxed),
        asked.load(Ordering::Relaxed),
        times[times.len() / 2].0.as_secs_f64() * 1e3,
        times[times.len() * 95 / 100].0.as_secs_f64() * 1e3,
        1e3 * (after.1 - before.1) / (after.0 - before.0).max(1.0),
        after.2 * 1e3
    );
    println!("resident memory of all processes together: {} MiB at most (goal 512)", resident >> 20);
    for (process, resident) in vispyr.peaks() {
        println!("most resident memory of {process}: {} MiB", resident >> 20);
    }
}

/// How long the answer takes to be the same after the engine, and after everything was killed.
async fn come_back(vispyr: &mut Vispyr, folder: &Path, least: u64) {
    let table = "spans";
    // What was just sent is visible then.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = vispyr.count(table).await;
    assert!(before >= least);
    let started = Instant::now();
    vispyr.kill("engine");
    vispyr.wait_count(table, before).await;
    println!("engine killed: same answer after {:.1} s", started.elapsed().as_secs_f64());
    vispyr.kill_all();
    let started = Instant::now();
    *vispyr = Vispyr::start(folder, "").await;
    println!("all killed: ready after {:.1} s", started.elapsed().as_secs_f64());
    vispyr.wait_count(table, before).await;
    println!("the same answer after {:.1} s", started.elapsed().as_secs_f64());
}
