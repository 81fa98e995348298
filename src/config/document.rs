//! Reads a config file key by key, so that every mistake is found and has its line.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Table, Value};

use super::mistake::Mistake;
use super::rules::Broken;
use super::{Config, rules, schema};

/// A parsed file: the keys that are good, where each stands, and what is wrong so far.
#[derive(Debug)]
pub struct Document {
    good: Table,
    lines: BTreeMap<String, usize>,
    mistakes: Vec<Mistake>,
    /// Keys that are there but are not what they should be.
    unreadable: BTreeSet<String>,
    /// Keys that there are no more, and what there is instead.
    gone: Vec<(String, String)>,
    /// What a key that is gone says about the one that took its place, by the latter's path.
    inherited: Vec<(Vec<String>, Value)>,
}

impl Document {
    /// Parses the text; mistakes are kept.
    pub fn read(text: &str) -> Self {
        let starts = line_starts(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Document {
            good: Table::new(),
            lines: BTreeMap::new(),
            mistakes: Vec::new(),
            unreadable: BTreeSet::new(),
            gone: Vec::new(),
            inherited: Vec::new(),
        };
        let mut unreadable = Vec::new();
        for error in errors {
            let line = error.span().map_or(0, |span| line_of(&starts, span.start));
            // One garbled line may give several errors; the first is the one that helps.
            if !unreadable.contains(&line) {
                let message = format!("not TOML: {}", error.message());
                document.mistakes.push(Mistake { line, key: String::new(), message });
                unreadable.push(line);
            }
        }
        let mut walk = Walk { document: &mut document, starts: &starts, unreadable: &unreadable };
        walk.table(&mut Vec::new(), root.get_ref());
        for (path, value) in std::mem::take(&mut document.inherited) {
            if !document.lines.contains_key(&path.join(".")) {
                schema::put(&mut document.good, &path, value);
            }
        }
        document
    }

    /// The config that the good keys make, the defaults for the others.
    pub fn take_config(&mut self) -> Config {
        match Config::deserialize(Value::Table(std::mem::take(&mut self.good))) {
            Ok(config) => config,
            // Each key is good on its own, so this takes two that cannot be together.
            Err(e) => {
                self.mistakes.push(Mistake { line: 0, key: String::new(), message: e.message().to_owned() });
                Config::default()
            }
        }
    }

    /// Keys of earlier versions that are there, and what there is instead.
    pub fn take_gone(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.gone)
    }

    /// Adds a broken rule, at the line of the key it is about (or the other one if that is not
    /// in the file).
    pub fn add_broken_rule(&mut self, broken: Broken) {
        // What could not be read is not missing as well.
        if self.unreadable.contains(&broken.key) {
            return;
        }
        let line_of = |key: &Option<String>| key.as_ref().and_then(|key| self.lines.get(key)).copied();
        let line = line_of(&Some(broken.key.clone())).or_else(|| line_of(&broken.other)).unwrap_or(0);
        self.mistakes.push(Mistake { line, key: broken.key, message: broken.message });
    }

    /// What is wrong.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes
    }
}

/// The way through the tables of a file.
struct Walk<'a> {
    document: &'a mut Document,
    starts: &'a [usize],
    unreadable: &'a [usize],
}

