//! What keys there are and what each one takes, asked of serde itself, so that no second list of
//! keys has to be kept: a section's fields come from its complaint about a field that it does not
//! have, and a value's kind from the default.

use serde::Deserialize;
use toml::{Table, Value};

use super::Config;

/// A key that no section has.
const NO_SUCH_KEY: &str = "\u{0}";

/// Deserializes a config that has only this value, at this path.
pub fn try_alone(path: &[String], value: Value) -> Result<(), String> {
    let mut table = Table::new();
    put(&mut table, path, value);
    Config::deserialize(Value::Table(table)).map(|_| ()).map_err(|e| e.message().to_owned())
}

/// Puts a value at a path, making the tables on the way.
pub fn put(table: &mut Table, path: &[String], value: Value) {
    let Some((last, way)) = path.split_last() else { return };
    let mut here = table;
    for part in way {
        let next = here.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else { return };
        here = next;
    }
    here.insert(last.clone(), value);
}

/// Makes the section at a path, if it is not there.
pub fn put_section(table: &mut Table, path: &[String]) {
    let mut here = table;
    for part in path {
        let next = here.entry(part.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(next) = next else { return };
        here = next;
    }
}

/// What stands for any name in a map of sections, such as `exporters`.
pub const ANY_NAME: &str = "NAME";

/// The keys of the section at this path, the optional ones included; none if it is no section.
/// A map of sections has one, [`ANY_NAME`].
pub fn keys(section: &[String]) -> Vec<String> {
    let mut path = section.to_vec();
    path.push(NO_SUCH_KEY.to_owned());
    if try_alone(&path, Value::Table(Table::new())).is_ok() {
        return vec![ANY_NAME.to_owned()];
    }
    match try_alone(&path, Value::Boolean(true)) {
        Err(message) if is_unknown_key(&message) => named_in(&message).into_iter().skip(1).collect(),
        _ => Vec::new(),
    }
}

/// Keys that are there for tests of our own and are not shown to users.
const HIDDEN: &[&[&str]] = &[&["sql", "gates"]];

/// All keys that are not sections, as paths, but for the hidden ones.
pub fn all_keys() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(section) = waiting.pop() {
        for key in keys(&section) {
            let mut path = section.clone();
            path.push(key);
            if keys(&path).is_empty() {
                found.push(path);
            } else {
                waiting.push(path);
            }
        }
    }
    found.retain(|path| !HIDDEN.iter().any(|hidden| path == hidden));
    found.sort();
    found
}

/// Whether serde's message is about a key that the section does not have.
pub fn is_unknown_key(message: &str) -> bool {
    message.starts_with("unknown field `")
}

/// The words in backticks: serde's way of naming keys and variants.
pub fn named_in(message: &str) -> Vec<String> {
    message.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The default of a key; none for optional ones.
pub fn default_of(path: &[String]) -> Option<Value> {
    // The section is put in, as it may be one of a map that has none by default.
    let mut table = Table::new();
    put(&mut table, path.split_last()?.1, Value::Table(Table::new()));
    let config = Config::deserialize(Value::Table(table)).unwrap_or_default();
    let mut here = Value::try_from(config).ok()?;
    for part in path {
        here = here.get(part)?.clone();
    }
    Some(here)
}

/// What a key takes, in words, with its default as the example; for a key without a default, as
/// far as serde's `complaint` tells.
pub fn expected(path: &[String], complaint: &str) -> String {
    let Some(default) = default_of(path) else {
        if let Some(variants) = variants(path) {
            return variants;
        }
        return match complaint.rsplit_once("expected ").map_or(complaint, |(_, what)| what) {
            "path string" => "a path such as \"/var/lib/vispyr\"".to_owned(),
            "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
            other => other.to_owned(),
        };
    };
    match default {
        Value::Boolean(_) => "true or false".to_owned(),
        Value::Integer(n) => format!("a whole number, 0 or more, such as {n}"),
        Value::Float(n) => format!("a number such as {n}"),
        Value::Array(_) => "a list of strings, such as [\"a\", \"b\"]".to_owned(),
        Value::Table(_) => format!("a section [{}]", path.join(".")),
        Value::Datetime(_) => "a time".to_owned(),
        Value::String(text) => {
            if text.parse::<std::net::SocketAddr>().is_ok() {
                format!("an address and a port such as \"{text}\"")
            } else if text.ends_with('B') && text.parse::<bytesize::ByteSize>().is_ok() {
                format!("a size such as \"{}\"", compact_size(&text))
            } else if humantime::parse_duration(&text).is_ok() {
                format!("a duration such as \"{text}\"")
            } else {
                format!("a string such as \"{text}\"")
            }
        }
    }
}

/// The names that a key takes, or a list of them, if it takes nothing else.
fn variants(path: &[String]) -> Option<String> {
    let no_such_name = Value::String(NO_SUCH_KEY.to_owned());
    [no_such_name.clone(), Value::Array(vec![no_such_name])].into_iter().find_map(|value| {
        let message = try_alone(path, value).err()?;
        let (_, names) = message.strip_prefix("unknown variant ")?.split_once(", expected ")?;
        Some(names.replace('`', "\""))
    })
}

/// `64.0 MiB` as one writes it: `64MiB`.
fn compact_size(text: &str) -> String {
    text.replace(".0 ", "").replace(' ', "")
}
