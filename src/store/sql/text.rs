//! The first gate: what is looked at before DuckDB sees a statement.
//!
//! Preparing alone can hurt DuckDB 2.0 (it opens files for `IMPORT DATABASE`), and so can a parse
//! of something absurd, so size, encoding and nesting are bounded on the bytes. This looks at
//! bytes, not at tokens: a tokenizer that disagrees with DuckDB's own about where a string ends
//! would be a hole.

use super::error::SqlError;

/// Brackets open at once. DuckDB's parser has a limit of its own behind this one.
pub const MAX_NESTING: usize = 100;

/// Commas in a statement. A hundred thousand tables with commas between them keep DuckDB's parser
/// busy for seconds and become 60 MB of tree.
pub const MAX_COMMAS: usize = 20_000;

/// Checks size, encoding and nesting, and gives the statement as text.
///
/// # Errors
/// [`SqlError::TooLarge`] over `max_size` bytes, else [`SqlError::Refused`].
pub fn admit(statement: &[u8], max_size: usize) -> Result<&str, SqlError> {
    if statement.len() > max_size {
        return Err(SqlError::TooLarge { size: statement.len() as u64, limit: max_size as u64 });
    }
    let text = std::str::from_utf8(statement)
        .map_err(|e| SqlError::refused("the statement is not valid UTF-8", Some(e.valid_up_to())))?;
    if text.trim().is_empty() {
        return Err(SqlError::refused("the statement is empty", None));
    }
    let (mut depth, mut commas) = (0usize, 0usize);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            0 => return Err(SqlError::refused("the statement has a NUL character", Some(at))),
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > MAX_NESTING {
                    let why = format!("more than {MAX_NESTING} brackets are open at once");
                    return Err(SqlError::refused(why, Some(at)));
                }
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => {
                commas += 1;
                if commas > MAX_COMMAS {
                    return Err(SqlError::refused(format!("more than {MAX_COMMAS} commas"), Some(at)));
                }
            }
            _ => {}
        }
    }
    Ok(text)
}

/// Words `explain` that are tried as the one that `EXPLAIN` starts with.
const MAX_EXPLAIN: usize = 8;

/// The text without one of its words `explain` each, replaced by as much blank space. Which of them is
/// no part of a string or comment is for DuckDB to say.
pub fn without_explain(text: &str) -> impl Iterator<Item = String> {
    const WORD: &[u8] = b"explain";
    let places = text.as_bytes().windows(WORD.len()).enumerate();
    let places = places.filter(|(_, window)| window.eq_ignore_ascii_case(WORD)).map(|(at, _)| at).take(MAX_EXPLAIN);
    places.map(|at| format!("{}{}{}", &text[..at], " ".repeat(WORD.len()), &text[at + WORD.len()..]))
}

/// Whether a word stands somewhere in the text, be it in a string or comment: good enough for a hint.
pub fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found.eq_ignore_ascii_case(word))
}

/// Whether what is left of a statement without its `EXPLAIN` begins with options of PostgreSQL's `EXPLAIN`.
pub fn has_options(text: &str) -> bool {
    const OPTIONS: &[&str] =
        &["analyze", "verbose", "costs", "settings", "generic_plan", "buffers", "wal", "timing", "summary", "format"];
    let rest = text.trim_start();
    let rest = rest.strip_prefix('(').map_or(rest, str::trim_start);
    let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    OPTIONS.iter().any(|option| option.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_ordinary_text_and_refuses_the_rest() {
        assert!(admit(b"SELECT 1", 100).is_ok());
        assert!(matches!(admit(&[b' '; 101], 100), Err(SqlError::TooLarge { size: 101, limit: 100 })));
        for bad in [&b""[..], b" \n", b"SELECT \xff", b"SELECT '\0'"] {
            assert!(matches!(admit(bad, 100), Err(SqlError::Refused { .. })), "{bad:?}");
        }
        let deep = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
        assert!(admit(deep(MAX_NESTING).as_bytes(), 1000).is_ok());
        assert!(admit(deep(MAX_NESTING + 1).as_bytes(), 1000).is_err());
        assert!(admit(format!("SELECT 1{}", ",1".repeat(MAX_COMMAS + 1)).as_bytes(), 1 << 20).is_err());
    }

    #[test]
    fn explain_is_blanked_out_word_by_word() {
        let texts: Vec<String> = without_explain("/* explain */ Explain SELECT 1").collect();
        assert_eq!(texts, ["/*         */ Explain SELECT 1", "/* explain */         SELECT 1"]);
        assert_eq!(without_explain("SELECT 'é'").count(), 0);
        assert_eq!(without_explain(&"explain ".repeat(1000)).count(), MAX_EXPLAIN);
    }
}
