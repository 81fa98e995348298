#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{Config, schema};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

/// Dotted names of all keys that are not sections.
fn leaves(table: &Table, path: &str, found: &mut Vec<String>) {
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(below) => leaves(below, &path, found),
            _ => found.push(path),
        }
    }
}

fn leaves_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    leaves(&toml::from_str(text).unwrap(), "", &mut found);
    found.sort();
    found
}

#[test]
fn the_documented_file_is_the_default() {
    let file = folder().join("vispyr.toml");
    let config = Config::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config, Config::default());
}

#[test]
fn the_documented_file_has_every_key() {
    let text = std::fs::read_to_string(folder().join("vispyr.toml")).unwrap();
    // The keys without a default are there as `#key = ...`.
    let optional = |line: &str| {
        let key = line.strip_prefix('#').and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
        key.is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
    };
    let all: Vec<&str> = text.lines().map(|line| if optional(line) { &line[1..] } else { line }).collect();
    let mut known: Vec<String> = schema::all_keys().iter().map(|path| path.join(".")).collect();
    known.sort();
    assert_eq!(leaves_of(&all.join("\n")), known);
    Config::parse(Path::new("all keys"), &all.join("\n")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut defaults = Vec::new();
    leaves(&Table::try_from(Config::default()).unwrap(), "", &mut defaults);
    defaults.sort();
    assert_eq!(leaves_of(&text), defaults, "the keys that have a default");
}

#[test]
fn every_key_refuses_what_it_is_not() {
    for path in schema::all_keys() {
        // No key takes an array of tables, so every one must say what it takes.
        let mut table = Table::new();
        schema::put(&mut table, &path, Value::Array(vec![Value::Table(Table::new())]));
        let mistakes = Config::parse(Path::new("x.toml"), &table.to_string()).unwrap_err();
        assert_eq!(mistakes.count(), 1, "{mistakes}");
        let mistake = mistakes.iter().next().unwrap();
        assert_eq!(mistake.key, path.join("."));
        assert!(mistake.message.contains("expected"), "{mistakes}");
    }
}

#[test]
fn bad_files_give_their_messages() {
    let mut tried = 0;
    for entry in std::fs::read_dir(folder().join("testdata")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let name = Path::new(path.file_name().unwrap());
        let mistakes = Config::parse(name, &text).expect_err(&format!("{} is to be refused", name.display()));
        assert_eq!(mistakes.to_string(), expected.trim_end(), "{}", name.display());
        tried += 1;
    }
    assert!(tried > 0);
}

#[test]
fn a_missing_file_is_named() {
    let mistakes = Config::load(Path::new("/nowhere/vispyr.toml")).unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "/nowhere/vispyr.toml: cannot read the file: No such file or directory (os error 2)"
    );
}
