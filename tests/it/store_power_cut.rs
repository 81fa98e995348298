//! A power cut takes what was not synced: here the engine is killed at a step, and then that is taken from the disk
//! which nothing has synced by then. Afterwards each row is there once.

use std::fs;
use std::path::{Path, PathBuf};

use vispyr::store::engine::failpoint;
use vispyr::store::engine::sealed_file::LEVEL0;

use super::merging::{FILES, Merger, SPANS, is_exact, sealed, source, span_files, until};
use super::store::rig::{EngineProcess, RETENTION, STATEMENT_LIMIT, feed};

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(all_files(&path)) } else { found.push(path) }
    }
    found
}

fn catalog(dir: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(dir.join("store/catalog.sqlite")).unwrap()
}

/// Paths of files that the catalog has and has not shown: their names are not known to be on disk.
fn not_shown(dir: &Path) -> Vec<String> {
    let db = catalog(dir);
    let sql = "SELECT t.path || f.path FROM ducklake_data_file AS f JOIN ducklake_table AS t USING (table_id)
               WHERE f.begin_snapshot > (SELECT max(snapshot_id) FROM ducklake_snapshot)";
    let mut statement = db.prepare(sql).unwrap();
    let paths = statement.query_map([], |row| row.get(0)).unwrap();
    paths.collect::<Result<_, _>>().unwrap()
}

/// Takes away what nothing has synced: the content of level 0 and of files that are half written, and new names.
/// Answers how much that was.
fn cut_power(dir: &Path) -> usize {
    let sealed = dir.join("store/sealed");
    let mut taken = 0;
    let unnamed = not_shown(dir);
    for path in &unnamed {
        let name = sealed.join(path);
        if name.exists() {
            fs::rename(&name, format!("{}.part", name.display())).unwrap();
            taken += 1;
        }
    }
    for file in all_files(&sealed) {
        let name = file.strip_prefix(&sealed).unwrap().to_str().unwrap().to_owned();
        let is_known = unnamed.iter().any(|path| name == format!("{path}.part"));
        if name.ends_with(LEVEL0) || name.ends_with(".part") && !is_known {
            // They are read-only to others than root.
            fs::remove_file(&file).unwrap();
            fs::write(&file, "").unwrap();
            taken += 1;
        }
    }
    assert_eq!(catalog(dir).execute("UPDATE own SET value = 'of another start' WHERE key = 'boot'", []), Ok(1));
    taken
}

#[test]
fn a_power_cut_at_any_step_of_a_merge_neither_loses_nor_doubles_a_row() {
    let exchange = ["after_catalog", "in_publish", "after_publish", "after_show"];
    let mut taken = 0;
    for step in failpoint::MERGE_STEPS.iter().chain(&exchange) {
        let dir = tempfile::tempdir().unwrap();
        sealed(dir.path(), FILES).stop();
        let _merger = Merger::start(dir.path(), &[]);
        // It may die before it is ready.
        if let Ok(mut engine) = EngineProcess::try_start(dir.path(), &[(failpoint::VARIABLE, step)]) {
            engine.wait_for_sigkill();
        }
        taken += cut_power(dir.path());
        let mut engine = EngineProcess::start(dir.path(), &[]);
        is_exact(&mut engine, FILES);
        until(step, &mut engine, FILES, |stats| span_files(stats) == 1);
        assert_eq!(engine.ask(".warnings"), "", "{step}");
        engine.stop();
    }
    assert!(taken > 0, "there was something to lose");
}

/// The merger writes, syncs, answers: until the engine has its answer nobody needs its file.
#[test]
fn a_power_cut_in_the_merger_neither_loses_nor_doubles_a_row() {
    for step in failpoint::MERGER_STEPS {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = sealed(dir.path(), FILES);
        Merger::start(dir.path(), &[(failpoint::VARIABLE, *step)]).wait_for_end();
        engine.kill();
        cut_power(dir.path());
        let _merger = Merger::start(dir.path(), &[]);
        let mut engine = EngineProcess::start(dir.path(), &[]);
        is_exact(&mut engine, FILES);
        until(step, &mut engine, FILES, |stats| span_files(stats) == 1);
        engine.stop();
    }
}

#[test]
fn a_power_cut_within_a_deletion_brings_back_no_row_and_no_file_for_good() {
    for step in ["retention_ended", "expiry_scheduled", "expiry_unlinked", "expiry_done"] {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store/sealed");
        sealed(dir.path(), 3).stop();
        let before: Vec<(PathBuf, Vec<u8>)> =
            all_files(&store).into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect();
        let retention = [(RETENTION, "max_size = '1B'\nsnapshots = '1s'"), (STATEMENT_LIMIT, "0s")];
        let killed = [retention[0], retention[1], (failpoint::VARIABLE, step)];
        if let Ok(mut engine) = EngineProcess::try_start(dir.path(), &killed) {
            engine.wait_for_sigkill();
        }
        // Until their folder is synced, and that comes after this step, deleted files may come back; those of
        // level 0 always.
        for (file, content) in before {
            let is_synced = step == "expiry_done" && !file.to_str().unwrap().ends_with(LEVEL0);
            if !file.exists() && !is_synced {
                fs::write(file, content).unwrap();
            }
        }
        cut_power(dir.path());
        let mut engine = EngineProcess::start(dir.path(), &retention);
        let of_spans = || all_files(&store).iter().filter(|file| file.to_str().unwrap().contains("/spans/")).count();
        until_gone(step, &mut engine, of_spans);
        assert_eq!(engine.ask(".warnings"), "", "{step}");
        assert!(!dir.path().join("store/lost+found").exists(), "{step}");
        // What comes now is taken.
        assert!(feed(&engine, &source(), 4));
        assert_eq!(engine.spans().0, u64::from(SPANS), "{step}");
        engine.stop();
    }
}

fn until_gone(step: &str, engine: &mut EngineProcess, left: impl Fn() -> usize) {
    let deadline = std::time::Instant::now() + super::store::rig::DEADLINE;
    while left() > 0 {
        assert_eq!(engine.spans().0 % u64::from(SPANS), 0, "{step}: half a record");
        assert!(std::time::Instant::now() < deadline, "{step}: {} files stay", left());
    }
    assert_eq!(engine.spans(), (0, 0), "{step}");
}
