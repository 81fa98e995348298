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

/// A key of an example in a map, as the schema calls it.
fn without_names(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    match parts.as_slice() {
        ["exporters", _, "headers", ..] => format!("exporters.{}.headers", schema::ANY_NAME),
        ["exporters", _, rest @ ..] => format!("exporters.{}.{}", schema::ANY_NAME, rest.join(".")),
        _ => key.to_owned(),
    }
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
    // So are the sections of a map, under a name that is an example.
    let section = |line: &str| line.starts_with("#[") && line.ends_with(']');
    let uncomment = |line| if optional(line) || section(line) { &line[1..] } else { line };
    let all: Vec<&str> = text.lines().map(uncomment).collect();
    let mut known: Vec<String> = schema::all_keys().iter().map(|path| path.join(".")).collect();
    known.sort();
    let mut documented: Vec<String> = leaves_of(&all.join("\n")).iter().map(|key| without_names(key)).collect();
    documented.sort();
    documented.dedup();
    assert_eq!(documented, known);
    Config::parse(Path::new("all keys"), &all.join("\n")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut defaults = Vec::new();
    leaves(&Table::try_from(Config::default()).unwrap(), "", &mut defaults);
    defaults.sort();
    assert_eq!(leaves_of(&text), defaults, "the keys that have a default");
}

#[test]
fn every_key_refuses_what_it_is_not() {
    for mut path in schema::all_keys() {
        for part in path.iter_mut().filter(|part| *part == schema::ANY_NAME) {
            *part = "some".to_owned();
        }
        // No key takes an array of tables, so every one must say what it takes.
        let mut table = Table::new();
        if path[0] == "exporters" {
            // What every one must have.
            let section = path[..2].to_vec();
            for (key, value) in [("type", "otlp"), ("url", "http://host")] {
                let key = [section.clone(), vec![key.to_owned()]].concat();
                schema::put(&mut table, &key, Value::String(value.to_owned()));
            }
        }
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
fn keys_that_are_gone_are_told_and_do_no_harm() {
    let text = "[store]\nhot_memory = \"1GiB\"\nflush_interval = \"1h\"\nseal_interval = \"5s\"\n";
    let config = Config::parse(Path::new("x.toml"), text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.store.seal_interval, std::time::Duration::from_secs(5));
    let gone: Vec<&str> = config.gone.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(gone, ["store.flush_interval", "store.hot_memory"]);
    assert!(config.gone[0].1.contains("store.seal_interval"), "{:?}", config.gone);
}

#[test]
fn the_interval_of_flushes_is_that_of_sealing_where_it_is_shorter() {
    let sealing = |keys: &str| {
        let text = format!("[store]\n{keys}\n");
        let config = Config::parse(Path::new("x.toml"), &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(config.gone.len(), 1, "{keys}");
        config.store.seal_interval.as_secs()
    };
    assert_eq!(sealing("flush_interval = \"5s\""), 5);
    for other in ["seal_interval = \"7s\"\nflush_interval = \"5s\"", "flush_interval = \"5s\"\nseal_interval = \"7s\""]
    {
        assert_eq!(sealing(other), 7, "the new key counts");
    }
    for useless in ["\"1h\"", "\"0s\"", "\"soon\"", "true"] {
        assert_eq!(sealing(&format!("flush_interval = {useless}")), 60, "{useless}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let mistakes = Config::load(Path::new("/nowhere/vispyr.toml")).unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "/nowhere/vispyr.toml: cannot read the file: No such file or directory (os error 2)"
    );
}
