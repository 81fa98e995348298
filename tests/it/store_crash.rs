//! The engine is killed with SIGKILL, at every step from a record to a sealed file and at random
//! moments, and started again; the log sends what the engine wants. Nothing may be missing and
//! nothing may be twice, whenever one asks.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vispyr::store::engine::heartbeat::LONGEST;
use vispyr::store::engine::{CRASHED, failpoint};

use super::store::rig::{DEADLINE, EngineProcess, LOG, SEAL_INTERVAL, Sender, Source, feed, files};

const SPANS: u32 = 50;

/// What must hold of an engine that has everything of the log up to `next`.
fn is_exact(engine: &mut EngineProcess, next: u64) {
    let all = next * u64::from(SPANS);
    assert_eq!(engine.spans(), (all, all));
    let odd = engine.ask(&format!(
        "SELECT count(*) FROM (SELECT trace_id, count(*) AS n FROM spans GROUP BY 1) WHERE n <> {SPANS}"
    ));
    assert_eq!(odd, "BigInt(0);", "traces that are not whole");
    let missing = engine.ask(
        &format!(
            "SELECT count(*) FROM range(1, {next} + 1) t(n) LEFT JOIN (SELECT DISTINCT trace_id FROM spans) s
         ON s.trace_id = lower(printf('%032x', n)) WHERE s.trace_id IS NULL"
        )
        .replace('\n', " "),
    );
    assert_eq!(missing, "BigInt(0);", "traces that are missing");
}

/// Files on disk are those that the engine knows.
fn no_strangers(engine: &mut EngineProcess) {
    let known: u64 = engine.stats().tables.iter().map(|t| t.sealed_files).sum();
    assert_eq!(engine.files().len() as u64, known, "{:?}", engine.files());
}

/// One life: an engine that dies at `step`, one that does not, and a third.
fn dies_at(step: &str, time: u32) {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(feed(&engine, &source, 20));
    assert_eq!(engine.ask(".flush"), "flushed");
    engine.stop();

    let crash = format!("{step}:{time}");
    let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, &crash)]);
    is_exact(&mut engine, 20);
    let survived = feed(&engine, &source, 40) && engine.try_ask(".flush").is_some();
    assert!(!survived, "{crash} was never reached");
    engine.wait_for_sigkill();

    let mut engine = EngineProcess::start(dir.path(), &[]);
    no_strangers(&mut engine);
    let (all, different) = engine.spans();
    assert!(
        all == different && (1000..=2000).contains(&all) && all % u64::from(SPANS) == 0,
        "{crash}: {all} {different}"
    );
    assert!(feed(&engine, &source, 60));
    is_exact(&mut engine, 60);
    assert_eq!(engine.ask(".flush"), "flushed");
    is_exact(&mut engine, 60);
    no_strangers(&mut engine);
    engine.stop();

    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(Sender::connect(&engine, LOG, 60).progress.sealed.0, 60);
    is_exact(&mut engine, 60);
}

#[test]
fn a_kill_at_any_step_neither_loses_nor_doubles_a_row() {
    for step in failpoint::STEPS {
        dies_at(step, 1);
    }
}

#[test]
fn a_record_that_kills_the_engine_is_set_aside_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let poison = [(failpoint::VARIABLE, "insert_position:7"), (CRASHED, "1")];
    let mut starts = 0;
    let mut engine = loop {
        starts += 1;
        assert!(starts < 10);
        let mut engine = EngineProcess::start(dir.path(), &poison);
        if feed(&engine, &source, 20) {
            break engine;
        }
        assert_eq!(engine.wait_for_end().signal(), Some(6));
    };
    println!("{starts} starts");
    assert_eq!(engine.spans(), (19 * u64::from(SPANS), 19 * u64::from(SPANS)));
    assert_eq!(engine.stats().signals[0].undecodable_records, 1);
    assert!(Sender::connect(&engine, LOG, 20).heard().is_aside(7));
    assert_eq!(engine.ask(".flush"), "flushed");
    engine.stop();
    let engine = EngineProcess::start(dir.path(), &poison);
    assert!(feed(&engine, &source, 30));
}

#[test]
fn kills_from_outside_set_nothing_aside_however_many() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    for _ in 0..6 {
        // In the middle of an insert of one record alone, as after a kill the log brings it again.
        let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, "in_insert")]);
        assert!(!feed(&engine, &source, 1));
        engine.wait_for_sigkill();
    }
    // Another crash, later, does not make it suspect either.
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert!(feed(&engine, &source, 20));
    is_exact(&mut engine, 20);
    assert_eq!(engine.stats().signals[0].undecodable_records, 0);
}

