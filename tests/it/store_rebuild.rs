//! The catalog is lost, or the files that it names are: nothing is deleted that is not ours,
//! nothing is doubled, and what is missing is named.

use std::path::{Path, PathBuf};

use vispyr::store::engine::failpoint;

use super::store::rig::{EngineProcess, LOG, Sender, Source, feed, files};

const SPANS: u32 = 20;

/// Records in the log of [`sealed`].
const RECORDS: u64 = 30;

/// A store with three flushes of ten records each.
fn sealed(dir: &Path) -> Source {
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir, &[]);
    for next in [10, 20, RECORDS] {
        assert!(feed(&engine, &source, next));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    engine.stop();
    source
}

fn all(records: u64) -> (u64, u64) {
    (records * u64::from(SPANS), records * u64::from(SPANS))
}

fn catalog(dir: &Path) -> PathBuf {
    dir.join("store/catalog.sqlite")
}

/// The sealed files of spans, in the order of their flushes.
fn span_files(dir: &Path) -> Vec<PathBuf> {
    let sealed = dir.join("store/sealed");
    let mut paths: Vec<PathBuf> =
        files(&sealed).into_iter().filter(|f| f.starts_with("spans/")).map(|f| sealed.join(f)).collect();
    paths.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    paths
}

/// The store is whole after whatever was done to its catalog, and takes more.
fn is_whole(dir: &Path, source: &Source) {
    let before = files(&dir.join("store/sealed"));
    let mut engine = EngineProcess::start(dir, &[]);
    assert_eq!(Sender::connect(&engine, LOG, RECORDS).progress.sealed.0, RECORDS);
    assert_eq!(engine.spans(), all(RECORDS));
    assert_eq!(engine.files(), before);
    assert!(feed(&engine, source, RECORDS + 10));
    assert_eq!(engine.ask(".flush"), "flushed");
    assert_eq!(engine.spans(), all(RECORDS + 10));
    engine.stop();
    let mut engine = EngineProcess::start(dir, &[]);
    assert_eq!(Sender::connect(&engine, LOG, RECORDS + 10).progress.sealed.0, RECORDS + 10);
    assert_eq!(engine.spans(), all(RECORDS + 10));
}

#[test]
fn a_catalog_that_is_gone_is_made_again_from_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let source = sealed(dir.path());
    std::fs::remove_file(catalog(dir.path())).unwrap();
    is_whole(dir.path(), &source);
}

#[test]
fn a_damaged_catalog_is_made_again_and_kept() {
    for (n, damage) in [
        |bytes: &mut Vec<u8>| bytes[..100].fill(b'x'),
        |bytes: &mut Vec<u8>| bytes.truncate(5000),
        |bytes: &mut Vec<u8>| {
            let middle = bytes.len() / 2;
            bytes[middle..].fill(0xff);
        },
    ]
    .into_iter()
    .enumerate()
    {
        let dir = tempfile::tempdir().unwrap();
        let source = sealed(dir.path());
        let mut bytes = std::fs::read(catalog(dir.path())).unwrap();
        damage(&mut bytes);
        std::fs::write(catalog(dir.path()), &bytes).unwrap();
        is_whole(dir.path(), &source);
        assert_eq!(std::fs::read(dir.path().join("store/lost+found/catalog.sqlite")).unwrap(), bytes, "damage {n}");
    }
}

#[test]
fn an_emptied_catalog_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let source = sealed(dir.path());
    std::fs::write(catalog(dir.path()), "").unwrap();
    is_whole(dir.path(), &source);
}

#[test]
fn a_later_version_s_catalog_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path());
    rusqlite::Connection::open(catalog(dir.path())).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let refused = EngineProcess::try_start(dir.path(), &[]).err().unwrap();
    assert!(refused.contains("version 9") && refused.contains("newer vispyr"), "{refused}");
    assert!(!dir.path().join("store/lost+found").exists());
}

