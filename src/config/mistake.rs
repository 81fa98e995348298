//! What is wrong with a config, in words that tell where and what was expected.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::Document;
use super::rules::Broken;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Line in the file, from 1. 0 where no line is to blame.
    pub line: usize,
    /// The key, dotted: `receivers.otlp_grpc.listen`. Empty where there is none.
    pub key: String,
    /// What is wrong with it and what was expected.
    pub message: String,
}

/// All mistakes of a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    file: PathBuf,
    mistakes: Vec<Mistake>,
}

impl Mistakes {
    /// Joins the mistakes of `file`.
    pub fn new(file: &Path, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Mistakes { file: file.to_owned(), mistakes }
    }

    /// The file could not be read at all.
    pub fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let message = format!("cannot read the file: {error}");
        Mistakes { file: file.to_owned(), mistakes: vec![Mistake { line: 0, key: String::new(), message }] }
    }

    /// What was found at keys of `file` after it had been read: keys and messages.
    pub fn at_keys(file: &Path, found: &[(String, String)]) -> Self {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut document = Document::read(&text);
        for (key, message) in found {
            document.add_broken_rule(Broken { key: key.clone(), other: None, message: message.clone() });
        }
        Mistakes::new(file, document.into_mistakes())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter()
    }

    /// How many there are; never 0.
    pub fn count(&self) -> usize {
        self.mistakes.len()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.mistakes.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file.display())?;
            if mistake.line > 0 {
                write!(f, "{}:", mistake.line)?;
            }
            if !mistake.key.is_empty() {
                write!(f, " {}:", mistake.key)?;
            }
            write!(f, " {}", mistake.message)?;
        }
        Ok(())
    }
}