#[test]
fn a_panic_in_any_thread_ends_the_engine() {
    // In the writer, in the thread that seals, and in the one that reads the collector's records.
    for step in ["before_insert:2", "before_seal:1", "received:2"] {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::new(SPANS);
        let panic = format!("panic {step}");
        let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, &panic)]);
        let survived = (1..=4).all(|n| feed(&engine, &source, n * 5)) && engine.try_ask(".flush").is_some();
        assert!(!survived, "{step}: the engine went on");
        assert_eq!(engine.wait_for_end().code(), Some(70), "{step}");
        let mut engine = EngineProcess::start(dir.path(), &[]);
        assert!(feed(&engine, &source, 20));
        is_exact(&mut engine, 20);
        assert_eq!(engine.stats().signals[0].undecodable_records, 0);
    }
}

#[test]
fn a_writer_that_hangs_is_not_well() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, "hang before_insert:2")]);
    assert_eq!(engine.ask(".health"), "well");
    assert!(feed(&engine, &source, 1));
    let mut sender = Sender::connect(&engine, LOG, 2);
    assert!(sender.send(source.record(1)));
    let started = Instant::now();
    let mut last = String::new();
    while started.elapsed() < DEADLINE && !last.contains("the writer has not come round") {
        std::thread::park_timeout(Duration::from_millis(500));
        last = engine.try_ask(".health").unwrap();
    }
    assert!(last.contains("the writer has not come round"), "{last}");
    assert!(started.elapsed() > LONGEST - Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn a_kill_between_two_files_of_a_batch_leaves_neither() {
    // Two tables have rows: resources, then spans.
    for step in ["before_copy", "after_copy", "after_rename", "in_seal", "in_publish"] {
        dies_at(step, 2);
    }
}

/// Sends the log to whichever engine lives, until it is told to stop; the log grows as it goes.
fn keep_sending(dir: &Path, source: Source, stop: &AtomicBool) -> u64 {
    let mut next = 0;
    let mut quiet_since = Instant::now();
    'connect: loop {
        assert!(quiet_since.elapsed() < DEADLINE, "no engine");
        let Some(mut sender) = Sender::try_connect(dir, source.log, next) else {
            if stop.load(Ordering::Relaxed) {
                return next;
            }
            std::thread::yield_now();
            continue;
        };
        quiet_since = Instant::now();
        let mut position = sender.progress.wanted.0;
        assert!(position <= next, "the engine wants {position}, the log ends at {next}");
        while position < next || !stop.load(Ordering::Relaxed) {
            if !sender.wait(|h| h.visible + 128 >= position) || !sender.send(source.record(position)) {
                continue 'connect;
            }
            position += 1;
            next = next.max(position);
        }
        return next;
    }
}

#[test]
fn kills_at_random_moments_under_load_neither_lose_nor_double_a_row() {
    const ROUNDS: u32 = 24;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let stop = Arc::new(AtomicBool::new(false));
    let sending = {
        let (dir, stop) = (dir.path().to_owned(), stop.clone());
        std::thread::spawn(move || keep_sending(&dir, source, &stop))
    };
    // So that it seals most of the time.
    let often = [(SEAL_INTERVAL, "100ms")];
    let mut sealed = 0;
    for round in 0..ROUNDS {
        let mut engine = EngineProcess::start(dir.path(), &often);
        // Some die young, some after a flush or two.
        let flushes = random.random_range(0..3);
        let deadline = Instant::now() + DEADLINE;
        let mut end = None;
        let mut last = 0;
        while end.is_none_or(|end| Instant::now() < end) {
            assert!(Instant::now() < deadline, "no flush in {DEADLINE:?}");
            if end.is_none() && engine.stats().seals.count >= flushes {
                end = Some(Instant::now() + Duration::from_millis(random.random_range(1..600)));
            }
            let (all, different) = engine.spans();
            assert_eq!(all, different, "seed {seed}, round {round}: a row is seen twice");
            assert_eq!(all % u64::from(SPANS), 0, "seed {seed}, round {round}: half a record");
            assert!(all >= last && all >= sealed, "seed {seed}, round {round}: rows went away");
            last = all;
        }
        let stats = engine.stats();
        sealed = stats.tables.iter().find(|t| t.table == "spans").unwrap().sealed_rows;
        engine.kill();
    }
    let mut engine = EngineProcess::start(dir.path(), &often);
    stop.store(true, Ordering::Relaxed);
    let next = sending.join().unwrap();
    println!("{next} records, {sealed} rows sealed at the last kill");
    assert!(feed(&engine, &source, next));
    is_exact(&mut engine, next);
    assert_eq!(engine.ask(".flush"), "flushed");
    is_exact(&mut engine, next);
    no_strangers(&mut engine);
    assert!(sealed > 0);
    assert!(next > u64::from(ROUNDS) && files(&dir.path().join("store/tmp")).is_empty());
}
