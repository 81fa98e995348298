//! The small files of an hour that is over become one, whatever dies meanwhile: each row is there once,
//! whenever one asks.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use uuid::Uuid;
use vispyr::store::catalog::statistics;
use vispyr::store::engine::stats::Stats;
use vispyr::store::engine::{failpoint, sealed_file};
use vispyr::store::merge::{self, Input, Job, MergeError};
use vispyr::store::schema::Table;

use super::harness::PROGRAM;
use super::store::rig::{DEADLINE, EngineProcess, HOUR, Source, feed, files};

pub const SPANS: u32 = 50;

/// As many small files as are merged at once.
pub const FILES: u64 = 8;

/// Spans of an hour that is over.
pub fn source() -> Source {
    let source = Source::new(SPANS);
    Source { start: source.start - 2 * HOUR, ..source }
}

/// The merger in a process of its own, without anybody who starts it again.
pub struct Merger(Child);

impl Merger {
    pub fn start(data_dir: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("merger").arg("--data-dir").arg(data_dir).envs(env.iter().copied());
        command.env_remove("VISPYR_CONFIG").env_remove("RUNTIME_DIRECTORY").stdin(Stdio::piped());
        Merger(command.spawn().unwrap())
    }

    pub fn wait_for_end(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the merger goes on");
            std::thread::yield_now();
        }
    }
}

impl Drop for Merger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a store of so many small files of spans.
pub fn sealed(dir: &Path, count: u64) -> EngineProcess {
    let mut engine = EngineProcess::start(dir, &[]);
    for next in 1..=count {
        assert!(feed(&engine, &source(), next));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    engine
}

pub fn is_exact(engine: &mut EngineProcess, records: u64) {
    let all = records * u64::from(SPANS);
    assert_eq!(engine.spans(), (all, all));
}

pub fn span_files(stats: &Stats) -> u64 {
    stats.tables.iter().find(|table| table.table == "spans").unwrap().sealed_files
}

/// Waits for it, while all rows are there each time one asks.
pub fn until(what: &str, engine: &mut EngineProcess, records: u64, condition: impl Fn(&Stats) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition(&engine.stats()) {
        is_exact(engine, records);
        assert!(Instant::now() < deadline, "{what}: {:#?}", engine.stats());
    }
    is_exact(engine, records);
}

/// No file is half written, and no unknown one was found.
fn is_tidy(dir: &Path) {
    let files = files(&dir.join("store/sealed"));
    assert!(files.iter().all(|file| file.ends_with(".parquet")), "{files:?}");
    assert!(!dir.join("store/lost+found").exists());
}

#[test]
fn the_files_of_an_hour_that_is_over_become_one_and_late_ones_join_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = sealed(dir.path(), FILES);
    assert_eq!(span_files(&engine.stats()), FILES);
    let _merger = Merger::start(dir.path(), &[]);
    until("one file", &mut engine, FILES, |stats| span_files(stats) == 1);
    let stats = engine.stats();
    assert!(stats.merges.count >= 1 && stats.merged_files >= FILES && stats.merge_cpu_seconds > 0.0, "{stats:?}");
    assert_eq!(engine.ask("SELECT count(*) FROM spans WHERE resource IS NULL"), "BigInt(0);");
    for next in FILES + 1..=2 * FILES {
        assert!(feed(&engine, &source(), next));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    until("late files are merged", &mut engine, 2 * FILES, |stats| span_files(stats) <= 2);
    engine.stop();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    is_exact(&mut engine, 2 * FILES);
    is_tidy(dir.path());
}

#[test]
fn a_kill_of_the_engine_at_any_step_of_a_merge_neither_loses_nor_doubles_a_row() {
    let exchange = ["after_catalog", "in_publish", "after_publish", "after_show"];
    for step in failpoint::MERGE_STEPS.iter().chain(&exchange) {
        let dir = tempfile::tempdir().unwrap();
        sealed(dir.path(), FILES).stop();
        let _merger = Merger::start(dir.path(), &[]);
        let mut engine = EngineProcess::start(dir.path(), &[(failpoint::VARIABLE, step)]);
        engine.wait_for_sigkill();
        let mut engine = EngineProcess::start(dir.path(), &[]);
        is_exact(&mut engine, FILES);
        until(step, &mut engine, FILES, |stats| span_files(stats) == 1);
        engine.stop();
        let mut engine = EngineProcess::start(dir.path(), &[]);
        is_exact(&mut engine, FILES);
        is_tidy(dir.path());
    }
}

#[test]
fn a_merger_that_dies_over_files_twice_leaves_them_and_one_that_died_once_merges_them() {
    for step in failpoint::MERGER_STEPS {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = sealed(dir.path(), FILES);
        let env = [(failpoint::VARIABLE, *step)];
        for _ in 0..2 {
            Merger::start(dir.path(), &env).wait_for_end();
        }
        until("they are left", &mut engine, FILES, |stats| stats.unmerged_files == FILES);
        let stats = engine.stats();
        assert!(stats.merge_error.is_some_and(|error| error.contains("the merger ended")));
        assert_eq!(span_files(&engine.stats()), FILES);
        engine.stop();

        let mut engine = EngineProcess::start(dir.path(), &[]);
        Merger::start(dir.path(), &env).wait_for_end();
        let _merger = Merger::start(dir.path(), &[]);
        until("it is merged", &mut engine, FILES, |stats| span_files(stats) == 1);
        assert!(engine.stats().merge_error.is_none());
        engine.stop();
        EngineProcess::start(dir.path(), &[]).stop();
        is_tidy(dir.path());
    }
}

#[test]
fn a_damaged_file_is_named_and_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut engine = sealed(dir.path(), FILES);
    let sealed = dir.path().join("store/sealed");
    let victim: PathBuf =
        files(&sealed).into_iter().find(|file| file.starts_with("spans/")).map(|file| sealed.join(file)).unwrap();
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[200] ^= 1;
    let mut permissions = std::fs::metadata(&victim).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false, reason = "of the test's own file")]
    permissions.set_readonly(false);
    std::fs::set_permissions(&victim, permissions).unwrap();
    std::fs::write(&victim, bytes).unwrap();
    let _merger = Merger::start(dir.path(), &[]);
    let deadline = Instant::now() + DEADLINE;
    while engine.ask(".warnings").is_empty() {
        assert!(Instant::now() < deadline, "{:?}", engine.stats());
        std::thread::yield_now();
    }
    let name = victim.file_name().unwrap().to_string_lossy().into_owned();
    let warnings = engine.ask(".warnings");
    assert!(warnings.contains(&name) && warnings.contains("checksum is wrong"), "{warnings}");
    is_exact(&mut engine, FILES - 1);
    assert!(engine.stats().merge_failures >= 1);
    assert!(victim.exists(), "it is for a person to look at");
}

