//! Who may import whom: the rules of the architecture, kept by reading the sources.
#![allow(missing_docs, reason = "tests document themselves by name")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a module may import of ours. The longest prefix of a file's own module path counts.
const RULES: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["net", "app", "config", "telemetry", "store", "demo", "signal", "duration"]),
    ("app", &["*"]),
    // The defaults and shapes of each part are the part's own.
    ("config", &["net", "receivers", "exporters", "quarantine", "wal", "store", "web", "telemetry", "demo"]),
    ("receivers", &["blocking", "codec", "duration", "net", "tail", "wal", "wire", "signal", "telemetry"]),
    ("exporters", &["codec", "duration", "quarantine", "wal", "wire", "signal", "telemetry"]),
    ("exporters::store", &["codec", "duration", "quarantine", "wal", "wire", "signal", "telemetry", "store::protocol"]),
    // A record with its place is what collector and engine speak about; the log itself is not.
    ("store", &["codec", "durable", "duration", "net", "signal", "telemetry", "wire", "wal::Position", "wal::Record"]),
    ("wal", &["blocking", "durable", "quarantine", "signal", "telemetry"]),
    ("wire", &["signal", "telemetry"]),
    ("tail", &["codec", "signal", "wire"]),
    // Read-only views come from the app; the text formats are telemetry's.
    // A trace in a file is read as receivers read it.
    ("web", &["duration", "net", "signal", "tail", "telemetry", "wire"]),
    ("telemetry", &["signal"]),
    // Whoever opens a port or knocks at one.
    ("net", &[]),
    ("durable", &[]),
    ("duration", &[]),
    ("codec", &["signal"]),
    ("quarantine", &["durable", "signal", "telemetry"]),
    ("allocator", &[]),
    ("blocking", &[]),
    ("demo", &["net", "wire", "signal"]),
    ("signal", &[]),
];

#[test]
fn imports_follow_the_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    let mut imports = 0;
    for file in sources(&src) {
        let module = module_of(file.strip_prefix(&src).unwrap());
        if module.is_empty() {
            continue;
        }
        for import in imports_of(&fs::read_to_string(&file).unwrap()) {
            imports += 1;
            if !allowed(&module, &import) {
                broken.push(format!("{module} imports {import}"));
            }
        }
    }
    assert!(imports > 20, "the sources were not read: {imports} imports found");
    assert!(broken.is_empty(), "against the layers:\n{}", broken.join("\n"));
}

#[test]
fn every_part_has_a_rule() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let parts: BTreeSet<String> = sources(&src)
        .iter()
        .map(|file| module_of(file.strip_prefix(&src).unwrap()))
        .filter_map(|module| module.split("::").next().map(str::to_owned))
        .filter(|part| !part.is_empty())
        .collect();
    for part in parts {
        assert!(RULES.iter().any(|(of, _)| *of == part), "no rule for {part}");
    }
}

#[test]
fn the_rules_can_be_broken() {
    assert_eq!(imports_of("use crate::wal::{Log, Position};\n"), ["wal::Log", "wal::Position"]);
    assert_eq!(imports_of("use crate::{signal, store::engine};"), ["signal", "store::engine"]);
    assert_eq!(imports_of("let x = crate::store::Config::default(); // crate::app"), ["store::Config::default"]);
    assert_eq!(imports_of("/// See [`crate::wire`].\nuse vispyr::cli::Arguments;"), ["cli::Arguments"]);
    assert_eq!(imports_of("let filter = \"info,vispyr::wal=debug\";"), [""; 0]);
    assert!(allowed("store::ingest", "wal::Record"));
    assert!(!allowed("store::ingest", "wal::Log"));
    assert!(!allowed("exporters::otlp", "store::protocol"));
    assert!(allowed("exporters::store::link", "store::protocol::Frame"));
    assert!(!allowed("signal", "telemetry"));
    assert!(allowed("signal", "signal::Batch"), "a module may import itself");
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// `exporters/store/link.rs` is `exporters::store::link`; lib.rs is nothing.
fn module_of(file: &Path) -> String {
    let parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs")).collect();
    if parts == ["lib"] { String::new() } else { parts.join("::") }
}

fn allowed(module: &str, import: &str) -> bool {
    let under = |path: &str, prefix: &str| path == prefix || path.starts_with(&format!("{prefix}::"));
    let own = module.split("::").next().unwrap();
    if under(import, own) {
        return true;
    }
    let rule = RULES.iter().filter(|(of, _)| under(module, of)).max_by_key(|(of, _)| of.len());
    rule.is_some_and(|(_, may)| may.iter().any(|may| *may == "*" || under(import, may)))
}

/// What a source names of this crate, in `use` and in paths; comments and tests' own helpers not.
fn imports_of(source: &str) -> Vec<String> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for start in ["crate::", "vispyr::"] {
        for (at, _) in code.match_indices(start) {
            let before = &code[code[..at].rfind('\n').map_or(0, |end| end + 1)..at];
            let in_a_string = before.matches('"').count() % 2 == 1;
            if in_a_string || before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            expand("", &code[at + start.len()..], &mut found);
        }
    }
    found
}

/// `a::{b, c::{d}}` is `a::b` and `a::c::d`. Returns what follows the path.
fn expand<'a>(prefix: &str, text: &'a str, found: &mut Vec<String>) -> &'a str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let path = format!("{prefix}{}", &text[..end]);
    let mut rest = &text[end..];
    if !path.ends_with("::") && !path.is_empty() || !rest.starts_with('{') {
        found.push(path.trim_end_matches(':').to_owned());
        return rest;
    }
    rest = &rest[1..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        if rest.is_empty() {
            return rest;
        }
        let before = rest.len();
        rest = expand(&path, rest, found);
        // `as name`
        let skip = rest.find([',', '}']).unwrap_or(rest.len());
        rest = &rest[skip..];
        if rest.len() == before {
            return rest;
        }
    }
}
