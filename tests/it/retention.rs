//! What is too old or too much goes, whole files, and the disk is never full.

use std::time::{Duration, Instant};

use super::harness::DEADLINE;
use super::store::rig::{EngineProcess, RETENTION, STATEMENT_LIMIT, Source, feed, files};

/// Spans in each record.
const SPANS: u32 = 20;

fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !ask() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn what_is_too_old_leaves_answers_and_then_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let retention = [(RETENTION, "max_age = '4s'\nsnapshots = '1s'"), (STATEMENT_LIMIT, "1s")];
    let mut engine = EngineProcess::start(dir.path(), &retention);
    assert!(feed(&engine, &source, 5));
    assert_eq!(engine.ask(".flush"), "flushed");
    assert_eq!(engine.spans().0, 5 * u64::from(SPANS));
    until("the rows are dropped", || engine.spans().0 == 0);
    let sealed = dir.path().join("store/sealed");
    let spans = || files(&sealed).iter().filter(|file| file.starts_with("spans/")).count();
    until("the files are deleted", || spans() == 0);
    // Resources of today stay for rows that may come.
    assert!(files(&sealed).iter().any(|file| file.starts_with("resources/")));
    let stats = engine.stats();
    assert!(stats.deleted_files > 0 && stats.dropped_files.values().sum::<u64>() == 1, "{stats:?}");
    assert_eq!(stats.missing_files, 0);
    // What comes now is taken and kept as long.
    assert!(feed(&engine, &source, 10));
    assert_eq!(engine.spans().0, 5 * u64::from(SPANS));
    engine.stop();
    let mut engine = EngineProcess::start(dir.path(), &retention);
    assert_eq!(engine.ask(".warnings"), "");
}

#[test]
fn a_size_is_kept_to_by_dropping_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(200);
    let retention = [(RETENTION, "max_size = '60KB'\nsnapshots = '1s'"), (STATEMENT_LIMIT, "1s")];
    let mut engine = EngineProcess::start(dir.path(), &retention);
    let mut highest = 0;
    for next in 1..=20 {
        assert!(feed(&engine, &source, next));
        assert_eq!(engine.ask(".flush"), "flushed");
        highest = next * 200;
    }
    let bytes = |engine: &mut EngineProcess| {
        let stats = engine.stats();
        stats.tables.iter().map(|table| table.sealed_bytes).sum::<u64>()
    };
    until("it is no more than that", || bytes(&mut engine) <= 60_000);
    let left = engine.spans().0;
    assert!(left > 0 && left < highest, "{left}");
    assert!(engine.stats().kept.signals[0].bytes <= 60_000);
}

#[test]
fn a_kill_at_any_step_of_an_expiry_leaves_no_file_and_loses_no_row() {
    for step in ["retention_ended", "expiry_scheduled", "expiry_unlinked", "expiry_done"] {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::new(SPANS);
        let retention = "max_size = '1B'\nsnapshots = '1s'";
        let killed = [(RETENTION, retention), (STATEMENT_LIMIT, "0s"), ("VISPYR_CRASH_AT", step)];
        let mut engine = EngineProcess::start(dir.path(), &[(STATEMENT_LIMIT, "0s")]);
        assert!(feed(&engine, &source, 5));
        assert_eq!(engine.ask(".flush"), "flushed");
        engine.stop();
        // It looks as soon as it is there.
        if let Ok(mut engine) = EngineProcess::try_start(dir.path(), &killed) {
            engine.wait_for_sigkill();
        }
        let mut engine = EngineProcess::start(dir.path(), &killed[..2]);
        // A record after them, which nothing drops before it is sealed.
        assert!(feed(&engine, &source, 6));
        assert_eq!(engine.spans().0, u64::from(SPANS), "{step}");
        let sealed = dir.path().join("store/sealed");
        until("the files are gone", || {
            !files(&sealed).iter().any(|file| file.starts_with("spans/") && !file.ends_with(".l0.parquet"))
        });
        assert!(!dir.path().join("store/lost+found").exists(), "{step}");
        assert_eq!(engine.ask(".warnings"), "", "{step}");
        engine.stop();
    }
}
