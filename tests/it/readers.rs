//! Statements that do harm or are not read, beside others that are asked: nobody waits for them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vispyr::store::engine::failpoint;

use crate::harness::{Answer, DEADLINE, Options, Vispyr, signal};

const IGNORES_ITS_INTERRUPT: &str = "SELECT levenshtein(repeat('a', 400000), repeat('b', 400000))";
const TAKES_TIME: &str = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3";
const TAKES_MEMORY: &str =
    "SELECT sum(damerau_levenshtein(repeat('a', 9000), repeat('b', 9000 + range::INT))) FROM range(20)";
const CRASHES: &str = "SELECT DISTINCT row([range]::INTEGER[1]) FROM range(3)";

/// An answer of 100 MB.
const LONG: &str = "SELECT repeat('x', 1000) FROM range(100000)";

async fn ask(vispyr: &Vispyr, statement: &str) -> Answer {
    vispyr.ask(statement, "application/json").await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_that_do_harm_do_not_slow_a_seventeenth() {
    let vispyr = Vispyr::start(Options::config("[sql]\ngates = false\ntime_limit = \"60s\"")).await;
    let harm = [IGNORES_ITS_INTERRUPT, TAKES_TIME, TAKES_MEMORY, CRASHES];
    let harmful = (0..16).map(|n| format!("{} -- {n}", harm[n % harm.len()])).map(async |statement| {
        let answer = ask(&vispyr, &statement).await;
        assert!(matches!(answer.status, 503 | 504 | 507), "{statement}: {} {}", answer.status, answer.text());
    });
    // Those of memory may be over soon.
    let many_run = async || {
        let stats = crate::harness::get(&vispyr.url("sql", "/stats")).await.ok()?.json();
        let running = stats["queries_running"].as_u64()?;
        (running >= 8 && vispyr.reader_pids().len() as u64 > running).then_some(())
    };
    let seventeenth = async {
        vispyr.wait("many run, and a reader waits", many_run).await;
        let mut best = Duration::MAX;
        // A machine that others keep busy, too, may take some of them.
        for _ in 0..5 {
            let mut slowest = Duration::ZERO;
            for _ in 0..10 {
                let started = Instant::now();
                let answer = ask(&vispyr, "SELECT 1").await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                slowest = slowest.max(started.elapsed());
            }
            best = best.min(slowest);
        }
        best
    };
    let harmful = async {
        futures_util::future::join_all(harmful).await;
        std::future::pending::<()>().await;
    };
    let slowest = tokio::select! {
        () = harmful => unreachable!(),
        slowest = seventeenth => slowest,
    };
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    assert!(vispyr.log().contains("a statement has ended its reader"), "{}", vispyr.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_that_do_not_read_hold_nobody() {
    let vispyr = Vispyr::start(Options::config("[sql]\ntime_limit = \"30s\"")).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(vispyr.address("sql")).await.unwrap();
        let length = LONG.len();
        let request = format!("POST /api/v1/sql HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{LONG}");
        stream.write_all(request.as_bytes()).await.unwrap();
        clients.push(stream);
    }
    let running = async || {
        let stats = crate::harness::get(&vispyr.url("sql", "/stats")).await.ok()?.json();
        (stats["queries_running"].as_u64()? >= 8 && vispyr.reader_pids().len() >= 9).then_some(())
    };
    vispyr.wait("all of them run, and a reader waits", running).await;
    for _ in 0..5 {
        assert_eq!(ask(&vispyr, "SELECT 1").await.status, 200);
    }
    // Held, it would have had to wait for their time limit.
    vispyr.wait("all of them still run", running).await;
    // Their time is over after a while, and so are the readers that nobody needs any more.
    let over = async || {
        let stats = crate::harness::get(&vispyr.url("sql", "/stats")).await.ok()?.json();
        (stats["queries_running"] == 0).then_some(stats)
    };
    let stats = vispyr.wait("none of them runs", over).await;
    assert!(stats["sql"]["statements"]["ok"].as_u64() >= Some(5), "{stats}");
    drop(clients);
}

/// The nice value of a process; nothing if it is gone.
fn nice(pid: u32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(16)?.parse().ok()
}

/// How many of its readers are behind others.
fn behind(vispyr: &Vispyr) -> usize {
    vispyr.reader_pids().iter().filter(|reader| nice(**reader) > nice(vispyr.pid())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_goes_behind_others_for_its_time_of_cpu_not_of_the_clock() {
    let env = vec![(failpoint::VARIABLE.to_owned(), "hang reader_opened".to_owned())];
    let vispyr = Vispyr::start(Options { env, ..Options::config("") }).await;
    let answer = tokio::time::timeout(Duration::from_secs(2), ask(&vispyr, "SELECT count(*) FROM spans")).await;
    assert!(answer.is_err(), "it does not hang");
    assert_eq!(behind(&vispyr), 0);

    let vispyr = Vispyr::serve().await;
    let works = ask(&vispyr, TAKES_TIME);
    let goes_behind = vispyr.wait("it goes behind", async || (behind(&vispyr) == 1).then_some(()));
    tokio::select! {
        answer = works => panic!("{}", answer.text()),
        () = goes_behind => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_was_only_late_is_not_refused() {
    // Each reader gives its first statement no time at all.
    let env = vec![(failpoint::VARIABLE.to_owned(), "hang reader_opened".to_owned())];
    let vispyr = Vispyr::start(Options { env, ..Options::config("[sql]\ntime_limit = \"1s\"") }).await;
    three_are_late(&vispyr, async || {
        let answer = ask(&vispyr, "SELECT count(*) FROM spans").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        answer.text().contains("the machine is too busy")
    })
    .await;
    // Nor is one whose client does not read.
    let vispyr = Vispyr::start(Options::config("[sql]\ntime_limit = \"5s\"")).await;
    three_are_late(&vispyr, async || {
        let mut stream = TcpStream::connect(vispyr.address("sql")).await.unwrap();
        let length = LONG.len();
        let request = format!("POST /api/v1/sql HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{LONG}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut status).await.unwrap();
        let status = String::from_utf8_lossy(&status).into_owned();
        assert!(["HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 504"].contains(&status.as_str()), "{status}");
        let over = async || {
            let stats = crate::harness::get(&vispyr.url("sql", "/stats")).await.ok()?.json();
            (stats["queries_running"] == 0).then_some(())
        };
        vispyr.wait("its time is over", over).await;
        status == "HTTP/1.1 200"
    })
    .await;
}

/// Runs a statement until it was late three times: for it to be so a busy machine has to start it in time. It must
/// never be said to have ended its reader.
async fn three_are_late(vispyr: &Vispyr, mut run: impl AsyncFnMut() -> bool) {
    for late in 0..3 {
        let deadline = Instant::now() + DEADLINE;
        while !run().await {
            assert!(Instant::now() < deadline, "late {late} times: {}", vispyr.log());
        }
    }
    assert!(!vispyr.log().contains("a statement has ended its reader"), "{}", vispyr.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_ends_between_statements_is_replaced() {
    let vispyr = Vispyr::serve().await;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let two = || async { Some(vispyr.reader_pids()).filter(|readers| readers.len() >= 2) };
        let readers = vispyr.wait("there are two", two).await;
        for reader in &readers {
            assert!(seen.insert(*reader), "{reader} is gone");
            signal(*reader, rustix::process::Signal::KILL);
        }
        assert_eq!(ask(&vispyr, "SELECT 1").await.status, 200);
        vispyr
            .wait("they are gone", || async {
                vispyr.reader_pids().iter().all(|pid| !seen.contains(pid)).then_some(())
            })
            .await;
    }
}

/// Its readers, once two wait.
async fn two_readers(vispyr: &Vispyr) -> Vec<u32> {
    let two = async || Some(vispyr.reader_pids()).filter(|readers| readers.len() == 2);
    vispyr.wait("there are two readers", two).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_grown_takes_no_other_statement() {
    // What each reader takes with its third statement it keeps.
    let env = vec![(failpoint::VARIABLE.to_owned(), "grow reader_opened:3".to_owned())];
    let vispyr = Vispyr::start(Options { env, ..Options::config("") }).await;
    let readers = two_readers(&vispyr).await;
    for statement in 1..=2 {
        assert_eq!(ask(&vispyr, "SELECT count(*) FROM spans").await.status, 200);
        assert_eq!(two_readers(&vispyr).await, readers, "after {statement}");
    }
    assert_eq!(ask(&vispyr, "SELECT count(*) FROM spans").await.status, 200);
    let another = async || Some(vispyr.reader_pids()).filter(|now| now.len() == 2 && *now != readers).map(drop);
    vispyr.wait("one is replaced", another).await;
    assert!(!vispyr.log().contains("a statement has ended its reader"), "{}", vispyr.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_the_engine_says_what_may_be_missing() {
    let vispyr = Vispyr::serve().await;
    let whole = ask(&vispyr, "SELECT count(*) FROM spans").await;
    assert_eq!((whole.status, whole.headers.get("x-vispyr-warning")), (200, None));
    assert_eq!(whole.headers["x-vispyr-files"], "0/0");
    let engine = vispyr.engine_pid().unwrap();
    signal(engine, rustix::process::Signal::STOP);
    let stat = || std::fs::read_to_string(format!("/proc/{engine}/stat")).unwrap();
    let stopped = || async { stat().rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')).then_some(()) };
    vispyr.wait("the engine is stopped", stopped).await;
    let answer = ask(&vispyr, "SELECT count(*) FROM spans").await;
    signal(engine, rustix::process::Signal::CONT);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let warning = answer.headers["x-vispyr-warning"].to_str().unwrap();
    assert!(warning.contains("rows of the last moments may be missing"), "{warning}");
    assert_eq!(answer.json()["warnings"][0], warning, "{}", answer.text());
    vispyr
        .wait("all is well", || async {
            let answer = ask(&vispyr, "SELECT count(*) FROM spans").await;
            (answer.status == 200 && !answer.headers.contains_key("x-vispyr-warning")).then_some(())
        })
        .await;
}