/// Runs it on a disk of 160 MiB, where one can be mounted.
fn on_a_small_disk(test: impl FnOnce(&Path) + std::panic::UnwindSafe) {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=160m", "none"]).arg(&disk).stderr(Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    }
    let ended = std::panic::catch_unwind(|| test(&disk));
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    ended.unwrap();
}

#[test]
fn a_full_disk_puts_merging_off() {
    on_a_small_disk(|disk| {
        let mut engine = sealed(disk, FILES);
        let filler = disk.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        drop(file);
        let merger = Merger::start(disk, &[]);
        until("it fails", &mut engine, FILES, |stats| stats.merge_failures > 0);
        let why = engine.stats().merge_error.unwrap();
        // What there is may be enough to begin.
        assert!(why.contains("no room to merge") || why.contains("No space left on device"), "{why}");
        assert_eq!(span_files(&engine.stats()), FILES);
        std::fs::remove_file(&filler).unwrap();
        until("it is merged", &mut engine, FILES, |stats| span_files(stats) == 1);
        engine.stop();
        drop(merger);
        let mut engine = EngineProcess::start(disk, &[]);
        is_exact(&mut engine, FILES);
        is_tidy(disk);
    });
}

#[test]
fn a_disk_that_fills_up_in_a_merge_leaves_nothing_of_it() {
    on_a_small_disk(|disk| {
        let db = merge::open(256 << 20, &disk.join("spill")).unwrap();
        let input = disk.join(sealed_file::new_name(sealed_file::new_id()));
        let values = "SELECT make_timestamp_ns(n) AS time, n::BIGINT AS resource_id, md5(n::VARCHAR) AS body,
            * FROM range(500000) AS t(n)";
        let columns: Vec<String> = Table::Logs
            .columns()
            .iter()
            .map(|column| match column.name {
                "time" | "resource_id" | "body" => column.name.to_owned(),
                name => format!("NULL::{} AS {name}", column.sql_type),
            })
            .collect();
        let select = format!("SELECT {} FROM ({values})", columns.join(", "));
        let rows = statistics::copy(&db, Table::Logs, &select, &input, "FORMAT parquet").unwrap().rows;
        let (bytes, checksum) = sealed_file::checksum(&input, || true).unwrap().unwrap();
        let path = input.file_name().unwrap().to_string_lossy().into_owned();
        let job = Job {
            sealed: disk.to_owned(),
            table: "logs".to_owned(),
            inputs: vec![Input { path, rows, min_time: None, max_time: None, bytes, checksum }],
            output: "merged.parquet.part".into(),
            level: 2,
            flush: Uuid::from_u128(1),
            created: 1,
            logs: Vec::new(),
            filter: None,
        };
        let filler = disk.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        // The file begins, and does not end.
        file.set_len(file.metadata().unwrap().len() - (4 << 20)).unwrap();
        drop(file);
        let error = merge::write(&db, &job).unwrap_err();
        assert!(matches!(error, MergeError::NoSpace(_)), "{error}");
        assert!(!disk.join(&job.output).exists());
        std::fs::remove_file(&filler).unwrap();
        assert_eq!(merge::write(&db, &job).unwrap().rows, rows);
    });
}
