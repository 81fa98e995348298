//! `vispyr repair` makes a lost catalog again and says what it did.

use std::path::Path;
use std::process::Command;

use uuid::Uuid;
use vispyr::store::catalog::Catalog;
use vispyr::store::engine::sealed_file;
use vispyr::store::merge::{self, Input, Job};

use super::harness::PROGRAM;
use super::store::rig::{EngineProcess, LOG, Sender, Source, feed, files};

const SPANS: u32 = 20;

/// Whether all was mended, and what it says.
fn repair(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(PROGRAM).arg("repair").args(arguments).arg("--data-dir").arg(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// Merges the files of spans into one that the catalog does not know, as a crash leaves it. Answers its
/// path and theirs.
fn merge(dir: &Path) -> (String, Vec<String>) {
    let sealed = dir.join("store/sealed");
    let catalog = Catalog::open_read_only(&dir.join("store/catalog.sqlite")).unwrap();
    let spans: Vec<_> = catalog.files().unwrap().into_iter().filter(|file| file.table == "spans").collect();
    let id = sealed_file::new_id();
    let folder = Path::new(&spans[0].path).parent().unwrap().to_owned();
    let job = Job {
        sealed: sealed.clone(),
        table: "spans".to_owned(),
        inputs: spans.iter().map(Input::from).collect(),
        output: folder.join(sealed_file::new_name(id)),
        level: 2,
        flush: Uuid::new_v4(),
        created: 1,
        logs: Vec::new(),
        filter: None,
    };
    let db = merge::open(256 << 20, &dir.join("spill")).unwrap();
    let merged = merge::write(&db, &job).unwrap();
    let path = folder.join(sealed_file::name(id, merged.checksum));
    std::fs::rename(sealed.join(&job.output), sealed.join(&path)).unwrap();
    (path.to_str().unwrap().to_owned(), spans.into_iter().map(|file| file.path).collect())
}

fn store(dir: &Path) -> Source {
    let source = Source::new(SPANS);
    let mut engine = EngineProcess::start(dir, &[]);
    for next in [10, 20, 30] {
        assert!(feed(&engine, &source, next));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    let (good, said) = repair(dir, &[]);
    assert!(!good && said.contains("in use by another vispyr"), "{said}");
    engine.stop();
    source
}

fn is_whole(dir: &Path) {
    let mut engine = EngineProcess::start(dir, &[]);
    assert_eq!(engine.spans(), (600, 600));
    assert_eq!(Sender::connect(&engine, LOG, 30).progress.sealed.0, 30);
    assert_eq!(engine.ask(".warnings"), "");
    engine.stop();
}

#[test]
fn a_merged_file_takes_the_place_of_what_it_was_merged_from() {
    for by_hand in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path());
        let (good, said) = repair(dir.path(), &[]);
        assert!(good && said.contains("the catalog is whole"), "{said}");
        let (merged, sources) = merge(dir.path());
        std::fs::remove_file(dir.path().join("store/catalog.sqlite")).unwrap();
        let sealed = dir.path().join("store/sealed");
        let before = files(&sealed);
        if by_hand {
            let (good, said) = repair(dir.path(), &["--dry-run"]);
            assert!(good && said.contains("3 files go") && said.contains("would be made again"), "{said}");
            assert_eq!(files(&sealed), before);
            assert!(!dir.path().join("store/catalog.sqlite").exists());
            let (good, said) = repair(dir.path(), &[]);
            assert!(good && said.contains("3 files go") && said.contains("files with 60"), "{said}");
        }
        is_whole(dir.path());
        let left: Vec<String> = before.into_iter().filter(|file| !sources.contains(file)).collect();
        assert_eq!(files(&sealed), left);
        assert!(left.contains(&merged));
        assert!(!dir.path().join("store/lost+found").join("sealed").exists());
    }
}

#[test]
fn a_damaged_merged_file_does_not_take_away_what_it_was_merged_from() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let (merged, sources) = merge(dir.path());
    let sealed = dir.path().join("store/sealed");
    let mut bytes = std::fs::read(sealed.join(&merged)).unwrap();
    bytes[100] ^= 1;
    std::fs::write(sealed.join(&merged), bytes).unwrap();
    std::fs::write(dir.path().join("store/catalog.sqlite"), "no catalog").unwrap();
    let (good, said) = repair(dir.path(), &[]);
    assert!(!good && said.contains(&format!("damaged: {merged}: its checksum is wrong")), "{said}");
    assert!(sources.iter().all(|file| sealed.join(file).exists()));
    let mut engine = EngineProcess::start(dir.path(), &[]);
    assert_eq!(engine.spans(), (600, 600));
    assert!(engine.ask(".warnings").contains(&merged));
}

#[test]
fn what_cannot_be_repaired_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (good, said) = repair(dir.path(), &[]);
    assert!(!good && said.contains("there is no store in"), "{said}");
    store(dir.path());
    let catalog = dir.path().join("store/catalog.sqlite");
    rusqlite::Connection::open(&catalog).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let (good, said) = repair(dir.path(), &[]);
    assert!(!good && said.contains("newer vispyr"), "{said}");
    // Rows that are in no file.
    std::fs::remove_file(&catalog).unwrap();
    let sealed = dir.path().join("store/sealed");
    let mut spans: Vec<String> = files(&sealed);
    spans.retain(|file| file.starts_with("spans/"));
    spans.sort_by_key(|file| std::fs::metadata(sealed.join(file)).unwrap().modified().unwrap());
    std::fs::remove_file(sealed.join(&spans[1])).unwrap();
    let (good, said) = repair(dir.path(), &[]);
    assert!(!good && said.contains("not proved: no file has the records 10 to 20 of log"), "{said}");
}
