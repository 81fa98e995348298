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

/// A statement taken apart as far as `EXPLAIN` goes.
#[derive(Debug, PartialEq, Eq)]
pub struct Explained<'a> {
    /// Whether `EXPLAIN` stood before it.
    pub explain: bool,
    /// Where [`Self::inner`] starts in the text, in bytes.
    pub offset: usize,
    /// The statement to validate.
    pub inner: &'a str,
}

/// Takes a leading `EXPLAIN` off. DuckDB serializes only SELECT, so what is inside is validated by
/// itself, and `EXPLAIN` is put before exactly that text again to run it. What follows must be
/// a word that starts a query: options in brackets and `ANALYZE`, which runs the statement, are
/// refused here.
///
/// # Errors
/// [`SqlError::Refused`] if something other than a query follows.
pub fn strip_explain(text: &str) -> Result<Explained<'_>, SqlError> {
    let start = skip_blank(text, 0);
    let Some((word, end)) = word_at(text, start) else {
        return Ok(Explained { explain: false, offset: 0, inner: text });
    };
    if !word.eq_ignore_ascii_case("explain") {
        return Ok(Explained { explain: false, offset: 0, inner: text });
    }
    let next = skip_blank(text, end);
    match word_at(text, next) {
        Some((word, _))
            if ["select", "with", "from", "values", "table"].iter().any(|w| word.eq_ignore_ascii_case(w)) =>
        {
            Ok(Explained { explain: true, offset: next, inner: &text[next..] })
        }
        Some((word, _)) if word.eq_ignore_ascii_case("analyze") || word.eq_ignore_ascii_case("analyse") => {
            Err(SqlError::refused("EXPLAIN ANALYZE runs the statement; only EXPLAIN is allowed", Some(next)))
        }
        _ => Err(SqlError::refused("only EXPLAIN followed by a query is allowed", Some(next))),
    }
}

/// The statement without blank space, comments and semicolons at its end, so that it can be put
/// in brackets. What comes of that is validated again, so a mistake here is an error, not a hole.
pub fn trim_end(text: &str) -> &str {
    let bytes = text.as_bytes();
    let (mut at, mut end) = (0, 0);
    while at < bytes.len() {
        let blank = skip_blank(text, at);
        if blank > at {
            at = blank;
            continue;
        }
        let next = token_end(text, at);
        if bytes[at] != b';' {
            end = next;
        }
        at = next;
    }
    &text[..end]
}

/// Where the token that starts at `at` ends: a whole string or quoted name, or one character.
fn token_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    match bytes[at] {
        quote @ (b'\'' | b'"') => {
            let escapes = quote == b'\'' && at > 0 && matches!(bytes[at - 1], b'e' | b'E');
            let mut i = at + 1;
            while i < bytes.len() {
                if escapes && bytes[i] == b'\\' {
                    i += 1;
                } else if bytes[i] == quote {
                    return i + 1;
                }
                i += 1;
            }
            bytes.len()
        }
        b'$' => {
            let tag = bytes[at + 1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            let open = at + 1 + tag;
            if bytes.get(open) != Some(&b'$') {
                return at + 1;
            }
            let delimiter = &text[at..=open];
            text[open + 1..].find(delimiter).map_or(text.len(), |i| open + 1 + i + delimiter.len())
        }
        _ => at + text[at..].chars().next().map_or(1, char::len_utf8),
    }
}

/// The end of the blank space and comments that start at `at`.
fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.starts_with("--") {
            at += trimmed.find('\n').map_or(trimmed.len(), |i| i + 1);
        } else if trimmed.starts_with("/*") {
            at += trimmed.find("*/").map_or(trimmed.len(), |i| i + 2);
        } else {
            return at;
        }
    }
}

/// The word that starts at `at`, and where it ends.
fn word_at(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = &text[at..];
    let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    (length > 0).then(|| (&rest[..length], at + length))
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
    fn explain_is_taken_off_and_analyze_refused() {
        let plain = strip_explain("SELECT 1").unwrap();
        assert!(!plain.explain && plain.inner == "SELECT 1");
        let explained = strip_explain(" /* a */ explain -- b\n SELECT 1").unwrap();
        assert!(explained.explain && explained.inner == "SELECT 1");
        for bad in ["EXPLAIN ANALYZE SELECT 1", "explain (analyze) select 1", "explain explain select 1", "EXPLAIN"] {
            assert!(strip_explain(bad).is_err(), "{bad}");
        }
        assert!(!strip_explain("explainer").unwrap().explain);
    }

    #[test]
    fn the_end_is_trimmed_outside_strings_only() {
        for (text, trimmed) in [
            ("SELECT 1", "SELECT 1"),
            ("SELECT 1 ; ", "SELECT 1"),
            ("SELECT 1; -- end;\n /* x; */ ;", "SELECT 1"),
            ("SELECT ';'", "SELECT ';'"),
            ("SELECT '-- x'", "SELECT '-- x'"),
            ("SELECT \"a;--\" ;", "SELECT \"a;--\""),
            ("SELECT $$;-- $$;", "SELECT $$;-- $$"),
            ("SELECT $t$;$t$ --", "SELECT $t$;$t$"),
            ("SELECT e'\\';' ;", "SELECT e'\\';'"),
            ("SELECT 'é;' ; ", "SELECT 'é;'"),
            ("SELECT $1;", "SELECT $1"),
        ] {
            assert_eq!(trim_end(text), trimmed);
        }
    }
}