#[test]
fn a_kill_at_any_step_of_a_rebuild_neither_loses_nor_doubles_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let source = sealed(dir.path());
    for step in failpoint::REBUILD_STEPS {
        let _ = std::fs::remove_file(catalog(dir.path()));
        EngineProcess::try_start(dir.path(), &[(failpoint::VARIABLE, step)]).err().unwrap();
        let mut engine = EngineProcess::start(dir.path(), &[]);
        assert_eq!(Sender::connect(&engine, LOG, RECORDS).progress.sealed.0, RECORDS, "{step}");
        assert_eq!(engine.spans(), all(RECORDS), "{step}");
    }
    is_whole(dir.path(), &source);
}

/// A flush was killed at a step, and then the catalog was lost: the log brings again what was not
/// taken, and nothing that was.
#[test]
fn a_catalog_that_is_lost_with_an_unfinished_flush_neither_loses_nor_doubles_a_row() {
    for (step, sealed_upto) in [
        ("in_seal", RECORDS),
        ("after_dir_sync", RECORDS),
        // No file of the flush has its name yet, so nobody has been told that it is sealed.
        ("after_catalog", RECORDS),
        // One has.
        ("in_publish", RECORDS + 10),
        ("after_publish", RECORDS + 10),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let source = sealed(dir.path());
        let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, step)]);
        assert!(feed(&engine, &source, RECORDS + 10));
        assert_eq!(engine.try_ask(".flush"), None, "{step}");
        engine.wait_for_sigkill();
        std::fs::remove_file(catalog(dir.path())).unwrap();
        let mut engine = EngineProcess::start(dir.path(), &[]);
        let sender = Sender::connect(&engine, LOG, RECORDS + 10);
        assert_eq!(sender.progress.sealed.0, sealed_upto, "{step}");
        drop(sender);
        assert!(feed(&engine, &source, RECORDS + 10));
        assert_eq!(engine.spans(), all(RECORDS + 10), "{step}");
        assert!(files(&dir.path().join("store/sealed")).iter().all(|name| !name.ends_with(".part")), "{step}");
    }
}

#[test]
fn a_file_that_the_catalog_does_not_know_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path());
    let stranger = dir.path().join("store/sealed/spans/date=2026-01-01/hour=00/stranger.parquet");
    std::fs::create_dir_all(stranger.parent().unwrap()).unwrap();
    std::fs::copy(&span_files(dir.path())[0], &stranger).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), all(RECORDS));
    assert!(!stranger.exists());
    assert!(dir.path().join("store/lost+found/sealed/spans/date=2026-01-01/hour=00/stranger.parquet").exists());
}

/// Of an older version, which wrote neither a checksum into the name nor metadata.
#[test]
fn files_without_metadata_are_used() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path());
    let db = duckdb::Connection::open_in_memory().unwrap();
    let sealed_dir = dir.path().join("store/sealed");
    let older = |path: &Path| path.with_file_name(format!("{}.parquet", uuid::Uuid::new_v4()));
    for path in files(&sealed_dir).into_iter().map(|file| sealed_dir.join(file)) {
        let sql = format!("COPY (FROM '{}') TO '{}' (FORMAT parquet)", path.display(), older(&path).display());
        db.execute_batch(&sql).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    std::fs::remove_file(catalog(dir.path())).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), all(RECORDS));
    let rows: u64 = engine.stats().tables.iter().find(|t| t.table == "spans").unwrap().sealed_rows;
    assert_eq!(rows, all(RECORDS).0);
}

/// A file of one flush in the middle is not there when the catalog is made again.
#[test]
fn a_file_that_is_gone_costs_its_rows_alone() {
    let dir = tempfile::tempdir().unwrap();
    sealed(dir.path());
    std::fs::remove_file(&span_files(dir.path())[1]).unwrap();
    std::fs::remove_file(catalog(dir.path())).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(Sender::connect(&engine, LOG, RECORDS).progress.sealed.0, RECORDS);
    assert_eq!(engine.spans(), all(RECORDS - 10));
}
