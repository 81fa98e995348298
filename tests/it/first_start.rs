//! A power cut at the first start: files whose content or name was not on the disk yet.

use std::fs;
use std::path::{Path, PathBuf};

use vispyr::signal::Signal;

use crate::harness::{Vispyr, post};
use crate::receivers::rig::payload;
use crate::store::rig::{EngineProcess, Source, feed};

/// A way to leave a file, by its name.
type Cut = (&'static str, fn(&Path));

/// What becomes of a file.
const CUTS: [Cut; 4] = [
    ("gone", |file| fs::remove_file(file).unwrap()),
    ("empty", |file| fs::write(file, "").unwrap()),
    ("zeros", |file| fs::write(file, vec![0; fs::metadata(file).unwrap().len() as usize]).unwrap()),
    ("half", |file| {
        let content = fs::read(file).unwrap();
        fs::write(file, &content[..content.len() / 2]).unwrap();
    }),
];

/// The files in a folder and in those below it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_starts_from_what_a_power_cut_left_of_all_its_files() {
    for (how, cut) in CUTS {
        let mut vispyr = Vispyr::serve().await;
        vispyr.kill9();
        let found = files(&vispyr.data_dir());
        for expected in ["wal/VERSION", "wal/traces/id", "wal/traces/cursors", "store/VERSION", "store/catalog.sqlite"]
        {
            assert!(found.contains(&vispyr.data_dir().join(expected)), "{expected} is not in {found:?}");
        }
        found.iter().for_each(|file| cut(file));
        vispyr.restart().await;
        let url = vispyr.url("otlp_http", "/v1/traces");
        let answer = post(&url, "application/x-protobuf", payload::three(Signal::Traces)).await.unwrap();
        assert_eq!(answer.status, 200, "{how}: {}", answer.text());
        vispyr.wait_count("SELECT count(*) FROM spans", 3).await;
        vispyr.kill9();
        vispyr.restart().await;
        vispyr.wait_count("SELECT count(*) FROM spans", 3).await;
    }
}

#[test]
fn the_store_starts_from_what_a_power_cut_left_of_one_of_its_files() {
    let first = tempfile::tempdir().unwrap();
    EngineProcess::start(first.path(), &[]).kill();
    let store = first.path().join("store");
    let found = files(&store);
    let names: Vec<&Path> = found.iter().map(|file| file.strip_prefix(&store).unwrap()).collect();
    for expected in ["VERSION", "catalog.sqlite", "catalog.sqlite-wal"] {
        assert!(names.contains(&Path::new(expected)), "{expected} is not in {names:?}");
    }
    for name in &names {
        for (how, cut) in CUTS {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("store")).unwrap();
            for (name, file) in names.iter().zip(&found) {
                // The folders below are made again, too.
                if name.components().count() == 1 {
                    fs::copy(file, dir.path().join("store").join(name)).unwrap();
                }
            }
            let at = dir.path().join("store").join(name);
            if !at.exists() {
                continue;
            }
            cut(&at);
            let engine = EngineProcess::try_start(dir.path(), &[]);
            let mut engine = engine.unwrap_or_else(|why| panic!("{} {how}: {why}", name.display()));
            assert!(feed(&engine, &Source::new(5), 2));
            assert_eq!(engine.ask(".flush"), "flushed");
            engine.kill();
            assert_eq!(EngineProcess::start(dir.path(), &[]).spans(), (10, 10), "{} {how}", name.display());
        }
    }
}
