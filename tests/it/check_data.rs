//! `vispyr check --data` names each damaged file of a store, whether it runs or not.

use std::path::Path;
use std::process::Command;

use super::harness::PROGRAM;
use super::store::rig::{EngineProcess, Source, feed, files};

/// Whether all is well, and what it says.
fn check(dir: &Path) -> (bool, String) {
    let output = Command::new(PROGRAM).args(["check", "--data", "--data-dir"]).arg(dir).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn damaged_and_missing_files_are_named_with_their_hour() {
    let dir = tempfile::tempdir().unwrap();
    let (good, said) = check(dir.path());
    assert!(!good && said.contains("catalog.sqlite"), "{said}");

    let source = Source::new(20);
    let mut engine = EngineProcess::start(dir.path(), &[]);
    for next in 1..=3 {
        assert!(feed(&engine, &source, next));
        assert_eq!(engine.ask(".flush"), "flushed");
    }
    let (good, said) = check(dir.path());
    assert!(good && said.contains(": good, ") && said.contains(" files with "), "while it runs: {said}");
    engine.stop();

    let sealed = dir.path().join("store/sealed");
    let spans: Vec<String> =
        files(&sealed).into_iter().filter(|file| file.starts_with("spans/") && file.ends_with(".parquet")).collect();
    let mut bytes = std::fs::read(sealed.join(&spans[0])).unwrap();
    bytes[50] ^= 4;
    std::fs::write(sealed.join(&spans[0]), bytes).unwrap();
    std::fs::remove_file(sealed.join(&spans[1])).unwrap();
    let (good, said) = check(dir.path());
    assert!(!good && said.contains("2 of "), "{said}");
    let line = |file: &str| said.lines().find(|line| line.starts_with(file)).unwrap_or_default().to_owned();
    let hour = |file: &str| {
        let part = |name: &str| file.split('/').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        format!("{} {}:00 UTC", part("date="), part("hour="))
    };
    for (file, reason) in [(&spans[0], "its checksum is wrong"), (&spans[1], "No such file")] {
        let line = line(file);
        assert!(line.contains(reason) && line.contains("20 rows of spans of ") && line.contains(&hour(file)), "{said}");
    }
    assert!(!spans.iter().skip(2).any(|file| said.contains(file.as_str())), "{said}");
}