impl Walk<'_> {
    fn table(&mut self, path: &mut Vec<String>, table: &DeTable<'_>) {
        for (key, value) in table {
            let line = line_of(self.starts, key.span().start);
            if self.unreadable.contains(&line) {
                continue;
            }
            path.push(key.get_ref().to_string());
            self.document.lines.insert(path.join("."), line);
            match value.get_ref() {
                DeValue::Table(below) => match schema::try_alone(path, Value::Table(Table::new())) {
                    Ok(()) => {
                        // A section of a map is there even if it says nothing.
                        schema::put_section(&mut self.document.good, path);
                        self.table(path, below);
                    }
                    Err(message) => self.mistake(line, path, "a table", &message),
                },
                _ => self.value(line, path, value),
            }
            path.pop();
        }
    }

    fn value(&mut self, line: usize, path: &[String], spanned: &Spanned<DeValue<'_>>) {
        let gone = GONE.iter().find(|(key, _)| *key == path.join("."));
        if let Some((key, instead)) = gone {
            self.document.gone.push(((*key).to_owned(), (*instead).to_owned()));
            if *key == FLUSH_INTERVAL {
                self.seal_interval(spanned);
            }
            return;
        }
        let value = match Value::deserialize(ValueDeserializer::from(spanned.clone())) {
            Ok(value) => value,
            Err(e) => return self.mistake(line, path, "this", e.message()),
        };
        match schema::try_alone(path, value.clone()) {
            Ok(()) => schema::put(&mut self.document.good, path, value),
            Err(message) => self.mistake(line, path, value.to_string().trim(), &message),
        }
    }

    /// The interval of flushes goes on as that of sealing, if it is shorter than the latter's default: an hour,
    /// as it was by default, is much too long for files of one second each. One that is no good is none.
    fn seal_interval(&mut self, spanned: &Spanned<DeValue<'_>>) {
        let path = ["store", "seal_interval"].map(str::to_owned);
        let Ok(value) = Value::deserialize(ValueDeserializer::from(spanned.clone())) else { return };
        let mut alone = Table::new();
        schema::put(&mut alone, &path, value.clone());
        let Ok(config) = Config::deserialize(Value::Table(alone)) else { return };
        let interval = config.store.seal_interval;
        if interval >= rules::SHORTEST && interval < Config::default().store.seal_interval {
            self.document.inherited.push((path.to_vec(), value));
        }
    }

    fn mistake(&mut self, line: usize, path: &[String], value: &str, message: &str) {
        let message = if schema::is_unknown_key(message) {
            unknown_key(path, message)
        } else if let Some((_, variants)) = message.strip_prefix("unknown variant ").and_then(|m| m.split_once(", ")) {
            format!("{value} is not possible here, {}", variants.replace('`', "\""))
        } else {
            let generic = ["invalid type", "invalid value", "invalid socket address", "invalid length", "wanted "];
            if generic.iter().any(|words| message.starts_with(words)) {
                format!("{value} is not possible here, expected {}", schema::expected(path, message))
            } else {
                message.to_owned()
            }
        };
        self.document.unreadable.insert(path.join("."));
        self.document.mistakes.push(Mistake { line, key: path.join("."), message });
    }
}

/// One of those that are gone, whose value is of use.
const FLUSH_INTERVAL: &str = "store.flush_interval";

/// Keys of earlier versions, and what there is instead. A file that has them is good: an upgrade must not keep
/// a store from starting.
const GONE: &[(&str, &str)] = &[
    ("store.hot_memory", "rows are in files within a second and wait in no memory"),
    (
        FLUSH_INTERVAL,
        "rows are in files within a second, which store.seal_interval (60s) puts in order; it is taken for that where it is less and that is not set",
    ),
];

/// `unknown key`, and the one that was probably meant, here or in another section.
fn unknown_key(path: &[String], message: &str) -> String {
    let Some((key, section)) = path.split_last() else { return message.to_owned() };
    let known: Vec<String> = schema::named_in(message).into_iter().skip(1).collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, key), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min();
    if let Some((_, candidate)) = near {
        return format!("unknown key, did you mean {candidate:?}?");
    }
    if let Some(elsewhere) = schema::all_keys().into_iter().find(|other| other.last() == Some(key)) {
        let home = &elsewhere[..elsewhere.len() - 1];
        if home != section {
            return match home {
                [] => "unknown key here: it belongs at the top, before the first section".to_owned(),
                _ => format!("unknown key here: it belongs in [{}]", home.join(".")),
            };
        }
    }
    format!("unknown key, expected one of {}", known.join(", "))
}

/// Where each line begins, in bytes.
fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

/// The line, from 1, of a byte.
fn line_of(starts: &[usize], at: usize) -> usize {
    starts.partition_point(|start| *start <= at)
}
