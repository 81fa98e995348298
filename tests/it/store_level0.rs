//! Files of level 0 are not synced: they outlive the process, and not the machine.

use std::path::Path;

use vispyr::signal::Signal;
use vispyr::store::engine::failpoint;
use vispyr::store::engine::sealed_file::LEVEL0;
use vispyr::wal::Position;

use crate::harness::{Vispyr, post};
use crate::receivers::rig::payload;
use crate::store::rig::{EngineProcess, LOG, Sender, Source, feed};

const SPANS: u32 = 50;

/// Twenty records that are sealed, and twenty that are not; `kill -9`.
fn half_sealed(dir: &Path) -> Source {
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir, &[]);
    assert!(feed(&engine, &source, 20));
    assert_eq!(engine.ask(".flush"), "flushed");
    assert!(feed(&engine, &source, 40));
    assert_eq!(engine.spans(), (2000, 2000));
    engine.kill();
    source
}

/// The files of level 0 with spans that are not sealed yet.
fn unsealed(dir: &Path) -> Vec<String> {
    let db = rusqlite::Connection::open(dir.join("store/catalog.sqlite")).unwrap();
    let sql = "SELECT t.path || f.path FROM ducklake_data_file AS f JOIN ducklake_table AS t USING (table_id)
               WHERE f.end_snapshot IS NULL AND f.path LIKE ? AND table_name = 'spans'";
    let mut statement = db.prepare(sql).unwrap();
    let files = statement.query_map([format!("%{LEVEL0}")], |row| row.get(0)).unwrap();
    files.collect::<Result<_, _>>().unwrap()
}

/// Empties what was not synced, and says that the machine has started again.
fn cut_power(dir: &Path) {
    for file in unsealed(dir) {
        std::fs::write(dir.join("store/sealed").join(file), "").unwrap();
    }
    let db = rusqlite::Connection::open(dir.join("store/catalog.sqlite")).unwrap();
    assert_eq!(db.execute("UPDATE own SET value = 'of another start' WHERE key = 'boot'", []), Ok(1));
}

/// Only what is sealed is there; the log brings the rest again, once.
fn comes_again(dir: &Path, source: &Source) {
    let mut engine = EngineProcess::start(dir, &[]);
    assert_eq!(engine.spans(), (1000, 1000));
    assert_eq!(Sender::connect(&engine, LOG, 40).progress.wanted, Position(20));
    assert!(feed(&engine, source, 40));
    assert_eq!(engine.spans(), (2000, 2000));
    assert_eq!(engine.ask(".flush"), "flushed");
    engine.kill();
    let mut engine = EngineProcess::start(dir, &[]);
    assert_eq!((engine.spans(), engine.stats().missing_files), ((2000, 2000), 0));
}

#[test]
fn a_killed_engine_goes_on_where_it_was_without_the_log() {
    let dir = tempfile::tempdir().unwrap();
    half_sealed(dir.path());
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (2000, 2000));
    let sender = Sender::connect(&engine, LOG, 40);
    assert_eq!((sender.progress.wanted, sender.progress.sealed), (Position(40), Position(20)));
}

/// The same of the program's own engine, which the kernel confines.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_s_engine_goes_on_where_it_was_killed() {
    let vispyr = Vispyr::serve().await;
    let url = vispyr.url("otlp_http", "/v1/traces");
    let answer = post(&url, "application/x-protobuf", payload::three(Signal::Traces)).await.unwrap();
    assert_eq!(answer.status, 200);
    let spans = "SELECT count(*) FROM spans";
    vispyr.wait_count(spans, 3).await;
    vispyr.kill9_engine();
    vispyr
        .wait("another engine is there", || async { (vispyr.log().matches("engine ready").count() == 2).then_some(()) })
        .await;
    vispyr.wait_count(spans, 3).await;
    let log = vispyr.log();
    assert!(log.contains("store open") && !log.contains("files that were not on disk yet go"), "{log}");
}

/// A power cut may leave any of such files empty, and its name with it.
#[test]
fn after_a_power_cut_the_log_brings_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let source = half_sealed(dir.path());
    cut_power(dir.path());
    comes_again(dir.path(), &source);
}

#[test]
fn if_one_is_gone_all_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let source = half_sealed(dir.path());
    let one = unsealed(dir.path()).remove(0);
    std::fs::remove_file(dir.path().join("store/sealed").join(one)).unwrap();
    comes_again(dir.path(), &source);
}

/// Killed in each second round: what the first has sealed stays, and the logs go on from there even if the machine
/// ends, too.
#[test]
fn an_engine_that_is_killed_again_and_again_gets_on_with_sealing() {
    const RECORDS: u64 = 80;
    let dir = tempfile::tempdir().unwrap();
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for n in 1..=RECORDS {
        assert!(feed(&engine, &source, n));
    }
    let files = engine.level0_files().len();
    assert!(files > 64, "{files}");
    engine.kill();

    let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, "before_catalog:2")]);
    assert_eq!(engine.try_ask(".flush"), None);
    engine.wait_for_sigkill();
    let all = RECORDS * u64::from(SPANS);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (all, all));
    let left = unsealed(dir.path()).len() as u64;
    assert!(0 < left && left < RECORDS, "{left}");
    let sealed = Sender::connect(&engine, LOG, RECORDS).progress.sealed;
    assert!(Position(0) < sealed && sealed < Position(RECORDS), "{sealed:?}");
    engine.kill();

    cut_power(dir.path());
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let before = sealed.0 * u64::from(SPANS);
    assert_eq!(engine.spans(), (before, before));
    assert!(feed(&engine, &source, RECORDS));
    assert_eq!(engine.spans(), (all, all));
}
