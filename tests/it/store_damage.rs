//! Sealed files whose bits have changed: they cost their own rows, by name, and never give others.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;
use vispyr::signal::now_nanos;

use super::harness::{Vispyr, post, signal};
use super::store::rig::{EngineProcess, LOG, Sender, Source, feed, files};

/// Spans in each record; a record is a file.
const SPANS: u32 = 40;

/// A store with this many files of spans, in the order of their names.
fn sealed(dir: &Path, count: u64) -> Vec<PathBuf> {
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir, &[]);
    for next in 1..=count {
        assert!(feed(&engine, &source, next));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    engine.stop();
    let sealed = dir.join("store/sealed");
    files(&sealed).into_iter().filter(|f| f.starts_with("spans/")).map(|f| sealed.join(f)).collect()
}

/// What all rows hold: their number and a checksum of each column.
fn content(engine: &mut EngineProcess) -> String {
    let columns = ["trace_id", "span_id", "name", "start_time", "duration_ns", "attributes::VARCHAR"];
    let sums: Vec<String> =
        columns.iter().map(|column| format!("bit_xor(hash({column}, span_id, trace_id))")).collect();
    engine.ask(&format!("SELECT count(*), {} FROM spans", sums.join(", ")))
}

#[test]
fn no_flipped_bit_gives_other_rows() {
    const FILES: usize = 25;
    const ROUNDS: usize = 6;
    let dir = tempfile::tempdir().unwrap();
    // Twice as many: each second one stays whole.
    let (damaged, whole): (Vec<_>, Vec<_>) =
        sealed(dir.path(), 2 * FILES as u64).into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let hidden = tempfile::tempdir().unwrap();
    // The answer without the files that are going to be damaged.
    for (n, path) in &damaged {
        std::fs::rename(path, hidden.path().join(n.to_string())).unwrap();
    }
    let mut engine = EngineProcess::start(dir.path(), &[]);
    let expected = content(&mut engine);
    assert_eq!(engine.spans().0, whole.len() as u64 * u64::from(SPANS));
    engine.stop();
    let contents: Vec<Vec<u8>> =
        damaged.iter().map(|(n, _)| std::fs::read(hidden.path().join(n.to_string())).unwrap()).collect();
    for round in 0..ROUNDS {
        for (place, ((_, path), bytes)) in damaged.iter().zip(&contents).enumerate() {
            // From the first byte to the last, footers included: they are a third of such a file.
            let step = place * ROUNDS + round;
            let at = (bytes.len() - 1) * step / (FILES * ROUNDS - 1);
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (step % 8);
            std::fs::write(path, bytes).unwrap();
        }
        let mut engine = EngineProcess::start(dir.path(), &[]);
        assert_eq!(content(&mut engine), expected, "round {round}");
        let stats = engine.stats();
        assert_eq!(stats.missing_files, FILES as u64, "round {round}: {:?}", stats.lost_files);
        assert!(stats.lost_files.iter().all(|lost| lost.reason.contains("checksum") && lost.rows == u64::from(SPANS)));
        engine.stop();
    }
    // They were not deleted: once they are as they were, they are back.
    for ((_, path), bytes) in damaged.iter().zip(&contents) {
        std::fs::write(path, bytes).unwrap();
    }
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans().0, 2 * FILES as u64 * u64::from(SPANS));
    assert_eq!(engine.ask(".warnings"), "");
}

#[test]
fn a_damaged_footer_costs_its_file_alone() {
    let dir = tempfile::tempdir().unwrap();
    let paths = sealed(dir.path(), 3);
    // The first file tells the columns of all.
    for path in &paths[..2] {
        let mut bytes = std::fs::read(path).unwrap();
        let end = bytes.len();
        bytes[end - 200..].fill(0);
        std::fs::write(path, bytes).unwrap();
    }
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (SPANS.into(), SPANS.into()));
    let warnings = engine.ask(".warnings");
    for path in &paths[..2] {
        assert!(warnings.contains(path.file_name().unwrap().to_str().unwrap()), "{warnings}");
    }
    // And it takes more.
    assert!(feed(&engine, &Source::new(SPANS), 5));
    assert_eq!(engine.ask(".flush"), "flushed");
    assert_eq!(engine.spans().0, 3 * u64::from(SPANS));
}

#[test]
fn a_file_that_is_damaged_while_the_engine_runs_is_found_by_the_comparison() {
    let dir = tempfile::tempdir().unwrap();
    let paths = sealed(dir.path(), 3);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans().0, 3 * u64::from(SPANS));
    let mut bytes = std::fs::read(&paths[1]).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&paths[1], bytes).unwrap();
    assert_eq!(engine.ask(".verify"), "compared");
    assert_eq!(engine.spans().0, 2 * u64::from(SPANS));
    let stats = engine.stats();
    let spans = stats.tables.iter().find(|table| table.table == "spans").unwrap();
    assert_eq!((stats.missing_files, spans.sealed_files, spans.sealed_rows), (1, 2, 2 * u64::from(SPANS)));
}

#[test]
fn a_damaged_file_in_a_lost_catalog_is_named_and_its_neighbours_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = sealed(dir.path(), 3);
    paths.sort_by_key(|path| std::fs::metadata(path).unwrap().modified().unwrap());
    let damaged = &paths[0];
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[100] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    std::fs::remove_file(dir.path().join("store/catalog.sqlite")).unwrap();
    let mut engine = EngineProcess::start(dir.path(), &[]);
    // Those after it say up to where the log is in them.
    assert_eq!(Sender::connect(&engine, LOG, 3).progress.sealed.0, 3);
    assert_eq!(engine.spans().0, 2 * u64::from(SPANS));
    let warnings = engine.ask(".warnings");
    assert!(warnings.contains(damaged.file_name().unwrap().to_str().unwrap()), "{warnings}");
    assert!(damaged.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_the_file_that_it_lacks() {
    let mut vispyr = Vispyr::serve().await;
    let now = now_nanos().to_string();
    let log = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": now, "body": {"stringValue": "x"}}]}]}]});
    let answer = post(&vispyr.url("otlp_http", "/v1/logs"), "application/json", log.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let count = "SELECT count(*) FROM logs";
    vispyr.wait_count(count, 1).await;
    signal(vispyr.engine_pid().unwrap(), Signal::USR1);
    let sealed = vispyr.data_dir().join("store/sealed");
    let file =
        || async { files(&sealed).into_iter().find(|file| file.starts_with("logs/") && file.ends_with(".parquet")) };
    let file = vispyr.wait("it is sealed", file).await;
    let whole = vispyr.ask(count, "application/json").await;
    assert!(whole.json()["warnings"].is_null() && !whole.headers.contains_key("x-vispyr-warning"), "{}", whole.text());

    vispyr.stop().await;
    let mut bytes = std::fs::read(sealed.join(&file)).unwrap();
    bytes[20] ^= 1;
    std::fs::write(sealed.join(&file), bytes).unwrap();
    vispyr.restart().await;
    vispyr.wait_count(count, 0).await;
    let answer = vispyr.ask(count, "application/json").await;
    let warning = answer.json()["warnings"][0].as_str().unwrap_or_default().to_owned();
    assert!(warning.contains(&file) && warning.contains("1 rows of logs"), "{}", answer.text());
    let answer = vispyr.ask(count, "text/csv").await;
    assert_eq!(answer.headers["x-vispyr-warning"], warning.as_str());
    assert_eq!(vispyr.metric("vispyr_store_missing_files", &[]).await, 1.0);
}
